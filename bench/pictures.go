package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/model/backend"
)

// twoEntities is a picture of the embedded model, by defaults otherwise.
const twoEntities = `render "bench" {
  prompt = "a cat and a dog in a meadow"
}

entity "cat" {
  prompt = "a cat"
  box    = xywh(0.05, 0.4, 0.4, 0.5)
}

entity "dog" {
  prompt = "a dog"
  box    = xywh(0.55, 0.4, 0.4, 0.5)
}
`

// A picture holds the time of `eligen apply` on one backend, in seconds, processes
// included.
type picture struct {
	backend       string
	first, second samples
	kept          samples // with programs that the first run has kept, from an empty store; none on the Go backend
	ran           int     // stages that the second run didn't have in the store
	problem       string
}

// pictures builds the program and has it make a picture in a fresh process with an
// empty store, then again with a full one; backends take turns.
func pictures(ctx context.Context, dir string, backends []string, rounds int) []*picture {
	var list []*picture
	for _, b := range backends {
		list = append(list, &picture{backend: b})
	}
	fail := func(err error) []*picture {
		for _, p := range list {
			p.problem = firstLine(err)
		}
		return list
	}
	program, scene := filepath.Join(dir, "eligen"), filepath.Join(dir, "bench.hcl")
	build := exec.CommandContext(ctx, "go", "build", "-o", program, "github.com/eligen/eligen/cmd/eligen")
	if runtime.GOARCH == "amd64" {
		build.Env = append([]string{"GOEXPERIMENT=simd"}, os.Environ()...) // as make builds it, unless the environment says otherwise
	}
	if out, err := build.CombinedOutput(); err != nil {
		return fail(fmt.Errorf("building eligen: %w: %s", err, bytes.TrimSpace(out)))
	}
	if err := os.WriteFile(scene, []byte(twoEntities), 0o644); err != nil {
		return fail(err)
	}
	plugins, err := backend.PluginDir() // is in the store's folder where nothing else is said
	if err != nil {
		return fail(err)
	}
	for range rounds {
		for _, p := range list {
			if p.problem != "" {
				continue
			}
			if err := p.measure(ctx, program, dir, plugins); err != nil {
				p.problem = firstLine(err)
			}
		}
	}
	return list
}

func (p *picture) measure(ctx context.Context, program, dir, plugins string) error {
	store, err := os.MkdirTemp(dir, "store-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(store)
	apply := func() (seconds float64, ran int, err error) {
		c := exec.CommandContext(ctx, program, "apply", "bench.hcl", "--json", "--backend", p.backend)
		c.Dir = dir
		c.Env = append(os.Environ(), "ELIGEN_CACHE_DIR="+store, "ELIGEN_PLUGIN_DIR="+plugins)
		var out, problems bytes.Buffer
		c.Stdout, c.Stderr = &out, &problems
		began := time.Now()
		err = c.Run()
		seconds = time.Since(began).Seconds()
		if err != nil {
			return 0, 0, fmt.Errorf("eligen apply: %s", cause(out.Bytes(), problems.String()))
		}
		return seconds, stagesRun(out.Bytes()), nil
	}
	first, ran, err := apply()
	if err != nil {
		return err
	}
	if ran == 0 {
		return errors.New("the first run found its stages in the store")
	}
	second, ran, err := apply()
	p.first, p.second, p.ran = append(p.first, first), append(p.second, second), max(p.ran, ran)
	if _, none := os.Stat(filepath.Join(store, "programs")); err != nil || none != nil {
		return err
	}
	if err := os.RemoveAll(filepath.Join(store, "store")); err != nil {
		return err
	}
	kept, ran, err := apply()
	if err == nil && ran == 0 {
		err = errors.New("the run with kept programs found its stages in the store")
	}
	p.kept = append(p.kept, kept)
	return err
}

// stagesRun counts the stages that events say were done, not found.
func stagesRun(events []byte) int {
	n := 0
	for e := range decode(events) {
		if e.Type == eligen.Done {
			n++
		}
	}
	return n
}

// cause returns why a run failed: the diagnostic in its events, or else its last line.
func cause(events []byte, said string) string {
	for e := range decode(events) {
		if e.Problem != nil {
			return e.Problem.Summary + ": " + firstLine(errors.New(e.Problem.Detail))
		}
	}
	t := tail{data: []byte(said)}
	return t.last()
}

func decode(events []byte) func(func(eligen.Event) bool) {
	return func(yield func(eligen.Event) bool) {
		for line := range strings.Lines(string(events)) {
			var e eligen.Event
			if json.Unmarshal([]byte(line), &e) == nil && !yield(e) {
				return
			}
		}
	}
}
