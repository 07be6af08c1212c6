package model_test

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/detect"
	"github.com/eligen/eligen/model/exec"
	"github.com/eligen/eligen/model/flux"
	"github.com/eligen/eligen/model/fluxmodel"
	"github.com/eligen/eligen/model/lora"
	"github.com/eligen/eligen/model/names"
	"github.com/eligen/eligen/model/nn"
	"github.com/eligen/eligen/model/weights"
)

// ditConfig is the entry "config" of a case of the transformer.
type ditConfig struct {
	Dim       int    `json:"dim"`
	Heads     int    `json:"heads"`
	Axes      [3]int `json:"axes"`
	Double    int    `json:"n_double"`
	Single    int    `json:"n_single"`
	TextDim   int    `json:"text_dim"`
	PooledDim int    `json:"pooled_dim"`
	Guidance  bool   `json:"guidance"`
}

func (c ditConfig) flux() flux.Config {
	return flux.Config{
		Dim: c.Dim, Heads: c.Heads, Axes: c.Axes, Double: c.Double, Single: c.Single,
		TextDim: c.TextDim, PooledDim: c.PooledDim, Guidance: c.Guidance, MLPRatio: 4, LatentChannels: 16,
	}
}

// regions reduces masks at latent resolution [B,N,1,h,w] to image tokens: a
// token is in a region if any of its four latents is.
func regions(masks tensor.Tensor) (members tensor.Tensor) {
	b, n, h, w := masks.Shape[0], masks.Shape[1], masks.Shape[3], masks.Shape[4]
	members = tensor.New(b, n, h/2*(w/2))
	for i := range b * n {
		for y := range h {
			for x := range w {
				if masks.Data[(i*h+y)*w+x] > 0 {
					members.Data[i*(h/2)*(w/2)+y/2*(w/2)+x/2] = 1
				}
			}
		}
	}
	return members
}

// tokens lists the members of each region, padded with the number of image
// tokens to the longest plus extra.
func tokens(members tensor.Tensor, extra int) tensor.Tensor {
	b, n, s := members.Shape[0], members.Shape[1], members.Shape[2]
	lists, longest := make([][]float32, b*n), 0
	for i := range lists {
		for j := range s {
			if members.Data[i*s+j] > 0 {
				lists[i] = append(lists[i], float32(j))
			}
		}
		longest = max(longest, len(lists[i]))
	}
	out := tensor.New(b, n, longest+extra)
	for i, l := range lists {
		row := out.Data[i*(longest+extra):][:longest+extra]
		for j := range row {
			row[j] = float32(s)
		}
		copy(row, l)
	}
	return out
}

// ditLoader gives a case's weights, and checks that the Config that the
// checkpoint is recognised as is the case's.
func (g *golden) ditLoader(t *testing.T, cfg flux.Config) weights.Loader {
	t.Helper()
	path := g.text("model")
	if strings.HasSuffix(path, ".json") {
		return newGenerated(t, g.path(path))
	}
	c := g.open(t, path)
	detected, err := detect.Transformer(c)
	detected.Axes = cfg.Axes // no checkpoint in one file says
	if err != nil || detected != cfg {
		t.Errorf("%s is recognised as %+v, %v\nwant %+v", path, detected, err, cfg)
	}
	return g.scale(t, c)
}

