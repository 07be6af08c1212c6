// Package eval measures pictures against their scenes: is each entity in its region, is
// it the requested object, does its prompt stay in its region. The protocol is the
// project's own, not a published one; docs/evaluation.md has its design and limits.
package eval

import (
	"context"
	"fmt"
	"image"
	"math"
	"slices"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/annotated"
)

// Options choose what to measure, and how.
type Options struct {
	// Samples are held-out compositions. eval renders their layouts; their pictures are
	// what a perfect model would draw.
	Samples annotated.Samples
	N       int  // layouts to render
	Swaps   int  // layouts whose first entity is swapped, for locality; at most N
	Pairs   int  // pairs of overlapping entities, rendered under each policy
	Guided  bool // there is a negative side, for policies that act on it
	Clips   int  // layouts in which an entity moves, rendered in each of Motions
	// Panels are held-out pairs of panels that show the same object. Of Transfers pairs,
	// the object is transferred from the left panel to the right one; into the right
	// panels of Inpaints pairs, it is painted by its prompt. Size is a panel's.
	Panels    annotated.Samples
	Transfers int
	Inpaints  int
	Size      eligen.Size
	Geometry  eligen.Geometry // of the model
	// Styles is how many layouts, at most N, are rendered by a picture of each of
	// StyleNames. InStyle returns such pictures, none of a layout.
	Styles     int
	StyleNames []string
	InStyle    func(style string, i int) (annotated.Sample, error)
	// StyleOf names the style of the object in a box of a picture.
	StyleOf func(img *image.NRGBA, box image.Rectangle) (style string, sure float64, err error)
	// DrawClip renders a clip and returns its frames; nil if Clips is 0.
	DrawClip func(ctx context.Context, r eligen.Render) ([]*image.NRGBA, error)
	// Draw renders by the product's own path from scene to picture.
	Draw func(ctx context.Context, r eligen.Render) (*image.NRGBA, error)
	// Classify names the object in a box of a picture. sure is its probability.
	Classify func(img *image.NRGBA, box image.Rectangle) (class string, sure float64, err error)
	// Placement returns, for each requested box, its IoU with the drawing near it.
	// Locality returns d_in/(d_in + d_out) of two pictures, d the mean change inside
	// region k and outside all, and whether anything changed.
	Placement func(img *image.NRGBA, boxes []image.Rectangle) []float64
	Locality  func(a, b *image.NRGBA, regions []eligen.Region, k int) (float64, bool)
	// File keeps a picture where a render can name it, for transfers, styles and
	// inpainting. Turn turns colours around the colour wheel, for transfers.
	File func(img *image.NRGBA) (eligen.Picture, error)
	Turn func(img *image.NRGBA, degrees int) *image.NRGBA
	// Prompt returns the local prompt of a class: "a dog".
	Prompt  func(class string) string
	Classes []string
	Report  func(done, of int)
}

// A Mode is one row of the ablation.
type Mode struct {
	Name    string
	Mask    bool // entities with regional attention
	Adapter bool // EliGen's LoRA
}

// Modes are the rows of the ablation, in order.
var Modes = []Mode{{"neither", false, false}, {"mask only", true, false}, {"LoRA only", false, true}, {"both", true, true}}

// A Metric is one measured figure.
type Metric struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Low   float64 `json:"low"` // 95 % interval
	High  float64 `json:"high"`
	N     int     `json:"n"`
	Goal  string  `json:"goal,omitempty"`
}

// A Row holds the metrics of one mode.
type Row struct {
	Mode    string   `json:"mode"`
	Metrics []Metric `json:"metrics"`
}

