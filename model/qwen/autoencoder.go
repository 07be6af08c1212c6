package qwen

import (
	"fmt"
	"math"

	. "github.com/gomlx/gomlx/core/graph"

	"github.com/eligen/eligen/model/nn"
	"github.com/eligen/eligen/model/regional"
	"github.com/eligen/eligen/model/sizes"
)

// A CoderConfig is the size of an autoencoder, and the normalisation of its latents. It is Wan's
// autoencoder of films (arXiv 2503.20314) as it works on one frame: of a convolution over time,
// with two frames of zeros before the picture, the last of three taps is all that acts.
type CoderConfig struct {
	Base int   // width of the first level
	Mult []int // width of each level in units of Base
	Res  int   // residual blocks a level of the encoder; the decoder has one more
	Z    int   // latent channels

	Mean, Std []float64 // of each channel: latents = (mean − Mean)/Std
}

// ImageCoder is Qwen-Image's autoencoder, 126.9 M parameters.
var ImageCoder = CoderConfig{
	Base: 96, Mult: []int{1, 2, 4, 4}, Res: 2, Z: 16,
	Mean: []float64{-0.7571, -0.7089, -0.9113, 0.1075, -0.1745, 0.9653, -0.1517, 1.5508, 0.4134, -0.0715, 0.5517, -0.3632, -0.1922,
		-0.9497, 0.2503, -0.2921},
	Std: []float64{2.8184, 1.4541, 2.3275, 2.6558, 1.2196, 1.7708, 2.6052, 2.0743, 3.2687, 2.1526, 2.8652, 1.5579, 1.6382, 1.1253,
		2.8251, 1.916},
}

// Factor returns how many pixels a latent covers in each direction.
func (c CoderConfig) Factor() int { return 1 << (len(c.Mult) - 1) }

// Validate refuses sizes that no autoencoder can have.
func (c CoderConfig) Validate() error {
	list := []sizes.Size{{Name: "base", N: c.Base, Max: 1 << 13}, {Name: "the number of mult", N: len(c.Mult), Max: 8},
		{Name: "residual blocks", N: c.Res, Max: 64}, {Name: "z", N: c.Z, Max: 1024}}
	for i, m := range c.Mult {
		list = append(list, sizes.Size{Name: fmt.Sprintf("mult[%d]", i), N: m, Max: 64})
	}
	if err := sizes.Check(list...); err != nil {
		return err
	}
	if len(c.Mean) != c.Z || len(c.Std) != c.Z {
		return fmt.Errorf("latents of %d channels have %d means and %d deviations", c.Z, len(c.Mean), len(c.Std))
	}
	for i, s := range c.Std {
		if !(s > 1e-6 && s < 1e6) || !(math.Abs(c.Mean[i]) < 1e6) {
			return fmt.Errorf("channel %d's mean %v or deviation %v is out of range", i, c.Mean[i], s)
		}
	}
	return nil
}

// A level is a stretch of residual blocks of one width, and what follows it.
type level struct {
	name    string
	in, out int // channels
	blocks  int
	resized string // what follows: "" nothing, else the name of its convolution
	narrow  int    // channels behind it
}

// encoder returns the levels; blocks and resizings are numbered through.
func (c CoderConfig) encoder() (list []level) {
	in := c.Base
	for i, m := range c.Mult {
		l := level{in: in, out: c.Base * m, blocks: c.Res, narrow: c.Base * m}
		if i < len(c.Mult)-1 {
			l.resized = "resample.1"
		}
		list, in = append(list, l), l.out
	}
	return list
}

func (c CoderConfig) decoder() (list []level) {
	in := c.Base * c.Mult[len(c.Mult)-1]
	for i := len(c.Mult) - 1; i >= 0; i-- {
		out := c.Base * c.Mult[i]
		l := level{name: fmt.Sprintf("up_blocks.%d", len(c.Mult)-1-i), in: in, out: out, blocks: c.Res + 1, narrow: out}
		if i > 0 {
			l.resized, l.narrow = "upsamplers.0.resample.1", out/2
		}
		list, in = append(list, l), l.narrow
	}
	return list
}

