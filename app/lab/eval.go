package lab

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strings"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/app"
	"github.com/eligen/eligen/dataset"
	"github.com/eligen/eligen/eval"
	"github.com/eligen/eligen/internal/annotated"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/backend"
	"github.com/eligen/eligen/stage/measure"
	"github.com/eligen/eligen/train"
	"github.com/eligen/eligen/train/judge"
)

// An EvalRequest says how to measure a model.
type EvalRequest struct {
	Backend string // "" is the default
	Model   string // folder; "" is the embedded model
	Sprites string // folder; "" is the fetched one

	Layouts, Swaps, Pairs, Clips, Inpaints int // how many of each
	Transfers, Styles                      int
	// NeedTransfers and NeedStyles make it an error that the model can't do them; else these sections
	// are left out.
	NeedTransfers, NeedStyles bool

	Classes int     // of objects; 0 is what the classifier knows
	Steps   int     // 0 is the model's
	CFG     float64 // 0 is the model's
	Size    int     // of a side, pixels; 0 is the model's native size
}

// An Evaluation is what was measured.
type Evaluation struct {
	Report  *eval.Report
	Engine  string // ID
	Size    eligen.Size
	Classes int

	request  EvalRequest
	composer *dataset.Composer
	shown    []*image.NRGBA
}

// An evaluator is a running evaluation.
type evaluator struct {
	lab     Lab
	out     *Evaluation
	trainee *train.Trainee
	start   train.Start
	sprites *dataset.Sprites
	drawer  *app.Drawer
	judges  func(classes []string, weights map[string]tensor.Tensor) (*judge.Judge, error)
	measure func(samples annotated.Samples, n int) (train.Quality, error)
	styles  func(known, asked func(string, int) (annotated.Sample, error)) (float64, error)
}

