package model_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
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
	"github.com/eligen/eligen/internal/pixels"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/detect"
	"github.com/eligen/eligen/model/encode"
	"github.com/eligen/eligen/model/exec"
	qwenfamily "github.com/eligen/eligen/model/family/qwen"
	"github.com/eligen/eligen/model/lora"
	"github.com/eligen/eligen/model/nn"
	"github.com/eligen/eligen/model/qwen"
	"github.com/eligen/eligen/model/sample"
	"github.com/eligen/eligen/model/text"
	"github.com/eligen/eligen/model/weights"
	"github.com/eligen/eligen/stage/noise"
)

// This file runs the cases of Qwen-Image.

// nearer compares as near does, by the tolerance that the case gives one tensor, if it does.
func (g *golden) nearer(t *testing.T, got map[string]tensor.Tensor, skip func(string) bool) {
	t.Helper()
	var tolerance map[string]float64
	g.field(t, "tolerance", &tolerance)
	for _, name := range sortedKeys(g.want) {
		if skip != nil && skip(name) {
			continue
		}
		x, ok := got[name]
		if !ok {
			t.Errorf("%s: not computed", name)
			continue
		}
		atol, own := tolerance[name+"_atol"]
		if !own {
			atol = tolerance["atol"]
		}
		near(t, name, x, g.want[name], atol, tolerance["rtol"])
	}
}

type qwenSizes struct {
	Dim, Heads, Layers int
	Axes               [3]int
	TextDim            int `json:"text_dim"`
}

func testQwenDiT(t *testing.T, s *suite, g *golden) {
	var sizes qwenSizes
	g.field(t, "config", &sizes)
	cfg := qwen.Config{Dim: sizes.Dim, Heads: sizes.Heads, Axes: sizes.Axes, Layers: sizes.Layers, TextDim: sizes.TextDim, MLPRatio: 4,
		LatentChannels: 16, Tanh: g.text("activation") == "tanh"}
	var base weights.Loader
	if path := g.text("model"); strings.HasSuffix(path, ".json") {
		base = newGenerated(t, g.path(path))
	} else {
		c := g.open(t, path)
		detected, err := detect.QwenTransformer(c)
		detected.Axes, detected.Tanh = cfg.Axes, cfg.Tanh // no checkpoint in one file says
		if err != nil || detected != cfg {
			t.Fatalf("%s is recognised as %+v, %v\nwant %+v", path, detected, err, cfg)
		}
		base = g.scale(t, c)
	}
	if !g.has("loras") {
		for _, form := range []string{"blocks", "padded", "mask"} {
			t.Run(form, func(t *testing.T) { g.nearer(t, g.qwenVelocity(t, s, cfg, form, base), g.skipped(form)) })
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
			f, err := lora.ParseFor(lora.Qwen, file, c, c.Metadata, nil)
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
			got := g.qwenVelocity(t, s, cfg, "blocks", over(multiplier))
			for name, want := range g.want {
				if module, ok := strings.CutPrefix(name, "fused."); ok {
					x := tensor.New(want.Shape...)
					if err := over(multiplier).Floats(strings.TrimSuffix(module, ".weight")+".weight", 0, x.Data); err != nil {
						t.Fatal(err)
					}
					got[name] = x
				}
				if scale, ok := strings.CutPrefix(name, "out_alpha_"); ok {
					x, err := strconv.ParseFloat(scale, 64)
					if err != nil {
						t.Fatal(err)
					}
					got[name] = g.qwenVelocity(t, s, cfg, "blocks", over(x))["out"]
				}
			}
			g.nearer(t, got, g.skipped("blocks"))
		})
	}
}

// skipped says which results a form doesn't have.
func (g *golden) skipped(form string) func(string) bool {
	return func(name string) bool { return name == "attention_mask" && form != "mask" }
}

