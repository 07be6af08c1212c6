// Package qwen is Qwen-Image (arXiv 2508.02324) as graph functions: the diffusion transformer
// with EliGen's regional attention, and the autoencoder.
//
// Names of weights are those of the published checkpoints, which are diffusers'.
package qwen

import (
	"fmt"
	"slices"

	"github.com/eligen/eligen/model/nn"
	"github.com/eligen/eligen/model/sizes"
)

// A Config is the size of a transformer.
type Config struct {
	Dim      int    // width of the residual streams
	Heads    int    // of Dim/Heads features each
	Axes     [3]int // rotary features of a head for each position axis: (picture, row, column)
	Layers   int    // blocks with separate text and image weights
	TextDim  int    // width of the text encoder's states
	MLPRatio int    // hidden width of a block's MLP over Dim

	LatentChannels int

	// Tanh has the MLPs use GELU's tanh form, as diffusers does. EliGen's LoRAs were trained with
	// x·σ(1.702x), as DiffSynth-Studio has it.
	Tanh bool
}

// Image is Qwen-Image, 20 430 401 088 parameters.
var Image = Config{Dim: 3072, Heads: 24, Axes: [3]int{16, 56, 56}, Layers: 60, TextDim: 3584, MLPRatio: 4, LatentChannels: 16}

// Patch is the number of latents that an image token covers in each direction.
const Patch = 2

const (
	epsilon     = 1e-6
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
		sizes.Size{Name: "TextDim", N: c.TextDim, Max: sizes.MaxWidth}, sizes.Size{Name: "Layers", N: c.Layers, Max: sizes.MaxLayers},
		sizes.Size{Name: "MLPRatio", N: c.MLPRatio, Max: maxRatio}, sizes.Size{Name: "LatentChannels", N: c.LatentChannels, Max: maxChannels})
	if err != nil {
		return fmt.Errorf("qwen: %w", err)
	}
	if c.Dim%c.Heads != 0 {
		return fmt.Errorf("qwen: width %d does not divide into %d heads", c.Dim, c.Heads)
	}
	sum := 0
	for _, a := range c.Axes {
		if a < 0 || a%2 != 0 || a > sizes.MaxWidth {
			return fmt.Errorf("qwen: rotary axes %v: each must be even, from 0 to %d", c.Axes, sizes.MaxWidth)
		}
		sum += a
	}
	if sum != c.HeadDim() {
		return fmt.Errorf("qwen: rotary axes %v add up to %d, a head has %d features", c.Axes, sum, c.HeadDim())
	}
	return nil
}

// A Weight is the name and the shape, [out, in] for a linear layer, of a tensor of the checkpoint.
type Weight = struct {
	Name  string
	Shape []int
}

// Scope returns what the names of a block's weights begin with, without a dot at the end.
func Scope(block int) string { return fmt.Sprintf("transformer_blocks.%d", block) }

// Weights lists every tensor that the graph reads, in the order of the data.
func (c Config) Weights() []Weight {
	var list []Weight
	linear := func(name string, in, out int) {
		list = append(list, Weight{name + ".weight", []int{out, in}}, Weight{name + ".bias", []int{out}})
	}
	d := c.Dim
	linear("img_in", c.PatchDim(), d)
	list = append(list, Weight{"txt_norm.weight", []int{c.TextDim}})
	linear("txt_in", c.TextDim, d)
	linear("time_text_embed.timestep_embedder.linear_1", nn.TimeDim, d)
	linear("time_text_embed.timestep_embedder.linear_2", d, d)
	for i := range c.Layers {
		b := Scope(i) + "."
		linear(b+"img_mod.1", d, 6*d)
		linear(b+"txt_mod.1", d, 6*d)
		for _, p := range []string{"to_q", "to_k", "to_v", "add_q_proj", "add_k_proj", "add_v_proj", "to_out.0", "to_add_out"} {
			linear(b+"attn."+p, d, d)
		}
		for _, n := range []string{"norm_q", "norm_k", "norm_added_q", "norm_added_k"} {
			list = append(list, Weight{b + "attn." + n + ".weight", []int{c.HeadDim()}})
		}
		for _, s := range []string{"img_mlp", "txt_mlp"} {
			linear(b+s+".net.0.proj", d, c.MLP())
			linear(b+s+".net.2", c.MLP(), d)
		}
	}
	linear("norm_out.linear", d, 2*d)
	linear("proj_out", d, c.PatchDim())
	return list
}

// Detect reads a transformer's size from the shapes of a checkpoint; shape is nil for a name that
// the checkpoint lacks. A checkpoint does not say how a head's features are shared between the
// axes: 128 features get Qwen-Image's 16, 56, 56, others a quarter and twice three eighths.
func Detect(shape func(name string) []int) (Config, error) {
	c := Config{}
	for shape(Scope(c.Layers)+".attn.to_q.weight") != nil {
		c.Layers++
	}
	read := func(name string, rank int) []int {
		d := shape(name)
		if len(d) != rank || slices.Min(d) <= 0 {
			return make([]int, rank)
		}
		return d
	}
	img, txt := read("img_in.weight", 2), read("txt_in.weight", 2)
	head, mlp := read(Scope(0)+".attn.norm_q.weight", 1), read(Scope(0)+".img_mlp.net.0.proj.weight", 2)
	if c.Layers == 0 || img[0] == 0 || txt[0] == 0 || head[0] == 0 || mlp[0] == 0 {
		return c, fmt.Errorf("not a transformer of Qwen-Image: one of img_in.weight, txt_in.weight, %s.attn.norm_q.weight and "+
			"%[1]s.img_mlp.net.0.proj.weight is missing or has the wrong number of axes", Scope(0))
	}
	if img[1]%(Patch*Patch) != 0 {
		return c, fmt.Errorf("not a transformer of Qwen-Image: its img_in takes %d numbers, which are no %d×%d patches", img[1], Patch, Patch)
	}
	c.Dim, c.LatentChannels, c.TextDim = img[0], img[1]/(Patch*Patch), txt[1]
	c.Heads, c.MLPRatio = c.Dim/head[0], mlp[0]/c.Dim
	space := head[0] * 3 / 8 &^ 1
	if c.Axes = [3]int{head[0] - 2*space, space, space}; head[0] == Image.HeadDim() {
		c.Axes = Image.Axes
	}
	return c, c.Validate()
}
