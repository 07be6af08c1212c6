// Package flux is the FLUX.1 diffusion transformer with EliGen's regional
// attention, as graph functions.
//
// Names of weights and blocks are those of Black Forest Labs' checkpoint
// (github.com/black-forest-labs/flux), the regional attention is that of EliGen
// (arXiv 2501.01097).
package flux

import (
	"fmt"
	"slices"

	"github.com/eligen/eligen/model/nn"
	"github.com/eligen/eligen/model/sizes"
)

// A Config is a variant of the transformer. Variants differ in numbers only;
// the graph is the same.
type Config struct {
	Dim       int    // width of the residual streams
	Heads     int    // of Dim/Heads features each
	Axes      [3]int // rotary features of a head for each position axis: (image, row, column)
	Double    int    // blocks with separate text and image weights
	Single    int    // blocks with one set of weights
	TextDim   int    // width of the T5 states
	PooledDim int    // width of the CLIP vector
	Guidance  bool   // has an embedding of the guidance scale
	MLPRatio  int    // hidden width of a block's MLP over Dim

	LatentChannels int
}

// Dev is FLUX.1 [dev], 11 901 408 320 parameters.
var Dev = Config{
	Dim: 3072, Heads: 24, Axes: [3]int{16, 56, 56}, Double: 19, Single: 38,
	TextDim: 4096, PooledDim: 768, Guidance: true, MLPRatio: 4, LatentChannels: 16,
}

// Schnell is FLUX.1 [schnell]: Dev without guidance.
var Schnell = func() Config { c := Dev; c.Guidance = false; return c }()

// Nano is the model that comes with this program.
var Nano = Config{
	Dim: 192, Heads: 3, Axes: [3]int{16, 24, 24}, Double: 2, Single: 6,
	TextDim: 128, PooledDim: 128, Guidance: false, MLPRatio: 4, LatentChannels: 16,
}

// Patch is the number of latents that an image token covers in each direction.
const Patch = 2

const (
	epsilon = 1e-6

	maxRatio    = 64
	maxChannels = 1024
)

// HeadDim returns the features of an attention head.
func (c Config) HeadDim() int { return c.Dim / c.Heads }

// PatchDim returns the features of an image token before it is embedded.
func (c Config) PatchDim() int { return c.LatentChannels * Patch * Patch }

// MLP returns the hidden width of a block's MLP.
func (c Config) MLP() int { return c.MLPRatio * c.Dim }

// Validate refuses a Config that no transformer can have.
func (c Config) Validate() error {
	err := sizes.Check(sizes.Size{Name: "Dim", N: c.Dim, Max: sizes.MaxWidth}, sizes.Size{Name: "Heads", N: c.Heads, Max: sizes.MaxHeads},
		sizes.Size{Name: "TextDim", N: c.TextDim, Max: sizes.MaxWidth}, sizes.Size{Name: "PooledDim", N: c.PooledDim, Max: sizes.MaxWidth},
		sizes.Size{Name: "MLPRatio", N: c.MLPRatio, Max: maxRatio}, sizes.Size{Name: "LatentChannels", N: c.LatentChannels, Max: maxChannels},
		// Either may be 0, and not both.
		sizes.Size{Name: "1 + Double", N: 1 + c.Double, Max: 1 + sizes.MaxLayers},
		sizes.Size{Name: "1 + Single", N: 1 + c.Single, Max: 1 + sizes.MaxLayers},
		sizes.Size{Name: "Double + Single", N: c.Double + c.Single, Max: 2 * sizes.MaxLayers})
	if err != nil {
		return fmt.Errorf("flux: %w", err)
	}
	if c.Dim%c.Heads != 0 {
		return fmt.Errorf("flux: width %d does not divide into %d heads", c.Dim, c.Heads)
	}
	sum := 0
	for _, a := range c.Axes {
		if a < 0 || a%2 != 0 || a > sizes.MaxWidth {
			return fmt.Errorf("flux: rotary axes %v: each must be even, from 0 to %d", c.Axes, sizes.MaxWidth)
		}
		sum += a
	}
	if sum != c.HeadDim() {
		return fmt.Errorf("flux: rotary axes %v add up to %d, a head has %d features", c.Axes, sum, c.HeadDim())
	}
	return nil
}

// A Weight is the name and the shape, [out, in] for a linear layer, of a tensor
// of the checkpoint.
type Weight struct {
	Name  string
	Shape []int
}

// Weights lists every tensor that the graph reads, in the order of the data.
func (c Config) Weights() []Weight {
	var list []Weight
	linear := func(name string, in, out int) {
		list = append(list, Weight{name + ".weight", []int{out, in}}, Weight{name + ".bias", []int{out}})
	}
	norms := func(prefix string) {
		list = append(list, Weight{prefix + ".norm.query_norm.scale", []int{c.HeadDim()}},
			Weight{prefix + ".norm.key_norm.scale", []int{c.HeadDim()}})
	}
	embedder := func(name string, in int) {
		linear(name+".in_layer", in, c.Dim)
		linear(name+".out_layer", c.Dim, c.Dim)
	}
	d := c.Dim
	linear("img_in", c.PatchDim(), d)
	linear("txt_in", c.TextDim, d)
	embedder("time_in", nn.TimeDim)
	if c.Guidance {
		embedder("guidance_in", nn.TimeDim)
	}
	embedder("vector_in", c.PooledDim)
	for i := range c.Double {
		for _, stream := range []string{"img", "txt"} {
			b := fmt.Sprintf("double_blocks.%d.%s", i, stream)
			linear(b+"_mod.lin", d, 6*d)
			linear(b+"_attn.qkv", d, 3*d)
			norms(b + "_attn")
			linear(b+"_attn.proj", d, d)
			linear(b+"_mlp.0", d, c.MLP())
			linear(b+"_mlp.2", c.MLP(), d)
		}
	}
	for i := range c.Single {
		b := fmt.Sprintf("single_blocks.%d", i)
		linear(b+".modulation.lin", d, 3*d)
		linear(b+".linear1", d, 3*d+c.MLP())
		norms(b)
		linear(b+".linear2", d+c.MLP(), d)
	}
	linear("final_layer.adaLN_modulation.1", d, 2*d)
	linear("final_layer.linear", d, c.PatchDim())
	return list
}

