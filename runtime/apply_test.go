package runtime_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/model/paint"
	"github.com/eligen/eligen/planner"
	"github.com/eligen/eligen/runtime"
	"github.com/eligen/eligen/stage/still"
	"github.com/eligen/eligen/store/file"
)

func picnic(dir string) *eligen.Scene {
	entity := func(name, prompt string, region eligen.Region) eligen.Entity {
		return eligen.Entity{Name: name, Address: "entity." + name, Prompt: prompt, Region: region, Strength: 1}
	}
	return &eligen.Scene{Path: filepath.Join(dir, "picnic.hcl"), Renders: []eligen.Render{
		{
			Name:    "picnic",
			Model:   eligen.Model{Family: "nano"},
			Address: "render.picnic",
			Prompt:  "a blue cup and a red apple on a green background",
			Entities: []eligen.Entity{
				entity("cup", "a blue cup", eligen.Box(0.0625, 0.375, 0.5, 0.875)),
				entity("apple", "a red apple", eligen.Box(0.625, 0.125, 0.9375, 0.5)),
			},
			Size:    eligen.Size{W: 256, H: 128},
			Outputs: []eligen.Output{{Path: "out/picnic.png"}, {Path: "out/regions.png", Overlay: true}},
		},
	}}
}

func build(t *testing.T, scene *eligen.Scene) *eligen.Plan {
	t.Helper()
	plan, diags := planner.Build(t.Context(), scene, paint.Engine{}.ID(), paint.Engine{}.Spec, planner.Options{})
	if len(diags) > 0 {
		t.Fatal(diags)
	}
	return plan
}

// apply applies a plan with the paint engine, and gives what its events say.
func apply(t *testing.T, store runtime.Store, plan *eligen.Plan, change ...func(*runtime.Runner)) (eligen.Progress, error) {
	t.Helper()
	var progress eligen.Progress
	seq := 0
	r := &runtime.Runner{Store: store, Engine: paint.Engine{}, Recognise: still.Untouched, Parallelism: 1, Emit: func(e eligen.Event) {
		if seq++; e.Seq != seq || e.Time.IsZero() {
			t.Errorf("event %d has number %d, time %v", seq, e.Seq, e.Time)
		}
		progress.Add(e)
	}}
	for _, c := range change {
		c(r)
	}
	err := r.Apply(t.Context(), plan)
	return progress, err
}

func open(t *testing.T, dir string) *file.Store {
	t.Helper()
	store, err := file.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return store
}

// TestScenePNG takes a picture from a scene to a file, with the paint engine: every
// entity is where the scene says, and a second run makes nothing.
func TestScenePNG(t *testing.T) {
	dir, store := t.TempDir(), open(t, t.TempDir())
	plan := build(t, picnic(dir))
	progress, err := apply(t, store, plan)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{filepath.Join(dir, "out/picnic.png"), filepath.Join(dir, "out/regions.png")}; !cmp.Equal(progress.Files, want) {
		t.Errorf("wrote %q, want %q", progress.Files, want)
	}
	if n := progress.Counts(); n[eligen.Done] != len(plan.Stages) || !progress.Ended {
		t.Errorf("%v of %d stages", n, len(plan.Stages))
	}

	data, err := os.ReadFile(filepath.Join(dir, "out/picnic.png"))
	if err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		x, y   int
		prompt string
	}{
		{64, 80, "a blue cup"}, {200, 40, "a red apple"}, {250, 120, "on a green background"}, {8, 64, "on a green background"},
		{16, 48, "a blue cup"},
	} {
		if got, want := img.At(c.x, c.y), paint.Colour(c.prompt); !near(got, want) {
			t.Errorf("pixel (%d, %d) is %v, want %v of %q", c.x, c.y, got, want, c.prompt)
		}
	}

	resolved, err := still.Metadata(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if resolved.Prompt != "a blue cup and a red apple on a green background" || len(resolved.Entities) != 2 ||
		resolved.Engine != (paint.Engine{}).ID() {
		t.Errorf("the picture says of itself %+v", resolved)
	}

	second, err := apply(t, store, plan)
	if err != nil {
		t.Fatal(err)
	}
	if n := second.Counts(); n[eligen.Cached] != len(plan.Stages) || len(second.Files) != 2 {
		t.Errorf("the second run: %v of %d stages", n, len(plan.Stages))
	}
}

