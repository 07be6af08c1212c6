package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/app"
	"github.com/eligen/eligen/dataset"
	"github.com/eligen/eligen/eval"
	"github.com/eligen/eligen/internal/annotated"
	"github.com/eligen/eligen/internal/page"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/backend"
	"github.com/eligen/eligen/stage/measure"
	"github.com/eligen/eligen/train"
	"github.com/eligen/eligen/train/judge"
)

// evalOptions are the flags of `eligen eval`.
type evalOptions struct {
	backend  string
	model    string
	sprites  string
	layouts  int
	swaps    int
	pairs    int
	clips    int
	moves    int
	styles   int
	inpaints int
	classes  int
	steps    int
	cfg      float64
	size     int
	sheet    string
	json     bool
}

func newEval() *cobra.Command {
	var o evalOptions
	c := &cobra.Command{
		Use:     "eval",
		Short:   "Measure how well a model puts entities where they are asked for",
		Example: "eligen eval\neligen eval --layouts 8 --swaps 4 --sheet sheet.png",
		Long: `Measure how well a model puts entities where they are asked for, on held-out layouts that training never shows.

Every layout is rendered four times: with neither EliGen's regional attention nor its LoRA, with one of them, and with both. Printed are, with 95 % intervals, placement (IoU of what is drawn with the asked box), identity (a classifier names the asked class), binding (no entity is taken for its neighbour) and locality (a changed prompt changes its own region). The composed pictures themselves come first: what a perfect model would reach, and the classifier's own accuracy. Further tables say what the overlap policies do where two regions meet, and how steady a clip is in which an entity moves; and, of a model with an in-context LoRA, whether an object that is carried over from another picture keeps its colour.

Renders go through the store like any other: an interrupted evaluation goes on where it stopped.`,
		Args: cobra.NoArgs,
		RunE: withApp(o.run),
	}
	f := c.Flags()
	f.StringVar(&o.backend, "backend", "", "run models on `BACKEND`: go, xla:cpu or xla:cuda (default GOMLX_BACKEND, or the installed one, or go)")
	f.StringVar(&o.model, "model", "", "the model in this `FOLDER` (default: the embedded one)")
	f.StringVar(&o.sprites, "sprites", "", "the `FOLDER` of sprites (default: where dataset fetch put them)")
	f.IntVar(&o.layouts, "layouts", 64, "render `N` layouts")
	f.IntVar(&o.swaps, "swaps", 32, "swap an entity of `N` layouts, to measure locality")
	f.IntVar(&o.pairs, "pairs", 20, "render `N` pairs of overlapping entities under each overlap policy")
	f.IntVar(&o.clips, "clips", 4, "render `N` layouts as clips, in every way to hold frames together")
	f.IntVar(&o.moves, "transfers", 16, "carry `N` objects over from one picture to another, without and with the in-context LoRA")
	f.IntVar(&o.inpaints, "inpaints", 12, "paint an object into `N` pictures, in each mode of inpainting")
	f.IntVar(&o.styles, "styles", 8, "render `N` layouts by a picture of each style")
	f.IntVar(&o.classes, "classes", 0, "only the first `N` classes of objects (default: those that the classifier knows)")
	f.IntVar(&o.steps, "steps", 0, "`N` sampler steps (default: the model's)")
	f.Float64Var(&o.cfg, "cfg", 0, "guidance `X` (default: the model's)")
	f.IntVar(&o.size, "size", 0, "width and height, `PIXELS` (default: the model's native size)")
	f.StringVar(&o.sheet, "sheet", "", "draw the first layouts, a row a mode, into a PNG, `FILE`")
	f.BoolVar(&o.json, "json", false, "print the table as JSON")
	return c
}

