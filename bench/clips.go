package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/dsl"
	"github.com/eligen/eligen/model/engine"
	"github.com/eligen/eligen/planner"
	"github.com/eligen/eligen/runtime"
	"github.com/eligen/eligen/store/file"
)

// movingEntity is a clip of the embedded model: two entities, one of which moves.
const movingEntity = `timeline "walk" {
  frames = %d

  track {
    target = entity.cat.box
    keys = [
      { at = "0%%", value = xywh(0.02, 0.4, 0.4, 0.5) },
      { at = "100%%", value = xywh(0.58, 0.4, 0.4, 0.5) },
    ]
  }
}

entity "cat" {
  prompt = "a cat"
  box    = xywh(0.02, 0.4, 0.4, 0.5)
}

entity "sun" {
  prompt = "a sun"
  box    = xywh(0.3, 0.05, 0.3, 0.3)
}

render "walk" {
  prompt   = "a cat and a sun in a meadow"
  timeline = timeline.walk
}
`

// A clip holds the cost of a clip's frames on a backend.
type clip struct {
	frames   samples // seconds that the model was at each that was made: those that cover the tokens of another are that one
	all      float64 // from the first frame's start to the last one's end
	prompts  int     // that were encoded
	compiled int     // graphs
}

// measureClip renders a clip with a new engine and an empty store.
func measureClip(ctx context.Context, dir, backend string, frames int) (c clip, err error) {
	path := filepath.Join(dir, "walk.hcl")
	if err := os.WriteFile(path, fmt.Appendf(nil, movingEntity, frames), 0o644); err != nil {
		return c, err
	}
	w := watch{began: map[string]time.Time{}, took: map[string]float64{}}
	err = apply(ctx, path, backend, nil, w.see, func(e *engine.Engine, _ *file.Store) error {
		c.compiled = e.Compiled()
		return nil
	})
	if err != nil {
		return c, err
	}
	for _, frame := range w.order {
		c.frames = append(c.frames, w.took[frame])
	}
	c.prompts, c.all = w.prompts, w.last.Sub(w.first).Seconds()
	if len(c.frames) == 0 || len(c.frames) > frames {
		return c, fmt.Errorf("%d frames were made, of %d", len(c.frames), frames)
	}
	return c, nil
}

// apply renders the scene at path, with a new engine and an empty store next to it, one
// stage at a time. prepare changes the scene first and may be nil; done sees what was
// made before both are closed.
func apply(
	ctx context.Context, path, backend string, prepare func(*eligen.Scene), emit eligen.Sink,
	done func(*engine.Engine, *file.Store) error,
) (err error) {
	scene, ds := dsl.Load(ctx, path, dsl.Vars{})
	if err := ds.Err(); err != nil {
		return err
	}
	if prepare != nil {
		prepare(scene)
	}
	e, err := engine.New(engine.Options{Backend: backend})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	p, ds := planner.Build(ctx, scene, e.ID(), e.Spec, planner.Options{})
	if err := ds.Err(); err != nil {
		return err
	}
	folder, err := os.MkdirTemp(filepath.Dir(path), "store-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	store, err := file.Open(folder)
	if err != nil {
		return err
	}
	defer store.Close()
	// One stage at a time, or a stage's time would contain its neighbours'. Another
	// backend may have written the files before.
	r := runtime.Runner{Force: true, Store: store, Engine: e, Parallelism: 1, Emit: emit}
	if err := r.Apply(ctx, p); err != nil {
		return err
	}
	return done(e, store)
}

// A watch takes the times of a clip's frames.
type watch struct {
	prompts     int
	began       map[string]time.Time // by stage
	took        map[string]float64   // by frame, in seconds
	order       []string             // of the frames
	first, last time.Time
}

func (w *watch) see(e eligen.Event) {
	frame, _, ok := strings.Cut(e.Stage, "].")
	switch {
	case e.Type == eligen.Done && strings.HasPrefix(e.Kind, "encode/"):
		w.prompts++
	case !ok || !strings.Contains(frame, ".frame["):
	case e.Type == eligen.Started:
		w.began[e.Stage] = e.Time
		if w.first.IsZero() {
			w.first = e.Time
		}
	case e.Type == eligen.Done:
		if _, known := w.took[frame]; !known {
			w.order = append(w.order, frame)
		}
		w.took[frame] += e.Time.Sub(w.began[e.Stage]).Seconds()
		w.last = e.Time
	}
}

// clips compares a clip with as many times one warm frame.
func (b *bench) clips() error {
	frames := 24
	if b.rounds < 3 {
		frames = 6
	}
	t := table{head: []string{"backend", "s", "a frame, s", fmt.Sprintf("over %d warm frames", frames), "frames made", "prompts encoded",
		"graphs compiled"}}
	for _, c := range b.all {
		if c.Backend == "" || c.Missing != "" {
			continue
		}
		b.progress("a clip of %d frames on %s", frames, c.Backend)
		m, err := measureClip(b.ctx, b.dir, c.Backend, frames)
		if err != nil {
			t.add(c.Backend, firstLine(err), "", "", "", "", "")
			continue
		}
		ratio := digits(m.all / (float64(frames) * m.frames.median()))
		t.add(c.Backend, digits(m.all), m.frames.String(), ratio, fmt.Sprint(len(m.frames)), fmt.Sprint(m.prompts), fmt.Sprint(m.compiled))
		b.goals.add("P8", fmt.Sprintf("%s: a clip of %d frames over %d times its median frame", c.Backend, frames, frames), ratio, "≤ 1")
	}
	b.section(fmt.Sprintf("A clip of %d frames, two entities of which one moves: graphs are compiled for new sizes of region on the way",
		frames), &t)
	return b.ctx.Err()
}
