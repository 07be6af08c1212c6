package train

import (
	"image"
	"image/draw"
	"image/png"
	"io"
	"math/rand/v2"
	"slices"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/annotated"
	"github.com/eligen/eligen/internal/files"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/flux"
	"github.com/eligen/eligen/model/nn"
	"github.com/eligen/eligen/model/vae"
	"github.com/eligen/eligen/model/vision"
)

// A drawing is a batch of pictures that a running training is looked at by: drawn
// by all of inference, with guidance against an empty prompt.
type drawing struct {
	m        Model
	size     eligen.Size
	entities int // of every picture; those it lacks have no tokens
	steps    int
	cfg      float64
	rank     int // of the LoRA that is trained; 0 for none
	noises   int // so many pictures have noise of their own, the rest theirs again

	n                   int // pictures
	prompt, clip, local []int32
	members             []float32
	pixels              []float32 // of image prompts, as the vision tower takes them; nil for none
	before, paint       []float32 // of fusion: pictures, and which of their latents are drawn; nil for none
}

// add puts a sample's layout in line, with its entities or without.
func (d *drawing) add(s annotated.Sample, regional bool) {
	text := d.m.Text
	d.prompt = append(d.prompt, text.T5(s.Prompt, text.Length)...)
	d.clip = append(d.clip, text.CLIP(s.Prompt, text.CLIPLength)...)
	tokens := d.size.W / 16 * (d.size.H / 16)
	members := make([]float32, d.entities*tokens)
	for e := range d.entities {
		local := ""
		if e < len(s.Entities) {
			local = s.Entities[e].Prompt
			if regional {
				for _, t := range s.Entities[e].Region.Tokens(d.size, eligen.DefaultGeometry) {
					members[e*tokens+int(t)] = 1
				}
			}
		}
		d.local = append(d.local, text.T5(local, text.EntityLength)...)
	}
	d.members = append(d.members, members...)
	d.n++
}

// keep makes the last added picture one that is painted into another, two panels of
// [3,H,W], where the first entity is.
func (d *drawing) keep(before []float32) {
	d.before = append(d.before, before...)
	w, h := d.size.W/8, d.size.H/8
	tokens := w / 2 * (h / 2)
	row := d.members[len(d.members)-d.entities*tokens:]
	for j := range w * h {
		d.paint = append(d.paint, row[j/w/2*(w/2)+j%w/2])
	}
}

// run draws the pictures with weights over the model's: [n,3,H,W] in [−1,1].
func (d *drawing) run(backend compute.Backend, weights map[string]tensor.Tensor) ([]float32, error) {
	lw, lh := d.size.W/8, d.size.H/8
	noise, fixed := d.noise(), d.conditions()
	if d.before != nil {
		kept, err := d.clean(backend, noise)
		if err != nil {
			return nil, err
		}
		fixed = append(fixed, kept, tensors.FromFlatDataAndDimensions(noise, d.n, d.m.VAE.Z, lh, lw),
			tensors.FromFlatDataAndDimensions(d.paint, d.n, 1, lh, lw))
	}
	step, err := Compile(backend, merged(d.m.Weights, weights), func(w nn.Weights, in []*Node) []*Node {
		if d.rank > 0 {
			w = Adapted(w, d.rank)
		}
		return []*Node{d.step(w, in[0], in[1], in[2:])}
	})
	if err != nil {
		return nil, err
	}
	defer step.Finalize()
	x := tensors.FromFlatDataAndDimensions(noise, d.n, d.m.VAE.Z, lh, lw)
	for i := range d.steps {
		u := func(i int) float32 { return 1 - float32(i)/float32(d.steps) }
		out, err := step.Call(append([]any{x, []float32{u(i), u(i + 1)}}, fixed...)...)
		if err != nil {
			return nil, err
		}
		if err := x.FinalizeAll(); err != nil {
			return nil, err
		}
		x = out[0]
	}
	decode, err := Compile(backend, d.m.Autoencoder, func(w nn.Weights,
		in []*Node) []*Node {
		return []*Node{vae.Decode(w, d.m.VAE, in[0], nil)}
	})
	if err != nil {
		return nil, err
	}
	defer decode.Finalize()
	out, err := decode.Call(x)
	if err != nil {
		return nil, err
	}
	return tensors.MustCopyFlatData[float32](out[0]), nil
}

// noise returns what the pictures begin as, [n,Z,h,w].
func (d *drawing) noise() []float32 {
	rng := rand.New(rand.NewPCG(11, 0))
	noise := make([]float32, d.noises*d.m.VAE.Z*(d.size.H/8)*(d.size.W/8))
	for i := range noise {
		noise[i] = float32(rng.NormFloat64())
	}
	return slices.Repeat(noise, d.n/d.noises)
}