// qwenVelocity runs the transformer with each entity in a group of its own, or all in one with padded
// text, or under a mask.
func (g *golden) qwenVelocity(t *testing.T, s *suite, cfg qwen.Config, form string, base weights.Loader) map[string]tensor.Tensor {
	t.Helper()
	inputs := maps.Clone(g.in)
	delete(inputs, "entity_masks")
	edits := len(keysWith(inputs, "edit_latents."))
	var lengths []int
	if masks, ok := g.in["entity_masks"]; ok {
		members := regions(masks)
		image := members.Shape[2]
		all := image
		for i := range edits {
			d := inputs[fmt.Sprintf("edit_latents.%d", i)].Shape
			all += d[2] / 2 * (d[3] / 2)
		}
		n := members.Shape[1]
		whole := tensor.New(1, n, all) // the regions, repeated over pictures of the same size
		for i := range whole.Data {
			whole.Data[i] = members.Data[i/all*image+i%all%image]
		}
		longest := 0
		for i := range n {
			lengths = append(lengths, g.in[fmt.Sprintf("entity_prompt_emb.%d", i)].Shape[1])
			longest = max(longest, lengths[i])
			one := tensor.Tensor{Shape: []int{1, 1, all}, Data: whole.Data[i*all : (i+1)*all]}
			switch form {
			case "mask":
				inputs[fmt.Sprintf("members.%d", i)] = one
			case "blocks":
				inputs[fmt.Sprintf("tokens.%d", i)] = tokens(one, 1)
			}
		}
		if form == "padded" {
			inputs["tokens"] = tokens(whole, 2)
			txt, of := tensor.New(1, n, longest+3, cfg.TextDim), tensor.New(1, n)
			for i := range n {
				name := fmt.Sprintf("entity_prompt_emb.%d", i)
				row := txt.Data[i*(longest+3)*cfg.TextDim:]
				for j := range (longest + 3) * cfg.TextDim {
					row[j] = 100 // what is padding is seen by nothing
				}
				copy(row, inputs[name].Data)
				of.Data[i] = float32(lengths[i])
				delete(inputs, name)
			}
			inputs["entity_txt"], inputs["entity_lengths"] = txt, of
		}
	}
	zero := g.has("zero_cond_t")
	name := fmt.Sprint("qwen dit ", cfg, form, lengths, edits, zero)
	got := s.run(t, name, base, dtypes.Float32, inputs, func(w nn.Weights, in map[string]*Node, keep func(string, *Node)) {
		input := qwen.Input{Latents: in["latents"], Timestep: in["timestep"], Txt: in["prompt_emb"], ZeroTime: zero, Trace: keep}
		for i := range edits {
			input.Edits = append(input.Edits, in[fmt.Sprintf("edit_latents.%d", i)])
		}
		for i := range lengths {
			if form == "padded" {
				lengths := ConvertDType(in["entity_lengths"], dtypes.Int32)
				input.Entities = []qwen.Entities{{Txt: in["entity_txt"], Lengths: lengths, Tokens: in["tokens"]}}
				break
			}
			input.Entities = append(input.Entities, qwen.Entities{Txt: ExpandAxes(in[fmt.Sprintf("entity_prompt_emb.%d", i)], 1),
				Tokens: in[fmt.Sprintf("tokens.%d", i)], Members: in[fmt.Sprintf("members.%d", i)]})
		}
		qwen.Velocity(w, cfg, input)
	})
	if mask, ok := got["attention_mask"]; ok { // ours adds 0 where attention is allowed
		for i, v := range mask.Data {
			mask.Data[i] = 0
			if v == 0 {
				mask.Data[i] = 1
			}
		}
	}
	if form == "padded" && len(lengths) > 0 {
		for name, x := range got {
			if strings.HasPrefix(name, "rope_") {
				got[name] = unpadded(tensor.Tensor{Shape: append([]int{1}, x.Shape...), Data: x.Data}, lengths, slices.Max(lengths)+3, 2)
			} else if strings.HasSuffix(name, ".txt") || name == "txt_embed" {
				got[name] = unpadded(x, lengths, slices.Max(lengths)+3, 3)
			}
		}
	}
	return got
}