// Detect tells a variant from the shapes of a checkpoint; shape is nil for a
// name that the checkpoint lacks. It checks every tensor that the graph will
// read. A checkpoint does not say how a head's features are shared between the
// axes: 128 features get FLUX.1's 16, 56, 56, others a quarter and twice three
// eighths. Set Axes afterwards where that is known to be different.
func Detect(shape func(name string) []int) (Config, error) {
	count := func(prefix, suffix string) int {
		n := 0
		for shape(fmt.Sprintf("%s.%d.%s", prefix, n, suffix)) != nil {
			n++
		}
		return n
	}
	c := Config{
		Double:   count("double_blocks", "img_attn.qkv.weight"),
		Single:   count("single_blocks", "linear1.weight"),
		Guidance: shape("guidance_in.in_layer.weight") != nil,
	}
	if err := c.detectStreams(shape); err != nil {
		return Config{}, err
	}
	norm, mlp := "double_blocks.0.img_attn.norm.query_norm.scale", "double_blocks.0.img_mlp.0.weight"
	if c.Double == 0 {
		norm, mlp = "single_blocks.0.norm.query_norm.scale", "single_blocks.0.linear1.weight"
	}
	head, err := dims(shape, norm, 1)
	if err != nil {
		return Config{}, err
	}
	hidden, err := dims(shape, mlp, 2)
	if err != nil {
		return Config{}, err
	}
	c.MLPRatio = hidden[0] / c.Dim
	if c.Double == 0 {
		c.MLPRatio -= 3 // linear1 makes queries, keys and values too
	}
	c.Heads = c.Dim / head[0]
	c.Axes = axes(head[0])
	if err := c.Validate(); err != nil {
		return Config{}, err
	}
	return c, c.Check(shape)
}

// detectStreams reads the widths of what goes into the transformer.
func (c *Config) detectStreams(shape func(name string) []int) error {
	img, err := dims(shape, "img_in.weight", 2)
	if err != nil {
		return err
	}
	txt, err := dims(shape, "txt_in.weight", 2)
	if err != nil {
		return err
	}
	pooled, err := dims(shape, "vector_in.in_layer.weight", 2)
	if err != nil {
		return err
	}
	if img[1]%(Patch*Patch) != 0 {
		return fmt.Errorf("not a FLUX transformer: tensor %q has shape %v, and its inputs are not %d×%d patches", "img_in.weight", img,
			Patch, Patch)
	}
	if out := shape("final_layer.linear.weight"); len(out) == 2 && out[0] > 0 && img[1] != out[0] {
		return fmt.Errorf("this is %s: %q has %d inputs, where the model makes %d. "+
			"eligen runs those of FLUX.1's models that see their own latents alone, as [dev] and [schnell] do",
			variant(img[1], out[0]), "img_in.weight", img[1], out[0])
	}
	c.Dim, c.LatentChannels, c.TextDim, c.PooledDim = img[0], img[1]/(Patch*Patch), txt[1], pooled[1]
	return nil
}

// dims returns the shape of a tensor that every FLUX transformer has.
func dims(shape func(name string) []int, name string, rank int) ([]int, error) {
	d := shape(name)
	if d == nil {
		return nil, fmt.Errorf("not a FLUX transformer: it has no tensor %q", name)
	}
	if len(d) != rank || slices.Min(d) <= 0 {
		return nil, fmt.Errorf("not a FLUX transformer: tensor %q has shape %v, expected %d dimensions", name, d, rank)
	}
	return d, nil
}

// variant names the one of FLUX.1's models that sees more than its own latents, by how many inputs
// an image token has, and how many outputs.
func variant(in, out int) string {
	switch in {
	case 2 * out: // a picture's latents next to its own
		return "FLUX.1 Depth or Canny, which takes a control picture"
	case 6 * out: // a picture's latents, and a mask of 8×8 pixels a latent
		return "FLUX.1 Fill, which takes a picture and a mask"
	}
	return "a relative of FLUX.1 that takes more than latents"
}

// axes shares the rotary features of a head.
func axes(headDim int) [3]int {
	if headDim == 128 {
		return Dev.Axes
	}
	space := headDim * 3 / 8 &^ 1
	return [3]int{headDim - 2*space, space, space}
}

// Check compares the shapes of a checkpoint with those that the graph needs.
func (c Config) Check(shape func(name string) []int) error {
	for _, w := range c.Weights() {
		switch got := shape(w.Name); {
		case got == nil:
			return fmt.Errorf("the FLUX checkpoint has no tensor %q; it should have shape %v", w.Name, w.Shape)
		case !slices.Equal(got, w.Shape):
			return fmt.Errorf("tensor %q of the FLUX checkpoint has shape %v, it should have %v", w.Name, got, w.Shape)
		}
	}
	return nil
}
