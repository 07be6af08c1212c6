// Package family is what a family of models gives the engine, and what the engine lends
// it. Each family is a folder below this one, and a line in a table of them.
package family

import (
	"context"
	"fmt"
	"image"
	"slices"
	"strings"

	"github.com/gomlx/compute/dtypes"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/cache"
	"github.com/eligen/eligen/model/exec"
	"github.com/eligen/eligen/model/lora"
	"github.com/eligen/eligen/model/rows"
	"github.com/eligen/eligen/model/sample"
	"github.com/eligen/eligen/model/weights"
)

// A Family is a kind of model that a scene can name.
type Family struct {
	eligen.Family

	// Outline returns what holds of all models of the family before a file is read: for
	// an engine without weights, which shows where things will be.
	Outline func() eligen.Spec
	// Resolve finds a model's parts and defaults, from headers and digests alone. The model's
	// paths are those of files and folders.
	Resolve func(m eligen.Model, s Settings) (*Model, error)
	// Wanted returns which files of a repository a model needs: of a part that is published in
	// several forms, the one that Resolve prefers. It returns nil where the files are no model of the
	// family. Nil: the family's models are in no repository.
	Wanted func(names []string) []string
	// Describe returns the family's published model in a form, as if its files were there, for estimates of
	// what it takes: none of its weights can be read. Nil: the family has none.
	Describe func(m eligen.Model, f Form, s Settings) (*Model, error)
}

// A Form is what formats a published model's files have: "BF16", "F8_E4M3", "Q4_0".
type Form struct{ Transformer, Text string }

// A Table is the families that an engine knows.
type Table []Family

// Find returns a family by its name.
func (t Table) Find(name string) (Family, error) {
	var names []string
	for _, f := range t {
		if f.Name == name {
			return f, nil
		}
		names = append(names, f.Name)
	}
	slices.Sort(names)
	if last := len(names) - 1; last > 0 {
		names = []string{strings.Join(names[:last], ", "), names[last]}
	}
	return Family{}, fmt.Errorf("there is no model family %q. The families are %s", name, strings.Join(names, " and "))
}

// Wanted returns the files of a repository that a family of models needs, and the family's name. Where they
// are a model of none, it returns nil.
func (t Table) Wanted(names []string) (family string, files []string) {
	for _, f := range t {
		if f.Wanted == nil {
			continue
		}
		if files := f.Wanted(names); files != nil {
			return f.Name, files
		}
	}
	return "", nil
}

// Known returns the families as loading a scene must know them.
func (t Table) Known() (list []eligen.Family) {
	for _, f := range t {
		list = append(list, f.Family)
	}
	return list
}

// Settings are what a model is resolved under.
type Settings struct {
	Embedded string // folder to take weights from in place of embedded ones; "" is the family's choice
	// DType chooses what the transformer and the text encoders are computed in, and how their
	// weights are held; best is the dtype that suits the family best.
	DType func(m eligen.Model, best string) (Numbers, error)
	// Beside returns the folders in which a part of the model at a path may lie, apart from the
	// path's own; nil where there are none.
	Beside func(path, part string) []string
}

// Numbers are how a part computes, and how its weights are held.
type Numbers struct {
	Name     string       // of the dtype, as a scene says it: "bfloat16", "int8"
	Computed string       // what is computed in: Name, unless that is of integers
	DType    dtypes.DType // of Computed
	Rows     rows.Form    // of large matrices; "" is as they are computed in
}

// Rounded is the Spec's Computed: "" where it is its DType.
func (n Numbers) Rounded() string {
	if n.Computed == n.Name {
		return ""
	}
	return n.Computed
}

// A Model is what a plan needs to know of it, and its parts, open.
type Model struct {
	Spec        eligen.Spec // without adapters and sizes
	Encoders    Encoders
	Transformer Transformer
	Autoencoder Autoencoder

	// The family's own LoRAs: EliGen's, and that for transfers. Nil where it has none.
	EliGen, InContext func() (*weights.Checkpoint, eligen.Digest, error)
	// LoRA reads an open file as a LoRA for the transformer; nil: the family takes none.
	LoRA func(*weights.Checkpoint) (*lora.File, error)
	// Images opens what reads an adapter's pictures; nil: the family takes no image
	// prompts. Files of a failure are closed.
	Images func(*eligen.Adapter) (Images, []AdapterError)

	Files int64 // bytes of a described model's files; 0 of others

	Open []*weights.Checkpoint // that the parts are read from
	Read []cache.Stamp         // of other files that it was made from, or would be if they were there, before they were read
}

// Current reports whether all files that the model was made from are as they were.
func (r *Model) Current() bool {
	return !slices.ContainsFunc(r.Open, func(c *weights.Checkpoint) bool { return !c.Current() }) &&
		!slices.ContainsFunc(r.Read, func(s cache.Stamp) bool { return !s.Current() })
}

// Close closes all files. The model can't be used after it.
func (r *Model) Close() {
	for _, c := range r.Open {
		c.Close()
	}
	r.Open = nil
}

// A Host is the engine as it lends itself to a part that has the turn.
type Host interface {
	Runner() *exec.Runner
	// Store returns the store of weights under a key that no other weights of any model
	// have. Those of other parts go where all together would take too much memory.
	Store(key string, l weights.Loader, dtype dtypes.DType) (*exec.Store, error)
	// Lean reports whether a store's weights take so much memory that those which are done
	// with should go at once.
	Lean(s *exec.Store) bool
	// Unpacks reports whether a store's weights are held as they are computed with, if they fit, though its
	// files store them in fewer bits.
	Unpacks(s *exec.Store) bool
	// Room returns how many bytes a prompt's encoder may hold that computes so much; 0 is no limit.
	Room(TextWork) int64
}

