package family

import (
	"context"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/exec"
	"github.com/eligen/eligen/model/weights"
)

// A Learning transformer can be taught a LoRA, whatever its weights are held as. A family whose
// transformer can't is none.
type Learning interface {
	Transformer
	// Adaptable lists the matrices [out, in] that EliGen's LoRA adapts.
	Adaptable() []weights.Weight
	// Learn returns a lesson's loss, w·mean((v − (ε − x₀))²), and its gradient with respect to each factor, where the
	// lesson doesn't ask for the loss only.
	// Room is the bytes that weights may take; 0 is no limit.
	Learn(ctx context.Context, h Host, s *exec.Store, room int64, x Lesson, f Factors) (loss float64, gradients Factors, err error)
}

// A Lesson is one picture to learn from, at one noise level.
type Lesson struct {
	Latents, Noise tensor.Tensor               // [C,h,w]
	Sigma          float32                     // noise level, 0–1
	Guidance       float32                     // embedded guidance, where the model takes one
	Weight         float32                     // of the loss
	Of             []float32                   // further weights of the loss, of each of h·w latent pixels; nil is 1
	Prompt         eligen.Conditioning         // txt, vec
	Entities       []eligen.EntityConditioning // tokens of regions, and their txt
	Only           bool                        // the loss is asked for, and no gradient
}

// Factors are a LoRA's, by the weight that they adapt: "double_blocks.0.img_attn.qkv.weight".
type Factors map[string]Pair

// A Pair is the factors of a LoRA for a weight [out, in]: the layer makes x·Wᵀ + (x·Aᵀ)·Bᵀ.
type Pair struct{ A, B tensor.Tensor } // [rank, in], [out, rank], float32
