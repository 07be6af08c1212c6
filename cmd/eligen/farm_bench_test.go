//go:build unix

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// BenchmarkFarm prints what a queue costs on one machine, with the model nano on the backend go: 48 frames that
// one worker makes against apply alone, and two workers against one. Every process has one thread for Go code. Where
// others use the machine, the processors' time tells more than the clock.
//
//	go test ./cmd/eligen -run XXX -bench Farm -benchtime 1x
func BenchmarkFarm(b *testing.B) {
	for range b.N {
		alone, queued := pace(b, 0, 1), pace(b, 1, 1)
		two := pace(b, 2, 1)
		more := func(a, b float64) float64 { return 100 * (b/a - 1) } // per cent
		b.Logf("48 frames of nano: alone %.1f s, by a queue and a worker %.1f s: %+.1f %%",
			alone.wall, queued.wall, more(alone.wall, queued.wall))
		b.Logf("of processors, alone %.1f s, with queue and worker %.1f s: %+.1f %%", alone.cpu, queued.cpu, more(alone.cpu, queued.cpu))
		b.Logf("one worker %.1f s, two %.1f s: %.2f times as fast", queued.wall, two.wall, queued.wall/two.wall)
		b.ReportMetric(queued.wall/alone.wall, "queue/alone")
		b.ReportMetric(queued.wall/two.wall, "one/two")
		if !bytes.Equal(alone.clip, queued.clip) || !bytes.Equal(alone.clip, two.clip) {
			b.Error("the clips differ")
		}
	}
}

// A paced is a clip, and what it took: seconds on the clock, and of the processors by all processes.
type paced struct {
	wall, cpu float64
	clip      []byte
}

// used returns the seconds of a processor that a process has taken; 0 where the system doesn't say.
func (paced) used(pid int) float64 {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, ok := bytes.Cut(data, []byte(") "))
	fields := bytes.Fields(rest)
	if err != nil || !ok || len(fields) < 13 {
		return 0
	}
	user, _ := strconv.ParseFloat(string(fields[11]), 64)
	system, _ := strconv.ParseFloat(string(fields[12]), 64)
	return (user + system) / 100 // ticks
}

// pace makes the clip with workers. They are warm: they have made another clip.
func pace(b *testing.B, workers, threads int) (p paced) {
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
	apply := func(scene, queue string) (wall, cpu float64) {
		args := []string{"apply", scene, "--backend", "go", "--out", filepath.Join(dir, "out"), "--progress", "none"}
		if queue != "" {
			args = append(args, "--queue", queue)
		}
		began := time.Now()
		c := command("front", args...)
		if said, err := c.CombinedOutput(); err != nil {
			b.Fatalf("%v\n%s", err, said)
		}
		return time.Since(began).Seconds(), (c.ProcessState.UserTime() + c.ProcessState.SystemTime()).Seconds()
	}
	queue := ""
	var others []int
	if workers > 0 {
		serve := command("queue", "queue", "start", "--listen", "127.0.0.1:0")
		url, stop := startQueue(b, serve)
		defer stop()
		queue, others = url, append(others, serve.Process.Pid)
		for i := range workers {
			c := command(fmt.Sprint("worker", i), "worker", "--backend", "go", "--queue", queue)
			if err := c.Start(); err != nil {
				b.Fatal(err)
			}
			others = append(others, c.Process.Pid)
			defer func() { _ = c.Process.Signal(syscall.SIGTERM); _ = c.Wait() }()
		}
		for range 3 * workers { // so that each has one
			apply("warm.hcl", queue)
			if err := os.RemoveAll(filepath.Join(dir, "front")); err != nil {
				b.Fatal(err)
			}
		}
	}
	for _, pid := range others {
		p.cpu -= p.used(pid)
	}
	wall, cpu := apply("walk.hcl", queue)
	p.wall, p.cpu = wall, p.cpu+cpu
	for _, pid := range others {
		p.cpu += p.used(pid)
	}
	var err error
	if p.clip, err = os.ReadFile(filepath.Join(dir, "out", "out", "walk.gif")); err != nil {
		b.Fatal(err)
	}
	b.Logf("%d workers: %.1f s, %.1f s of processors", workers, p.wall, p.cpu)
	return p
}

// nanoClip is a clip: %[1]d frames, of the seed %[2]d.
const nanoClip = `
render "walk" {
  prompt   = "a dog on a green background"
  size     = [96, 96]
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
