package train

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"strings"

	"github.com/gomlx/compute"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/annotated"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/flux"
	"github.com/eligen/eligen/model/text"
	"github.com/eligen/eligen/model/vae"
	"github.com/eligen/eligen/model/vision"
)

// A Job is a recipe with all that it needs to run.
type Job struct {
	Recipe  eligen.Recipe
	Backend compute.Backend
	Dir     string // checkpoints, log, sheets, the cache of latents
	// Samples yields the recipe's pictures at a size, for an in-context training pairs of
	// panels of that size; held says which split.
	Samples func(size eligen.Size, held bool) (annotated.Samples, error)
	// Panels yields pairs of panels, for a recipe with pairs; else it may be nil.
	Panels func(size eligen.Size, held bool) (annotated.Samples, error)
	Start  Start // what the training builds upon
	Report func(Status)
	Pause  <-chan struct{}
	Export func(weights map[string]tensor.Tensor) error // at every checkpoint; may be nil
}

// Start is the weights that a training builds upon: of the embedded model, or
// of trainings that ended.
type Start struct {
	VAE         vae.Config
	Autoencoder map[string]tensor.Tensor // frozen under base and eligen
	// Model is the weights under dit., t5., clip., and, where there are any, vision.,
	// ip. and in-context. (a LoRA under its own names behind that).
	Model  map[string]tensor.Tensor
	Flux   flux.Config
	Vision vision.Config // what the weights under vision. and ip. have, or are to have
	IP     flux.IPConfig
	T5     text.T5Config
	CLIP   text.CLIPConfig
	Text   Text
}

// defaultPictures is the number of composed pictures that a base or LoRA training cycles
// through.
const defaultPictures = 24 * 1024

// Smoke returns the recipe cut down to about a minute's work, still enough for the
// loss to fall.
func Smoke(r eligen.Recipe) eligen.Recipe {
	r.Name += " (smoke)"
	r.Steps, r.Every = 40, 20
	r.Batch = min(r.Batch, 8)
	r.Optimizer.Warmup = min(r.Optimizer.Warmup, 4)
	if r.Size.W > 64 {
		r.Size = eligen.Size{W: 64, H: 64}
	}
	if r.Window.W > 32 {
		r.Window = eligen.Size{W: 32, H: 32}
	}
	r.EMA = 0
	return r
}

// Do runs the job to its end, or until ctx is done.
func Do(ctx context.Context, j Job) error {
	if j.Recipe.Size == (eligen.Size{}) {
		j.Recipe.Size = eligen.Size{W: 128, H: 128}
	}
	r := j.Recipe
	o := Options{Recipe: r, Backend: j.Backend, Dir: j.Dir, Report: j.Report, Pause: j.Pause, Export: j.Export}
	samples, err := j.Samples(r.Size, false)
	if err != nil {
		return err
	}
	held, err := j.Samples(r.Size, true)
	if err != nil {
		return err
	}
	switch r.Kind {
	case "autoencoder":
		return j.autoencoder(ctx, o, samples, held)
	case "vision":
		if len(r.Styles) == 0 {
			return fmt.Errorf("recipe %q: a vision tower learns from pictures that differ in style. Set \"styles\"", r.Name)
		}
		t, err := Vision(Model{Vision: j.Start.Vision, Weights: j.Start.Model}, r, samples)
		if err != nil {
			return err
		}
		return Run(ctx, t, o)
	case "base", "eligen", "in-context", "ip":
		return j.onLatents(ctx, o, samples, held)
	}
	return fmt.Errorf("recipe %q: unknown kind %q: use autoencoder, base, eligen, in-context, vision or ip", r.Name, r.Kind)
}

// autoencoder trains an autoencoder: all of it, or, where a transformer depends on its
// latents, the decoder alone.
func (j Job) autoencoder(ctx context.Context, o Options, samples, held annotated.Samples) error {
	fixed := j.Start.Model != nil
	if export := o.Export; fixed && export != nil {
		// Weights that are not trained belong to the result all the same.
		o.Export = func(w map[string]tensor.Tensor) error { return export(merged(j.Start.Autoencoder, w)) }
	}
	c := j.Start.VAE
	t := Autoencoder(c, j.Recipe, samples, j.Start.Autoencoder, fixed)
	t.Sheet = func(w map[string]tensor.Tensor, path string) error {
		q, err := Measure(j.Backend, c, merged(j.Start.Autoencoder, w), held, 8, path)
		if err == nil && j.Report != nil {
			j.Report(Status{Of: j.Recipe.Steps, Note: q.String()})
		}
		return err
	}
	return Run(ctx, t, o)
}

// onLatents trains a base, an IP-Adapter or a LoRA.
func (j Job) onLatents(ctx context.Context, o Options, samples, held annotated.Samples) error {
	r := j.Recipe
	k, err := j.latentKind(held)
	if err != nil {
		return err
	}
	n := cmp.Or(r.Pictures, defaultPictures)
	n = min(n, max(shardSize, r.Steps*r.Batch))
	pictures, err := j.pictures(k.model, samples, k.size, n, r.Kind == "ip" || r.ImagePrompts > 0)
	if err != nil {
		return err
	}
	panels, err := j.panels(k.model, n)
	if err != nil {
		return err
	}
	t, err := k.task(pictures, panels)
	if err != nil {
		return err
	}
	if t.Sheet, err = k.sheet(); err != nil {
		return err
	}
	if export := o.Export; export != nil {
		o.Export = func(w map[string]tensor.Tensor) error {
			w = maps.Clone(w)
			maps.DeleteFunc(w, func(name string, _ tensor.Tensor) bool { return strings.HasPrefix(name, headPrefix) })
			return export(w)
		}
	}
	return Run(ctx, t, o)
}

