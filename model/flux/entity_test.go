package flux

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"

	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/nn"
	"github.com/eligen/eligen/model/regional"
)

// tiny has one of everything that differs: a double block, a single block and
// the last single block.
var tiny = Config{
	Dim: 32, Heads: 2, Axes: [3]int{4, 6, 6}, Double: 1, Single: 2,
	TextDim: 12, PooledDim: 8, Guidance: true, MLPRatio: 4, LatentChannels: 16,
}

const (
	rows, columns = 5, 6 // image tokens of the scenes below
	batch         = 2
)

// scene is N entities on a grid of rows×columns tokens: text of two different
// lengths, regions of every kind, others in each sample of the batch.
type scene struct {
	inputs tensorMap
	groups int
}

// newScene puts entity i in group i mod 2, whose text has 3 or 5 tokens.
func newScene(seed uint64, n int) scene {
	r := rand.New(rand.NewPCG(seed, 1))
	s := rows * columns
	in := with(randomWeights(r, tiny), tensorMap{
		"latents":  random(r, 1, batch, 16, 2*rows, 2*columns),
		"timestep": {Shape: []int{batch}, Data: []float32{988.2713, 430.5}},
		"guidance": {Shape: []int{batch}, Data: []float32{3.5, 1}},
		"txt":      random(r, 1, batch, 4, tiny.TextDim),
		"vec":      random(r, 1, batch, tiny.PooledDim),
	})
	sc := scene{inputs: in, groups: min(n, 2)}
	for g := range sc.groups {
		count := (n + 1 - g) / 2
		in[fmt.Sprintf("txt.%d", g)] = random(r, 1, batch, count, 3+2*g, tiny.TextDim)
		in[fmt.Sprintf("strength.%d", g)] = tensor.New(batch, count)
		members := tensor.New(batch, count, s)
		for b := range batch {
			for i := range count {
				region(r, members.Data[(b*count+i)*s:][:s], 2*i+g+b)
			}
		}
		sc.setMembers(g, members)
	}
	return sc
}

// region marks the tokens of the k-th kind of region.
func region(r *rand.Rand, on []float32, k int) {
	box := func(y0, x0, y1, x1 int) {
		for y := y0; y < y1; y++ {
			for x := x0; x < x1; x++ {
				on[y*columns+x] = 1
			}
		}
	}
	switch k % 6 {
	case 0:
		box(0, 0, 3, 4)
	case 1: // overlaps the first
		box(1, 2, rows, columns)
	case 2: // empty
	case 3: // full
		box(0, 0, rows, columns)
	case 4: // one token, the last: padding must not be taken for it
		box(rows-1, columns-1, rows, columns)
	case 5: // scattered
		for i := range on {
			on[i] = float32(r.IntN(2))
		}
	}
}

// setMembers sets the regions of a group in both forms.
func (sc scene) setMembers(g int, members tensor.Tensor) {
	n, s := members.Shape[1], members.Shape[2]
	lists := make([][]float32, batch*n)
	longest := 1
	for i := range lists {
		for j, on := range members.Data[i*s:][:s] {
			if on > 0 {
				lists[i] = append(lists[i], float32(j))
			}
		}
		longest = max(longest, len(lists[i]))
	}
	k := (longest + 3) &^ 3
	tokens := tensor.New(batch, n, k)
	for i, list := range lists {
		row := tokens.Data[i*k:][:k]
		for j := range row {
			row[j] = float32(s)
		}
		copy(row, list)
	}
	sc.inputs[fmt.Sprintf("members.%d", g)] = members
	sc.inputs[fmt.Sprintf("tokens.%d", g)] = tokens
}

func (sc scene) input(in map[string]*Node, form string) Input {
	x := Input{Latents: in["latents"], Timestep: in["timestep"], Guidance: in["guidance"], Txt: in["txt"], Vec: in["vec"]}
	for g := range sc.groups {
		e := Entities{Txt: in[fmt.Sprintf("txt.%d", g)], LogStrength: in[fmt.Sprintf("strength.%d", g)]}
		if form == "mask" {
			e.Members = in[fmt.Sprintf("members.%d", g)]
		} else {
			e.Tokens = in[fmt.Sprintf("tokens.%d", g)]
		}
		x.Entities = append(x.Entities, e)
	}
	return x
}