// A Report is a whole evaluation.
type Report struct {
	Rows []Row   `json:"rows"`           // the composed pictures themselves first, then the modes
	PSNR float64 `json:"psnr,omitempty"` // of the autoencoder on the composed pictures, dB
	// StyleAccuracy is the share of held-out pictures whose style the vision tower
	// recognises. Told is the same, under its name before 0.2; 0.3 drops it.
	StyleAccuracy float64 `json:"style_accuracy,omitempty"`
	Told          float64 `json:"told,omitempty"`

	Overlap []Row `json:"overlap,omitempty"` // a row a policy
	Motion  []Row `json:"motion,omitempty"`  // a row for each of Motions

	Inpaint  []Row `json:"inpaint,omitempty"`  // a row for each of Inpaints
	Style    []Row `json:"style,omitempty"`    // composed pictures, then renders without and with image prompts
	Transfer []Row `json:"transfer,omitempty"` // the composed pairs, then a row for each of Transfers
}

// Run renders every layout in every mode and measures.
func Run(ctx context.Context, o Options) (Report, error) {
	o.Styles = min(o.Styles, o.N)
	total, done := o.renders(), 0
	tick := func() {
		done++
		if o.Report != nil {
			o.Report(done, total)
		}
	}
	var samples []annotated.Sample
	for i := range o.N {
		s, err := o.Samples(i)
		if err != nil {
			return Report{}, err
		}
		samples = append(samples, s)
	}
	var rep Report
	real := newTally()
	for _, s := range samples {
		if err := real.add(o, s, s.Image); err != nil {
			return rep, err
		}
	}
	rep.Rows = append(rep.Rows, Row{"composed pictures", real.metrics()})
	for _, m := range Modes {
		row, err := inMode(ctx, o, m, samples, tick)
		if err != nil {
			return rep, err
		}
		rep.Rows = append(rep.Rows, row)
	}
	for _, part := range []struct {
		n    int
		rows *[]Row
		run  func(context.Context, Options, func()) ([]Row, error)
	}{
		{o.Pairs, &rep.Overlap, overlap},
		{o.Clips, &rep.Motion, motion},
		{o.Inpaints, &rep.Inpaint, inpaint},
		{o.Styles, &rep.Style, func(ctx context.Context, o Options, tick func()) ([]Row, error) {
			return styles(ctx, o, samples, tick)
		}},
		{o.Transfers, &rep.Transfer, transfer},
	} {
		if part.n <= 0 {
			continue
		}
		var err error
		if *part.rows, err = part.run(ctx, o, tick); err != nil {
			return rep, err
		}
	}
	return rep, nil
}

// renders returns how many pictures and clips the evaluation renders.
func (o Options) renders() int {
	return o.N*len(Modes) + min(o.Swaps, o.N) + o.Pairs*(2+len(o.policies())) + o.Clips*len(Motions) +
		o.Transfers*len(Transfers) + o.Styles*(1+len(o.StyleNames)) + o.Inpaints*len(Inpaints)
}

// inMode renders the samples' layouts in one mode; with EliGen whole, it also swaps an
// entity of the first ones.
func inMode(ctx context.Context, o Options, m Mode, samples []annotated.Sample, tick func()) (Row, error) {
	t := newTally()
	for i, s := range samples {
		img, err := o.Draw(ctx, Render(s, m, o.Size, uint64(i)))
		if err != nil {
			return Row{}, fmt.Errorf("layout %d, %s: %w", i, m.Name, err)
		}
		if err := t.add(o, s, img); err != nil {
			return Row{}, err
		}
		tick()
		if !m.Mask || !m.Adapter || i >= o.Swaps {
			continue
		}
		other := Swapped(s, 0, o.Classes, o.Prompt, i)
		b, err := o.Draw(ctx, Render(other, m, o.Size, uint64(i)))
		if err != nil {
			return Row{}, fmt.Errorf("layout %d, swapped: %w", i, err)
		}
		if v, ok := o.Locality(img, b, regions(s), 0); ok {
			t.locality = append(t.locality, v)
		}
		tick()
	}
	return Row{m.Name, t.metrics()}, nil
}

