// Package eval measures pictures against the scenes that asked for them: is
// each entity where it was put, is it what it was called, does its prompt stay
// in its region. The figures are the project's own protocol, not a published
// one; design and limits are told in docs/evaluation.md.
package eval

import (
	"cmp"
	"context"
	"fmt"
	"image"
	"math"
	"slices"

	"github.com/eligen/eligen"
)

// Options say what is measured, and with what.
type Options struct {
	// Samples are held-out compositions: their layouts are rendered, their
	// pictures are what a perfect model would draw.
	Samples eligen.Samples
	N       int // layouts to render
	Swaps   int // layouts whose first entity is swapped, for locality; at most N
	Size    eligen.Size
	// Draw renders; the product's own path from scene to picture.
	Draw func(ctx context.Context, r eligen.Render) (*image.NRGBA, error)
	// Classify names what is in a box of a picture, and how sure it is.
	Classify func(img *image.NRGBA, box image.Rectangle) (class string, sure float64, err error)
	// Prompt is the local prompt of a class: "a dog".
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

// A Row is what was measured in one mode.
type Row struct {
	Mode    string          `json:"mode"`
	Metrics []eligen.Metric `json:"metrics"`
}

// A Report is a whole evaluation.
type Report struct {
	Rows []Row   `json:"rows"`           // the composed pictures themselves first, then the modes
	PSNR float64 `json:"psnr,omitempty"` // of the autoencoder on the composed pictures, dB
}

// Run renders every layout in every mode and measures.
func Run(ctx context.Context, o Options) (Report, error) {
	total := o.N*len(Modes) + min(o.Swaps, o.N)
	done := 0
	tick := func() {
		done++
		if o.Report != nil {
			o.Report(done, total)
		}
	}
	var samples []eligen.Sample
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
		t := newTally()
		for i, s := range samples {
			img, err := o.Draw(ctx, Render(s, m, o.Size, uint64(i)))
			if err != nil {
				return rep, fmt.Errorf("layout %d, %s: %w", i, m.Name, err)
			}
			if err := t.add(o, s, img); err != nil {
				return rep, err
			}
			tick()
			if m.Mask && m.Adapter && i < o.Swaps {
				other := Swapped(s, 0, o.Classes, o.Prompt, i)
				b, err := o.Draw(ctx, Render(other, m, o.Size, uint64(i)))
				if err != nil {
					return rep, fmt.Errorf("layout %d, swapped: %w", i, err)
				}
				if v, ok := Locality(img, b, s, 0, o.Size); ok {
					t.locality = append(t.locality, v)
				}
				tick()
			}
		}
		rep.Rows = append(rep.Rows, Row{m.Name, t.metrics()})
	}
	return rep, nil
}

// Render is a sample's layout as a scene would ask for it.
func Render(s eligen.Sample, m Mode, size eligen.Size, seed uint64) eligen.Render {
	r := eligen.Render{Name: s.Name, Address: "render." + s.Name, Prompt: s.Prompt, Size: size, Seed: seed, Model: eligen.Model{Family: "nano"}}
	if !m.Adapter {
		r.Adapters = []eligen.Adapter{}
	} else {
		r.Adapters = []eligen.Adapter{{Kind: "lora", Scale: 1, Alpha: "file"}}
	}
	if m.Mask {
		for i, e := range s.Entities {
			r.Entities = append(r.Entities, eligen.Entity{Name: fmt.Sprint("e", i), Address: fmt.Sprint("entity.e", i), Prompt: e.Prompt, Region: e.Region, Strength: 1})
		}
	}
	return r
}

// Swapped is a sample with entity k turned into another class, in its local
// prompt alone: the global prompt stays.
func Swapped(s eligen.Sample, k int, classes []string, prompt func(string) string, pick int) eligen.Sample {
	s.Entities = slices.Clone(s.Entities)
	at := slices.Index(classes, s.Entities[k].Class)
	other := classes[(at+1+pick%(len(classes)-1))%len(classes)]
	s.Entities[k].Class, s.Entities[k].Prompt = other, prompt(other)
	return s
}

type tally struct {
	placement, identity, binding, locality []float64
}

func newTally() *tally { return &tally{} }