// velocity runs the model with the regions in one of the two forms.
func (sc scene) velocity(t *testing.T, be *runner, form string) tensor.Tensor {
	t.Helper()
	return be.run(t, fmt.Sprint(form, sc.groups), sc.inputs, func(w nn.Weights, in map[string]*Node) map[string]*Node {
		return map[string]*Node{"": Velocity(w, tiny, sc.input(in, form))}
	})[""]
}

func (sc scene) change(more tensorMap) scene {
	return scene{with(sc.inputs, more), sc.groups}
}

// The block form is exact: it computes what attention under the mask does.
func TestBlocksEqualMask(t *testing.T) {
	eachBackend(t, func(t *testing.T, be *runner) {
		for n := range 13 {
			if !be.isGo() && n != 12 {
				continue
			}
			sc := newScene(uint64(n), n)
			blocks, mask := sc.velocity(t, be, "blocks"), sc.velocity(t, be, "mask")
			d := distance(t, blocks, mask)
			if !(d <= 1e-5) {
				t.Errorf("%d entities: blocks and mask differ by %g", n, d)
			}
			t.Logf("%2d entities: max |Δ| %.2g", n, d)
		}
	})
}

// And so are its gradients.
func TestGradients(t *testing.T) {
	be := goBackend(t)
	sc := newScene(1, 5)
	names := []string{"latents", "txt", "txt.0", "txt.1", "strength.0",
		"w:double_blocks.0.txt_attn.qkv.weight", "w:double_blocks.0.img_attn.qkv.weight",
		"w:single_blocks.0.linear1.weight", "w:single_blocks.1.linear1.weight"}
	gradients := func(form string) tensorMap {
		return be.run(t, "gradient "+form, sc.inputs, func(w nn.Weights, in map[string]*Node) map[string]*Node {
			v := Velocity(w, tiny, sc.input(in, form))
			loss := ReduceAllMean(Mul(Square(v), AddScalar(in["latents"], 1)))
			var at []*Node
			for _, name := range names {
				at = append(at, in[name])
			}
			out := map[string]*Node{}
			for i, g := range Gradient(loss, at...) {
				out[names[i]] = g
			}
			return out
		})
	}
	blocks, mask := gradients("blocks"), gradients("mask")
	for _, name := range names {
		size := distance(t, mask[name], tensor.New(mask[name].Shape...))
		if d := distance(t, blocks[name], mask[name]); !(d <= 1e-4*size) || size == 0 {
			t.Errorf("%s: gradients differ by %g of %g", name, d, size)
		}
	}
}

// An entity without a token has no effect at all: its text can be anything, and
// the image is the same to the last bit. With a token it does have one.
func TestEntityWithoutToken(t *testing.T) {
	eachBackend(t, func(t *testing.T, be *runner) {
		r := rand.New(rand.NewPCG(9, 9))
		text := tensorMap{"txt.0": random(r, 3, batch, 1, 3, tiny.TextDim)}
		for _, form := range be.forms() {
			sc := newScene(3, 1)
			sc.setMembers(0, tensor.New(batch, 1, rows*columns))
			a, b := sc.velocity(t, be, form), sc.change(text).velocity(t, be, form)
			if d := distance(t, a, b); d != 0 {
				t.Errorf("%s: the text of an entity without a token changes the image by %g", form, d)
			}
			plain := scene{sc.inputs, 0}.velocity(t, be, form)
			if d := distance(t, a, plain); !(d <= 5e-6) {
				t.Errorf("%s: an entity without a token changes the image by %g", form, d)
			}
			one := tensor.New(batch, 1, rows*columns)
			one.Data[7] = 1
			sc.setMembers(0, one)
			if d := distance(t, sc.velocity(t, be, form), plain); d < 1e-3 {
				t.Errorf("%s: an entity with a token changes the image by %g only", form, d)
			}
		}
	})
}

