package main

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/model/engine"
	"github.com/eligen/eligen/store/file"
)

// An approximation is a render of the scene twoEntities with an option that trades
// exactness for time or memory.
type approximation struct {
	name    string // of the render
	setting string // what the scene says
	stage   string // of the stage that it is about
}

var approximations = []approximation{
	{"tea_2", "sampler {\n    tea_cache = 0.2\n  }", "denoise"},
	{"tea_4", "sampler {\n    tea_cache = 0.4\n  }", "denoise"},
	{"tea_8", "sampler {\n    tea_cache = 0.8\n  }", "denoise"},
	{"text_6", "text_tokens = 6", "denoise"},
	{"text_4", "text_tokens = 4", "denoise"},
	{"tiles_16", "vae {\n    tiled = true\n    tile = 16\n  }", "decode"},
	{"tiles_24", "vae {\n    tiled = true\n    tile = 24\n  }", "decode"},
}

// words returns the scene's text of an option, on one line.
func (a approximation) words() string { return strings.Join(strings.Fields(a.setting), " ") }

// warm is a render that comes first, so that the compared ones find their graphs compiled.
const warm = "warm"

// approximate makes the scene's picture exactly and with each option, by one engine and
// from an empty store: each picture, and how long the stages took, seconds.
func (b *bench) approximate(backend string) (pictures map[string]image.Image, took map[string]float64, err error) {
	var scene strings.Builder
	scene.WriteString(twoEntities + "\nrender \"" + warm + "\" {\n  from = render.bench\n  seed = 7\n}\n")
	for _, a := range approximations {
		fmt.Fprintf(&scene, "\nrender %q {\n  from = render.bench\n\n  %s\n}\n", a.name, a.setting)
		// Another seed has the graphs of the option compiled before it is timed.
		fmt.Fprintf(&scene, "\nrender \"%s_%s\" {\n  from = render.%s\n  seed = 7\n}\n", warm, a.name, a.name)
	}
	path := filepath.Join(b.dir, "approximations.hcl")
	if err := os.WriteFile(path, []byte(scene.String()), 0o644); err != nil {
		return nil, nil, err
	}
	began, made := map[string]time.Time{}, map[string]eligen.Artifact{}
	took = map[string]float64{}
	see := func(e eligen.Event) {
		switch e.Type {
		case eligen.Started:
			began[e.Stage] = e.Time
		case eligen.Done:
			took[e.Stage] = e.Time.Sub(began[e.Stage]).Seconds()
			made[e.Stage] = *e.Artifact
		}
	}
	err = apply(b.ctx, path, backend, warmFirst, see, func(_ *engine.Engine, store *file.Store) error {
		pictures, err = decoded(store, made)
		return err
	})
	return pictures, took, err
}

// decoded returns the pictures of decode stages, by render.
func decoded(store *file.Store, made map[string]eligen.Artifact) (map[string]image.Image, error) {
	pictures := map[string]image.Image{}
	for stage, a := range made {
		name, ok := strings.CutSuffix(strings.TrimPrefix(stage, "render."), ".decode")
		if !ok {
			continue
		}
		got, _, err := store.Get(a.Digest)
		if err != nil {
			return nil, err
		}
		if pictures[name], err = png.Decode(bytes.NewReader(got.Data)); err != nil {
			return nil, fmt.Errorf("%s: %w", stage, err)
		}
	}
	return pictures, nil
}

// warmFirst puts renders that only warm up before the others.
func warmFirst(s *eligen.Scene) {
	var first, then []eligen.Render
	for _, r := range s.Renders {
		if strings.HasPrefix(r.Name, warm) {
			first = append(first, r)
		} else {
			then = append(then, r)
		}
	}
	s.Renders = append(first, then...)
}

// compareApproximations prints each option's distance from the exact picture, and what it
// saves.
func (b *bench) compareApproximations() error {
	t := table{head: []string{"backend", "option", "PSNR, dB", "stage", "exact, s", "with it, s"}}
	for _, c := range b.all {
		if c.Backend == "" || c.Missing != "" {
			continue
		}
		b.progress("approximations on %s", c.Backend)
		pictures, took, err := b.approximate(c.Backend)
		if err != nil {
			t.add(c.Backend, firstLine(err), "", "", "", "")
			continue
		}
		for _, a := range approximations {
			exact, with := pictures["bench"], pictures[a.name]
			if with == nil { // the same stage as the exact one's, or there would be a picture
				with = exact
			}
			t.add(c.Backend, a.words(), decibels(psnr(exact, with)), a.stage, digits(took["render.bench."+a.stage]),
				digits(took["render."+a.name+"."+a.stage]))
		}
	}
	b.section("Approximations, two entities, all else default: against the exact picture of the same backend", &t)
	return b.ctx.Err()
}

// psnr returns the peak signal-to-noise ratio of two pictures of one size over their three
// channels, in dB: infinite if they are equal, not a number if they can't be compared.
func psnr(a, b image.Image) float64 {
	if a == nil || b == nil || a.Bounds().Size() != b.Bounds().Size() {
		return math.NaN()
	}
	p, q := a.Bounds().Min, b.Bounds().Min
	sum, size := 0.0, a.Bounds().Size()
	for y := range size.Y {
		for x := range size.X {
			r0, g0, b0, _ := a.At(p.X+x, p.Y+y).RGBA()
			r1, g1, b1, _ := b.At(q.X+x, q.Y+y).RGBA()
			for _, d := range []float64{float64(r0>>8) - float64(r1>>8), float64(g0>>8) - float64(g1>>8), float64(b0>>8) - float64(b1>>8)} {
				sum += d * d
			}
		}
	}
	return 10 * math.Log10(255*255*float64(3*size.X*size.Y)/sum)
}

// decibels formats a PSNR.
func decibels(x float64) string {
	switch {
	case math.IsNaN(x):
		return unknown
	case math.IsInf(x, 1):
		return "∞ (the same pixels)"
	}
	return fmt.Sprintf("%.1f", x)
}
