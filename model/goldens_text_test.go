package model_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/detect"
	"github.com/eligen/eligen/model/nn"
	"github.com/eligen/eligen/model/text"
)

func testT5(t *testing.T, s *suite, g *golden) {
	var want struct {
		Dim     int `json:"d_model"`
		FF      int `json:"d_ff"`
		HeadDim int `json:"d_kv"`
		Heads   int `json:"heads"`
		Layers  int `json:"layers"`
		Vocab   int `json:"vocab"`
	}
	g.field(t, "config", &want)
	c := g.open(t, g.text("model"))
	cfg, err := detect.T5(c)
	if err != nil || cfg != text.T5Config(want) {
		t.Fatalf("%s is recognised as %+v, %v\nwant %+v", g.text("model"), cfg, err, want)
	}
	got := s.run(t, fmt.Sprint("t5 ", cfg), g.scale(t, c), dtypes.Float32, g.in,
		func(w nn.Weights, in map[string]*Node, keep func(string, *Node)) {
			keep("last_hidden", text.T5(w, cfg, ConvertDType(in["input_ids"], dtypes.Int32), keep))
		})
	bias := got["position_bias"] // [1,H,L,L]
	h, l := bias.Shape[1], bias.Shape[3]
	for name, row := range map[string]int{"position_bias_row0": 0, "position_bias_lastrow": l - 1} {
		x := tensor.Tensor{Shape: []int{h, l}}
		for i := range h {
			x.Data = append(x.Data, bias.Data[(i*l+row)*l:][:l]...)
		}
		got[name] = x
	}
	g.compare(t, got, nil)
}

func testCLIP(t *testing.T, s *suite, g *golden) {
	var want struct{ Dim, Heads, Layers, FF, Vocab int }
	g.field(t, "config", &want)
	c := g.open(t, g.text("model"))
	cfg, err := detect.CLIP(c)
	if err != nil || (cfg != text.CLIPConfig{Dim: want.Dim, FF: want.FF, Heads: want.Heads, Layers: want.Layers, Vocab: want.Vocab,
		Positions: cfg.Positions}) {
		t.Fatalf("%s is recognised as %+v, %v\nwant %+v", g.text("model"), cfg, err, want)
	}
	got := s.run(t, fmt.Sprint("clip ", cfg), g.scale(t, c), dtypes.Float32, g.in,
		func(w nn.Weights, in map[string]*Node, keep func(string, *Node)) {
			keep("pooled", text.CLIP(w, cfg, ConvertDType(in["input_ids"], dtypes.Int32), keep))
		})
	got["hidden_skip2"] = got[fmt.Sprintf("layer.%d", cfg.Layers-2)]
	for name, x := range got {
		// Of some results a case holds the first rows of the batch only.
		if w, ok := g.want[name]; ok && len(w.Data) < len(x.Data) && slices.Equal(w.Shape[1:], x.Shape[1:]) {
			got[name] = tensor.Tensor{Shape: w.Shape, Data: x.Data[:len(w.Data)]}
		}
	}
	g.compare(t, got, nil)
}

// testTokenize compares token ids, exactly.
func testTokenize(t *testing.T, g *golden) {
	var files []string
	g.field(t, "files", &files)
	for _, name := range files {
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile(g.path(g.name, name))
			if err != nil {
				t.Fatal(err)
			}
			var file struct {
				MaxLength int    `json:"max_length"`
				PadID     int32  `json:"pad_id"`
				BOS       *int32 `json:"bos_id"`
				Files     string `json:"tokenizer_files"`
				Prompts   []struct {
					Prompt      string
					IDs         []int32
					Pad         int              `json:"n_pad"`
					Untruncated int              `json:"n_untruncated"`
					Others      map[string][]any `json:"other_implementations"`
				}
			}
			if err := json.Unmarshal(data, &file); err != nil {
				t.Fatal(err)
			}
			if len(file.Prompts) == 0 {
				t.Fatal("no prompts")
			}
			var encode func(string, int) ([]int32, int)
			var count func(string) int
			if file.BOS == nil { // T5 has no begin marker
				tok := g.t5Tokenizer(t, file.Files)
				encode, count = tok.Encode, tok.Count
			} else {
				tok := g.clipTokenizer(t, file.Files)
				encode, count = tok.Encode, tok.Count
			}
			for _, p := range file.Prompts {
				want := append(slices.Clone(p.IDs), slices.Repeat([]int32{file.PadID}, p.Pad)...)
				ids, n := encode(p.Prompt, file.MaxLength)
				if !slices.Equal(ids, want) {
					t.Errorf("%q: ids differ\ngot  %v\nwant %v\nother implementations: %v", p.Prompt, ids, want, p.Others)
				}
				if n != p.Untruncated || count(p.Prompt) != n {
					t.Errorf("%q: %d and %d tokens, want %d", p.Prompt, n, count(p.Prompt), p.Untruncated)
				}
			}
		})
	}
}

// t5Tokenizer returns the set's own tokenizer, or the embedded one where the set has none.
func (g *golden) t5Tokenizer(t *testing.T, folder string) *text.T5Tokenizer {
	t.Helper()
	data, err := os.ReadFile(g.path(folder, "tokenizer.json"))
	var tok *text.T5Tokenizer
	if os.IsNotExist(err) {
		tok, err = text.EmbeddedT5()
	} else if err == nil {
		tok, err = text.NewT5Tokenizer(data)
	}
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func (g *golden) clipTokenizer(t *testing.T, folder string) *text.CLIPTokenizer {
	t.Helper()
	var tok *text.CLIPTokenizer
	vocab, err := os.ReadFile(g.path(folder, "vocab.json"))
	if os.IsNotExist(err) {
		tok, err = text.EmbeddedCLIP()
	} else if err == nil {
		var merges []byte
		if merges, err = os.ReadFile(filepath.Join(g.path(folder), "merges.txt")); err == nil {
			tok, err = text.NewCLIPTokenizer(vocab, merges)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return tok
}
