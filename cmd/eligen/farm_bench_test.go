//go:build unix

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// BenchmarkFarm prints what a queue costs on one machine, with the model nano on the backend go: 48 frames that
// one worker makes against apply alone, and two workers of one thread each against one.
//
//	go test ./cmd/eligen -run XXX -bench Farm -benchtime 1x
func BenchmarkFarm(b *testing.B) {
	for range b.N {
		alone, clip := pace(b, 0, 0)
		queued, same := pace(b, 1, 0)
		one, same1 := pace(b, 1, 1)
		two, same2 := pace(b, 2, 1)
		b.Logf("48 frames of nano: alone %.1f s, by a queue and one worker %.1f s: %+.1f %%", alone.Seconds(), queued.Seconds(),
			100*(queued.Seconds()/alone.Seconds()-1))
		b.Logf("workers of one thread: one %.1f s, two %.1f s: %.2f times as fast", one.Seconds(), two.Seconds(), one.Seconds()/two.Seconds())
		b.ReportMetric(queued.Seconds()/alone.Seconds(), "queue/alone")
		b.ReportMetric(one.Seconds()/two.Seconds(), "one/two")
		for _, c := range [][]byte{same, same1, same2} {
			if !bytes.Equal(clip, c) {
				b.Error("the clips differ")
			}
		}
	}
}

// pace makes the clip with workers, and returns how long apply takes. Workers are warm: they have made another clip.
func pace(b *testing.B, workers, threads int) (time.Duration, []byte) {
	b.Helper()
	dir := b.TempDir()
	for name, seed := range map[string]int{"warm.hcl": 1, "walk.hcl": 2} {
		if err := os.WriteFile(filepath.Join(dir, name), fmt.Appendf(nil, nanoClip, map[int]int{1: 2, 2: 48}[seed], seed), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	command := func(cache string, args ...string) *exec.Cmd {
		c := exec.Command("eligen", args...)
		c.Dir, c.Env = dir, append(os.Environ(), "ELIGEN_CACHE_DIR="+filepath.Join(dir, cache), "NO_COLOR=1")
		if threads > 0 {
			c.Env = append(c.Env, fmt.Sprintf("GOMAXPROCS=%d", threads))
		}
		return c
	}
	apply := func(scene, queue string) time.Duration {
		args := []string{"apply", scene, "--backend", "go", "--out", filepath.Join(dir, "out"), "--progress", "none"}
		if queue != "" {
			args = append(args, "--queue", queue)
		}
		began := time.Now()
		if said, err := command("front", args...).CombinedOutput(); err != nil {
			b.Fatalf("%v\n%s", err, said)
		}
		return time.Since(began)
	}
	queue := ""
	if workers > 0 {
		url, stop := startQueue(b, command("queue", "queue", "start", "--listen", "127.0.0.1:0"))
		defer stop()
		queue = url
		for i := range workers {
			c := command(fmt.Sprint("worker", i), "worker", "--backend", "go", "--queue", queue)
			if err := c.Start(); err != nil {
				b.Fatal(err)
			}
			defer func() { _ = c.Process.Signal(syscall.SIGTERM); _ = c.Wait() }()
		}
		for range 2 * workers { // so that each has one
			apply("warm.hcl", queue)
			if err := os.RemoveAll(filepath.Join(dir, "front")); err != nil {
				b.Fatal(err)
			}
		}
	}
	took := apply("walk.hcl", queue)
	clip, err := os.ReadFile(filepath.Join(dir, "out", "out", "walk.gif"))
	if err != nil {
		b.Fatal(err)
	}
	return took, clip
}

// nanoClip is a clip: %[1]d frames, of the seed %[2]d.
const nanoClip = `
render "walk" {
  prompt   = "a dog on a green background"
  size     = [128, 128]
  seed     = %[2]d
  timeline = timeline.walk

  sampler {
    steps = 4
  }

  output {
    path = "out/walk.gif"
  }
}

entity "dog" {
  prompt = "a dog"
  box    = xywh(0, 0.25, 0.5, 0.5)
}

timeline "walk" {
  frames = %[1]d
  fps    = 12

  track {
    target = entity.dog.strength
    keys = [
      { at = 0, value = 1 },
      { at = %[1]d - 1, value = 2 },
    ]
  }
}
`