func (o *evalOptions) run(c *cobra.Command, a *app.App, _ []string) error {
	trainee, err := train.OpenTrainee(o.model, dataset.Words())
	if err != nil {
		return err
	}
	classes, weights := trainee.Judge(train.JudgeFile)
	if weights == nil {
		return errors.New("the model has no classifier to judge its pictures with: train one with\n\n    eligen train recipes/judge.hcl")
	}
	backend, _, err := backend.Open(o.backend)
	if err != nil {
		return err
	}
	j, err := judge.New(backend, classes, weights)
	if err != nil {
		return err
	}
	drawer, err := a.Drawer(o.backend, o.model)
	if err != nil {
		return err
	}
	sprites, err := openSprites(o.sprites)
	if err != nil {
		return err
	}
	size := trainee.Manifest.Native
	if o.size > 0 {
		size = eligen.Size{W: o.size, H: o.size}
	}
	if o.classes < 0 || o.classes > len(classes) {
		return fmt.Errorf("--classes %d: the model's classifier knows %d", o.classes, len(classes))
	}
	if o.classes == 0 {
		o.classes = len(classes)
	}
	composer, err := sprites.Composer(dataset.Options{Classes: o.classes, Size: size, Seed: 1, Split: dataset.Eval, Smooth: true})
	if err != nil {
		return err
	}
	panels, err := sprites.Composer(dataset.Options{Classes: o.classes, Size: size, Seed: 1, Split: dataset.Eval})
	if err != nil {
		return err
	}
	start, err := trainee.Start()
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(slices.Collect(maps.Keys(start.Model)), func(name string) bool { return strings.HasPrefix(name, "in-context.") }) {
		if c.Flags().Changed("transfers") && o.moves > 0 {
			return errors.New("the model has no in-context LoRA to transfer objects with: train one with\n\n    eligen train recipes/in-context.hcl")
		}
		o.moves = 0
	}
	o.styles = min(o.styles, o.layouts)
	styleOf, inStyle, err := o.styled(c, trainee, sprites, size, func(names []string, w map[string]tensor.Tensor) (*judge.Judge, error) {
		return judge.New(backend, names, w)
	})
	if err != nil {
		return err
	}
	files, err := os.MkdirTemp("", "eligen-eval-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(files)
	var shown []*image.NRGBA
	rendered := newCounter(c.ErrOrStderr(), "renders")
	report, err := eval.Run(c.Context(), eval.Options{
		Samples: composer.Sample, N: o.layouts, Swaps: o.swaps, Pairs: o.pairs, Clips: o.clips, Panels: panels.PairSample, Transfers: o.moves, Inpaints: o.inpaints, Styles: o.styles, StyleNames: styleNames(), StyleOf: styleOf, InStyle: inStyle, Size: size, Geometry: eligen.DefaultGeometry, Classify: j.Classify, Classes: classes[:o.classes],
		Placement: measure.Placement, Locality: measure.Locality, Turn: dataset.TurnHue,
		File: func(img *image.NRGBA) (eligen.Picture, error) { return pictureFile(files, img) },
		Prompt: func(class string) string {
			k, _ := dataset.ClassNamed(class)
			return k.Prompt()
		},
		Draw: func(ctx context.Context, r eligen.Render) (*image.NRGBA, error) {
			pictures, err := drawer.Draw(ctx, o.sampled(r))
			if err != nil {
				return nil, err
			}
			shown = append(shown, pictures[0])
			return pictures[0], nil
		},
		DrawClip: func(ctx context.Context, r eligen.Render) ([]*image.NRGBA, error) {
			return drawer.Draw(ctx, o.sampled(r))
		},
		Report: rendered.add,
	})
	rendered.end()
	if err != nil {
		return err
	}
	if o.sheet != "" {
		if err := o.draw(composer, shown); err != nil {
			return err
		}
	}
	if len(report.Rows) > 0 && trainee.Manifest.Autoencoder.Ch > 0 {
		q, err := train.Measure(backend, start.VAE, start.Autoencoder, composer.Sample, min(16, o.layouts), "")
		if err != nil {
			return err
		}
		report.PSNR = q.PSNR
	}
	if len(report.Style) > 0 {
		const n = 32 // of each style
		known, asked := o.inStyles(sprites, size, dataset.Train), o.inStyles(sprites, size, dataset.Eval)
		if report.StyleAccuracy, err = train.Told(backend, start.Vision, start.Model, dataset.StyleNames(), n, known, asked); err != nil {
			return err
		}
		report.Told = report.StyleAccuracy
	}
	if o.json {
		return page.JSON(c.OutOrStdout(), report)
	}
	fmt.Fprintf(c.OutOrStdout(), "%d layouts of %d classes at %d×%d, engine %s\n\n%s", o.layouts, o.classes, size.W, size.H, drawer.Engine(), report)
	return nil
}

// styled is what the section on styles asks with. Where the model has no IP-Adapter,
// or no classifier of styles, the section is left out, unless a flag wants it.
func (o *evalOptions) styled(c *cobra.Command, trainee *train.Trainee, sprites *dataset.Sprites, size eligen.Size, ready func([]string, map[string]tensor.Tensor) (*judge.Judge, error)) (
	func(*image.NRGBA, image.Rectangle) (string, float64, error), func(string, int) (annotated.Sample, error), error,
) {
	names, weights := trainee.Judge(train.StyleJudgeFile)
	missing := ""
	switch {
	case o.styles == 0:
		return nil, nil, nil
	case trainee.Manifest.IP == nil:
		missing = "no IP-Adapter to show pictures to: train one with\n\n    eligen train recipes/ip.hcl"
	case weights == nil:
		missing = "no classifier that tells styles: train one with\n\n    eligen train recipes/style.hcl"
	}
	if missing != "" {
		o.styles = 0
		if c.Flags().Changed("styles") {
			return nil, nil, errors.New("the model has " + missing)
		}
		return nil, nil, nil
	}
	j, err := ready(names, weights)
	if err != nil {
		return nil, nil, err
	}
	if err := openStyles(sprites, styleNames()...); err != nil {
		return nil, nil, err
	}
	return j.Classify, o.inStyles(sprites, size, dataset.Eval), nil
}

// inStyles are the pictures of a split by their style, with another seed than that of the
// layouts, so that none of them is shown.
func (o *evalOptions) inStyles(sprites *dataset.Sprites, size eligen.Size, split dataset.Split) func(style string, i int) (annotated.Sample, error) {
	composers := map[string]*dataset.Composer{}
	return func(style string, i int) (_ annotated.Sample, err error) {
		if composers[style] == nil {
			if composers[style], err = sprites.Composer(dataset.Options{Classes: o.classes, Size: size, Seed: 2, Split: split, Styles: map[string]float64{style: 1}}); err != nil {
				return annotated.Sample{}, err
			}
		}
		return composers[style].Sample(i)
	}
}

// styleNames are the styles that have to be asked for.
func styleNames() []string { return dataset.StyleNames()[1:] }

// pictureFile writes a picture into a folder, for a render to name.
func pictureFile(dir string, img *image.NRGBA) (eligen.Picture, error) {
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		return eligen.Picture{}, err
	}
	p := eligen.Picture{Digest: eligen.DigestOf(b.Bytes()), Size: eligen.Size{W: img.Rect.Dx(), H: img.Rect.Dy()}}
	p.Path = filepath.Join(dir, p.Digest.Short()+".png")
	return p, os.WriteFile(p.Path, b.Bytes(), 0o600)
}