func near(a, b interface{ RGBA() (r, g, b, a uint32) }) bool {
	ar, ag, ab, _ := a.RGBA()
	br, bg, bb, _ := b.RGBA()
	d := func(x, y uint32) bool { return int(x>>8)-int(y>>8) < 2 && int(y>>8)-int(x>>8) < 2 }
	return d(ar, br) && d(ag, bg) && d(ab, bb)
}

// TestInterrupt stops a run while it denoises. What is done stays done, the
// latents are kept, and the next run goes on from them to the same picture.
func TestInterrupt(t *testing.T) {
	dir, store := t.TempDir(), open(t, t.TempDir())
	scene := picnic(dir)
	steps := 10
	scene.Renders[0].Sampler.Steps = &steps
	plan := build(t, scene)

	ctx, cancel := context.WithCancel(t.Context())
	var events []eligen.Event
	r := &runtime.Runner{Store: store, Engine: paint.Engine{}, Emit: func(e eligen.Event) {
		events = append(events, e)
		if e.Type == eligen.Stepped && e.Step == 6 {
			cancel()
		}
	}}
	err := r.Apply(ctx, plan)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Apply: %v", err)
	}
	var stageError *runtime.StageError
	if errors.As(err, &stageError) {
		t.Errorf("an interruption is reported as a failure: %v", stageError)
	}
	var progress eligen.Progress
	for _, e := range events {
		progress.Add(e)
	}
	if n := progress.Counts(); n[eligen.Skipped] != 4 || n[eligen.Done] != len(plan.Stages)-4 || !progress.Ended {
		t.Errorf("after the interruption: %v", n)
	}
	if _, err := os.Stat(filepath.Join(dir, "out")); err == nil {
		t.Error("there is output already")
	}

	first := 0
	after, err := apply(t, store, plan, func(r *runtime.Runner) {
		r.Emit = eligen.Tee(r.Emit, func(e eligen.Event) {
			if e.Type == eligen.Stepped && first == 0 {
				first = e.Step
			}
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	// Latents are kept after every fourth step, and after the last one before an
	// interruption.
	if first != 7 {
		t.Errorf("the second run's first step is %d, want 7", first)
	}
	if n := after.Counts(); n[eligen.Done] != 4 {
		t.Errorf("the second run: %v", n)
	}

	elsewhere := t.TempDir()
	scene.Path = filepath.Join(elsewhere, "picnic.hcl")
	if _, err := apply(t, open(t, t.TempDir()), build(t, scene)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"out/picnic.png", "out/regions.png"} {
		a, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(elsewhere, name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(a, b) {
			t.Errorf("%s differs from that of a run in one go", name)
		}
	}
}

// TestOverwrite: a file that eligen wrote is replaced, somebody's work is not.
func TestOverwrite(t *testing.T) {
	dir, store := t.TempDir(), open(t, t.TempDir())
	file := filepath.Join(dir, "out/picnic.png")
	scene := picnic(dir)
	if _, err := apply(t, store, build(t, scene)); err != nil {
		t.Fatal(err)
	}
	own, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}

	t.Run("the same picture stays untouched", func(t *testing.T) {
		before, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := apply(t, store, build(t, scene)); err != nil {
			t.Fatal(err)
		}
		after, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if !os.SameFile(before, after) || !before.ModTime().Equal(after.ModTime()) {
			t.Error("the file was written again")
		}
	})

	t.Run("another picture replaces it", func(t *testing.T) {
		scene.Renders[0].Seed++ // the paint engine's pixels are the same, the metadata is not
		if _, err := apply(t, store, build(t, scene)); err != nil {
			t.Fatal(err)
		}
		if now, _ := os.ReadFile(file); bytes.Equal(now, own) {
			t.Error("the file is the old one")
		}
	})

	scene.Renders[0].Seed++
	for _, c := range []struct {
		name    string
		content []byte
	}{
		{"a text file", []byte("my notes\n")},
		{"an empty file", nil},
		{"a picture of something else", blank(t)},
		{"an own picture that somebody has drawn on", drawnOn(t, own)},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := os.WriteFile(file, c.content, 0o644); err != nil {
				t.Fatal(err)
			}
			scene.Renders[0].Outputs[0].Source = eligen.Source{File: "picnic.hcl", Line: 7, Code: "  output {"}
			plan := build(t, scene)
			progress, err := apply(t, store, plan)
			var diags eligen.Diagnostics
			if !errors.As(err, &diags) || len(diags) != 1 || diags[0].Source == nil || diags[0].Source.Line != 7 ||
				!strings.Contains(diags[0].Detail, "--force") {
				t.Errorf("Apply: %v", err)
			}
			if len(progress.Stages) != 0 {
				t.Error("stages ran before the refusal")
			}
			if now, _ := os.ReadFile(file); !bytes.Equal(now, c.content) {
				t.Error("the file has changed")
			}
			if _, err := apply(t, store, plan, func(r *runtime.Runner) { r.Force = true }); err != nil {
				t.Errorf("with Force: %v", err)
			}
			if now, _ := os.ReadFile(file); !still.Untouched(bytes.NewReader(now)) {
				t.Error("with Force, the file is still the old one")
			}
		})
	}

	t.Run("a picture that is the very result, though not recognised", func(t *testing.T) {
		if _, err := apply(t, store, build(t, scene), func(r *runtime.Runner) { r.Recognise = nil }); err != nil {
			t.Error(err)
		}
	})
	t.Run("a folder", func(t *testing.T) {
		scene.Renders[0].Outputs = []eligen.Output{{Path: "folder.png"}}
		if err := os.Mkdir(filepath.Join(dir, "folder.png"), 0o755); err != nil {
			t.Fatal(err)
		}
		if _, err := apply(t, store, build(t, scene), func(r *runtime.Runner) { r.Force = true }); err == nil ||
			!strings.Contains(err.Error(), "no plain file") {
			t.Errorf("Apply: %v", err)
		}
	})
	t.Run("a file where a folder is needed", func(t *testing.T) {
		scene.Renders[0].Outputs = []eligen.Output{{Path: "out/picnic.png/deep/x.png"}}
		if _, err := apply(t, store, build(t, scene)); err == nil || !strings.Contains(err.Error(), "needed as a folder") {
			t.Errorf("Apply: %v", err)
		}
	})
	t.Run("a link out of the scene's folder", func(t *testing.T) {
		if err := os.Symlink(t.TempDir(), filepath.Join(dir, "away")); err != nil {
			t.Skip("links can't be made here: ", err)
		}
		scene.Renders[0].Outputs = []eligen.Output{{Path: "away/x.png"}}
		if _, err := apply(t, store, build(t, scene)); err == nil || !strings.Contains(err.Error(), "escapes") {
			t.Errorf("Apply: %v", err)
		}
	})
}

// TestJournal: a run's events are in the store, and add up to the same.
func TestJournal(t *testing.T) {
	dir, cache := t.TempDir(), t.TempDir()
	live, err := apply(t, open(t, cache), build(t, picnic(dir)))
	if err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob(filepath.Join(cache, "runs", "*.jsonl"))
	if err != nil || len(names) != 1 {
		t.Fatalf("journals %q, %v", names, err)
	}
	data, err := os.ReadFile(names[0])
	if err != nil {
		t.Fatal(err)
	}
	var recorded eligen.Progress
	for line := range strings.Lines(string(data)) {
		var e eligen.Event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		recorded.Add(e)
	}
	if !recorded.Ended || !cmp.Equal(recorded.Counts(), live.Counts()) || !cmp.Equal(recorded.Files, live.Files) {
		t.Errorf("recorded %v, lived %v", recorded.Counts(), live.Counts())
	}
}

// blank makes a picture that eligen did not write.
func blank(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewNRGBA(image.Rect(0, 0, 16, 16))); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// drawnOn returns a picture that eligen made, with a stroke across it, saved by a program
// that keeps metadata.
func drawnOn(t *testing.T, own []byte) []byte {
	t.Helper()
	img, err := png.Decode(bytes.NewReader(own))
	if err != nil {
		t.Fatal(err)
	}
	canvas := image.NewNRGBA(img.Bounds())
	draw.Draw(canvas, canvas.Rect, img, image.Point{}, draw.Src)
	for x := range 50 {
		canvas.Set(x, 10, color.White)
	}
	var b bytes.Buffer
	if err := png.Encode(&b, canvas); err != nil {
		t.Fatal(err)
	}
	texts := own[33 : bytes.Index(own, []byte("IDAT"))-4]
	return slices.Concat(b.Bytes()[:33], texts, b.Bytes()[33:])
}