// A latentKind is one kind of training on latents.
type latentKind struct {
	model Model
	size  eligen.Size // of its pictures
	task  func(pictures, panels Pictures) (Task, error)
	sheet func() (func(weights map[string]tensor.Tensor, path string) error, error)
}

// latentKind chooses by the recipe's kind, and checks that the recipe suits it. held are
// samples for its sheets.
func (j Job) latentKind(held annotated.Samples) (k latentKind, err error) {
	r := j.Recipe
	if j.Start.Autoencoder == nil {
		return k, fmt.Errorf("recipe %q trains on latents and needs an autoencoder: train one first", r.Name)
	}
	if whole := r.Kind == "base" || r.Kind == "ip"; whole != (r.Rank == 0) {
		return k, fmt.Errorf("recipe %q: a base and an IP-Adapter are trained whole, EliGen and in-context as a LoRA", r.Name)
	}
	if r.ImagePrompts > 0 && r.Kind != "base" {
		return k, fmt.Errorf("recipe %q: \"image_prompts\" is for the training of a base; ip shows all of its samples a picture", r.Name)
	}
	k.model, k.size = Model{Flux: j.Start.Flux, T5: j.Start.T5, CLIP: j.Start.CLIP, VAE: j.Start.VAE,
		Autoencoder: j.Start.Autoencoder, Weights: j.Start.Model, Text: j.Start.Text}, r.Size
	k.task = func(pictures, panels Pictures) (Task, error) { return Flow(j.Backend, k.model, r, pictures, panels) }
	k.sheet = func() (func(map[string]tensor.Tensor, string) error, error) {
		return Preview(j.Backend, k.model, r, held, 8, 16, 3)
	}
	switch {
	case r.Kind == "base" && r.ImagePrompts > 0:
		if len(r.Styles) == 0 {
			return k, fmt.Errorf("recipe %q: image prompts show a style. Set \"styles\"", r.Name)
		}
		k.model, err = k.model.sees(j.Start)
	case r.Kind == "in-context":
		if r.Objects != 0 {
			return k, fmt.Errorf("recipe %q: an in-context LoRA's loss counts in the object's region alone. Remove \"object_weight\"", r.Name)
		}
		k.size = twoPanels(r.Size)
		k.model, err = k.model.inContext()
		k.task = func(pictures, _ Pictures) (Task, error) { return InContext(j.Backend, k.model, r, pictures) }
		k.sheet = func() (func(map[string]tensor.Tensor, string) error, error) {
			return PreviewPairs(j.Backend, k.model, r, held, 4, 16, 2.5)
		}
	case r.Kind == "ip":
		if len(r.Styles) == 0 {
			return k, fmt.Errorf("recipe %q: an IP-Adapter learns from pictures that differ in style. Set \"styles\"", r.Name)
		}
		k.model, err = k.model.image(j.Start)
		k.task = func(pictures, _ Pictures) (Task, error) { return IP(j.Backend, k.model, r, pictures) }
		k.sheet = func() (func(map[string]tensor.Tensor, string) error, error) {
			return PreviewStyles(j.Backend, k.model, r, held, 4, 16, 3)
		}
	}
	return k, err
}

// panels returns the pairs that a base is trained on besides its n pictures, if any.
func (j Job) panels(m Model, n int) (Pictures, error) {
	r := j.Recipe
	if r.Pairs <= 0 {
		return Pictures{}, nil
	}
	if r.Kind != "base" || j.Panels == nil {
		return Pictures{}, fmt.Errorf("recipe %q: \"pairs\" is for the training of a base on composed pictures", r.Name)
	}
	composed, err := j.Panels(r.Size, false)
	if err != nil {
		return Pictures{}, err
	}
	return j.pictures(m, composed, twoPanels(r.Size), int(math.Ceil(r.Pairs*float64(n))), false)
}

// pictures returns n samples of a size, whose latents are kept in the job's folder. With styled,
// their records tell the styles apart.
func (j Job) pictures(m Model, samples annotated.Samples, size eligen.Size, n int, styled bool) (Pictures, error) {
	key, err := recordsKey(m, j.Recipe.Styles, styled, samples)
	if err != nil {
		return Pictures{}, err
	}
	return Pictures{samples, n, filepath.Join(j.Dir, fmt.Sprintf("latents-%dx%d-%s", size.W, size.H, key.Short()))}, nil
}

func merged(a, b map[string]tensor.Tensor) map[string]tensor.Tensor {
	out := maps.Clone(a)
	if out == nil {
		out = map[string]tensor.Tensor{}
	}
	maps.Copy(out, b)
	return out
}

// removeNew deletes what an interrupted write may have left.
func removeNew(dir string) {
	old, _ := filepath.Glob(filepath.Join(dir, ".new-*"))
	for _, f := range old {
		os.Remove(f)
	}
}