// Evaluate measures a model on held-out layouts. Renders go through the store of a; report takes how
// many of them are done.
func (l Lab) Evaluate(ctx context.Context, a *app.App, r EvalRequest, report func(done, of int)) (*Evaluation, error) {
	e := &evaluator{lab: l, out: &Evaluation{request: r}}
	classify, err := e.open(a)
	if err != nil {
		return nil, err
	}
	o, err := e.options(classify)
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp("", "eligen-eval-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	o.File = func(img *image.NRGBA) (eligen.Picture, error) { return pictureFile(folder, img) }
	o.Report = report
	found, err := eval.Run(ctx, o)
	if err != nil {
		return nil, err
	}
	e.out.Report = &found
	return e.out, e.finish()
}

// open opens the model, its classifier, an engine and sprites.
func (e *evaluator) open(a *app.App) (*judge.Judge, error) {
	r := &e.out.request
	var err error
	if e.trainee, err = train.OpenTrainee(r.Model, dataset.Words()); err != nil {
		return nil, err
	}
	classes, weights := e.trainee.Judge(train.JudgeFile)
	if weights == nil {
		return nil, errors.New("the model has no classifier to judge its pictures with: train one with\n\n    eligen train recipes/judge.hcl")
	}
	if r.Classes < 0 || r.Classes > len(classes) {
		problem := fmt.Sprintf("the model's classifier knows %d", len(classes))
		return nil, &app.InputError{Field: "classes", Value: fmt.Sprint(r.Classes), Problem: problem}
	}
	if r.Classes == 0 {
		r.Classes = len(classes)
	}
	e.out.Classes = r.Classes
	device, _, err := backend.Open(r.Backend)
	if err != nil {
		return nil, err
	}
	e.judges = func(classes []string, weights map[string]tensor.Tensor) (*judge.Judge, error) {
		return judge.New(device, classes, weights)
	}
	if e.drawer, err = a.Drawer(r.Backend, r.Model); err != nil {
		return nil, err
	}
	if e.sprites, err = e.lab.Sprites(r.Sprites); err != nil {
		return nil, err
	}
	if e.start, err = e.trainee.Start(); err != nil {
		return nil, err
	}
	e.measure = func(samples annotated.Samples, n int) (train.Quality, error) {
		return train.Measure(device, e.start.VAE, e.start.Autoencoder, samples, n, "")
	}
	e.styles = func(known, asked func(string, int) (annotated.Sample, error)) (float64, error) {
		const n = 32 // of each style
		return train.StyleAccuracy(device, e.start.Vision, e.start.Model, dataset.StyleNames(), n, known, asked)
	}
	return e.judges(classes, weights)
}

// options says what package eval is to draw and measure.
func (e *evaluator) options(classify *judge.Judge) (eval.Options, error) {
	r, out := &e.out.request, e.out
	classes, _ := e.trainee.Judge(train.JudgeFile)
	out.Engine, out.Size = e.drawer.Engine(), e.trainee.Manifest.Native
	if r.Size > 0 {
		out.Size = eligen.Size{W: r.Size, H: r.Size}
	}
	held := dataset.Options{Classes: r.Classes, Size: out.Size, Seed: 1, Split: dataset.Eval}
	panels, err := e.sprites.Composer(held)
	if err != nil {
		return eval.Options{}, err
	}
	held.Smooth = true
	if out.composer, err = e.sprites.Composer(held); err != nil {
		return eval.Options{}, err
	}
	if err := e.transfers(); err != nil {
		return eval.Options{}, err
	}
	o := eval.Options{
		Samples: out.composer.Sample, N: r.Layouts, Swaps: r.Swaps, Pairs: r.Pairs, Clips: r.Clips,
		Panels: panels.PairSample, Transfers: r.Transfers, Inpaints: r.Inpaints, StyleNames: otherStyles(),
		Guided: cmp.Or(r.CFG, e.trainee.Manifest.CFGWithEntities) != 1,
		Size:   out.Size, Geometry: eligen.DefaultGeometry, Classify: classify.Classify, Classes: classes[:r.Classes],
		Placement: measure.Placement, Locality: measure.Locality, Turn: dataset.TurnHue,
		Prompt: func(class string) string {
			k, _ := dataset.ClassNamed(class)
			return k.Prompt()
		},
		Draw: e.draw,
		DrawClip: func(ctx context.Context, render eligen.Render) ([]*image.NRGBA, error) {
			return e.drawer.Draw(ctx, r.sampled(render))
		},
	}
	return o, e.styled(&o)
}

// draw draws a layout, and keeps it for the sheet.
func (e *evaluator) draw(ctx context.Context, render eligen.Render) (*image.NRGBA, error) {
	pictures, err := e.drawer.Draw(ctx, e.out.request.sampled(render))
	if err != nil {
		return nil, err
	}
	e.out.shown = append(e.out.shown, pictures[0])
	return pictures[0], nil
}

// transfers leaves out the section on transfers, where the model has no in-context LoRA.
func (e *evaluator) transfers() error {
	r := &e.out.request
	for name := range e.start.Model {
		if strings.HasPrefix(name, "in-context.") {
			return nil
		}
	}
	if r.NeedTransfers && r.Transfers > 0 {
		return errors.New("the model has no in-context LoRA to transfer objects with: train one with\n\n    eligen train recipes/in-context.hcl")
	}
	r.Transfers = 0
	return nil
}

// styled adds the section on styles. Without an IP-Adapter, or a classifier of styles, it is left out.
func (e *evaluator) styled(o *eval.Options) error {
	r := &e.out.request
	r.Styles = min(r.Styles, r.Layouts)
	names, weights := e.trainee.Judge(train.StyleJudgeFile)
	missing := ""
	switch {
	case r.Styles == 0:
		return nil
	case e.trainee.Manifest.IP == nil:
		missing = "no IP-Adapter to show pictures to: train one with\n\n    eligen train recipes/ip.hcl"
	case weights == nil:
		missing = "no classifier that tells styles: train one with\n\n    eligen train recipes/style.hcl"
	}
	if missing != "" {
		r.Styles = 0
		if r.NeedStyles {
			return errors.New("the model has " + missing)
		}
		return nil
	}
	j, err := e.judges(names, weights)
	if err != nil {
		return err
	}
	if err := e.lab.openStyles(e.sprites, otherStyles()...); err != nil {
		return err
	}
	o.Styles, o.StyleOf, o.InStyle = r.Styles, j.Classify, e.inStyles(dataset.Eval)
	return nil
}

// inStyles returns the pictures of a split by their style, with another seed than that of the layouts,
// so that none of them is shown.
func (e *evaluator) inStyles(split dataset.Split) func(style string, i int) (annotated.Sample, error) {
	composers := map[string]*dataset.Composer{}
	return func(style string, i int) (_ annotated.Sample, err error) {
		if composers[style] == nil {
			o := dataset.Options{Classes: e.out.Classes, Size: e.out.Size, Seed: 2, Split: split, Styles: map[string]float64{style: 1}}
			if composers[style], err = e.sprites.Composer(o); err != nil {
				return annotated.Sample{}, err
			}
		}
		return composers[style].Sample(i)
	}
}

// finish measures what needs no renders.
func (e *evaluator) finish() error {
	report := e.out.Report
	if len(report.Rows) > 0 && e.trainee.Manifest.Autoencoder.Ch > 0 {
		q, err := e.measure(e.out.composer.Sample, min(16, e.out.request.Layouts))
		if err != nil {
			return err
		}
		report.PSNR = q.PSNR
	}
	if len(report.Style) > 0 {
		var err error
		if report.StyleAccuracy, err = e.styles(e.inStyles(dataset.Train), e.inStyles(dataset.Eval)); err != nil {
			return err
		}
		report.Told = report.StyleAccuracy
	}
	return nil
}

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

// sampled returns a render with the sampler that was asked for.
func (r *EvalRequest) sampled(render eligen.Render) eligen.Render {
	if r.Steps > 0 {
		render.Sampler.Steps = &r.Steps
	}
	if r.CFG > 0 {
		render.Sampler.CFG = &r.CFG
	}
	return render
}

// Sheet returns the first layouts side by side: the composed picture, then each mode's.
func (e *Evaluation) Sheet() (image.Image, error) {
	layouts := e.request.Layouts
	n := min(8, layouts)
	var samples []annotated.Sample
	for i := range n {
		s, err := e.composer.Sample(i)
		if err != nil {
			return nil, err
		}
		samples = append(samples, s)
	}
	at := 0
	for m, mode := range eval.Modes {
		for i := range layouts {
			if i < n {
				samples = append(samples, annotated.Sample{
					Name: fmt.Sprint(mode.Name, i), Image: e.shown[at], Prompt: mode.Name, Entities: samples[i].Entities,
				})
			}
			at++
			if m == len(eval.Modes)-1 && i < e.request.Swaps {
				at++ // the swapped picture
			}
		}
	}
	return dataset.Sheet(samples, n, true), nil
}