// The order of entities doesn't matter.
func TestEntityOrder(t *testing.T) {
	eachBackend(t, func(t *testing.T, be *runner) {
		sc := newScene(4, 7)
		const n = 4 // entities of group 0
		order := []int{2, 0, 3, 1}
		permuted := tensorMap{}
		for _, name := range []string{"txt.0", "members.0", "tokens.0", "strength.0"} {
			permuted[name] = permute(sc.inputs[name], n, order)
		}
		for _, form := range be.forms() {
			a, b := sc.velocity(t, be, form), sc.change(permuted).velocity(t, be, form)
			if d := distance(t, a, b); !(d <= 5e-6) {
				t.Errorf("%s: another order of entities changes the image by %g", form, d)
			}
		}
	})
}

// permute reorders axis 1 of x [B,n,..].
func permute(x tensor.Tensor, n int, order []int) tensor.Tensor {
	out := tensor.New(x.Shape...)
	size := len(x.Data) / (x.Shape[0] * n)
	for b := range x.Shape[0] {
		for i, from := range order {
			copy(out.Data[(b*n+i)*size:][:size], x.Data[(b*n+from)*size:][:size])
		}
	}
	return out
}

// All text is at one position: the order of a prompt's tokens doesn't matter to
// the image, be it the global prompt or an entity's.
func TestTextOrder(t *testing.T) {
	be := goBackend(t)
	sc := newScene(5, 2)
	permuted := sc.change(tensorMap{
		"txt":   permute(sc.inputs["txt"], 4, []int{3, 1, 0, 2}),
		"txt.0": permute(sc.inputs["txt.0"], 3, []int{2, 0, 1}),
	})
	if d := distance(t, sc.velocity(t, be, "blocks"), permuted.velocity(t, be, "blocks")); !(d <= 5e-6) {
		t.Errorf("another order of text tokens changes the image by %g", d)
	}
}

// Image tokens are known by their positions, not by their places in the
// sequence: permuted with their positions and regions, they give the same
// results, permuted.
func TestImageTokenOrder(t *testing.T) {
	eachBackend(t, func(t *testing.T, be *runner) {
		const s = rows * columns
		sc := newScene(6, 3)
		r := rand.New(rand.NewPCG(6, 6))
		order := r.Perm(s)
		place := make([]int, s) // of each old token
		for i, from := range order {
			place[from] = i
		}
		indices := tensor.New(s, 1)
		for i, from := range order {
			indices.Data[i] = float32(from)
		}
		sc.inputs["img"] = random(r, 1, batch, s, tiny.Dim)

		blocks := func(sc scene, form string, permuted bool) tensor.Tensor {
			return be.run(t, fmt.Sprint("tokens ", form, permuted), sc.inputs, func(w nn.Weights, in map[string]*Node) map[string]*Node {
				input := sc.input(in, form)
				txt := joinText(w, tiny, input)
				next := modulations(Modulation(w, tiny, Embed(w, tiny, input.Timestep, input.Guidance, input.Vec)), batch, tiny.Dim)
				turn := rope(txt.Graph(), tiny, rows, columns, nil)
				if permuted {
					at := ConvertDType(in["order"], tokenDType)
					turn = rotation{Gather(turn.cos, at), Gather(turn.sin, at)}
				}
				a := newAttention(tiny, input, txt.Shape().Dim(1), s, turn)
				img, txt := doubleBlock(w.In("double_blocks.0"), a, in["img"], txt, next)
				x := singleBlock(w.In("single_blocks.0"), a, Concatenate([]*Node{txt, img}, 1), next)
				return map[string]*Node{"": lastSingleBlock(w.In("single_blocks.1"), a, x, next)}
			})[""]
		}
		moved := sc.change(tensorMap{"order": indices, "img": permute(sc.inputs["img"], s, order)})
		for g := range sc.groups {
			old := sc.inputs[fmt.Sprintf("members.%d", g)]
			members := tensor.New(old.Shape...)
			for i, on := range old.Data {
				members.Data[i/s*s+place[i%s]] = on
			}
			moved.setMembers(g, members)
		}
		for _, form := range be.forms() {
			want := permute(blocks(sc, form, false), s, order)
			if d := distance(t, blocks(moved, form, true), want); !(d <= 1e-5) {
				t.Errorf("%s: permuted image tokens give results that differ by %g", form, d)
			}
		}
	})
}