// unpadded returns rows [1,L,..] without those of padding; the result has the last so many axes.
func unpadded(x tensor.Tensor, lengths []int, padded, rank int) tensor.Tensor {
	width := x.Shape[2]
	var data []float32
	for i, n := range lengths {
		data = append(data, x.Data[i*padded*width:(i*padded+n)*width]...)
	}
	data = append(data, x.Data[len(lengths)*padded*width:]...)
	return tensor.Tensor{Shape: []int{1, len(data) / width, width}[3-rank:], Data: data}
}

func keysWith[V any](m map[string]V, prefix string) (list []string) {
	for k := range m {
		if strings.HasPrefix(k, prefix) {
			list = append(list, k)
		}
	}
	return list
}

// testQwenRope compares the angles of some tokens of grids of several sizes.
func testQwenRope(t *testing.T, s *suite, g *golden) {
	var axes [3]int
	g.field(t, "axes", &axes)
	var grids []struct {
		Grid  [2]int
		Image []int `json:"image_tokens"`
		Text  []int `json:"text_tokens"`
		Start int   `json:"text_start"`
	}
	g.field(t, "grids", &grids)
	cfg := qwen.Config{Dim: axes[0] + axes[1] + axes[2], Heads: 1, Axes: axes}
	got := map[string]tensor.Tensor{}
	for i, c := range grids {
		b := qwen.Blocks{Config: cfg, Grids: []qwen.Grid{{Rows: c.Grid[0], Columns: c.Grid[1]}}, Global: slices.Max(c.Text) + 1}
		if got := qwen.Start(b.Grids); got != c.Start {
			t.Errorf("%v: text starts at %d, want %d", c.Grid, got, c.Start)
		}
		all := s.run(t, fmt.Sprint("qwen rope ", axes, c.Grid), none{}, dtypes.Float32, map[string]tensor.Tensor{"x": tensor.New(1)},
			func(_ nn.Weights, in map[string]*Node, keep func(string, *Node)) {
				cos, sin := b.Angles(in["x"].Graph())
				keep("cos", cos)
				keep("sin", sin)
			})
		for name, x := range all {
			n := x.Shape[1]
			var rows []float32
			for _, token := range c.Image {
				rows = append(rows, x.Data[(b.Global+token)*n:][:n]...)
			}
			for _, token := range c.Text {
				rows = append(rows, x.Data[token*n:][:n]...)
			}
			got[fmt.Sprintf("%d.%s", i, name)] = tensor.Tensor{Shape: []int{len(rows) / n, n}, Data: rows}
		}
	}
	g.compare(t, got, nil)
}

// none is a loader of no weights.
type none struct{}

func (none) Tensors() []tensor.Info              { return nil }
func (none) Floats(string, int, []float32) error { return os.ErrNotExist }
func (none) Bytes(string, []byte) (bool, error)  { return false, nil }

// testQwenText runs the text encoder on the case's ids, from each spelling of the checkpoint.
func testQwenText(t *testing.T, s *suite, g *golden) {
	var models []string
	if json.Unmarshal(g.raw["model"], &models) != nil {
		models = []string{g.text("model")}
	}
	var want struct {
		Dim, FF, Heads, Layers, Vocab int
		KVHeads                       int `json:"kv_heads"`
		Theta, Eps                    float64
	}
	g.field(t, "config", &want)
	cfg := text.QwenConfig{Dim: want.Dim, FF: want.FF, Heads: want.Heads, KVHeads: want.KVHeads, Layers: want.Layers, Vocab: want.Vocab,
		Theta: want.Theta, Epsilon: want.Eps}
	for _, model := range models {
		t.Run(filepath.Base(model), func(t *testing.T) {
			c := g.open(t, model)
			if c.Kind != weights.KindQwenVL {
				t.Fatalf("%s is recognised as %s, %s", model, c.Kind, c.Foreign)
			}
			if _, err := os.Stat(filepath.Join(c.Path, "config.json")); err == nil { // a file alone says nothing of heads
				if detected, err := detect.Qwen(c); err != nil || detected != cfg {
					t.Fatalf("%s is recognised as %+v, %v\nwant %+v", model, detected, err, cfg)
				}
			}
			got := map[string]tensor.Tensor{}
			base := g.scale(t, c)
			for _, name := range keysWith(g.in, "input_ids") {
				_, number, numbered := strings.Cut(name, ".")
				ids := map[string]tensor.Tensor{"input_ids": g.in[name]}
				out := s.run(t, fmt.Sprint("qwen text ", cfg, g.in[name].Shape), base, dtypes.Float32, ids,
					func(w nn.Weights, in map[string]*Node, keep func(string, *Node)) {
						keep("last_hidden", text.Qwen(w, cfg, ConvertDType(in["input_ids"], dtypes.Int32), keep))
					})
				if !numbered {
					maps.Copy(got, out)
				}
				g.keptRows(got, out["last_hidden"], number)
			}
			g.nearer(t, got, nil)
		})
	}
}

