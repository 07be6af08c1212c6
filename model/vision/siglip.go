// Package vision is the vision tower of SigLIP, which image prompts are read by,
// as a graph function, and the pixels that it takes.
package vision

import (
	"fmt"
	"image"
	"image/draw"
	"math"
	"slices"

	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/pixels"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/nn"
	"github.com/eligen/eligen/model/sizes"
)

// Config is the size of a SigLIP vision tower (Zhai et al. 2023, arXiv 2303.15343).
type Config struct {
	Dim    int
	FF     int
	Heads  int
	Layers int
	Patch  int // pixels per side of a token
	Side   int // tokens per side of a picture
	Size   int // pixels per side of a picture: Side·Patch, or more, which no token sees
}

// SO400M is google/siglip-so400m-patch14-384.
var SO400M = Config{Dim: 1152, FF: 4304, Heads: 16, Layers: 27, Patch: 14, Side: 27, Size: 384}

// Nano is the vision tower of the embedded model nano.
var Nano = Config{Dim: 96, FF: 192, Heads: 2, Layers: 2, Patch: 16, Side: 12, Size: 192}

const (
	patches   = "vision_model.embeddings.patch_embedding"
	positions = "vision_model.embeddings.position_embedding.weight"
	hidden    = "vision_model.encoder.layers.%d.mlp.fc1.weight"
	epsilon   = 1e-6
)

// A Weight is the name and the shape of a tensor of the checkpoint.
type Weight struct {
	Name  string
	Shape []int
}

// Weights lists every tensor that [SigLIP] asks for, under its Hugging Face name.
func (c Config) Weights() []Weight {
	out := []Weight{{positions, []int{c.Side * c.Side, c.Dim}}}
	add := func(name string, shape ...int) {
		out = append(out, Weight{name + ".weight", shape}, Weight{name + ".bias", shape[:1]})
	}
	mlp := func(name string) {
		add(name+".fc1", c.FF, c.Dim)
		add(name+".fc2", c.Dim, c.FF)
	}
	add(patches, c.Dim, 3, c.Patch, c.Patch)
	for i := range c.Layers {
		b := fmt.Sprintf("vision_model.encoder.layers.%d.", i)
		add(b+"layer_norm1", c.Dim)
		for _, p := range []string{"q", "k", "v", "out"} {
			add(b+"self_attn."+p+"_proj", c.Dim, c.Dim)
		}
		add(b+"layer_norm2", c.Dim)
		mlp(b + "mlp")
	}
	add("vision_model.post_layernorm", c.Dim)
	const head = "vision_model.head."
	out = append(out, Weight{head + "probe", []int{1, 1, c.Dim}},
		Weight{head + "attention.in_proj_weight", []int{3 * c.Dim, c.Dim}},
		Weight{head + "attention.in_proj_bias", []int{3 * c.Dim}})
	add(head+"attention.out_proj", c.Dim, c.Dim)
	add(head+"layernorm", c.Dim)
	mlp(head + "mlp")
	return out
}

// Validate refuses sizes that no vision tower can have.
func (c Config) Validate() error {
	err := sizes.Check(sizes.Size{Name: "Dim", N: c.Dim, Max: sizes.MaxWidth}, sizes.Size{Name: "FF", N: c.FF, Max: sizes.MaxHidden},
		sizes.Size{Name: "Heads", N: c.Heads, Max: sizes.MaxHeads}, sizes.Size{Name: "Layers", N: c.Layers, Max: sizes.MaxLayers},
		sizes.Size{Name: "Patch", N: c.Patch, Max: 1024}, sizes.Size{Name: "Side", N: c.Side, Max: 1024},
		sizes.Size{Name: "Size", N: c.Size, Max: 1 << 14})
	switch {
	case err != nil:
		return err
	case c.Dim%c.Heads != 0:
		return fmt.Errorf("its Dim is %d, which doesn't divide into %d heads", c.Dim, c.Heads)
	case c.Size/c.Patch != c.Side:
		return fmt.Errorf("its Size is %d, which is not %d tokens of %d pixels", c.Size, c.Side, c.Patch)
	}
	return nil
}

// Detect reads a tower's size from the shapes of a checkpoint's tensors; shape is
// nil for a name that the checkpoint lacks. Shapes say nothing of the heads, nor
// of pixels beyond the last whole token: 0 takes what published towers have.
func Detect(shape func(name string) []int, heads, size int) (Config, error) {
	at := func(name string, axis int) int {
		if s := shape(name); axis < len(s) {
			return s[axis]
		}
		return 0
	}
	c := Config{
		Dim:   at(patches+".weight", 0),
		FF:    at(fmt.Sprintf(hidden, 0), 0),
		Heads: heads,
		Patch: at(patches+".weight", 2),
		Side:  int(math.Sqrt(float64(at(positions, 0)))),
		Size:  size,
	}
	for shape(fmt.Sprintf(hidden, c.Layers)) != nil {
		c.Layers++
	}
	if slices.Contains([]int{c.Dim, c.FF, c.Patch, c.Side, c.Layers}, 0) {
		return Config{}, fmt.Errorf("not the weights of a SigLIP vision tower: one of %s.weight, %s and %s is missing or has the "+
			"wrong number of axes",
			patches, positions, fmt.Sprintf(hidden, 0))
	}
	if c.Heads == 0 {
		c.Heads = c.Dim / 64
		if c.Dim == SO400M.Dim {
			c.Heads = SO400M.Heads
		}
	}
	if c.Size == 0 {
		c.Size = c.Side * c.Patch
		if c.Side == SO400M.Side && c.Patch == SO400M.Patch {
			c.Size = SO400M.Size
		}
	}
	if c.Heads <= 0 || c.Dim%c.Heads != 0 {
		return Config{}, fmt.Errorf("a SigLIP vision tower of width %d can't have %d heads: set num_attention_heads to that of its config.json",
			c.Dim, c.Heads)
	}
	if c.Size/c.Patch != c.Side {
		return Config{}, fmt.Errorf("a SigLIP vision tower with %d×%d tokens of %d pixels can't take pictures of %d×%d: give "+
			"image_size as in its config.json",
			c.Side, c.Side, c.Patch, c.Size, c.Size)
	}
	return c, nil
}

