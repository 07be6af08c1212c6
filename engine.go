package eligen

import (
	"context"
	"fmt"
	"image"

	"github.com/eligen/eligen/internal/tensor"
)

// An Engine runs models. Package model's runs them on GoMLX; package paint's
// fills regions with flat colours, for layout previews and fast tests.
//
// Spec resolves what a scene calls a model into digests of weights; the other
// verbs take those digests, so that a stage's recipe never holds a path.
type Engine interface {
	// ID names everything about the engine that can change bits: release,
	// backend, instruction set, plugin digest, dtype.
	ID() string
	// Spec is what planning must know of a model and its adapters. It reads file
	// headers and digests, no weights. Problems come as Diagnostics.
	Spec(Model, []Adapter) (Spec, error)
	// EncodePrompt runs the text encoders on a prompt.
	EncodePrompt(ctx context.Context, text Digest, prompt string, as Reading) (Conditioning, error)
	// EncodeImage returns the autoencoder's deterministic latents of a picture, in the
	// shape of the model's Geometry. tiles, which may be nil, saves memory, here and in Decode.
	EncodeImage(ctx context.Context, autoencoder Digest, img image.Image, tiles *Tiling) (tensor.Tensor, error)
	// EncodeImagePrompt is what an IP-Adapter makes of a picture, with the vision tower
	// that it was resolved with: [tokens, width]. A nil picture is one of which nothing
	// is seen, for the negative side.
	EncodeImagePrompt(ctx context.Context, adapter Digest, img image.Image) (tensor.Tensor, error)
	// Denoise integrates latents along the schedule: [channels, h, w] in and out.
	Denoise(ctx context.Context, d Denoise) (tensor.Tensor, error)
	// Decode turns latents [channels, h, w] into a picture.
	Decode(ctx context.Context, autoencoder Digest, latents tensor.Tensor, tiles *Tiling) (image.Image, error)
}

// Tiling has an autoencoder work on squares of a picture, one after the other, that
// overlap and are blended. It takes memory for a square instead of for the picture;
// seams may show, since a square knows nothing of the others.
type Tiling struct {
	Tile   int `json:"tile"`   // a square's side in latents
	Stride int `json:"stride"` // from one square to the next, at most Tile
}

// The reference's squares of latents.
const (
	DefaultTile   = 128
	DefaultStride = 64
)

// String returns what a stage says of the tiling behind its own words; nothing where
// there is none.
func (t *Tiling) String() string {
	if t == nil {
		return ""
	}
	return fmt.Sprintf(", in tiles of %d", t.Tile)
}

// A Spec is what planning must know of a model with its adapters.
type Spec struct {
	Family      string
	Geometry    Geometry
	Native      Size
	MaxEntities int // 0 is no limit

	Text        Digest // of the text encoders' weights
	Transformer Digest // of the DiT's weights
	Autoencoder Digest
	File        Digest // SHA-256 of the file that has the DiT, where it is one: others know the model by it
	Untrained   bool   // it draws by rules
	Adapters    []AdapterWeights
	Traits      []AdapterTraits // of each of Adapters; none may be said

	Encoders     []Encoder // of text; the first one's tokens are those that attention is over
	Prompt       Reading   // of the global and the negative prompt
	EntityPrompt Reading
	HasGuidance  bool // the model takes embedded guidance
	DType        string
	Computed     string // what is computed in, where DType says how weights are held; "" is DType

	Steps             int     // default without entities
	StepsWithEntities int     // default with entities
	CFG               float64 // default without a negative prompt
	CFGWithNegative   float64
	CFGWithEntities   float64
	CFGWithSource     float64 // default of transfers; 0 is as with entities
	Guidance          float64
	Schedule          string
	CleanSource       bool // default of transfers: the source is seen without noise

	// What its family says of LoRAs. EliGen and InContext: it has one of its own, which a
	// render with entities, or a transfer, has where it names no adapters. WithoutLoRA
	// begins the warning of a render with entities that has no LoRA; "" needs none.
	EliGen, InContext bool
	WithoutLoRA       string

	Blocks        int     // of the transformer, which a schedule may choose from; 0 is a family that takes none, -1 is not known
	Feathers      bool    // regions may cover tokens in part
	LeastTeaCache float64 // the step cache reuses nothing up to it; 0 is a family without one

	Sizes Sizes

	// What the model was made for, as far as it is known; nil and zeros are not known.
	Unread  func(prompt string) Unread `json:"-"`
	Objects []string                   // all that it can draw, where that is little
	Pixels  [2]int                     // fewest and most pixels of a picture

	Warnings Diagnostics // what doesn't keep the model from being used, and must be said
}