func (t *tally) add(o Options, s eligen.Sample, img *image.NRGBA) error {
	var boxes []image.Rectangle
	for _, e := range s.Entities {
		boxes = append(boxes, pixels(e.Region, img))
	}
	t.placement = append(t.placement, Placement(img, boxes)...)
	said := make([]string, len(boxes))
	for i, b := range boxes {
		class, _, err := o.Classify(img, b)
		if err != nil {
			return err
		}
		said[i] = class
		t.identity = append(t.identity, truth(class == s.Entities[i].Class))
	}
	// Two entities of different classes: neither may be taken for the other.
	for i := range said {
		for j := i + 1; j < len(said); j++ {
			if a, b := s.Entities[i].Class, s.Entities[j].Class; a != b {
				t.binding = append(t.binding, truth(said[i] != b && said[j] != a))
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

func (t *tally) metrics() []eligen.Metric {
	out := []eligen.Metric{
		metric("placement", "≥ 0.75", t.placement),
		metric("identity", "≥ 0.90", t.identity),
		metric("binding", "≥ 0.90", t.binding),
	}
	if len(t.locality) > 0 {
		out = append(out, metric("locality", "≥ 0.90", t.locality))
	}
	return out
}

// metric is the mean with its 95 % interval (normal approximation).
func metric(name, goal string, x []float64) eligen.Metric {
	m := eligen.Metric{Name: name, Goal: goal, N: len(x)}
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
	m.Low, m.High = max(0, m.Value-half), min(1, m.Value+half)
	return m
}

func pixels(r eligen.Region, img *image.NRGBA) image.Rectangle {
	x0, y0, x1, y1, _ := r.Bounds(eligen.Size{W: img.Rect.Dx(), H: img.Rect.Dy()})
	return image.Rect(x0, y0, x1, y1)
}

// Locality is how much of the change between two pictures, which differ in the
// prompt of entity k alone, is in its region: d_in/(d_in+d_out), d the mean
// absolute change of a pixel inside region k and outside all regions. It is
// false where nothing changed.
func Locality(a, b *image.NRGBA, s eligen.Sample, k int, size eligen.Size) (float64, bool) {
	in := s.Entities[k].Region.Mask(size)
	any := make([]bool, len(in))
	for _, e := range s.Entities {
		for i, on := range e.Region.Mask(size) {
			any[i] = any[i] || on
		}
	}
	var dIn, dOut, nIn, nOut float64
	for i := range in {
		d := 0.0
		for c := range 3 {
			d += math.Abs(float64(a.Pix[4*i+c]) - float64(b.Pix[4*i+c]))
		}
		switch {
		case in[i]:
			dIn, nIn = dIn+d, nIn+1
		case !any[i]:
			dOut, nOut = dOut+d, nOut+1
		}
	}
	if nIn == 0 || nOut == 0 {
		return 0, false
	}
	dIn, dOut = dIn/nIn, dOut/nOut
	if dIn+dOut == 0 {
		return 0, false
	}
	return dIn / (dIn + dOut), true
}

// Placement is, for each asked box, the IoU of the box around what is drawn
// near it with the asked box.
//
// What is drawn are the pixels that differ from the background, a smooth
// surface fitted to the pixels outside all asked boxes. They fall into
// connected parts; a part belongs to the asked box that holds most of it, and
// counts if at least half of it is within that box grown by half its size. A
// picture that puts the object elsewhere, or nowhere, gets 0.
func Placement(img *image.NRGBA, boxes []image.Rectangle) []float64 {
	w, h := img.Rect.Dx(), img.Rect.Dy()
	off := background(img, boxes)
	out := make([]float64, len(boxes))
	found := make([]image.Rectangle, len(boxes))
	for _, part := range components(off, w, h) {
		if len(part) < w*h/1000 {
			continue
		}
		best, most := -1, 0
		for i, b := range boxes {
			grown := image.Rect(b.Min.X-b.Dx()/4, b.Min.Y-b.Dy()/4, b.Max.X+b.Dx()/4, b.Max.Y+b.Dy()/4)
			n := 0
			for _, p := range part {
				if image.Pt(p%w, p/w).In(grown) {
					n++
				}
			}
			if n > most {
				best, most = i, n
			}
		}
		if best < 0 || 2*most < len(part) {
			continue
		}
		var r image.Rectangle
		for _, p := range part {
			q := image.Rect(p%w, p/w, p%w+1, p/w+1)
			r = r.Union(q)
		}
		found[best] = found[best].Union(r)
	}
	for i, b := range boxes {
		out[i] = iou(found[i], b)
	}
	return out
}

func iou(a, b image.Rectangle) float64 {
	area := func(r image.Rectangle) float64 { return float64(r.Dx() * r.Dy()) }
	in := area(a.Intersect(b))
	if all := area(a) + area(b) - in; all > 0 {
		return in / all
	}
	return 0
}

// threshold is how far, summed over the channels in 0…255 steps, a pixel must
// be from the fitted background to count as drawn.
const threshold = 72

// background says for each pixel whether it differs from the smooth surface
// fitted to what is outside the boxes: a cubic in y and a quadratic in x for
// each channel, by least squares, once more without the worst fifth.
func background(img *image.NRGBA, boxes []image.Rectangle) []bool {
	w, h := img.Rect.Dx(), img.Rect.Dy()
	basis := func(x, y int) [7]float64 {
		u, v := 2*float64(x)/float64(w)-1, 2*float64(y)/float64(h)-1
		return [7]float64{1, u, v, u * v, u * u, v * v, v * v * v}
	}
	var free []int
	for y := 0; y < h; y += 2 {
		for x := 0; x < w; x += 2 {
			if !slices.ContainsFunc(boxes, func(b image.Rectangle) bool { return image.Pt(x, y).In(b.Inset(-2)) }) {
				free = append(free, y*w+x)
			}
		}
	}
	value := func(c [7]float64, b [7]float64) (s float64) {
		for i := range c {
			s += c[i] * b[i]
		}
		return s
	}
	var fit [3][7]float64
	distance := func(p int) (d float64) {
		b := basis(p%w, p/w)
		for c := range fit {
			d += math.Abs(float64(img.Pix[4*p+c]) - value(fit[c], b))
		}
		return d
	}
	for range 3 {
		for c := range fit {
			var ata [7][8]float64
			for _, p := range free {
				b := basis(p%w, p/w)
				for i := range b {
					for j := range b {
						ata[i][j] += b[i] * b[j]
					}
					ata[i][7] += b[i] * float64(img.Pix[4*p+c])
				}
			}
			for i := range 7 {
				ata[i][i] += 1e-3 // few free pixels must not make it singular
			}
			fit[c] = solve(ata)
		}
		slices.SortFunc(free, func(a, b int) int { return cmp.Compare(distance(a), distance(b)) })
		free = free[:len(free)*4/5]
	}
	off := make([]bool, w*h)
	for p := range off {
		off[p] = distance(p) > threshold
	}
	return off
}

// solve is Gaussian elimination with pivoting.
func solve(a [7][8]float64) (x [7]float64) {
	for i := range 7 {
		k := i
		for j := i + 1; j < 7; j++ {
			if math.Abs(a[j][i]) > math.Abs(a[k][i]) {
				k = j
			}
		}
		a[i], a[k] = a[k], a[i]
		if a[i][i] == 0 {
			continue
		}
		for j := i + 1; j < 7; j++ {
			f := a[j][i] / a[i][i]
			for c := i; c < 8; c++ {
				a[j][c] -= f * a[i][c]
			}
		}
	}
	for i := 6; i >= 0; i-- {
		s := a[i][7]
		for j := i + 1; j < 7; j++ {
			s -= a[i][j] * x[j]
		}
		if a[i][i] != 0 {
			x[i] = s / a[i][i]
		}
	}
	return x
}

// components are the 4-connected parts of what is on.
func components(on []bool, w, h int) [][]int {
	seen := make([]bool, len(on))
	var out [][]int
	for start := range on {
		if !on[start] || seen[start] {
			continue
		}
		part := []int{start}
		seen[start] = true
		for k := 0; k < len(part); k++ {
			p := part[k]
			x, y := p%w, p/w
			for _, q := range [4][2]int{{x - 1, y}, {x + 1, y}, {x, y - 1}, {x, y + 1}} {
				if q[0] < 0 || q[1] < 0 || q[0] >= w || q[1] >= h {
					continue
				}
				if i := q[1]*w + q[0]; on[i] && !seen[i] {
					seen[i] = true
					part = append(part, i)
				}
			}
		}
		out = append(out, part)
	}
	return out
}
