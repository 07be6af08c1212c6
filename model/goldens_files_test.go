package model_test

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/flux"
	"github.com/eligen/eligen/model/inspect"
	"github.com/eligen/eligen/model/nn"
	"github.com/eligen/eligen/model/quant"
	"github.com/eligen/eligen/model/text"
	"github.com/eligen/eligen/model/vae"
	"github.com/eligen/eligen/model/weights"
)

// A filePart is what a case says of one network in a file.
type filePart struct {
	Expected string
	Rows     map[string][]int
	Tensors  map[string]struct {
		Shape       []int
		SHA256      string
		Sum, L2     float64
		First, Last []float32
	}
}

// partKinds are the kinds of networks, by the fixtures' names.
var partKinds = map[string]string{"transformer": weights.KindTransformer, "clip": weights.KindCLIP, "t5": weights.KindT5,
	"vae": weights.KindAutoencoder}

// testCheckpoint opens a file as users have it, and compares every number of every network in it.
func testCheckpoint(t *testing.T, s *suite, g *golden) {
	path := g.path(g.name, g.text("open"))
	c, err := weights.Open(path)
	if err == nil {
		defer c.Close()
		err = c.Refused()
	}
	if err != nil {
		if strings.HasPrefix(g.text("expect"), "load, or refuse") {
			g.names(t, "message_must_name", err.Error())
			return
		}
		t.Fatal(err)
	}
	r, err := inspect.Path(path)
	if err != nil || r.Kind == weights.KindUnknown {
		t.Errorf("inspect takes it for %s, %v", r.Title, err)
	}
	if g.has("message_must_name_if_dropped") {
		g.names(t, "message_must_name_if_dropped", r.String())
	}
	var parts map[string]filePart
	g.field(t, "parts", &parts)
	for _, name := range sortedKeys(parts) {
		p := c.Of(partKinds[name])
		if p == nil {
			t.Errorf("it is %s, without the part %s", c.Kind, name)
			continue
		}
		g.checkSizes(t, name, len(parts) > 1, p)
		g.comparePart(t, s, name, p, parts[name])
	}
	if len(parts) > 1 && len(c.Parts()) != len(parts) {
		t.Errorf("it has %d parts, not %d", len(c.Parts()), len(parts))
	}
}

// checkSizes checks that a part has all tensors that the network of the case's sizes reads, and no other.
func (g *golden) checkSizes(t *testing.T, name string, several bool, p *weights.Checkpoint) {
	t.Helper()
	raw := g.raw["dims"]
	if several {
		var of map[string]json.RawMessage
		g.field(t, "dims", &of)
		raw = of[name]
	}
	var d struct {
		Dim, Heads                int
		Axes                      [3]int
		Double                    int `json:"n_double"`
		Single                    int `json:"n_single"`
		TextDim                   int `json:"text_dim"`
		PooledDim                 int `json:"pooled_dim"`
		Guidance                  bool
		Layers, FF, Vocab, Groups int
		DModel                    int `json:"d_model"`
		DFF                       int `json:"d_ff"`
		DKV                       int `json:"d_kv"`
		Ch                        int
	}
	if err := json.Unmarshal(raw, &d); err != nil {
		t.Fatal(err)
	}
	var list []weights.Weight
	switch name {
	case "transformer":
		list = weights.List(flux.Config{Dim: d.Dim, Heads: d.Heads, Axes: d.Axes, Double: d.Double, Single: d.Single, TextDim: d.TextDim,
			PooledDim: d.PooledDim, Guidance: d.Guidance, MLPRatio: mlpRatio(p, d.Dim), LatentChannels: 16}.Weights())
	case "clip":
		cfg, err := text.DetectCLIP(p.Shapes(), d.Heads)
		if err != nil || cfg.Dim != d.Dim || cfg.Layers != d.Layers || cfg.FF != d.FF || cfg.Vocab != d.Vocab {
			t.Errorf("CLIP is %+v, %v", cfg, err)
		}
		list = weights.List(cfg.Weights())
	case "t5":
		cfg, err := text.DetectT5(p.Shapes())
		if want := (text.T5Config{Dim: d.DModel, FF: d.DFF, HeadDim: d.DKV, Heads: d.Heads, Layers: d.Layers, Vocab: d.Vocab}); err != nil ||
			cfg != want {
			t.Errorf("T5 is %+v, %v", cfg, err)
		}
		list = weights.List(cfg.Weights())
	case "vae":
		cfg, err := vae.Detect(p.Shape)
		if err != nil || cfg.Ch != d.Ch {
			t.Errorf("the autoencoder is %+v, %v", cfg, err)
		}
		list = weights.List(cfg.Weights())
	}
	if err := weights.Check(p.Path, p, list); err != nil {
		t.Error(err)
	}
}