// TraitsOf returns those of adapter i.
func (s *Spec) TraitsOf(i int) AdapterTraits {
	if i < len(s.Traits) {
		return s.Traits[i]
	}
	return AdapterTraits{}
}

// TextTokens returns how many tokens of a prompt attention is over.
func (s *Spec) TextTokens(prompt string, as Reading) int {
	if !as.Unpadded || len(s.Encoders) == 0 {
		return as.Length
	}
	return min(as.Length, s.Encoders[0].Count(prompt))
}

// A Reading says how a model's text encoders read a prompt.
type Reading struct {
	Length   int  // tokens of the first encoder that the prompt is padded or cut to
	Unpadded bool // a shorter prompt keeps its own length: Length only cuts
	Pooled   bool // encoders that give one vector of a whole prompt read it too

	Adapters []AdapterWeights // LoRAs over the encoders
}

// An Encoder is a text encoder as planning must know it.
type Encoder struct {
	Name   string // for people: "T5"
	Role   string // follows the name: "the text encoder"
	Limit  int    // the most tokens that it reads of a prompt; 0 is the Reading's Length
	Pooled bool   // it gives one vector of a whole prompt

	// Count returns how many tokens a prompt has before it is cut, end markers included.
	Count func(prompt string) int `json:"-"`
}

// Sizes are what estimates of time and memory know of a model. They are in no
// recipe; zeros are not known.
type Sizes struct {
	Dim, MLP, Heads int // widths of the transformer's streams and of its blocks' hidden layers
	Double, Single  int // blocks with separate weights for text and image, and with one set
	TokenDim        int // features of an image token before it is embedded

	// Bytes of weights that are held while a part runs.
	Text, Transformer, Autoencoder int64
	Pictures, PictureKeys          int64 // while image prompts are read, and while keys and values are made of their tokens
	Together                       bool  // all parts fit, and stay

	// Stream finds what is held of the transformer while it takes steps in a number of bytes, 0 being
	// no limit, and StreamText what of the text encoders. Nil is of weights that can't pass through.
	Stream, StreamText func(room int64) Streamed `json:"-"`

	Stored  string // how most of the transformer is held: "bfloat16", "Q4_0", "int8"
	Program int64  // bytes of all else: code, the backend, what it leaves unused

	// Step is how many bytes denoising takes beside weights and Program, and how many of
	// them stay behind. Coding is how many the autoencoder takes to decode a picture of a
	// size, in pixels, and to encode one. Nil is not known.
	Step   func(StepSizes) (n, stay int64)
	Coding func(pixels Size) (decode, encode int64)

	PictureTokens int // of an image prompt
}

// Streamed is what is held of a network whose blocks pass through memory where not all fit.
type Streamed struct {
	Held    int64 // bytes of weights, those of the blocks on their way included
	Read    int64 // bytes that are read from files each time around: a step, or a prompt
	Decoded int64 // bytes that are made, each time around, of weights of fewer bits
}

// StepSizes are the sizes of a step of denoising, in tokens.
type StepSizes struct {
	Image, Text int // of the picture, and of the prompt
	Groups      []GroupSizes
	Pictures    int // of image prompts, on all branches
	Branches    int // 2 with a negative prompt, 1 without
}

// GroupSizes are entities whose regions are padded to one size.
type GroupSizes struct {
	Entities, Text, Region int // how many, and the tokens of each one's prompt and region
}

// Unread is what of a prompt a model makes nothing of.
type Unread struct {
	Pieces []Stretch // what the first encoder has no piece for, which are all the same to it
	Words  []string  // words that the model was never taught, where it was taught few
}

// A Stretch is characters of a prompt, and the word that they are in, where it has others.
type Stretch struct {
	Text string // several stretches of a word with commas between
	Word string
}

// AdapterWeights is an adapter as a recipe holds it.
type AdapterWeights struct {
	Kind   string
	Digest Digest // of "ip": of the adapter together with the vision tower
	Scale  float64
	Alpha  string // of "lora": "file" or "ignore"

	// Factors keeps a LoRA beside the weights, y = Wx + s·B(Ax), instead of in them: its
	// scale can change from picture to picture, and no weight has to be made again. The
	// last bits differ from those of W + s·BA.
	Factors bool `recipe:"omitzero"`
}

// AdapterTraits are what a plan must know of an adapter, and no definition holds.
type AdapterTraits struct {
	Text, TextOnly bool   // a LoRA that changes text encoders, or them alone
	Fixed          string // why its scale can't move; "" where it can

	// Bytes that its factors take where they lie beside the weights of the transformer, and of the text encoders.
	Beside, BesideText int64
}

