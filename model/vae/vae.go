// Package vae is FLUX's 16-channel autoencoder (AutoencoderKL) as GoMLX graphs.
// Weights carry the names of black-forest-labs' ae.safetensors.
//
// Source: black-forest-labs/flux modules/autoencoder.py; checked against
// DiffSynth-Studio and diffusers.
package vae

import (
	"fmt"
	"math"
	"slices"

	. "github.com/gomlx/gomlx/core/graph"

	"github.com/eligen/eligen/model/nn"
	"github.com/eligen/eligen/model/sizes"
)

// A Config is an autoencoder's sizes, and the normalisation of its latents.
type Config struct {
	Ch        int     `json:"ch"`         // base width
	Mult      []int   `json:"mult"`       // width of each level in units of Ch
	ResBlocks int     `json:"res_blocks"` // a level of the encoder; the decoder has one more
	Groups    int     `json:"groups"`     // of every group norm
	Z         int     `json:"z"`          // latent channels
	Scale     float64 `json:"scale"`      // latents = (mean − Shift)·Scale
	Shift     float64 `json:"shift"`
}

// Flux is the autoencoder of FLUX.1.
var Flux = Config{Ch: 128, Mult: []int{1, 2, 4, 4}, ResBlocks: 2, Groups: 32, Z: 16, Scale: 0.3611, Shift: 0.1159}

// Nano is the autoencoder of the embedded model; its scale and shift are
// measured after training and stored next to the weights.
var Nano = Config{Ch: 16, Mult: []int{1, 1, 2, 4}, ResBlocks: 1, Groups: 2, Z: 16, Scale: 1, Shift: 0}

const epsilon = 1e-6

// Factor returns how many pixels a latent covers in each direction.
func (c Config) Factor() int { return 1 << (len(c.Mult) - 1) }

// Validate refuses sizes that no autoencoder can have.
func (c Config) Validate() error {
	list := []sizes.Size{{Name: "ch", N: c.Ch, Max: 1 << 13}, {Name: "the number of mult", N: len(c.Mult), Max: 8},
		{Name: "res_blocks", N: c.ResBlocks, Max: 64},
		{Name: "groups", N: c.Groups, Max: 1 << 13}, {Name: "z", N: c.Z, Max: 1024}}
	for i, m := range c.Mult {
		list = append(list, sizes.Size{Name: fmt.Sprintf("mult[%d]", i), N: m, Max: 64})
	}
	if err := sizes.Check(list...); err != nil {
		return err
	}
	switch {
	case c.Ch%c.Groups != 0:
		return fmt.Errorf("%d channels don't divide into %d groups", c.Ch, c.Groups)
	case !(math.Abs(c.Scale) >= 1e-6 && math.Abs(c.Scale) <= 1e6):
		return fmt.Errorf("scale is %v; it must be from 1e-6 to 1e6", c.Scale)
	case !(math.Abs(c.Shift) <= 1e6):
		return fmt.Errorf("shift is %v; it must be at most 1e6", c.Shift)
	}
	return nil
}

// Weight is one tensor that a Config needs.
type Weight struct {
	Name  string
	Shape []int
}

// Weights lists every tensor of the encoder and the decoder.
func (c Config) Weights() []Weight {
	l := &lister{}
	width := func(i int) int { return c.Ch * c.Mult[i] }
	last := len(c.Mult) - 1

	l.conv("encoder.conv_in", c.Ch, 3, 3)
	in := c.Ch
	for i := range c.Mult {
		for j := range c.ResBlocks {
			l.res(fmt.Sprintf("encoder.down.%d.block.%d", i, j), in, width(i))
			in = width(i)
		}
		if i < last {
			l.conv(fmt.Sprintf("encoder.down.%d.downsample.conv", i), in, in, 3)
		}
	}
	l.mid("encoder.mid", in)
	l.norm("encoder.norm_out", in)
	l.conv("encoder.conv_out", 2*c.Z, in, 3)

	l.conv("decoder.conv_in", in, c.Z, 3)
	l.mid("decoder.mid", in)
	for i := last; i >= 0; i-- {
		for j := range c.ResBlocks + 1 {
			l.res(fmt.Sprintf("decoder.up.%d.block.%d", i, j), in, width(i))
			in = width(i)
		}
		if i > 0 {
			l.conv(fmt.Sprintf("decoder.up.%d.upsample.conv", i), in, in, 3)
		}
	}
	l.norm("decoder.norm_out", in)
	l.conv("decoder.conv_out", 3, in, 3)
	return l.list
}

