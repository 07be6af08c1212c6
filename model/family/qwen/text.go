package qwen

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/exec"
	"github.com/eligen/eligen/model/family"
	"github.com/eligen/eligen/model/nn"
	"github.com/eligen/eligen/model/panics"
	"github.com/eligen/eligen/model/regional"
	"github.com/eligen/eligen/model/rows"
	"github.com/eligen/eligen/model/text"
	"github.com/eligen/eligen/model/weights"
)

// Text is a model's text encoder, with its tokenizer.
type Text struct {
	Config text.QwenConfig
	Loader weights.Loader
	Tokens *Tokenizer
	family.Numbers
	Digest eligen.Digest // of the weights
}

var _ family.Encoders = (*Text)(nil)

// planned returns the weights as they would be held.
func (p *Text) planned() weights.Loader {
	if p.Rows == "" {
		return p.Loader
	}
	return rows.Over(p.Loader, p.Rows, textMatrix)
}

// textMatrix reports whether a weight is held as integers where a model's are.
func textMatrix(name string) bool {
	return strings.HasPrefix(name, "model.layers.") && strings.HasSuffix(name, "_proj.weight")
}

// Bytes returns how many bytes of weights are held while prompts are read.
func (p *Text) Bytes() int64 { return exec.NewStore(nil, p.planned(), p.DType).Whole() }

// Plan finds what is held within a number of bytes.
func (p *Text) Plan(room int64, unpack bool) exec.Plan {
	return exec.NewStore(nil, p.planned(), p.DType).Plan(p.scopes(), every, room, unpack)
}

func every(string) bool { return true }

func (p *Text) scopes() (list []string) {
	for i := range p.Config.Layers {
		list = append(list, text.QwenScope(i))
	}
	return list
}

// Work returns how many attention scores a layer holds at once, with what becomes of them there.
func (p *Text) Work(tokens int) (w family.TextWork) {
	n := int64(padded(text.QwenDropped + tokens))
	w.Scores = 3 * min(int64(p.Config.Heads)*n*n, int64(regional.AtOnce))
	if p.DType.Size() < 4 {
		w.Matrix = int64(p.Config.Dim * p.Config.FF)
	}
	return w
}

// lengthStep is what the number of a prompt's tokens is rounded up to: each length is a graph to compile.
const lengthStep = 32

func padded(n int) int { return (n + lengthStep - 1) / lengthStep * lengthStep }

// Encode reads a prompt, and returns the states of its own tokens and of the template's end.
func (p *Text) Encode(ctx context.Context, h family.Host, prompt string, as eligen.Reading) (eligen.Conditioning, error) {
	if as.Pooled || !as.Unpadded {
		return nil, fmt.Errorf("Qwen2.5-VL reads prompts of their own length and gives no vector of the whole, and is asked for another: " +
			"this is a bug in eligen")
	}
	tokens, err := p.Tokens.Get()
	if err != nil {
		return nil, err
	}
	held, err := weights.Integers(p.Loader, p.Rows, textMatrix, p.Digest)
	if err != nil {
		return nil, err
	}
	s, err := h.Store("qwen2.5-vl "+string(p.Digest), held, p.DType)
	if err != nil {
		return nil, err
	}
	plan := s.Plan(p.scopes(), every, h.Room(p.Work(as.Length)), h.Unpacks(s))
	if err := s.Stream(plan, p.scopes(), every); err != nil {
		return nil, err
	}
	ids, _ := tokens.Encode(prompt, as.Length)
	txt, err := p.States(ctx, h.Runner(), s, ids)
	if err == nil {
		err = family.Finite("Qwen2.5-VL gave", txt)
	}
	return eligen.Conditioning{eligen.Txt: txt}, err
}

// States returns the last hidden states of token ids, without those of what is before the prompt:
// [len(ids) − QwenDropped, width]. Padding follows the ids, where nothing sees it.
func (p *Text) States(ctx context.Context, r *exec.Runner, s *exec.Store, ids []int32) (_ tensor.Tensor, err error) {
	defer panics.Catch("encoding the prompt with Qwen2.5-VL", &err)
	n := padded(len(ids))
	in := make([]int32, n)
	copy(in, ids)
	c := p.Config
	name := func(part string) string { return part + " " + exec.ConfigName(c) }
	out, err := r.Run(exec.Graph{Name: name("qwen-text-begin"), Build: func(w nn.Weights, in []*graph.Node) []*graph.Node {
		return []*graph.Node{text.QwenBegin(w, in[0])}
	}}, s, tensors.FromFlatDataAndDimensions(in, 1, n))
	for i := 0; i < c.Layers && err == nil; i++ {
		if err := ctx.Err(); err != nil {
			return tensor.Tensor{}, err
		}
		layer := func(w nn.Weights, in []*graph.Node) []*graph.Node { return []*graph.Node{text.QwenLayer(w, c, in[0])} }
		out, err = r.Run(exec.Graph{Name: name("qwen-text-layer"), Scope: text.QwenScope(i), Build: layer}, s, out[0])
	}
	if err == nil {
		out, err = r.Run(exec.Graph{Name: name("qwen-text-end"), Build: func(w nn.Weights, in []*graph.Node) []*graph.Node {
			return []*graph.Node{graph.ConvertDType(text.QwenEnd(w, c, in[0]), dtypes.Float32)}
		}}, s, out[0])
	}
	if err != nil {
		return tensor.Tensor{}, err
	}
	x, err := exec.Download(out[0], n, c.Dim)
	if err != nil {
		return tensor.Tensor{}, err
	}
	kept := len(ids) - text.QwenDropped
	return tensor.Tensor{Shape: []int{kept, c.Dim}, Data: x.Data[text.QwenDropped*c.Dim : len(ids)*c.Dim]}, nil
}

// Tokenizer is read when a prompt is first counted or encoded.
type Tokenizer struct {
	once sync.Once
	Load func() (*text.QwenTokenizer, error)
	Rows int // of the encoder's embedding
	t    *text.QwenTokenizer
	err  error
}

// Get returns the tokenizer, read at the first call. One whose ids the encoder has no rows for is refused.
func (t *Tokenizer) Get() (*text.QwenTokenizer, error) {
	t.once.Do(func() {
		if t.t, t.err = t.Load(); t.err == nil && t.t.Vocab() > t.Rows {
			t.err = fmt.Errorf("the tokenizer has %d tokens, the text encoder has rows for %d: they don't belong together", t.t.Vocab(), t.Rows)
		}
	})
	return t.t, t.err
}