// A Conditioning is an encoded prompt: tensors by the names that a family's transformer
// takes them by. Every family has Txt; those with a pooled vector have Vec where a prompt
// was read with it.
type Conditioning map[string]tensor.Tensor

// Names of tensors in a [Conditioning].
const (
	Txt = "txt" // states of the text's tokens, [tokens, width]
	Vec = "vec" // one vector of the whole prompt, [width]
)

// Denoise is one picture's worth of work.
type Denoise struct {
	Transformer      Digest
	Adapters         []AdapterWeights // LoRAs
	Patch            int              // latents that an image token covers in each direction
	Latents          tensor.Tensor    // [channels, h, w], already mixed for the first sigma
	Prompt           Conditioning
	Negative         Conditioning // nil where CFG is 1
	Entities         []EntityConditioning
	NegativeEntities bool                 // the reference's eligen_enable_on_negative
	Against          []EntityConditioning // those of the negative side, by their own prompts; without NegativeEntities
	Sigmas           []float32            // steps + 1, the last is 0
	CFG, Guidance    float64
	Fusion           *Fusion
	From             int                                       // steps already done; Latents is their result
	Step             func(step, of int, latents tensor.Tensor) // after each step; latents is valid during the call. May be nil
	Velocity         func(step int, v []float32)               // is shown each step's guided velocity, and may change it; may be nil

	// Rescale gives each token's guided velocity the length of the positive side's, as diffusers does
	// for Qwen-Image. It changes nothing without a negative side.
	Rescale bool

	// TeaCache, where it isn't 0, is how much the estimated changes of the velocity may
	// add up to before all of the model is run again; until then, a step reuses what the
	// last such step's blocks did. An approximation.
	TeaCache float64
	Decoding *Tiling // how the result is most likely decoded: what is to be compiled for it

	// Pictures that an IP-Adapter brings in, all at once. The reference has one on the
	// negative side wherever there are any: that of a vector of zeros, at scale 1.
	ImageAdapter                       Digest // "" where there are none
	ImagePrompts, NegativeImagePrompts []ImagePrompt
}

// ImagePrompt is a picture as an IP-Adapter sees it. What tokens find in it is
// multiplied by Scale; even at 0 it draws their attention from the other pictures.
type ImagePrompt struct {
	Tokens tensor.Tensor // [tokens, width]
	Scale  float64
}

// Fusion keeps a part of a picture: there, the velocity is the one that leads
// straight to the picture's latents, (x − x₀)/σ.
type Fusion struct {
	Picture tensor.Tensor // latents x₀ of the picture, [channels, h, w]
	Paint   []float32     // [h·w], how much of a latent is painted: 0 is kept, 1 is free
	// Before fuses the prompt's velocity alone, before guidance, as DiffSynth-Studio
	// 1.1 did: with a CFG other than 1 the negative prompt's reaches what should be
	// kept. Else it is the guided velocity that is fused, and what is kept ends as the
	// picture's latents.
	Before     bool
	Background float64 // where kept: (v_kept + Background·v)/(1 + Background)
}

// Fuse puts the velocity that keeps the picture in place of a part of v, [C·h·w],
// at latents x and noise level sigma.
func (p *Fusion) Fuse(v, x []float32, sigma float32) {
	cells := len(p.Paint)
	w := float32(p.Background)
	for i := range v {
		m := p.Paint[i%cells]
		if m == 1 {
			continue
		}
		keep := (x[i] - p.Picture.Data[i]) / sigma
		if w != 0 {
			keep = (keep + w*v[i]) / (1 + w)
		}
		v[i] = keep*(1-m) + v[i]*m
	}
}

// EntityConditioning is an entity as a model sees it.
type EntityConditioning struct {
	Prompt   Conditioning
	Tokens   []int32 // image tokens of its region, ascending
	Bucket   int     // how many tokens the region is padded to, at least len(Tokens)
	Strength float64 // its logarithm is added to the logits of the entity's text keys; 1 is the reference
	// Factors multiply Strength in each step; at 0, the entity is left out of the step. nil is 1. Blocks are the first and the
	// last block of the model in which the picture attends to the entity; nil is all.
	Factors []float32
	Blocks  *[2]int

	// Share and Seen are of each of Tokens, where entities lie over one another; either all entities have
	// them, or none, which is EliGen's rule. With attention A over the prompt and the picture, and
	// Eᵢ over entity i's text as well, a token gets A + Σ Shareᵢ·(Eᵢ − A). The entity's text sees a
	// token with the weight Seen.
	Share, Seen []float32

	// Cover is how much of each of Tokens the region covers, above 0 and at most 1: its logarithm is added to the logits of
	// the token on the entity's text, and the other way around. nil is 1.
	Cover []float32
}