type lister struct{ list []Weight }

func (l *lister) add(name string, shape ...int) { l.list = append(l.list, Weight{name, shape}) }

func (l *lister) conv(name string, out, in, k int) {
	l.add(name+".weight", out, in, k, k)
	l.add(name+".bias", out)
}

func (l *lister) norm(name string, n int) {
	l.add(name+".weight", n)
	l.add(name+".bias", n)
}

func (l *lister) res(name string, in, out int) {
	l.norm(name+".norm1", in)
	l.conv(name+".conv1", out, in, 3)
	l.norm(name+".norm2", out)
	l.conv(name+".conv2", out, out, 3)
	if in != out {
		l.conv(name+".nin_shortcut", out, in, 1)
	}
}

func (l *lister) mid(name string, n int) {
	l.res(name+".block_1", n, n)
	l.norm(name+".attn_1.norm", n)
	for _, s := range []string{"q", "k", "v", "proj_out"} {
		l.conv(name+".attn_1."+s, n, n, 1)
	}
	l.res(name+".block_2", n, n)
}

// Detect reads a Config off the shapes of a checkpoint; shape is nil for a name
// that the checkpoint lacks. What shapes can't tell (groups, scale, shift) is
// FLUX's.
func Detect(shape func(name string) []int) (Config, error) {
	c := Flux
	in, out := shape("encoder.conv_in.weight"), shape("encoder.conv_out.weight")
	if len(in) != 4 || len(out) != 4 {
		return c, fmt.Errorf("no autoencoder: the tensors encoder.conv_in.weight and encoder.conv_out.weight are missing or not convolutions")
	}
	c.Ch, c.Z = in[0], out[0]/2
	c.Mult, c.ResBlocks = nil, 0
	for i := 0; ; i++ {
		w := shape(fmt.Sprintf("encoder.down.%d.block.0.conv1.weight", i))
		if len(w) != 4 {
			break
		}
		if c.Ch == 0 || w[0]%c.Ch != 0 {
			return c, fmt.Errorf("tensor encoder.down.%d.block.0.conv1.weight has %d channels, no multiple of %d", i, w[0], c.Ch)
		}
		c.Mult = append(c.Mult, w[0]/c.Ch)
	}
	for shape(fmt.Sprintf("encoder.down.0.block.%d.conv1.weight", c.ResBlocks)) != nil {
		c.ResBlocks++
	}
	if len(c.Mult) == 0 || c.ResBlocks == 0 {
		return c, fmt.Errorf("no autoencoder: no residual blocks under encoder.down")
	}
	c.Groups = min(c.Groups, c.Ch)
	return c, nil
}

// Trace receives the output of every block, NCHW, under the names conv_in,
// block.0, block.1 … and conv_out. It may be nil.
type Trace func(name string, x *Node)

func (t Trace) tell(name string, x *Node) {
	if t != nil {
		t(name, nn.ToNCHW(x))
	}
}

// blocks numbers the blocks for a Trace.
type blocks struct {
	trace Trace
	n     int
}

func (b *blocks) next(x *Node) *Node {
	b.trace.tell(fmt.Sprintf("block.%d", b.n), x)
	b.n++
	return x
}

// Moments runs the encoder: img [B,3,H,W] in [−1,1] → [B,2Z,H/8,W/8], the mean in
// the first Z channels and the log-variance in the rest.
func Moments(w nn.Weights, c Config, img *Node, trace Trace) *Node {
	w = w.In("encoder")
	b := &blocks{trace: trace}
	x := w.In("conv_in").Conv3(nn.ToNHWC(img)) // [B,H,W,Ch]
	trace.tell("conv_in", x)
	for i := range c.Mult {
		level := w.In(fmt.Sprintf("down.%d", i))
		for j := range c.ResBlocks {
			x = b.next(c.res(level.In(fmt.Sprintf("block.%d", j)), x))
		}
		if i < len(c.Mult)-1 {
			// One row and one column of zeros at the bottom and right only.
			x = b.next(level.In("downsample.conv").Conv(x, 2, 0, 0, 1, 1)) // [B,H/2,W/2,·]
		}
	}
	x = c.mid(w.In("mid"), x, b)
	x = w.In("conv_out").Conv3(nn.SiLU(w.In("norm_out").GroupNorm(x, c.Groups, epsilon)))
	trace.tell("conv_out", x)
	return nn.ToNCHW(x)
}