// Weights lists every tensor of the encoder and the decoder that one frame needs.
func (c CoderConfig) Weights() (list []Weight) {
	conv := func(name string, out, in, k int, time bool) {
		shape := []int{out, in, k, k}
		if time {
			shape = []int{out, in, k, k, k}
		}
		list = append(list, Weight{name + ".weight", shape}, Weight{name + ".bias", []int{out}})
	}
	res := func(name string, in, out int) {
		list = append(list, Weight{name + ".norm1.gamma", []int{in, 1, 1, 1}})
		conv(name+".conv1", out, in, 3, true)
		list = append(list, Weight{name + ".norm2.gamma", []int{out, 1, 1, 1}})
		conv(name+".conv2", out, out, 3, true)
		if in != out {
			conv(name+".conv_shortcut", out, in, 1, true)
		}
	}
	mid := func(half string, n int) {
		res(half+".mid_block.resnets.0", n, n)
		a := half + ".mid_block.attentions.0."
		list = append(list, Weight{a + "norm.gamma", []int{n, 1, 1}})
		conv(a+"to_qkv", 3*n, n, 1, false)
		conv(a+"proj", n, n, 1, false)
		res(half+".mid_block.resnets.1", n, n)
	}
	last := c.Base * c.Mult[len(c.Mult)-1]
	conv("encoder.conv_in", c.Base, 3, 3, true)
	at := 0
	for _, l := range c.encoder() {
		in := l.in
		for range l.blocks {
			res(fmt.Sprintf("encoder.down_blocks.%d", at), in, l.out)
			at, in = at+1, l.out
		}
		if l.resized != "" {
			conv(fmt.Sprintf("encoder.down_blocks.%d.%s", at, l.resized), l.out, l.out, 3, false)
			at++
		}
	}
	mid("encoder", last)
	list = append(list, Weight{"encoder.norm_out.gamma", []int{last, 1, 1, 1}})
	conv("encoder.conv_out", 2*c.Z, last, 3, true)
	conv("quant_conv", 2*c.Z, 2*c.Z, 1, true)

	conv("post_quant_conv", c.Z, c.Z, 1, true)
	conv("decoder.conv_in", last, c.Z, 3, true)
	mid("decoder", last)
	for _, l := range c.decoder() {
		in := l.in
		for j := range l.blocks {
			res(fmt.Sprintf("decoder.%s.resnets.%d", l.name, j), in, l.out)
			in = l.out
		}
		if l.resized != "" {
			conv(fmt.Sprintf("decoder.%s.%s", l.name, l.resized), l.narrow, l.out, 3, false)
		}
	}
	list = append(list, Weight{"decoder.norm_out.gamma", []int{c.Base, 1, 1, 1}})
	conv("decoder.conv_out", 3, c.Base, 3, true)
	return list
}

// DetectCoder reads a size from the shapes of a checkpoint; shape is nil for a name that it lacks.
// Of the normalisation, which shapes can't tell, it has Qwen-Image's.
func DetectCoder(shape func(name string) []int) (CoderConfig, error) {
	c := ImageCoder
	in, out := shape("encoder.conv_in.weight"), shape("encoder.conv_out.weight")
	if len(in) != 5 || len(out) != 5 || in[0] == 0 {
		return c, fmt.Errorf("no autoencoder of Qwen-Image: the tensors encoder.conv_in.weight and encoder.conv_out.weight are missing " +
			"or no convolutions over time")
	}
	c.Base, c.Z, c.Mult, c.Res = in[0], out[0]/2, nil, 0
	blocks := 0 // of the current level
	for i := 0; ; i++ {
		w := shape(fmt.Sprintf("encoder.down_blocks.%d.conv1.weight", i))
		if len(w) == 5 {
			if blocks++; blocks == 1 {
				c.Mult = append(c.Mult, w[0]/c.Base)
			}
			c.Res = max(c.Res, blocks)
			continue
		}
		if shape(fmt.Sprintf("encoder.down_blocks.%d.resample.1.weight", i)) == nil {
			break
		}
		blocks = 0
	}
	if len(c.Mult) == 0 {
		return c, fmt.Errorf("no autoencoder of Qwen-Image: no residual blocks under encoder.down_blocks")
	}
	return c, nil
}

// A CoderTrace receives the output of every block, NCHW. It may be nil.
type CoderTrace func(name string, x *Node)

func (t CoderTrace) tell(name string, x *Node) {
	if t != nil {
		t(name, nn.ToNCHW(x))
	}
}

// frame gives convolutions over time the tap of the last frame.
func frame(w nn.Weights) nn.Weights {
	return func(name string) *Node {
		x := w(name)
		if x.Rank() != 5 {
			return x
		}
		d := x.Shape().Dimensions
		return Reshape(SliceAxis(x, 2, AxisRange(d[2]-1)), d[0], d[1], d[3], d[4])
	}
}