// sampled is a render with the sampler that was asked for.
func (o *evalOptions) sampled(r eligen.Render) eligen.Render {
	if o.steps > 0 {
		r.Sampler.Steps = &o.steps
	}
	if o.cfg > 0 {
		r.Sampler.CFG = &o.cfg
	}
	return r
}

// draw lays out the first layouts: the composed picture, then each mode's.
func (o *evalOptions) draw(composer *dataset.Composer, shown []*image.NRGBA) error {
	n := min(8, o.layouts)
	var samples []annotated.Sample
	for i := range n {
		s, err := composer.Sample(i)
		if err != nil {
			return err
		}
		samples = append(samples, s)
	}
	at := 0
	for m, mode := range eval.Modes {
		for i := range o.layouts {
			if i < n {
				samples = append(samples, annotated.Sample{Name: fmt.Sprint(mode.Name, i), Image: shown[at], Prompt: mode.Name, Entities: samples[i].Entities})
			}
			at++
			if m == len(eval.Modes)-1 && i < o.swaps {
				at++ // the swapped picture
			}
		}
	}
	f, err := os.Create(filepath.Clean(o.sheet))
	if err != nil {
		return err
	}
	return errors.Join(png.Encode(f, dataset.Sheet(samples, n, true)), f.Close())
}