// TextWork is what reading a prompt takes memory for, beside weights.
type TextWork struct {
	Scores int64 // attention scores of all layers, or of one where each is a graph
	Matrix int64 // numbers of a layer's largest matrix, of less than 32 bits each; 0 where they are float32
}

// Encoders turn prompts into what a transformer takes.
type Encoders interface {
	// Bytes returns how many bytes of weights are held while prompts are read.
	Bytes() int64
	// Plan finds what is held of them within a number of bytes, 0 being no limit. Unpack has weights
	// of fewer bits in the files held as they are computed with.
	Plan(room int64, unpack bool) exec.Plan
	// Work returns what reading a prompt of so many tokens takes memory for.
	Work(tokens int) TextWork
	// Encode reads a prompt. as.Length is 1 or more.
	Encode(ctx context.Context, h Host, prompt string, as eligen.Reading) (eligen.Conditioning, error)
}

// LayeredEncoders are Encoders that take LoRAs.
type LayeredEncoders interface {
	Encoders
	// Under returns the encoders with their weights as lay returns them for each component.
	Under(lay func(part lora.Part, base weights.Loader, held Held) (Layered, error)) (Encoders, error)
}

// Held returns weights as they are held in memory: over is what the files have, or LoRAs merged
// into it. Nil holds them as they are computed in.
type Held func(over weights.Loader) (weights.Loader, error)

// Layered is a component's weights under LoRAs.
type Layered struct {
	weights.Loader
	Key    string    // that tells them from the weights without; "" where they are the same
	Scales []float32 // of LoRAs beside the weights
}

// A Transformer gives velocities.
type Transformer interface {
	Weights() weights.Loader // as they are in the files
	// Held returns weights as they are held in memory: over is Weights, or LoRAs merged into it.
	Held(over weights.Loader) (weights.Loader, error)
	DType() dtypes.DType
	Shape() Shape
	// Scopes lists what the names of each block's weights begin with, in the order of a step. A
	// family whose blocks can't pass through memory has none.
	Scopes() []string
	// StepWeight reports whether steps read a weight; others are done with before them.
	StepWeight(name string) bool
	// Begin checks a picture's work, computes what its steps share, and compiles their
	// graphs. negative is nil where there is no negative side.
	Begin(ctx context.Context, h Host, w Work) (positive, negative sample.Branch, err error)
}

// Work is what a transformer is given for one picture.
type Work struct {
	eligen.Denoise
	Images     Images                      // that its image prompts were read by; nil for none
	Store      func() (*exec.Store, error) // of the transformer's weights under the work's LoRAs
	Room       int64                       // bytes that weights of steps may take; 0 is no limit
	Precompile []exec.CompileRequest       // graphs that are wanted after it, to be compiled along
}

// An Autoencoder turns pictures into latents and back. It computes in float32: its weights
// are few, and pictures show its rounding.
type Autoencoder interface {
	Weights() weights.Loader
	Shape() CoderShape
	// Encode returns the deterministic latents [C,h,w] of a picture [3,H,W] in [−1,1].
	Encode(ctx context.Context, r *exec.Runner, s *exec.Store, picture tensor.Tensor, tiles *eligen.Tiling) (tensor.Tensor, error)
	// Decode returns the picture [3,H,W], about [−1,1], of latents [C,h,w].
	Decode(ctx context.Context, r *exec.Runner, s *exec.Store, latents tensor.Tensor, tiles *eligen.Tiling) (tensor.Tensor, error)
	// Decoding asks for the graph that decodes latents of a shape [C,h,w].
	Decoding(s *exec.Store, latents ...int) exec.CompileRequest
}

// Images reads image prompts for a transformer: an IP-Adapter with its vision tower.
type Images interface {
	Digest() eligen.Digest
	Open() []*weights.Checkpoint // that it is read from
	// Sizes puts its sizes among those of its model.
	Sizes(s *eligen.Sizes)
	// Tokens returns what a transformer sees of a picture: [tokens,width]; of nil, what it
	// sees of none.
	Tokens(ctx context.Context, h Host, picture image.Image) (tensor.Tensor, error)
}

// An AdapterError is what is wrong with an adapter, at one of its arguments.
type AdapterError struct {
	Argument string
	Err      error
}

// A Shape is what estimates must know of a transformer.
type Shape struct {
	Dim, MLP, Heads int  // widths of its streams and of its blocks' hidden layers
	Double, Single  int  // blocks with separate weights for text and image, and with one set
	TokenDim        int  // features of an image token before it is embedded
	Scores          int  // the most attention scores that are computed at once
	Layered         bool // what comes before the steps is made layer by layer
}

// A CoderShape is what estimates must know of an autoencoder.
type CoderShape struct {
	Widths []int // of its levels, from full size down
	Factor int   // pixels that a latent covers in each direction
	Scores int   // as a Shape's
}

// Digest returns the digest that stands for a part: of what it is made from, and of how
// it computes.
func Digest(part, dtype string, config any, from ...eligen.Digest) eligen.Digest {
	var b strings.Builder
	fmt.Fprintf(&b, "eligen weights 1\n%s\n%s\n%s\n", part, dtype, exec.ConfigName(config))
	for _, d := range from {
		fmt.Fprintf(&b, "%s\n", d)
	}
	return eligen.DigestOf([]byte(b.String()))
}

// Finite returns an error that names the first number that is none: one makes the rest of
// a picture black, and nothing after it would say so.
func Finite(what string, t tensor.Tensor) error {
	for _, x := range t.Data {
		if x-x != 0 { // of infinity and of NaN alone
			return fmt.Errorf("%s %v, which is no finite number. Its weights may be damaged: get the file anew, "+
				"or compute in float32 where they were made for it", what, x)
		}
	}
	return nil
}