// Render returns a sample's layout as a scene would declare it.
func Render(s annotated.Sample, m Mode, size eligen.Size, seed uint64) eligen.Render {
	r := eligen.Render{
		Name: s.Name, Address: "render." + s.Name, Prompt: s.Prompt, Size: size, Seed: seed, Model: eligen.Model{Family: "nano"},
	}
	if !m.Adapter {
		r.Adapters = []eligen.Adapter{}
	} else {
		r.Adapters = []eligen.Adapter{{Kind: "lora", Scale: 1, Alpha: "file"}}
	}
	if m.Mask {
		for i, e := range s.Entities {
			r.Entities = append(r.Entities, eligen.Entity{
				Name: fmt.Sprint("e", i), Address: fmt.Sprint("entity.e", i), Prompt: e.Prompt, Region: e.Region, Strength: 1,
			})
		}
	}
	return r
}

// Swapped returns a sample whose entity k has another class, in its local prompt alone:
// the global prompt stays.
func Swapped(s annotated.Sample, k int, classes []string, prompt func(string) string, pick int) annotated.Sample {
	s.Entities = slices.Clone(s.Entities)
	at := slices.Index(classes, s.Entities[k].Class)
	other := classes[(at+1+pick%(len(classes)-1))%len(classes)]
	s.Entities[k].Class, s.Entities[k].Prompt = other, prompt(other)
	return s
}

func regions(s annotated.Sample) (out []eligen.Region) {
	for _, e := range s.Entities {
		out = append(out, e.Region)
	}
	return out
}

type tally struct {
	placement, identity, binding, locality []float64
}

func newTally() *tally { return &tally{} }

func (t *tally) add(o Options, s annotated.Sample, img *image.NRGBA) error {
	var boxes []image.Rectangle
	for _, e := range s.Entities {
		boxes = append(boxes, pixels(e.Region, img))
	}
	t.placement = append(t.placement, o.Placement(img, boxes)...)
	named := make([]string, len(boxes))
	for i, b := range boxes {
		class, _, err := o.Classify(img, b)
		if err != nil {
			return err
		}
		named[i] = class
		t.identity = append(t.identity, truth(class == s.Entities[i].Class))
	}
	// Of two entities of different classes, neither may be taken for the other.
	for i := range named {
		for j := i + 1; j < len(named); j++ {
			if a, b := s.Entities[i].Class, s.Entities[j].Class; a != b {
				t.binding = append(t.binding, truth(named[i] != b && named[j] != a))
			}
		}
	}
	return nil
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func (t *tally) metrics() []Metric {
	out := []Metric{
		metric("placement", "≥ 0.75", t.placement),
		metric("identity", "≥ 0.90", t.identity),
		metric("binding", "≥ 0.90", t.binding),
	}
	if len(t.locality) > 0 {
		out = append(out, metric("locality", "≥ 0.90", t.locality))
	}
	return out
}

// metric returns the mean with its 95 % interval (normal approximation).
func metric(name, goal string, x []float64) Metric {
	m := Metric{Name: name, Goal: goal, N: len(x)}
	if len(x) == 0 {
		return m
	}
	var sum, squares float64
	for _, v := range x {
		sum += v
	}
	m.Value = sum / float64(len(x))
	for _, v := range x {
		squares += (v - m.Value) * (v - m.Value)
	}
	half := 0.0
	if len(x) > 1 {
		half = 1.96 * math.Sqrt(squares/float64(len(x)-1)/float64(len(x)))
	}
	m.Low, m.High = max(0, m.Value-half), m.Value+half
	if slices.Max(x) <= 1 { // a share
		m.High = min(1, m.High)
	}
	return m
}

func pixels(r eligen.Region, img *image.NRGBA) image.Rectangle {
	x0, y0, x1, y1, _ := r.Bounds(eligen.Size{W: img.Rect.Dx(), H: img.Rect.Dy()})
	return image.Rect(x0, y0, x1, y1)
}