// keptRows adds the rows that a prompt's embedding has: those behind the template's first part, where
// nothing is padding.
func (g *golden) keptRows(got map[string]tensor.Tensor, x tensor.Tensor, number string) {
	n, width := x.Shape[1], x.Shape[2]
	for i := range x.Shape[0] {
		length := n
		if mask, ok := g.in["attention_mask"]; ok {
			length = 0
			for _, on := range mask.Data[i*n : (i+1)*n] {
				length += int(on)
			}
			number = strconv.Itoa(i)
		}
		rows := x.Data[(i*n+text.QwenDropped)*width : (i*n+length)*width]
		take := func(name string, rows []float32) {
			got[name] = tensor.Tensor{Shape: []int{1, len(rows) / width, width}, Data: rows}
		}
		name := "prompt_emb"
		if number != "" {
			name += "." + number
		}
		take(name, rows)
		for name, x := range g.want {
			switch name {
			case "first_rows":
				take(name, rows[:len(x.Data)])
			case "last_rows":
				take(name, rows[len(rows)-len(x.Data):])
			}
		}
	}
}

// testQwenTokenize compares token ids, exactly.
func testQwenTokenize(t *testing.T, g *golden) {
	var files []string
	g.field(t, "files", &files)
	for _, name := range files {
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile(g.path(name))
			if err != nil {
				t.Fatal(err)
			}
			var file struct {
				Tokenizer string
				Vocab     int `json:"vocab_size"`
				Prompts   []struct {
					Text     string
					Template *bool
					IDs      []int32
					Kept     *int
				}
				Truncated *struct {
					Text   string `json:"text_repeated"`
					Times  int
					N      int
					Length int     `json:"max_length"`
					First  []int32 `json:"first8"`
					Last   []int32 `json:"last8"`
					SHA256 string  `json:"sha256_int32_le"`
				} `json:"truncated_global_prompt"`
			}
			if err := json.Unmarshal(data, &file); err != nil {
				t.Fatal(err)
			}
			tok := g.qwenTokenizer(t, file.Tokenizer)
			if file.Vocab != 0 && tok.Vocab() != file.Vocab {
				t.Errorf("%d tokens, want %d", tok.Vocab(), file.Vocab)
			}
			for _, p := range file.Prompts {
				ids := tok.Tokens(p.Text)
				if p.Template == nil || *p.Template {
					var n int
					ids, n = tok.Encode(p.Text, 1<<20)
					if p.Kept != nil && *p.Kept != n || tok.Count(p.Text) != n {
						t.Errorf("%q: %d and %d are kept, want %d", p.Text, n, tok.Count(p.Text), *p.Kept)
					}
				}
				if !slices.Equal(ids, p.IDs) {
					t.Errorf("%q: ids differ\ngot  %v\nwant %v", p.Text, ids, p.IDs)
				}
			}
			if c := file.Truncated; c != nil {
				ids, _ := tok.Encode(strings.Repeat(c.Text, c.Times), c.Length-text.QwenDropped)
				h := sha256.New()
				for _, id := range ids {
					h.Write(binary.LittleEndian.AppendUint32(nil, uint32(id)))
				}
				if got := hex.EncodeToString(h.Sum(nil)); len(ids) != c.N || got != c.SHA256 {
					t.Errorf("%d ids, from %v to %v, want %d, %v, %v", len(ids), ids[:8], ids[len(ids)-8:], c.N, c.First, c.Last)
				}
			}
		})
	}
}