// conditions returns the inputs that all steps share: those of the pictures, then those of the
// negative branch, which has an empty prompt, no entities and a vector of zeros.
func (d *drawing) conditions() []any {
	n, text := d.n, d.m.Text
	prompt, clip := slices.Clone(d.prompt), slices.Clone(d.clip)
	for range n {
		prompt = append(prompt, text.T5("", text.Length)...)
		clip = append(clip, text.CLIP("", text.CLIPLength)...)
	}
	twice := func(x []float32) []float32 { return append(slices.Clone(x), make([]float32, len(x))...) }
	fixed := []any{
		tensors.FromFlatDataAndDimensions(prompt, 2*n, text.Length),
		tensors.FromFlatDataAndDimensions(clip, 2*n, text.CLIPLength),
		tensors.FromFlatDataAndDimensions(slices.Concat(d.local, d.local), 2*n, d.entities, text.EntityLength),
		tensors.FromFlatDataAndDimensions(twice(d.members), 2*n, d.entities, d.size.W/16*(d.size.H/16)),
	}
	if d.pixels != nil {
		side := d.m.Vision.Size
		fixed = append(fixed, tensors.FromFlatDataAndDimensions(twice(d.pixels), 2*n, 3, side, side),
			tensors.FromFlatDataAndDimensions(append(slices.Repeat([]float32{1}, n), make([]float32, n)...), 2*n, 1))
	}
	return fixed
}

// clean encodes the pictures that are painted into, [n,Z,h,w]. It puts their left panels in
// the noise: that panel is clean from the first step on, led from the picture to itself.
func (d *drawing) clean(backend compute.Backend, noise []float32) (*tensors.Tensor, error) {
	encode, err := Compile(backend, d.m.Autoencoder, func(w nn.Weights,
		in []*Node) []*Node {
		return []*Node{vae.Encode(w, d.m.VAE, in[0], nil)}
	})
	if err != nil {
		return nil, err
	}
	defer encode.Finalize()
	kept, err := encode.Call(tensors.FromFlatDataAndDimensions(d.before, d.n, 3, d.size.H, d.size.W))
	if err != nil {
		return nil, err
	}
	picture, lw := tensors.MustCopyFlatData[float32](kept[0]), d.size.W/8
	for row := 0; row < len(noise); row += lw {
		copy(noise[row:row+lw/2], picture[row:])
	}
	return kept[0], nil
}

// step returns x [n,Z,h,w] after a step between two noise levels [2]. in are what conditions
// gives, and, of pictures that are painted into, what is kept, noise and paint.
func (d *drawing) step(w nn.Weights, x, levels *Node, in []*Node) *Node {
	n := d.n
	sigma, next := Reshape(Slice(levels, AxisElem(0)), 1), Reshape(Slice(levels, AxisElem(1)), 1, 1, 1, 1)
	cond, more := conditions{prompt: in[0], clip: in[1], entities: in[2], members: in[3]}, in[4:]
	var pictures []flux.KeyValue
	if d.pixels != nil {
		pictures, more = d.m.pictures(w, Mul(vision.SigLIP(w.In("vision"), d.m.Vision, more[0], nil), more[1])), more[2:]
	}
	v := d.m.velocity(w, Concatenate([]*Node{x, x}, 0), MulScalar(BroadcastToDims(sigma, 2*n), 1000), cond, nil, pictures...) // [2n,Z,h,w]
	pos, neg := Slice(v, AxisRange(0, n)), Slice(v, AxisRange(n))
	v = Add(neg, MulScalar(Sub(pos, neg), d.cfg))
	x = Add(x, Mul(v, Sub(next, Reshape(sigma, 1, 1, 1, 1))))
	if d.before == nil {
		return x
	}
	kept, noise, paint := more[0], more[1], more[2]
	led := Add(Mul(kept, OneMinus(next)), Mul(noise, next))
	return Add(Mul(x, paint), Mul(led, OneMinus(paint)))
}

// picture returns the k-th of what run has drawn.
func (d *drawing) picture(pix []float32, k int) *image.NRGBA {
	w, h := d.size.W, d.size.H
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	paste(img, 0, 0, pix[k*3*w*h:(k+1)*3*w*h], w, h)
	return img
}

// sheet puts pictures of one size side by side: rows of columns.
func sheet(path string, size eligen.Size, rows ...[]*image.NRGBA) error {
	out := image.NewNRGBA(image.Rect(0, 0, len(rows[0])*size.W, len(rows)*size.H))
	for r, row := range rows {
		for c, img := range row {
			draw.Draw(out, image.Rect(c*size.W, r*size.H, (c+1)*size.W, (r+1)*size.H), img, img.Rect.Min, draw.Src)
		}
	}
	return writePNG(path, out)
}

// paste draws [3,h,w] in [−1,1] at a place of a picture.
func paste(img *image.NRGBA, x0, y0 int, pix []float32, w, h int) {
	for y := range h {
		for x := range w {
			o := img.PixOffset(x0+x, y0+y)
			for c := range 3 {
				img.Pix[o+c] = uint8(max(0, min(255, (pix[(c*h+y)*w+x]+1)*127.5)))
			}
			img.Pix[o+3] = 255
		}
	}
}

// writePNG writes a file atomically.
func writePNG(path string, img image.Image) error {
	return files.WriteFile(path, func(w io.Writer) error { return png.Encode(w, img) })
}
