package model_test

import (
	"fmt"
	"image"
	"maps"
	"testing"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/detect"
	"github.com/eligen/eligen/model/encode"
	"github.com/eligen/eligen/model/exec"
	"github.com/eligen/eligen/model/flux"
	"github.com/eligen/eligen/model/fluxmodel"
	"github.com/eligen/eligen/model/nn"
	"github.com/eligen/eligen/model/vision"
	"github.com/eligen/eligen/model/weights"
)

// testSigLIP runs the vision tower on pixels, or on pictures and then what an
// IP-Adapter makes of them.
func testSigLIP(t *testing.T, s *suite, g *golden) {
	var want struct {
		Dim, Heads, Layers, FF, Patch int
		Size                          int `json:"image_size"`
	}
	g.field(t, "config", &want)
	c := g.open(t, g.text("model"))
	cfg, err := detect.SigLIP(c)
	if err != nil || (cfg != vision.Config{Dim: want.Dim, FF: want.FF, Heads: want.Heads, Layers: want.Layers, Patch: want.Patch,
		Side: want.Size / want.Patch, Size: want.Size}) {
		t.Fatalf("%s is recognised as %+v, %v\nwant %+v", g.text("model"), cfg, err, want)
	}
	if !g.has("images") {
		g.compare(t, s.siglip(t, cfg, g.scale(t, c), g.in["pixel_values"]), nil)
		return
	}
	var names []string
	g.field(t, "images", &names)
	pixels, means := tensor.Tensor{Shape: []int{len(names), 3, cfg.Size, cfg.Size}}, tensor.New(len(names), 3)
	for i, name := range names {
		x := cfg.Pixels(g.readPicture(t, name))
		pixels.Data = append(pixels.Data, x.Data...)
		for c := range 3 {
			sum, n := 0.0, cfg.Size*cfg.Size
			for _, v := range x.Data[c*n : (c+1)*n] {
				sum += float64(v)
			}
			means.Data[3*i+c] = float32(sum / float64(n))
		}
	}
	got := s.siglip(t, cfg, g.scale(t, c), pixels)
	got["pixels_checksum_per_channel_mean"] = means
	if w, ok := g.want["last_hidden_first_rows"]; ok {
		x := tensor.Tensor{Shape: w.Shape}
		for i := range names {
			x.Data = append(x.Data, got["last_hidden"].Data[i*cfg.Side*cfg.Side*cfg.Dim:][:w.Shape[1]*w.Shape[2]]...)
		}
		got["last_hidden_first_rows"] = x
	}
	adapter := g.openIP(t, g.text("ip_adapter"), "ip_config")
	maps.Copy(got, s.ip(t, adapter, map[string]tensor.Tensor{"image_embeds": got["pooler_output"]}))
	zero := s.ip(t, adapter, map[string]tensor.Tensor{"image_embeds": tensor.New(got["pooler_output"].Shape...)})
	got["ip_tokens_of_zero_embedding"] = zero["ip_tokens"]
	g.compare(t, got, nil)
}

func (s *suite) siglip(t *testing.T, cfg vision.Config, l weights.Loader, pixels tensor.Tensor) map[string]tensor.Tensor {
	t.Helper()
	return s.run(t, fmt.Sprint("siglip ", cfg), l, dtypes.Float32, map[string]tensor.Tensor{"pixel_values": pixels},
		func(w nn.Weights, in map[string]*Node, keep func(string, *Node)) {
			keep("pooler_output", vision.SigLIP(w, cfg, in["pixel_values"], keep))
		})
}

func testIPAdapter(t *testing.T, s *suite, g *golden) {
	g.compare(t, s.ip(t, g.openIP(t, g.text("model"), "config"), g.in), nil)
}

// An ipAdapter is a set's IP-Adapter, for a transformer of its sizes.
type ipAdapter struct {
	weights.Loader
	config flux.IPConfig
	heads  int
}