func testDiT(t *testing.T, s *suite, g *golden) {
	var config ditConfig
	g.field(t, "config", &config)
	cfg := config.flux()
	base := g.ditLoader(t, cfg)
	if g.has("tile_size") {
		g.compareTiled(t, s, cfg, base)
		return
	}
	inputs, forms := ditInputs(g.in)
	if path := g.text("ip_adapter"); path != "" {
		base = joined{base, g.openIP(t, path, "ip_config").Loader}
		var scale float32
		g.field(t, "ip_scale", &scale)
		inputs["ip_scale"] = tensor.Tensor{Shape: []int{1}, Data: []float32{scale}}
	}

	if !g.has("loras") {
		for _, form := range forms {
			t.Run(form, func(t *testing.T) {
				g.compareDiT(t, cfg, s.velocity(t, cfg, form, base, dtypes.Float32, inputs))
			})
		}
		if s.xla && forms[0] == "blocks" && g.in["latents"].Shape[0] == 1 {
			t.Run("bfloat16", func(t *testing.T) { g.reportBFloat16(t, s, cfg, base, inputs) })
		}
		return
	}
	var files []string
	g.field(t, "loras", &files)
	var multiplier float64
	g.field(t, "lora_alpha_multiplier", &multiplier)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			c := g.open(t, file)
			f, err := lora.Parse(file, c, c.Metadata, nil)
			if err != nil {
				t.Fatal(err)
			}
			over := func(scale float64) weights.Loader {
				l, err := lora.Over(base, lora.Layer{File: f, Scale: scale})
				if err != nil {
					t.Fatal(err)
				}
				return l
			}
			for _, form := range forms {
				g.compareDiT(t, cfg, s.velocity(t, cfg, form, over(multiplier), dtypes.Float32, inputs))
			}
			for _, m := range names.Modules(cfg.Double, cfg.Single, cfg.Guidance) {
				if want, ok := g.want["fused."+m.Native]; ok {
					got := tensor.New(want.Shape...)
					if err := over(multiplier).Floats(m.BFL+".weight", 0, got.Data); err != nil {
						t.Fatal(err)
					}
					g.near(t, "fused."+m.Native, got, want)
				}
			}
			for name, want := range g.want {
				if scale, ok := strings.CutPrefix(name, "out_alpha_"); ok {
					x, err := strconv.ParseFloat(scale, 64)
					if err != nil {
						t.Fatal(err)
					}
					g.near(t, name, s.velocity(t, cfg, forms[0], over(x), dtypes.Float32, inputs)["out"], want)
				}
			}
		})
	}
}

// compareTiled runs a step tile by tile, and at once.
func (g *golden) compareTiled(t *testing.T, s *suite, cfg flux.Config, base weights.Loader) {
	input := func(name string) tensor.Tensor {
		x := g.in[name]
		return tensor.Tensor{Shape: x.Shape[1:], Data: x.Data}
	}
	transformer := fluxmodel.Transformer{Config: cfg, Store: exec.NewStore(s.runner.Backend, base, dtypes.Float32), Runner: s.runner}
	defer func() {
		if err := transformer.Store.Release(); err != nil {
			t.Error(err)
		}
	}()
	work := eligen.Denoise{
		Latents: input("latents"), Prompt: eligen.Conditioning{eligen.Txt: input("prompt_emb"), eligen.Vec: input("pooled_prompt_emb")},
		Sigmas: []float32{g.in["timestep"].Data[0] / 1000, 0}, CFG: 1,
	}
	if x, ok := g.in["guidance"]; ok {
		work.Guidance = float64(x.Data[0])
	}
	got := map[string]tensor.Tensor{}
	for name, tiles := range map[string]*eligen.Tiling{"out_full": nil, "out_tiled": g.tiles(t)} {
		transformer.Tiles = tiles
		work.Velocity = func(_ int, v []float32) {
			got[name] = clone(tensor.Tensor{Shape: g.in["latents"].Shape, Data: v})
		}
		if _, err := transformer.Denoise(t.Context(), work); err != nil {
			t.Fatal(err)
		}
	}
	g.compare(t, got, nil)
	transformer.Tiles = g.tiles(t)
	work.Entities = []eligen.EntityConditioning{{Prompt: work.Prompt, Tokens: []int32{0}, Strength: 1}}
	if _, err := transformer.Denoise(t.Context(), work); err == nil || !strings.Contains(err.Error(), "no entities") {
		t.Errorf("entities, tile by tile: %v", err)
	}
}

