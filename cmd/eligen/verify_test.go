package main

import (
	"bytes"
	"image"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eligen/eligen/app"
	"github.com/eligen/eligen/dsl"
	"github.com/eligen/eligen/internal/pixels"
	"github.com/eligen/eligen/model/paint"
	"github.com/eligen/eligen/planner"
	"github.com/eligen/eligen/stage/still"
)

// A scene that another engine has recorded is held to the recorded picture, by PSNR.
// The other engine is this one under another name, whose pictures are these with
// every colour off by some.
func TestVerifyOnAnotherEngine(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("ELIGEN_CACHE_DIR", filepath.Join(dir, ".cache"))
	path := filepath.Join(dir, "scene.hcl")
	src := "render \"one\" {\n  prompt = \"a grey dog\"\n}\n\nentity \"dog\" {\n  prompt = \"a brown dog\"\n  box    = xywh(0.2, 0.2, " +
		"0.5, 0.5)\n}\n"
	if err := os.WriteFile(path, []byte(src), 0o644); err != nil {
		t.Fatal(err)
	}
	verify := func(args ...string) (out, errs string, code int) {
		t.Helper()
		var stdout, stderr bytes.Buffer
		root := newRoot()
		root.SilenceErrors, root.SilenceUsage = true, true
		root.SetOut(&stdout)
		root.SetErr(&stderr)
		root.SetArgs(append([]string{"verify", "--engine", "paint", "--progress", "none", path}, args...))
		err := root.ExecuteContext(t.Context())
		if err != nil {
			stderr.WriteString(err.Error())
		}
		return stdout.String(), stderr.String(), exitCode(t.Context(), err)
	}
	if _, errs, code := verify("--update"); code != 0 {
		t.Fatal(errs)
	}
	picture := filepath.Join(dir, "out", "one.png")
	painted, err := dsl.ReadPicture(picture)
	if err != nil {
		t.Fatal(err)
	}
	scene, ds := dsl.Load(t.Context(), path, dsl.Vars{})
	if ds.HasErrors() {
		t.Fatal(ds)
	}
	const other = "paint/elsewhere"
	plan, _ := planner.Build(t.Context(), scene, other, paint.Engine{}.Spec, planner.Options{})
	decoded := plan.Stages[plan.Stages[plan.Outputs[0].Stage].Inputs[0]]
	// recorded writes what the other engine is meant to have made.
	recorded := func(off int) {
		t.Helper()
		img := image.NewNRGBA(painted.Bounds())
		copy(img.Pix, pixels.Straight(painted).Pix)
		for i := range img.Pix {
			if i%4 != 3 {
				img.Pix[i] = uint8(max(0, int(img.Pix[i])-off))
			}
		}
		lock, ds := dsl.LoadLock(dir)
		if ds.HasErrors() {
			t.Fatal(ds)
		}
		r := &lock.Renders[0]
		r.Engine, r.Pixels, r.Plan = other, still.Pixels(img), decoded.Digest
		if err := dsl.WriteLock(dir, lock); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(picture); err != nil {
			t.Fatal(err)
		}
		if err := app.WritePicture(picture, img); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name string
		do   func()
		code int
		want string
	}{
		{"every pixel is the same", func() { recorded(0) }, 0, "the same pixels, on another engine"},
		{"colours are off by 2", func() { recorded(2) }, 0, "dB from the recorded picture, on another engine (at least 30)"},
		{"colours are off by 40", func() { recorded(40) }, exitMismatch, "other pixels, 1"},
		{"somebody drew on the recorded picture", func() {
			recorded(2)
			img, err := dsl.ReadPicture(picture)
			if err != nil {
				t.Fatal(err)
			}
			drawn := pixels.Straight(img)
			copy(drawn.Pix[:4], []byte{255, 0, 0, 255})
			if err := app.WritePicture(picture, drawn); err != nil {
				t.Fatal(err)
			}
		}, exitMismatch, "nothing to compare with"},
		{"the recorded picture is gone", func() {
			if err := os.Remove(picture); err != nil {
				t.Fatal(err)
			}
		}, exitMismatch, "nothing to compare with"},
	} {
		c.do()
		out, errs, code := verify()
		if code != c.code || !strings.Contains(out, c.want) {
			t.Errorf("%s: exit code %d, %s%s", c.name, code, out, errs)
		}
		if explained := strings.Contains(errs, "Put the recorded picture there, or verify on the engine of the record"); explained !=
			strings.HasPrefix(c.want, "nothing") {
			t.Errorf("%s: %s", c.name, errs)
		}
	}
	// What the scene says has changed too: that is what is told.
	changed := strings.Replace(src, "brown", "white", 1)
	if err := os.WriteFile(path, []byte(changed), 0o644); err != nil {
		t.Fatal(err)
	}
	_, errs, code := verify()
	if code != exitMismatch || !strings.Contains(errs, `entity.dog.prompt: "a brown dog" → "a white dog"`) ||
		!strings.Contains(errs, "engine: "+other+" → "+paint.Engine{}.ID()) {
		t.Errorf("exit code %d, %s", code, errs)
	}
}