// Moments runs the encoder: img [B,3,H,W] in [−1,1] → [B,2Z,H/8,W/8], the mean in
// the first Z channels and the log-variance in the rest.
func Moments(w nn.Weights, c CoderConfig, img *Node, trace CoderTrace) *Node {
	w = frame(w)
	e := w.In("encoder")
	x := e.In("conv_in").Conv3(nn.ToNHWC(img))
	trace.tell("conv_in", x)
	at := 0
	next := func(f func(nn.Weights, *Node) *Node) {
		x = f(e.In(fmt.Sprintf("down_blocks.%d", at)), x)
		trace.tell(fmt.Sprintf("down.%d", at), x)
		at++
	}
	for _, l := range c.encoder() {
		for range l.blocks {
			next(residual)
		}
		if l.resized != "" {
			// One row and one column of zeros at the bottom and right only.
			next(func(w nn.Weights, x *Node) *Node { return w.In(l.resized).Conv(x, 2, 0, 0, 1, 1) })
		}
	}
	x = middle(e.In("mid_block"), x, trace)
	x = e.In("conv_out").Conv3(nn.SiLU(norm(e("norm_out.gamma"), x)))
	trace.tell("conv_out", x)
	x = w.In("quant_conv").Conv(x, 1, 0, 0, 0, 0)
	trace.tell("moments", x)
	return nn.ToNCHW(x)
}

// Encode returns the deterministic latent, never a sample: img [B,3,H,W] in [−1,1] →
// [B,Z,H/8,W/8] = (mean − Mean)/Std.
func Encode(w nn.Weights, c CoderConfig, img *Node, trace CoderTrace) *Node {
	mean := SliceAxis(Moments(w, c, img, trace), 1, AxisRange(0, c.Z))
	return Div(Sub(mean, c.each(mean, c.Mean)), c.each(mean, c.Std))
}

// Decode maps latents [B,Z,h,w] → img [B,3,8h,8w], about [−1,1], not clipped.
func Decode(w nn.Weights, c CoderConfig, latents *Node, trace CoderTrace) *Node {
	w = frame(w)
	d := w.In("decoder")
	x := nn.ToNHWC(Add(Mul(latents, c.each(latents, c.Std)), c.each(latents, c.Mean)))
	x = w.In("post_quant_conv").Conv(x, 1, 0, 0, 0, 0)
	trace.tell("post_quant", x)
	x = d.In("conv_in").Conv3(x)
	trace.tell("conv_in", x)
	x = middle(d.In("mid_block"), x, trace)
	for i, l := range c.decoder() {
		s := d.In(l.name)
		for j := range l.blocks {
			x = residual(s.In(fmt.Sprintf("resnets.%d", j)), x)
		}
		if l.resized != "" {
			x = s.In(l.resized).Conv3(nn.Upsample2(x))
		}
		trace.tell(fmt.Sprintf("up.%d", i), x)
	}
	return nn.ToNCHW(d.In("conv_out").Conv3(nn.SiLU(norm(d("norm_out.gamma"), x))))
}

// each returns a number for each channel of x [B,Z,h,w].
func (c CoderConfig) each(x *Node, numbers []float64) *Node {
	return Reshape(ConstAsDType(x.Graph(), x.DType(), numbers), 1, len(numbers), 1, 1)
}

// norm scales the channels of every pixel of x [B,h,w,C] to the length √C, and by gamma.
func norm(gamma, x *Node) *Node {
	c := x.Shape().Dim(-1)
	length := Sqrt(ReduceAndKeep(Square(x), ReduceSum, -1))
	x = MulScalar(Div(x, MaxScalar(length, 1e-12)), math.Sqrt(float64(c)))
	return Mul(x, Reshape(gamma, 1, 1, 1, c))
}

// residual applies a residual block; its shortcut is a 1×1 convolution where the width changes.
func residual(w nn.Weights, x *Node) *Node {
	h := w.In("conv1").Conv3(nn.SiLU(norm(w("norm1.gamma"), x)))
	h = w.In("conv2").Conv3(nn.SiLU(norm(w("norm2.gamma"), h)))
	if x.Shape().Dim(-1) != h.Shape().Dim(-1) {
		x = w.In("conv_shortcut").Conv(x, 1, 0, 0, 0, 0)
	}
	return Add(x, h)
}

func middle(w nn.Weights, x *Node, trace CoderTrace) *Node {
	x = residual(w.In("resnets.0"), x)
	trace.tell("mid.resnets.0", x)
	x = attention(w.In("attentions.0"), x)
	trace.tell("mid.attentions.0", x)
	x = residual(w.In("resnets.1"), x)
	trace.tell("mid.resnets.1", x)
	return x
}

// attention has one head over all positions.
func attention(w nn.Weights, x *Node) *Node {
	d := x.Shape().Dimensions
	qkv := Split(w.In("to_qkv").Conv(norm(w("norm.gamma"), x), 1, 0, 0, 0, 0), -1, 3)
	for i := range qkv {
		qkv[i] = Reshape(qkv[i], d[0], d[1]*d[2], 1, d[3])
	}
	o, _ := regional.Attention(qkv[0], qkv[1], qkv[2], nil, false)
	return Add(x, w.In("proj").Conv(Reshape(o, d...), 1, 0, 0, 0, 0))
}