// Encode returns the deterministic latent, never a sample: img [B,3,H,W] in [−1,1] →
// [B,Z,H/8,W/8] = (mean − Shift)·Scale.
func Encode(w nn.Weights, c Config, img *Node, trace Trace) *Node {
	m := Moments(w, c, img, trace)
	mean := Slice(m, AxisRange(), AxisRange(0, c.Z))
	return MulScalar(AddScalar(mean, -c.Shift), c.Scale)
}

// Decode maps latents [B,Z,h,w] → img [B,3,8h,8w], about [−1,1], not clipped.
func Decode(w nn.Weights, c Config, latents *Node, trace Trace) *Node {
	w = w.In("decoder")
	b := &blocks{trace: trace}
	z := AddScalar(MulScalar(latents, 1/c.Scale), c.Shift)
	x := w.In("conv_in").Conv3(nn.ToNHWC(z)) // [B,h,w,Ch·Mult[last]]
	trace.tell("conv_in", x)
	x = c.mid(w.In("mid"), x, b)
	for _, i := range slices.Backward(indices(len(c.Mult))) {
		level := w.In(fmt.Sprintf("up.%d", i))
		for j := range c.ResBlocks + 1 {
			x = b.next(c.res(level.In(fmt.Sprintf("block.%d", j)), x))
		}
		if i > 0 {
			x = b.next(level.In("upsample.conv").Conv3(nn.Upsample2(x))) // [B,2h,2w,·]
		}
	}
	x = w.In("conv_out").Conv3(nn.SiLU(w.In("norm_out").GroupNorm(x, c.Groups, epsilon)))
	return nn.ToNCHW(x)
}

func indices(n int) []int {
	s := make([]int, n)
	for i := range s {
		s[i] = i
	}
	return s
}

// res applies a residual block; its shortcut is a 1×1 convolution where the width changes.
func (c Config) res(w nn.Weights, x *Node) *Node {
	h := w.In("conv1").Conv3(nn.SiLU(w.In("norm1").GroupNorm(x, c.Groups, epsilon)))
	in, out := x.Shape().Dimensions[3], h.Shape().Dimensions[3]
	h = w.In("conv2").Conv3(nn.SiLU(w.In("norm2").GroupNorm(h, c.Groups, epsilon)))
	if in != out {
		x = w.In("nin_shortcut").Conv(x, 1, 0, 0, 0, 0)
	}
	return Add(x, h)
}

func (c Config) mid(w nn.Weights, x *Node, b *blocks) *Node {
	x = b.next(c.res(w.In("block_1"), x))
	x = b.next(c.attention(w.In("attn_1"), x))
	return b.next(c.res(w.In("block_2"), x))
}

// MaxScores is the number of attention scores that are held at once: 256 MB of float32.
const MaxScores = 64 << 20

// attention has one head over all positions. Queries go in chunks, so that a
// large picture's scores are never in memory at once.
func (c Config) attention(w nn.Weights, x *Node) *Node {
	d := x.Shape().Dimensions
	s := d[1] * d[2]
	h := w.In("norm").GroupNorm(x, c.Groups, epsilon)
	head := func(name string) *Node { // [B,1,S,C]
		return Reshape(w.In(name).Conv(h, 1, 0, 0, 0, 0), d[0], 1, s, d[3])
	}
	q, k, v := head("q"), head("k"), head("v")
	scale := 1 / math.Sqrt(float64(d[3]))
	o := nn.InChunks(q, 2, max(1, MaxScores/(d[0]*s)), func(_ SliceAxisSpec, part *Node) []*Node {
		return []*Node{nn.Attention(part, k, v, scale, nil)}
	})[0]
	return Add(x, w.In("proj_out").Conv(Reshape(o, d...), 1, 0, 0, 0, 0))
}