// ditInputs replaces a case's masks by regions in both forms, and says in which
// forms it can run.
func ditInputs(in map[string]tensor.Tensor) (inputs map[string]tensor.Tensor, forms []string) {
	inputs = maps.Clone(in)
	masks, ok := inputs["entity_masks"]
	if !ok {
		return inputs, []string{"plain"}
	}
	delete(inputs, "entity_masks")
	inputs["members"] = regions(masks)
	inputs["tokens"] = tokens(inputs["members"], 1)
	return inputs, []string{"blocks", "mask"}
}

// velocity runs the transformer, with all intermediate results.
func (s *suite) velocity(t *testing.T, cfg flux.Config, form string, base weights.Loader, dtype dtypes.DType,
	inputs map[string]tensor.Tensor) map[string]tensor.Tensor {
	t.Helper()
	inputs = maps.Clone(inputs)
	switch form {
	case "blocks":
		delete(inputs, "members")
	case "mask":
		delete(inputs, "tokens")
	}
	return s.run(t, fmt.Sprint("dit ", cfg, form), base, dtype, inputs, func(w nn.Weights, in map[string]*Node, keep func(string, *Node)) {
		if dtype == dtypes.Float32 {
			flux.Velocity(w, cfg, withPictures(w, cfg, ditInput(in, keep), in))
		} else { // whose graphs take XLA four times as long: less of it to do
			keep("out", flux.Velocity(w, cfg, withPictures(w, cfg, ditInput(in, nil), in)))
		}
	})
}

// reportBFloat16 prints how far results in bfloat16 are from our own in float32,
// in the form that renders use.
func (g *golden) reportBFloat16(t *testing.T, s *suite, cfg flux.Config, base weights.Loader, inputs map[string]tensor.Tensor) {
	want := s.velocity(t, cfg, "blocks", base, dtypes.Float32, inputs)["out"]
	got := s.velocity(t, cfg, "blocks", base, dtypes.BFloat16, inputs)["out"]
	d := make([]float64, len(want.Data))
	square, size := 0.0, 0.0
	for i, w := range want.Data {
		d[i] = math.Abs(float64(got.Data[i] - w))
		square += d[i] * d[i]
		size += float64(w) * float64(w)
	}
	slices.Sort(d)
	relative := math.Sqrt(square / size)
	t.Logf("bfloat16 against float32: |Δ| median %.2g, 99 %% below %.2g, max %.2g; relative, root mean square: %.2g",
		d[len(d)/2], d[len(d)*99/100], d[len(d)-1], relative)
	// A number of bfloat16 has 8 bits; a wrong graph is wrong by its own size.
	if !(relative < 0.1) {
		t.Errorf("bfloat16 is off by %g of the velocity's size", relative)
	}
}

// ditInput returns an Input of a case's tensors.
func ditInput(in map[string]*Node, keep func(string, *Node)) flux.Input {
	input := flux.Input{
		Latents: in["latents"], Timestep: in["timestep"], Guidance: in["guidance"],
		Txt: in["prompt_emb"], Vec: in["pooled_prompt_emb"], Trace: keep,
	}
	if txt := in["entity_prompt_emb"]; txt != nil {
		input.Entities = []flux.Entities{{Txt: txt, Tokens: in["tokens"], Members: in["members"]}}
	}
	return input
}

// withPictures returns an Input with a case's image prompts, if it has any.
func withPictures(w nn.Weights, cfg flux.Config, input flux.Input, in map[string]*Node) flux.Input {
	vec := in["image_embeds"]
	if vec == nil {
		return input
	}
	tokens := flux.ImageTokens(w, vec)
	tokens = Reshape(tokens, 1, -1, tokens.Shape().Dim(2)) // all pictures in a row
	if input.Trace != nil {
		input.Trace("ip_tokens", tokens)
	}
	input.Pictures = pictures(w, cfg, cfg.Double+cfg.Single, tokens, input.Trace)
	for i, kv := range input.Pictures {
		input.Pictures[i] = kv.Scaled(BroadcastToDims(Reshape(in["ip_scale"], 1, 1), 1, tokens.Shape().Dim(1)))
	}
	return input
}

