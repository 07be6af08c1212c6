package app_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/app"
)

// Two scenes that are on no disk.
const (
	stillScene = `
variable "colour" {}

render "rain" {
  prompt = "a frog in a meadow"
  size   = [64, 64]
}

entity "frog" {
  prompt = "a ${var.colour} frog"
  box    = xywh(0.25, 0.25, 0.5, 0.5)
}

check "frog" {
  assert {
    condition     = placement(render.rain, entity.frog) > 0.5
    error_message = "The frog is elsewhere."
  }
}
`
	clipScene = `
render "walk" {
  prompt   = "a dog"
  size     = [64, 64]
  timeline = timeline.walk

  output {
    path = "out/walk.gif"
  }
}

entity "dog" {
  prompt = "a dog"
  box    = xywh(0, 0.25, 0.5, 0.5)
}

timeline "walk" {
  frames = 24
  fps    = 12

  track {
    target = entity.dog.box
    keys = [
      { at = 0, value = xywh(0, 0.25, 0.5, 0.5) },
      { at = 23, value = xywh(0.5, 0.25, 0.5, 0.5) },
    ]
  }
}
`
)

// A frontEnd is to the operations what a server would be: requests come as texts, and values go back.
type frontEnd struct {
	app    *app.App
	folder string
}

// request asks for a scene of the front end's folder, whose text is not saved.
func (f frontEnd) request(name, text string, vars ...string) app.PlanRequest {
	path := filepath.Join(f.folder, name)
	return app.PlanRequest{
		Input:  app.Input{Path: path, Vars: vars, Unsaved: map[string][]byte{path: []byte(text)}},
		Engine: "paint",
	}
}

