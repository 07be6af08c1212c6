package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/model/backend"
	"github.com/eligen/eligen/model/engine"
	"github.com/eligen/eligen/store/file"
)

// A firstPicture is where the time of a process goes that makes one picture, in seconds. A process
// of its own tells, since nothing may be warm.
type firstPicture struct {
	All       float64 `json:"all"`
	Processor float64 `json:"processor"` // of all processors together
	Compile   float64 `json:"compile"`   // while at least one graph was compiled
	Load      float64 `json:"load"`      // while a graph waited for weights
	Denoise   float64 `json:"denoise"`   // from the end of the first step to that of the last
	Graphs    int     `json:"graphs"`
	Found     int64   `json:"found"` // of the graphs, that were compiled before
}

// tellFirst makes the scene's picture, and tells where the time went.
func tellFirst(ctx context.Context, scene, name string, out io.Writer) error {
	began := time.Now()
	var f firstPicture
	var first time.Time
	see := func(e eligen.Event) {
		if e.Type != eligen.Stepped {
			return
		}
		if first.IsZero() {
			first = e.Time
		}
		f.Denoise = e.Time.Sub(first).Seconds()
	}
	err := apply(ctx, scene, name, nil, see, func(e *engine.Engine, _ *file.Store) error {
		compiling, loading := e.Waited()
		f.Compile, f.Load, f.Graphs = compiling.Seconds(), loading.Seconds(), e.Compiled()
		return nil
	})
	if err != nil {
		return err
	}
	f.Found, _ = backend.Programs()
	used, _ := readTicks()
	f.All, f.Processor = time.Since(began).Seconds(), used.own/100 // ticks a second
	return json.NewEncoder(out).Encode(f)
}

// firsts measures the first picture of a process on each backend, compiled anew and with the
// programs of the process before, and prints where the time went.
func (b *bench) firsts(backends []string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	plugins, err := backend.PluginDir()
	if err != nil {
		return err
	}
	scene := filepath.Join(b.dir, "bench.hcl")
	if err := os.WriteFile(scene, []byte(twoEntities), 0o644); err != nil {
		return err
	}
	t := table{head: []string{"backend", "programs", "s", "processors', s", "graphs", "of them found", "compiling, s", "loading, s",
		"19 steps, s", "the rest, s"}}
	for _, name := range backends {
		cache, err := os.MkdirTemp(b.dir, "cache-")
		if err != nil {
			return err
		}
		for _, programs := range []string{"compiled", "kept"} {
			if name == "go" && programs == "kept" {
				continue // it compiles none
			}
			c := exec.CommandContext(b.ctx, self, "-first", name, scene)
			c.Env = append(os.Environ(), "ELIGEN_CACHE_DIR="+cache, "ELIGEN_PLUGIN_DIR="+plugins)
			var problems tail
			c.Stderr = &problems
			out, err := c.Output()
			var f firstPicture
			if err == nil {
				err = json.Unmarshal(out, &f)
			} else if last := problems.last(); last != "" {
				err = errors.New(last)
			}
			if err != nil {
				t.add(name, programs, firstLine(err), "", "", "", "", "", "", "")
				continue
			}
			t.add(name, programs, digits(f.All), digits(f.Processor), fmt.Sprint(f.Graphs), fmt.Sprint(f.Found), digits(f.Compile), digits(f.Load),
				digits(f.Denoise), digits(max(0, f.All-f.Compile-f.Load-f.Denoise)))
		}
	}
	b.section("Where a process's first picture spends its time: graphs compiled by it, or kept by one before. Once each; seconds of the "+
		"clock, and of all processors together", &t)
	return b.ctx.Err()
}