// An entity's strength weighs its text for the image: 1 changes nothing, 0 is
// as if the image didn't see it, and in between both forms agree.
func TestStrength(t *testing.T) {
	be := goBackend(t)
	sc := newScene(7, 5)
	if d := distance(t, sc.velocity(t, be, "blocks"), scene{without(sc.inputs, "strength.0", "strength.1"), 2}.velocity(t, be,
		"blocks")); d != 0 {
		t.Errorf("strength 1 changes the image by %g", d)
	}
	r := rand.New(rand.NewPCG(7, 7))
	weak := sc.change(tensorMap{"strength.0": random(r, 1, batch, 3), "strength.1": random(r, 1, batch, 2)})
	if d := distance(t, weak.velocity(t, be, "blocks"), weak.velocity(t, be, "mask")); !(d <= 1e-5) {
		t.Errorf("with strengths, blocks and mask differ by %g", d)
	}
	if d := distance(t, weak.velocity(t, be, "blocks"), sc.velocity(t, be, "blocks")); d < 1e-3 {
		t.Errorf("strengths change the image by %g only", d)
	}
	zero := func(n int) tensor.Tensor {
		x := tensor.New(batch, n)
		for i := range x.Data {
			x.Data[i] = float32(math.Inf(-1))
		}
		return x
	}
	off := sc.change(tensorMap{"strength.0": zero(3), "strength.1": zero(2)})
	plain := scene{sc.inputs, 0}.velocity(t, be, "blocks")
	for _, form := range []string{"blocks", "mask"} {
		if d := distance(t, off.velocity(t, be, form), plain); !(d <= 5e-6) {
			t.Errorf("%s: entities of strength 0 change the image by %g", form, d)
		}
	}
}

// Long sequences go through the attention in chunks of queries; that changes
// nothing.
func TestChunks(t *testing.T) {
	be := goBackend(t)
	sc := newScene(10, 4)
	for _, form := range []string{"blocks", "mask"} {
		want := sc.velocity(t, be, form)
		whole := regional.AtOnce
		regional.AtOnce = 1000 // of a few thousand in all
		chunks := sc.velocity(t, goBackend(t), form)
		regional.AtOnce = whole
		if d := distance(t, chunks, want); !(d <= 2e-6) {
			t.Errorf("%s: chunks change the image by %g", form, d)
		}
	}
}

// What doesn't change from step to step can be computed before, with the steps
// as the batch.
func TestPrecomputed(t *testing.T) {
	be := goBackend(t)
	sc := newScene(8, 3)
	want := sc.velocity(t, be, "blocks")
	got := be.run(t, "precomputed", sc.inputs, func(w nn.Weights, in map[string]*Node) map[string]*Node {
		x := sc.input(in, "blocks")
		x.Modulation = Modulation(w, tiny, Embed(w, tiny, x.Timestep, x.Guidance, x.Vec))
		x.Timestep, x.Guidance, x.Vec = nil, nil, nil
		x.Embedded, x.Txt = true, EmbedText(w, x.Txt)
		for i, e := range x.Entities {
			x.Entities[i].Txt = EmbedText(w, e.Txt)
		}
		return map[string]*Node{"": Velocity(w, tiny, x)}
	})[""]
	if d := distance(t, got, want); !(d <= 1e-6) {
		t.Errorf("precomputed text and modulation change the image by %g", d)
	}
}

func without(m tensorMap, names ...string) tensorMap {
	out := tensorMap{}
	for k, v := range m {
		if !slices.Contains(names, k) {
			out[k] = v
		}
	}
	return out
}