func (g *golden) compareDiT(t *testing.T, cfg flux.Config, got map[string]tensor.Tensor) {
	t.Helper()
	got = maps.Clone(got)
	want := maps.Clone(g.want)
	// Ours adds 0 where attention is allowed.
	if mask, ok := got["attention_mask"]; ok {
		for i, v := range mask.Data {
			mask.Data[i] = 0
			if v == 0 {
				mask.Data[i] = 1
			}
		}
	} else {
		delete(want, "attention_mask") // the block form has none
	}
	// The last block makes image rows only.
	last := fmt.Sprintf("single.%d", cfg.Single-1)
	if w, ok := want[last]; ok {
		want[last] = lastRows(w, got[last].Shape[1])
	}
	// Ours has the image's rows, once for the whole batch. Text isn't rotated.
	for name, identity := range map[string]float32{"rope_cos": 1, "rope_sin": 0} {
		w, ok := want[name]
		if !ok {
			continue
		}
		x := got[name]
		l, d := w.Shape[1], w.Shape[2]
		text := l - x.Shape[0]
		for b := range w.Shape[0] {
			sample := tensor.Tensor{Shape: []int{l, d}, Data: w.Data[b*l*d : (b+1)*l*d]}
			whole := tensor.New(l, d)
			for i := range text * d {
				whole.Data[i] = identity
			}
			copy(whole.Data[text*d:], x.Data)
			g.near(t, name, whole, sample)
		}
		delete(want, name)
	}
	other := *g
	other.want = want
	other.compare(t, got, func(name string) bool {
		return strings.HasPrefix(name, "fused.") || strings.HasPrefix(name, "out_alpha_")
	})
}

// lastRows cuts [B,L,D] to the last n rows.
func lastRows(x tensor.Tensor, n int) tensor.Tensor {
	b, l, d := x.Shape[0], x.Shape[1], x.Shape[2]
	out := tensor.Tensor{Shape: []int{b, n, d}}
	for i := range b {
		out.Data = append(out.Data, x.Data[(i*l+l-n)*d:(i+1)*l*d]...)
	}
	return out
}

// generated is a loader of weights made by the rule in the fixtures' README:
// splitmix64 of a seed and the tensor's name, scaled and shifted.
type generated struct {
	tensors []tensor.Info
	values  map[string][]float32
}

func newGenerated(t *testing.T, path string) *generated {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Seed    uint64
		Tensors map[string]struct {
			Shape         []int
			Scale, Offset float32
			SHA256        string
		}
	}
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	g := &generated{values: map[string][]float32{}}
	for _, name := range sortedKeys(file.Tensors) {
		e := file.Tensors[name]
		state := uint64(0xcbf29ce484222325)
		for _, b := range []byte(name) {
			state = (state ^ uint64(b)) * 0x100000001b3
		}
		state ^= file.Seed
		x := tensor.New(e.Shape...).Data
		sum := sha256.New()
		for i := range x {
			state += 0x9E3779B97F4A7C15
			z := state
			z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
			z = (z ^ z>>27) * 0x94D049BB133111EB
			z ^= z >> 31
			u := float32(int64(z>>40)-8388608) / 8388608
			x[i] = float32(u*e.Scale) + e.Offset
			sum.Write(binary.LittleEndian.AppendUint32(nil, math.Float32bits(x[i])))
		}
		if got := hex.EncodeToString(sum.Sum(nil)); got != e.SHA256 {
			t.Fatalf("generated tensor %s has the digest %s, want %s", name, got, e.SHA256)
		}
		g.values[name] = x
		g.tensors = append(g.tensors, tensor.Info{Name: name, DType: "F32", Shape: e.Shape, Size: int64(4 * len(x))})
	}
	return g
}

func (g *generated) Tensors() []tensor.Info             { return g.tensors }
func (g *generated) Bytes(string, []byte) (bool, error) { return false, nil }
func (g *generated) Floats(name string, from int, dst []float32) error {
	if copy(dst, g.values[name][min(from, len(g.values[name])):]) != len(dst) {
		return fmt.Errorf("tensor %q has no elements %d to %d", name, from, from+len(dst))
	}
	return nil
}