// mlpRatio returns the width of a block's MLP in widths of the transformer, which a case
// doesn't say.
func mlpRatio(p *weights.Checkpoint, dim int) int {
	if s := p.Shape("double_blocks.0.img_mlp.0.weight"); len(s) == 2 && dim > 0 {
		return s[0] / dim
	}
	return 4
}

// comparePart compares the numbers of a part: read whole, in pieces, as they are stored, and by the backend.
func (g *golden) comparePart(t *testing.T, s *suite, name string, p *weights.Checkpoint, want filePart) {
	t.Helper()
	rows, err := readTensors(g.path(g.name, want.Expected))
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Tensors()) != len(want.Tensors) {
		t.Errorf("%s has %d tensors, not %d", name, len(p.Tensors()), len(want.Tensors))
	}
	whole := map[string]tensor.Tensor{}
	for _, info := range p.Tensors() {
		x := tensor.New(info.Shape...)
		if err := p.Floats(info.Name, 0, x.Data); err != nil {
			t.Fatal(err)
		}
		whole[info.Name] = x
		w, ok := want.Tensors[info.Name]
		if !ok || !slices.Equal(info.Shape, w.Shape) {
			t.Errorf("%s: %s is %v, expected %v", name, info.Name, info.Shape, w.Shape)
			continue
		}
		var sum, square float64
		b := make([]byte, 0, 4*len(x.Data))
		for _, v := range x.Data {
			sum, square = sum+float64(v), square+float64(v)*float64(v)
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
		}
		if h := sha256.Sum256(b); hex.EncodeToString(h[:]) != w.SHA256 && g.Tolerance.RTol <= 1e-5 {
			t.Errorf("%s: the numbers of %s are others, by their SHA-256", name, info.Name)
		}
		loose := 10 * max(g.Tolerance.RTol, 1e-6)
		if l2 := math.Sqrt(square); math.Abs(l2-w.L2) > loose*w.L2 || math.Abs(sum-w.Sum) > loose*max(1, w.L2)*float64(len(x.Data)) {
			t.Errorf("%s: %s has the sum %v and the norm %v, expected %v and %v", name, info.Name, sum, l2, w.Sum, w.L2)
		}
		g.close(t, info.Name+", first", x.Data[:len(w.First)], w.First)
		g.close(t, info.Name+", last", x.Data[len(x.Data)-len(w.Last):], w.Last)
		testPieces(t, p, info, x.Data)
	}
	for _, n := range sortedKeys(rows) {
		g.close(t, n, rowsOf(whole[n], want.Rows[n]), rows[n].Data)
	}
	got := s.run(t, "weights of "+g.name+" "+name, p, dtypes.Float32, nil, func(w nn.Weights, _ map[string]*Node,
		keep func(string, *Node)) {
		for _, info := range p.Tensors() {
			keep(info.Name, w(info.Name))
		}
	})
	for n, x := range whole {
		if !slices.Equal(got[n].Data, x.Data) {
			t.Errorf("%s: the backend has other numbers of %s", name, n)
		}
	}
}