// Pixels returns a picture as the tower takes it, [3,Size,Size] in [−1,1]: scaled by
// PIL's bicubic filter, whatever its proportions were. Transparency is dropped,
// as PIL's convert("RGB") does.
func (c Config) Pixels(img image.Image) tensor.Tensor {
	b := img.Bounds()
	n, ok := img.(*image.NRGBA)
	if !ok { // drawn, colours that are nearly transparent are not the same any more
		n = image.NewNRGBA(b)
		draw.Draw(n, b, img, b.Min, draw.Src)
	}
	rgb := make([]uint8, 0, 3*b.Dx()*b.Dy())
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			at := n.PixOffset(x, y)
			rgb = append(rgb, n.Pix[at:at+3]...)
		}
	}
	rgb = pixels.Resample(rgb, 3, eligen.Size{W: b.Dx(), H: b.Dy()}, eligen.Size{W: c.Size, H: c.Size}, pixels.Bicubic)
	x := tensor.New(3, c.Size, c.Size)
	for i, v := range rgb {
		x.Data[i%3*c.Size*c.Size+i/3] = float32(v)*(2.0/255) - 1
	}
	return x
}

// SigLIP encodes pictures [B,3,Size,Size] in [−1,1] as one vector each, [B,Dim]:
// what the reference calls the pooled output. trace, which may be nil, receives the
// tokens' "last_hidden".
func SigLIP(w nn.Weights, c Config, pixels *Node, trace func(name string, x *Node)) *Node {
	embed := w.In(patches)
	x := ConvertDType(pixels, embed("weight").DType())
	x = nn.MatMulT(c.patchify(x), Reshape(embed("weight"), c.Dim, -1)) // [B,S,D]
	x = Add(x, ExpandLeftToRank(embed("bias"), 3))
	x = Add(x, ExpandLeftToRank(w(positions), 3))
	for i := range c.Layers {
		b := w.In(fmt.Sprintf("vision_model.encoder.layers.%d", i))
		attn := b.In("self_attn")
		h := b.In("layer_norm1").LayerNorm(x, epsilon)
		h = c.attend(attn.In("q_proj").Linear(h), attn.In("k_proj").Linear(h), attn.In("v_proj").Linear(h))
		x = Add(x, attn.In("out_proj").Linear(h))
		x = Add(x, mlp(b.In("mlp"), b.In("layer_norm2").LayerNorm(x, epsilon)))
	}
	x = w.In("vision_model.post_layernorm").LayerNorm(x, epsilon)
	if trace != nil {
		trace("last_hidden", x)
	}
	return c.pool(w.In("vision_model.head"), x)
}

// pool asks all tokens [B,S,D] with one learned query: [B,D].
func (c Config) pool(w nn.Weights, x *Node) *Node {
	b := x.Shape().Dim(0)
	attn := w.In("attention")
	project := func(x *Node, from, to int) *Node { // by rows of one weight: queries, keys, values
		y := nn.MatMulT(x, Slice(attn("in_proj_weight"), AxisRange(from*c.Dim, to*c.Dim)))
		return Add(y, ExpandLeftToRank(Slice(attn("in_proj_bias"), AxisRange(from*c.Dim, to*c.Dim)), 3))
	}
	q := BroadcastToShape(project(w("probe"), 0, 1), shapes.Make(x.DType(), b, 1, c.Dim))
	kv := nn.Chunk(project(x, 1, 3), 2)
	h := attn.In("out_proj").Linear(c.attend(q, kv[0], kv[1])) // [B,1,D]
	h = Add(h, mlp(w.In("mlp"), w.In("layernorm").LayerNorm(h, epsilon)))
	return Reshape(h, b, c.Dim)
}

// attend returns attention of q [B,Sq,D] over k, v [B,S,D]: [B,Sq,D].
func (c Config) attend(q, k, v *Node) *Node {
	heads := func(x *Node) *Node { return nn.SplitHeads(x, c.Heads) } // [B,H,S,d]
	return nn.MergeHeads(nn.Attention(heads(q), heads(k), heads(v), 1/math.Sqrt(float64(c.Dim/c.Heads)), nil))
}

func mlp(w nn.Weights, x *Node) *Node {
	return w.In("fc2").Linear(nn.GELUTanh(w.In("fc1").Linear(x))) // [B,S,FF] between
}

// patchify cuts pictures into the pixels of each token, channels outermost:
// [B,3,Size,Size] → [B,S,3·Patch²]. Convolving with a stride of the kernel's size
// is a product of these.
func (c Config) patchify(x *Node) *Node {
	b, s, p := x.Shape().Dim(0), c.Side, c.Patch
	x = Slice(x, AxisRange(), AxisRange(), AxisRange(0, s*p), AxisRange(0, s*p))
	x = TransposeAllAxes(Reshape(x, b, 3, s, p, s, p), 0, 2, 4, 1, 3, 5)
	return Reshape(x, b, s*s, 3*p*p)
}