// newFrontEnd runs where there is no working directory, and nothing may be printed.
func newFrontEnd(t *testing.T) frontEnd {
	t.Helper()
	gone := filepath.Join(t.TempDir(), "gone")
	if err := os.Mkdir(gone, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Chdir(gone)
	_ = os.Remove(gone) // where the system lets go of it
	printed, err := os.Create(filepath.Join(t.TempDir(), "printed"))
	if err != nil {
		t.Fatal(err)
	}
	stdout, stderr := os.Stdout, os.Stderr
	os.Stdout, os.Stderr = printed, printed
	t.Cleanup(func() {
		os.Stdout, os.Stderr = stdout, stderr
		if text, err := os.ReadFile(printed.Name()); err != nil || len(text) > 0 {
			t.Errorf("printed %q, %v", text, err)
		}
		_ = printed.Close()
	})
	return frontEnd{open(t), t.TempDir()}
}

// planned returns a plan that has no warnings.
func (f frontEnd) planned(t *testing.T, r app.PlanRequest) *app.Plan {
	t.Helper()
	p, warnings, err := f.app.Plan(t.Context(), r)
	if err != nil || len(warnings) > 0 {
		t.Fatal(warnings, err)
	}
	return p
}

// A server plans a scene's text, makes its picture, follows the events, reads the result out of the
// store, and asks again: nothing is left to do.
func TestFrontEndApplies(t *testing.T) {
	f := newFrontEnd(t)
	r := f.request("rain.hcl", stillScene, "colour=green")
	p := f.planned(t, r)
	before, err := f.app.Outlook(t.Context(), p)
	if err != nil || before.Missing != len(p.Stages) {
		t.Fatalf("%d of %d stages missing, %v", before.Missing, len(p.Stages), err)
	}
	var progress eligen.Progress
	made, err := f.app.Apply(t.Context(), p, app.Run{Events: progress.Add})
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(f.folder, "out", "rain.png"); len(made.Files) != 1 || made.Files[0].Path != want {
		t.Errorf("wrote %+v, want %s", made.Files, want)
	}
	if !progress.Ended || progress.Counts()[eligen.Done] != len(p.Stages) {
		t.Errorf("events add up to %+v", progress.Counts())
	}
	if len(made.Checks) != 1 || len(made.Checks[0].Problems) > 0 || len(made.Checks[0].Measured) != 1 {
		t.Errorf("checks %+v", made.Checks)
	}
	data, err := f.app.Read(t.Context(), eligen.Artifact{Digest: p.Stages[made.Files[0].Stage].Digest})
	if err != nil {
		t.Fatal(err)
	}
	record, err := app.RecordOf(bytes.NewReader(data), "rain.png")
	if err != nil || record.Still == nil || record.Still.Entities[0].Prompt != "a green frog" || record.Changed {
		t.Errorf("the file records %+v, %v", record, err)
	}
	after, err := f.app.Outlook(t.Context(), f.planned(t, r))
	if err != nil || after.Missing != 0 {
		t.Errorf("%d stages missing afterwards, %v", after.Missing, err)
	}
	runs, err := f.app.Runs()
	if err != nil || len(runs) != 1 || runs[0].State != "ended" {
		t.Errorf("runs %+v, %v", runs, err)
	}
	of, err := f.app.SceneRuns(r.Path, 5)
	if err != nil || len(of) != 1 || len(of[0].Made) != 1 {
		t.Fatalf("runs of the scene %+v, %v", of, err)
	}
	if m := of[0].Made[0]; m.Render != "render.rain" || len(m.Entities) != 1 || !f.app.Has(m.Result) || f.app.Has(m.Result[1:]+"0") {
		t.Errorf("the run made %+v", m)
	}
	if others, err := f.app.SceneRuns(filepath.Join(f.folder, "other.hcl"), 5); err != nil || len(others) > 0 {
		t.Errorf("another scene has runs %+v, %v", others, err)
	}
	if v := p.Values(); len(v) != 1 || v[0].Size != (eligen.Size{W: 64, H: 64}) || v[0].Steps == 0 {
		t.Errorf("values %+v", v)
	}
}

// Mistakes in a text are values, each at its line; a request that asks for what is not there is another
// kind of error.
func TestFrontEndIsToldMistakes(t *testing.T) {
	f := newFrontEnd(t)
	r := f.request("rain.hcl", strings.Replace(stillScene, "a frog in", "${var.color} in", 1), "colour=green")
	_, _, err := f.app.Plan(t.Context(), r)
	var ds eligen.Diagnostics
	if !errors.As(err, &ds) || ds[0].Source == nil || ds[0].Source.Line != 5 {
		t.Errorf("%v", err)
	}
	found, err := f.app.Validate(t.Context(), r.Input)
	if err != nil || !found.HasErrors() {
		t.Errorf("%v, %v", found, err)
	}
	r = f.request("rain.hcl", stillScene, "colour=green")
	r.Targets = []string{"render.sun"}
	_, _, err = f.app.Plan(t.Context(), r)
	var input *app.InputError
	if !errors.As(err, &input) || input.Field != "target" {
		t.Errorf("%v", err)
	}
	r.Targets, r.Engine = nil, "oils"
	if _, _, err = f.app.Plan(t.Context(), r); !errors.As(err, &input) || input.Field != "engine" {
		t.Errorf("%v", err)
	}
}

// A run that is cancelled ends with its context's error; what was finished stays, and the next run makes
// only the rest.
func TestFrontEndCancels(t *testing.T) {
	f := newFrontEnd(t)
	p := f.planned(t, f.request("walk.hcl", clipScene))
	ctx, cancel := context.WithCancel(t.Context())
	var first eligen.Progress
	_, err := f.app.Apply(ctx, p, app.Run{Parallelism: 1, Events: func(e eligen.Event) {
		first.Add(e)
		if e.Type == eligen.Done && first.Counts()[eligen.Done] == 10 {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) || !first.Ended {
		t.Fatalf("%v, ended %v", err, first.Ended)
	}
	done := first.Counts()[eligen.Done]
	if done < 10 || done >= len(p.Stages) {
		t.Errorf("%d of %d stages were done", done, len(p.Stages))
	}
	var second eligen.Progress
	made, err := f.app.Apply(t.Context(), p, app.Run{Events: second.Add})
	if err != nil || len(made.Files) != 1 {
		t.Fatal(made, err)
	}
	// What is held in memory between stages counts as made by the first run only if it was stored.
	if again := second.Counts()[eligen.Done]; again > len(p.Stages)-done {
		t.Errorf("%d stages were made again after %d of %d", again, done, len(p.Stages))
	}
	ctx, cancel = context.WithCancel(t.Context())
	cancel()
	if _, _, err := f.app.Plan(ctx, f.request("walk.hcl", clipScene)); !errors.Is(err, context.Canceled) {
		t.Errorf("a plan whose context has ended: %v", err)
	}
}

// A preview is a picture that a server can send, without a file and without a run in the history.
func TestFrontEndPreviews(t *testing.T) {
	f := newFrontEnd(t)
	in := f.request("walk.hcl", clipScene).Input
	layouts, problems, err := f.app.Layouts(t.Context(), app.LayoutRequest{Input: in})
	if err != nil || len(problems) > 0 || len(layouts) != 1 || layouts[0].Timeline == nil || len(layouts[0].Entities) != 1 {
		t.Fatalf("%+v, %v, %v", layouts, problems, err)
	}
	preview, _, err := f.app.Preview(t.Context(), app.LayoutRequest{Input: in})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.app.Apply(t.Context(), preview.Plan, app.Run{Unrecorded: true, Unwritten: true}); err != nil {
		t.Fatal(err)
	}
	out := preview.Plan.Outputs[0]
	data, err := f.app.Read(t.Context(), eligen.Artifact{Digest: preview.Plan.Stages[out.Stage].Digest})
	if err != nil {
		t.Fatal(err)
	}
	if img, err := png.Decode(bytes.NewReader(data)); err != nil || img.Bounds().Dx() < 320 {
		t.Errorf("%v, %v", img, err)
	}
	if entries, err := os.ReadDir(f.folder); err != nil || len(entries) > 0 {
		t.Errorf("the scene's folder has %v, %v", entries, err)
	}
	if _, err := f.app.RunEvents("latest"); !errors.Is(err, app.ErrNoRuns) {
		t.Errorf("a preview is a run: %v", err)
	}
}

// What was recorded is verified; another seed is a mismatch, which is a value and no error.
func TestFrontEndVerifies(t *testing.T) {
	f := newFrontEnd(t)
	request := func(seed uint64) app.VerifyRequest {
		r := f.request("rain.hcl", stillScene, "colour=green")
		r.Seeds = []uint64{seed}
		return app.VerifyRequest{PlanRequest: r, Advice: "by the button Record", EngineAdvice: func(kind string) string { return kind }}
	}
	v, _, err := f.app.PlanRecord(t.Context(), request(1))
	if err != nil {
		t.Fatal(err)
	}
	if list, _, err := f.app.Record(t.Context(), v, app.Run{}); err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	for seed, same := range map[uint64]bool{1: true, 2: false} {
		v, _, err := f.app.PlanVerify(t.Context(), request(seed))
		if err != nil {
			t.Fatal(err)
		}
		out, err := f.app.Verify(t.Context(), v, app.Run{})
		if err != nil || len(out.Verdicts) != 1 || out.Verdicts[0].Same != same || out.Problems.HasErrors() == same {
			t.Errorf("seed %d: %+v, %v", seed, out, err)
		}
		if !same && !strings.Contains(out.Problems.Error(), "by the button Record") {
			t.Errorf("the advice is missing: %v", out.Problems)
		}
	}
}

// Several callers share the operations, and a store: what they ask for at the same time comes out as
// when each is alone.
func TestFrontEndsAtTheSameTime(t *testing.T) {
	f := newFrontEnd(t)
	var callers sync.WaitGroup
	for i := range 4 {
		callers.Go(func() {
			r := f.request(fmt.Sprintf("rain%d.hcl", i), stillScene, fmt.Sprintf("colour=%s", []string{"green", "brown"}[i%2]))
			p, _, err := f.app.Plan(t.Context(), r)
			if err != nil {
				t.Error(err)
				return
			}
			made, err := f.app.Apply(t.Context(), p, app.Run{Force: true, Unwritten: i > 1})
			if err != nil || len(made.Checks) != 1 || len(made.Checks[0].Problems) > 0 {
				t.Errorf("caller %d: %+v, %v", i, made, err)
			}
			if left, err := f.app.Outlook(t.Context(), p); err != nil || left.Missing > 0 {
				t.Errorf("caller %d: %d missing, %v", i, left.Missing, err)
			}
		})
	}
	callers.Wait()
}

// The operations know no terminal and no process: they print nothing, read no flag and no environment,
// and depend on no working directory. (The architecture test says what they may import.)
func TestKnowsNoProcess(t *testing.T) {
	forbidden := map[string][]string{
		"os":  {"Stdin", "Stdout", "Stderr", "Args", "Exit", "Getenv", "LookupEnv", "Environ", "Setenv", "Getwd", "Chdir"},
		"fmt": {"Print", "Printf", "Println", "Scan", "Scanln", "Scanf"},
		"log": nil, "flag": nil, "signal": nil,
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	looked := 0
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		looked++
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			s, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			pkg, ok := s.X.(*ast.Ident)
			if !ok {
				return true
			}
			names, known := forbidden[pkg.Name]
			for _, name := range names {
				if s.Sel.Name == name {
					t.Errorf("%s uses %s.%s", file, pkg.Name, name)
				}
			}
			if known && names == nil && pkg.Obj == nil {
				t.Errorf("%s uses package %s", file, pkg.Name)
			}
			return true
		})
	}
	if looked < 10 {
		t.Errorf("only %d files were looked at", looked)
	}
}