// rowsOf returns some rows of a tensor; none stand for all of it.
func rowsOf(x tensor.Tensor, rows []int) []float32 {
	if rows == nil {
		return x.Data
	}
	width := len(x.Data) / max(1, x.Shape[0])
	var out []float32
	for _, r := range rows {
		out = append(out, x.Data[r*width:(r+1)*width]...)
	}
	return out
}

// close compares numbers by the case's tolerance.
func (g *golden) close(t *testing.T, what string, got, want []float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d numbers, not %d", what, len(got), len(want))
		return
	}
	for i, w := range want {
		if d := math.Abs(float64(got[i]) - float64(w)); !(d <= g.Tolerance.ATol+g.Tolerance.RTol*math.Abs(float64(w))) &&
			!(w != w && got[i] != got[i]) && got[i] != w { // w != w: not a number
			t.Errorf("%s: number %d is %v, expected %v", what, i, got[i], w)
			return
		}
	}
}

// testPieces reads a tensor in pieces that end within blocks and rows, and as it is stored.
func testPieces(t *testing.T, p *weights.Checkpoint, info tensor.Info, want []float32) {
	t.Helper()
	packed, ok, err := p.Packed(info.Name)
	if err != nil {
		t.Fatal(err)
	}
	for _, piece := range []int{1, 7, 33, 300} {
		for from := 0; from < len(want) && from < 40*piece; from += piece + piece/2 {
			n := min(piece, len(want)-from)
			got := make([]float32, n)
			if err := p.Floats(info.Name, from, got); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got, want[from:from+n]) {
				t.Fatalf("%s: numbers %d to %d are others when they are read by themselves", info.Name, from, from+n)
			}
			if !ok {
				continue
			}
			clear(got)
			if packed.Decode(got, from); !slices.Equal(got, want[from:from+n]) {
				t.Fatalf("%s: numbers %d to %d are others when the tensor is kept as it is stored", info.Name, from, from+n)
			}
		}
	}
	if ok == quantPlain(info.DType) {
		t.Errorf("%s is %s, and packed: %t", info.Name, info.DType, ok)
	}
}

func quantPlain(dtype string) bool { f, ok := quant.Of(dtype); return ok && f.Plain() }

// testTable decodes single codes, or single blocks, of each format.
func testTable(t *testing.T, g *golden) {
	blocks := map[string]tensor.Tensor{}
	if g.has("types") {
		var err error
		if blocks, err = readTensors(g.path(g.name, g.text("open"))); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range sortedKeys(g.want) {
		f, ok := quant.Of(name)
		if !ok {
			t.Errorf("%s can't be decoded", name)
			continue
		}
		want := g.want[name].Data
		src := make([]byte, len(want))
		for i := range src {
			src[i] = byte(i)
		}
		if b, ok := blocks[name]; ok {
			src = src[:0]
			for _, x := range b.Data {
				src = append(src, byte(x))
			}
		}
		if f.Size(len(want)) != int64(len(src)) {
			t.Errorf("%s: %d bytes for %d numbers, not %d", name, len(src), len(want), f.Size(len(want)))
			continue
		}
		got := make([]float32, len(want))
		f.Decode(got, src)
		g.close(t, name, got, want)
	}
}

// testForeign opens what is no model that eligen runs, or is broken.
func testForeign(t *testing.T, g *golden) {
	path := g.path(g.name, g.text("open"))
	r, err := inspect.Path(path)
	message := r.Problem
	if err != nil {
		message = err.Error()
	}
	if message == "" {
		if !strings.HasPrefix(g.text("expect"), "load") {
			t.Fatalf("it is taken for %s", r.Title)
		}
		return
	}
	message = strings.ReplaceAll(message, filepath.Dir(path), "")
	g.names(t, "message_must_name", strings.ReplaceAll(message, filepath.Base(path), ""))
	if n := strings.Count(fmt.Sprint(message), "\n"); n > 22 {
		t.Errorf("the message has %d lines", n)
	}
}