// qwenTokenizer returns the set's own tokenizer, or the embedded one where the set has none.
func (g *golden) qwenTokenizer(t *testing.T, folder string) *text.QwenTokenizer {
	t.Helper()
	merges, err := os.ReadFile(filepath.Join(g.path(folder), "merges.txt"))
	var tok *text.QwenTokenizer
	if os.IsNotExist(err) {
		tok, err = text.EmbeddedQwen()
	} else if err == nil {
		var vocab, added []byte
		vocab, err = os.ReadFile(filepath.Join(g.path(folder), "vocab.json"))
		if err == nil {
			added, err = os.ReadFile(filepath.Join(g.path(folder), "added_tokens.json"))
		}
		if err == nil {
			tok, err = text.NewQwenTokenizer(vocab, merges, added)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func testQwenVAE(t *testing.T, s *suite, g *golden) {
	c := g.open(t, g.text("model"))
	cfg, err := detect.QwenCoder(c)
	if err != nil {
		t.Fatal(err)
	}
	if g.has("tile_size") {
		g.compareQwenTiles(t, s, cfg, c)
		return
	}
	name := fmt.Sprint("qwen vae ", cfg)
	got := s.run(t, name, g.scale(t, c), dtypes.Float32, g.in, func(w nn.Weights, in map[string]*Node, keep func(string, *Node)) {
		trace, ends := qwen.CoderTrace(keep), []string{"out", "out"}
		if len(in) > 1 {
			trace, ends = nil, []string{"latents_out", "image_out"}
		}
		if x := in["image"]; x != nil {
			keep(ends[0], qwen.Encode(w, cfg, x, trace))
		}
		if x := in["latents"]; x != nil {
			keep(ends[1], qwen.Decode(w, cfg, x, trace))
		}
	})
	g.nearer(t, got, nil)
}

func testQwenScheduler(t *testing.T, g *golden) {
	var tolerance struct {
		Sigma    float64 `json:"sigma_atol"`
		Timestep float64 `json:"timestep_atol"`
	}
	g.field(t, "tolerance", &tolerance)
	type table struct {
		Steps             int
		Strength          *float64 `json:"denoising_strength"`
		Height, Width     *int
		Mu                *float64 `json:"exponential_shift_mu"`
		Of                float64  `json:"mu"`
		Sigmas, Timesteps []float32
	}
	compare := func(schedule string, list []table) {
		for _, c := range list {
			strength, tokens := 1.0, 0
			if c.Strength != nil {
				strength = *c.Strength
			}
			var shift *float64
			if c.Height != nil {
				tokens = *c.Height / 16 * (*c.Width / 16)
			} else if schedule == "qwen" {
				c.Mu = &c.Of
			}
			if c.Mu != nil {
				e := math.Exp(*c.Mu)
				shift = &e
			}
			name := fmt.Sprintf("%s, %d steps, strength %g, %d tokens", schedule, c.Steps, strength, tokens)
			sigmas, err := eligen.Sigmas(schedule, c.Steps, shift, strength, tokens)
			if c.Steps == 1 {
				if err == nil || !strings.Contains(err.Error(), "2 or more") {
					t.Errorf("%s: %v", name, err)
				}
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			near(t, name, vector(sigmas[:len(c.Sigmas)]), vector(c.Sigmas), tolerance.Sigma, 0)
			at := slices.Clone(sigmas[:len(c.Timesteps)])
			for i := range at {
				at[i] *= 1000
			}
			if len(c.Timesteps) > 0 {
				near(t, name+", timesteps", vector(at), vector(c.Timesteps), tolerance.Timestep, 0)
			}
		}
	}
	for key, schedule := range map[string]string{
		"diffsynth_tables": "qwen", "diffusers_tables": "qwen", "lightning_tables": "qwen-lightning",
	} {
		var list []table
		g.field(t, key, &list)
		compare(schedule, list)
	}
}

// testNoiseBF16 compares the noise of runs in bfloat16, in all kinds, bit by bit.
func testNoiseBF16(t *testing.T, g *golden) {
	var records []map[string]json.RawMessage
	g.field(t, "records", &records)
	for _, r := range records {
		var seed uint64
		var shape []int
		text := func(key string) (s string) { _ = json.Unmarshal(r[key], &s); return s }
		if json.Unmarshal(r["seed"], &seed) != nil || json.Unmarshal(r["shape"], &shape) != nil {
			t.Fatal("a record without seed or shape")
		}
		for variant, key := range map[noise.Variant]string{noise.AVX2: "", noise.Scalar: "_scalar", noise.BFloat16: "_old"} {
			x := noise.Randn(seed, shape, variant)
			h := sha256.New()
			for _, v := range x.Data {
				h.Write(binary.LittleEndian.AppendUint16(nil, tensor.BFloat16(v)))
			}
			if got := hex.EncodeToString(h.Sum(nil)); got != text("sha256"+key) {
				t.Errorf("seed %d, %v, %s: digest %s, want %s", seed, shape, variant, got, text("sha256"+key))
			}
			name := text("tensor")
			if variant == noise.BFloat16 {
				name = "old." + name
			}
			if want, ok := g.want[name]; ok && variant != noise.Scalar {
				for i := range x.Data {
					x.Data[i] = math.Float32frombits(uint32(tensor.BFloat16(x.Data[i])) << 16)
				}
				if !slices.Equal(x.Data, want.Data) {
					t.Errorf("%s: numbers differ", name)
				}
			}
		}
	}
}

// compareQwenTiles runs one half of the autoencoder tile by tile, and at once.
func (g *golden) compareQwenTiles(t *testing.T, s *suite, cfg qwen.CoderConfig, l weights.Loader) {
	coder := &qwenfamily.Coder{Config: cfg, Loader: l}
	store := exec.NewStore(s.runner.Backend, l, dtypes.Float32)
	defer func() {
		if err := store.Release(); err != nil {
			t.Error(err)
		}
	}()
	in, tiles, run := g.in["latents"], g.tiles(t), coder.Decode
	if small, ok := g.in["image_eighth"]; ok {
		in, run = enlarge(small, 8), coder.Encode
	}
	got := map[string]tensor.Tensor{}
	for name, tiles := range map[string]*eligen.Tiling{"out_full": nil, "out_tiled": tiles} {
		x, err := run(t.Context(), s.runner, store, tensor.Tensor{Shape: in.Shape[1:], Data: in.Data}, tiles)
		if err != nil {
			t.Fatal(err)
		}
		got[name] = tensor.Tensor{Shape: append([]int{1}, x.Shape...), Data: x.Data}
	}
	g.compare(t, got, nil)
}

// testQwenPipeline makes a picture from end to end by the family's parts: noise, prompts, steps, picture.
func testQwenPipeline(t *testing.T, s *suite, g *golden) {
	args := struct {
		Prompt         string
		NegativePrompt string `json:"negative_prompt"`
		Height, Width  int
		Seed           uint64
		Steps          int      `json:"num_inference_steps"`
		CFG            float64  `json:"cfg_scale"`
		Mu             *float64 `json:"exponential_shift_mu"`
		EntityPrompts  []string `json:"eligen_entity_prompts"`
		EntityMasks    []string `json:"eligen_entity_masks"`
		OnNegative     bool     `json:"eligen_enable_on_negative"`
		InputImage     string   `json:"input_image"`
		Strength       float64  `json:"denoising_strength"`
		InpaintMask    string   `json:"inpaint_mask"`
		BlurSize       *int     `json:"inpaint_blur_size"`
		BlurSigma      *float64 `json:"inpaint_blur_sigma"`
		Context        string   `json:"context_image"`
		Tiled          bool     `json:"tiled"`
		Tile           int      `json:"tile_size"`
		Stride         int      `json:"tile_stride"`
	}{Height: 1328, Width: 1328, Steps: 30, CFG: 4, Strength: 1, Tile: 128, Stride: 64}
	decoder := json.NewDecoder(bytes.NewReader(g.raw["arguments"]))
	decoder.DisallowUnknownFields() // none may be ignored
	if err := decoder.Decode(&args); err != nil {
		t.Fatalf("arguments: %v", err)
	}
	ceil := func(n int) int { return (n + 15) / 16 * 16 }
	canvas := eligen.Size{W: ceil(args.Width), H: ceil(args.Height)}
	h, w := canvas.H/8, canvas.W/8
	p := g.openQwen(t, s)
	got := map[string]tensor.Tensor{}
	batch := func(x tensor.Tensor) tensor.Tensor {
		return tensor.Tensor{Shape: append([]int{1}, x.Shape...), Data: x.Data}
	}
	prompt := func(name, prompt string, length int) eligen.Conditioning {
		ids, _ := p.tokens.Encode(prompt, length)
		x, err := p.text.States(t.Context(), s.runner, p.textStore, ids)
		if err != nil {
			t.Fatal(err)
		}
		got[name] = batch(x)
		return eligen.Conditioning{eligen.Txt: x}
	}

	d := eligen.Denoise{Patch: qwen.Patch, CFG: args.CFG, NegativeEntities: args.OnNegative, Rescale: p.transformer.Config.Tanh}
	d.Prompt = prompt("prompt_emb", args.Prompt, 4096)
	if args.CFG != 1 {
		d.Negative = prompt("negative_prompt_emb", args.NegativePrompt, 4096)
	}
	masks := tensor.Tensor{Shape: []int{1, len(args.EntityMasks), 1, h, w}}
	for i, name := range args.EntityMasks {
		region := maskRegion(g.readPicture(t, name))
		masks.Data = append(masks.Data, bits(region.LatentMask(canvas, eligen.DefaultGeometry), h, w).Data...)
		tokens := region.Tokens(canvas, eligen.DefaultGeometry)
		d.Entities = append(d.Entities, eligen.EntityConditioning{
			Prompt: prompt(fmt.Sprintf("entity_prompt_emb.%d", i), args.EntityPrompts[i], 1024),
			Tokens: tokens, Bucket: eligen.Bucket(len(tokens), h/2*(w/2)), Strength: 1,
		})
	}
	got["entity_masks"] = masks

	var shift *float64
	if args.Mu != nil {
		e := math.Exp(*args.Mu)
		shift = &e
	}
	var err error
	if d.Sigmas, err = eligen.Sigmas("qwen", args.Steps, shift, args.Strength, args.Height/16*(args.Width/16)); err != nil {
		t.Fatal(err)
	}
	var tiles *eligen.Tiling
	if args.Tiled {
		tiles = &eligen.Tiling{Tile: args.Tile, Stride: args.Stride}
	}
	encoded := func(name string) tensor.Tensor {
		img := g.readPicture(t, name)
		if b := img.Bounds(); b.Dx() != canvas.W || b.Dy() != canvas.H {
			pix, from := samples(img, 3)
			img = rgb(pixels.Resample(pix, 3, from, canvas, pixels.Bicubic), canvas)
		}
		x, err := p.coder.Encode(t.Context(), s.runner, p.coderStore, encode.Pixels(img), tiles)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	d.Latents = noise.Randn(args.Seed, []int{16, h, w}, noise.AVX2)
	if strings.Contains(g.text("note"), "bfloat16 run") {
		for i, x := range d.Latents.Data {
			d.Latents.Data[i] = math.Float32frombits(uint32(tensor.BFloat16(x)) << 16)
		}
	}
	if args.InputImage != "" {
		x := encoded(args.InputImage)
		got["input_latents"] = batch(x)
		for i := range x.Data {
			d.Latents.Data[i] = (1-d.Sigmas[0])*x.Data[i] + d.Sigmas[0]*d.Latents.Data[i]
		}
		if args.InpaintMask != "" {
			pix, from := samples(g.readPicture(t, args.InpaintMask), 3)
			latent := eligen.Size{W: w, H: h}
			paint := soften(pix, from, latent)
			if args.BlurSize != nil {
				paint = blurMask(paint, latent, *args.BlurSize, *args.BlurSigma)
			}
			got["inpaint_mask"] = tensor.Tensor{Shape: []int{1, 1, h, w}, Data: paint}
			d.Fusion = &eligen.Fusion{Picture: x, Paint: paint}
		}
	}
	if args.Context != "" {
		x := encoded(args.Context)
		p.transformer.Context = []tensor.Tensor{x}
		got["context_latents"] = batch(x)
	}
	got["init_latents"] = batch(clone(d.Latents))
	d.Step = func(step, _ int, x tensor.Tensor) { got[fmt.Sprintf("latents.%d", step-1)] = batch(clone(x)) }
	d.Velocity = func(step int, v []float32) {
		got[fmt.Sprintf("noise_pred.%d", step)] = batch(clone(tensor.Tensor{Shape: d.Latents.Shape, Data: v}))
	}
	positive, negative, err := p.transformer.Begin(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	defer positive.Close()
	for name, b := range map[string]sample.Branch{"positive": positive, "negative": negative} {
		if b == nil {
			continue
		}
		v, err := b.Velocity(d.Latents, 0)
		if err != nil {
			t.Fatal(err)
		}
		got["model_out.0."+name] = batch(v)
	}
	if negative != nil {
		defer negative.Close()
	}
	latents, err := sample.Integrate(t.Context(), d, positive, negative)
	if err != nil {
		t.Fatal(err)
	}
	picture, err := p.coder.Decode(t.Context(), s.runner, p.coderStore, latents, tiles)
	if err != nil {
		t.Fatal(err)
	}
	got["image_float"] = batch(picture)
	g.compare(t, got, nil)
	comparePictures(t, g.text("image"), encode.Picture(picture), g.readPicture(t, g.text("image")), 1)
}

// A qwenModel is a set's model, open.
type qwenModel struct {
	text                  *qwenfamily.Text
	tokens                *text.QwenTokenizer
	coder                 *qwenfamily.Coder
	transformer           *qwenfamily.Transformer
	textStore, coderStore *exec.Store
}

// openQwen opens the model of a pipeline's case.
func (g *golden) openQwen(t *testing.T, s *suite) *qwenModel {
	t.Helper()
	folder := strings.TrimSuffix(g.text("models"), "/")
	open := func(part string) *weights.Checkpoint { return g.open(t, folder+"/"+part) }
	store := func(l weights.Loader) *exec.Store {
		x := exec.NewStore(s.runner.Backend, l, dtypes.Float32)
		t.Cleanup(func() {
			if err := x.Release(); err != nil {
				t.Error(err)
			}
		})
		return x
	}
	ditFile, textFile, coderFile := open("transformer"), open("text_encoder"), open("vae")
	dit, err1 := detect.QwenTransformer(ditFile)
	encoder, err2 := detect.Qwen(textFile)
	coder, err3 := detect.QwenCoder(coderFile)
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	dit.Tanh = g.text("activation") == "tanh"
	var l weights.Loader = ditFile
	if path := g.text("lora"); path != "" {
		var scale float64
		g.field(t, "lora_alpha", &scale)
		c := g.open(t, path)
		f, err := lora.ParseFor(lora.Qwen, path, c, c.Metadata, nil)
		if err == nil {
			l, err = lora.Over(l, lora.Layer{File: f, Scale: scale})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return &qwenModel{
		text: &qwenfamily.Text{Config: encoder, Loader: textFile}, tokens: g.qwenTokenizer(t, folder+"/tokenizer"),
		coder:       &qwenfamily.Coder{Config: coder, Loader: coderFile},
		transformer: &qwenfamily.Transformer{Config: dit, Store: store(l), Runner: s.runner},
		textStore:   store(textFile), coderStore: store(coderFile),
	}
}