// openIP opens an IP-Adapter, and checks that it is recognised as an entry of the
// case's says.
func (g *golden) openIP(t *testing.T, path, config string) ipAdapter {
	t.Helper()
	var want struct {
		Heads    int
		HeadDim  int `json:"head_dim"`
		ImageDim int `json:"id_dim"`
		Blocks   int `json:"num_blocks"`
		TokenDim int `json:"cross_dim"`
		Tokens   int `json:"num_tokens"`
	}
	g.field(t, config, &want)
	c := g.open(t, path)
	cfg, err := detect.IPAdapter(c)
	if err != nil || (cfg != flux.IPConfig{ImageDim: want.ImageDim, Hidden: cfg.Hidden, Tokens: want.Tokens, TokenDim: want.TokenDim,
		Dim: want.Heads * want.HeadDim, Blocks: want.Blocks}) {
		t.Fatalf("%s is recognised as %+v, %v\nwant %+v", path, cfg, err, want)
	}
	return ipAdapter{g.scale(t, c), cfg, want.Heads}
}

// ip makes the tokens, keys and values of pictures' vectors "image_embeds".
func (s *suite) ip(t *testing.T, a ipAdapter, inputs map[string]tensor.Tensor) map[string]tensor.Tensor {
	t.Helper()
	return s.run(t, fmt.Sprint("ip-adapter ", a.config, a.heads), a, dtypes.Float32, inputs,
		func(w nn.Weights, in map[string]*Node, keep func(string, *Node)) {
			tokens := flux.ImageTokens(w, in["image_embeds"])
			keep("ip_tokens", tokens)
			pictures(w, flux.Config{Dim: a.config.Dim, Heads: a.heads}, a.config.Blocks, tokens, keep)
		})
}

// pictures returns the keys and values of each block, all pictures' [N,T,D] in a row.
func pictures(w nn.Weights, cfg flux.Config, blocks int, tokens *Node, keep func(string, *Node)) (list []flux.KeyValue) {
	tokens = Reshape(tokens, 1, -1, tokens.Shape().Dim(2))
	for i := range blocks {
		kv := flux.ImageKeyValue(w.In(flux.IPBlock(i)), cfg, tokens)
		if keep != nil {
			keep(fmt.Sprintf("ip_k.%d", i), Transpose(kv.K, 1, 2)) // [1,H,T,HeadDim]
			keep(fmt.Sprintf("ip_v.%d", i), Transpose(kv.V, 1, 2))
		}
		list = append(list, kv)
	}
	return list
}

// joined is the tensors of several loaders, no two of one name.
type joined []weights.Loader

func (j joined) Tensors() (list []tensor.Info) {
	for _, l := range j {
		list = append(list, l.Tensors()...)
	}
	return list
}

func (j joined) of(name string) weights.Loader {
	for _, l := range j {
		for _, t := range l.Tensors() {
			if t.Name == name {
				return l
			}
		}
	}
	return j[0]
}

func (j joined) Bytes(name string, dst []byte) (bool, error) { return j.of(name).Bytes(name, dst) }
func (j joined) Floats(name string, from int, dst []float32) error {
	return j.of(name).Floats(name, from, dst)
}

// readImagePrompts has the pictures of a pipeline's case read as the product does,
// and what stands for them on the negative side.
func (g *golden) readImagePrompts(t *testing.T, s *suite, e *pipelineEngine, dir string, names []string, scale float64) {
	t.Helper()
	tower, adapter := g.open(t, dir+"/image_encoder"), g.open(t, dir+"/ip-adapter.safetensors")
	store := func(l weights.Loader) *exec.Store {
		st := exec.NewStore(s.runner.Backend, l, dtypes.Float32)
		t.Cleanup(func() {
			if err := st.Release(); err != nil {
				t.Error(err)
			}
		})
		return st
	}
	encoder := encode.Vision{Store: store(tower), Runner: s.runner}
	e.transformer.Images = &fluxmodel.ImageAdapter{Store: store(adapter), Runner: s.runner}
	var err error
	if encoder.Config, err = detect.SigLIP(tower); err != nil {
		t.Fatal(err)
	}
	if e.transformer.Images.Config, err = detect.IPAdapter(adapter); err != nil {
		t.Fatal(err)
	}
	prompt := func(img image.Image, scale float64) eligen.ImagePrompt {
		vec := tensor.New(encoder.Config.Dim)
		if img != nil {
			if vec, err = encoder.Vector(img); err != nil {
				t.Fatal(err)
			}
		}
		tokens, err := e.transformer.Images.Tokens(vec)
		if err != nil {
			t.Fatal(err)
		}
		return eligen.ImagePrompt{Tokens: tokens, Scale: scale}
	}
	for _, name := range names {
		e.pictures = append(e.pictures, prompt(g.readPicture(t, name), scale))
	}
	e.noPicture = []eligen.ImagePrompt{prompt(nil, 1)}
}
