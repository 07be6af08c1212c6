// Package noise is the stage that draws a picture's starting noise: the same
// numbers on any machine, and the same as PyTorch's on a CPU.
package noise

import (
	"context"
	"fmt"
	"math"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/tensor"
)

// maxNumbers is far above what a picture of 16 megapixels takes (4 million).
const maxNumbers = 1 << 28

// Op draws latents of standard normal numbers from a seed. It has no inputs, and
// writes a safetensors file of one tensor, "latents".
type Op struct {
	Seed    uint64 // at most 2³²−1
	Shape   []int  // [channels, h, w] of latents
	Variant Variant
	DType   string // "float32", or "bfloat16": rounded to it, as the reference does for a model that computes in it
}

// Kind returns the stage's name and version.
func (Op) Kind() string { return "noise/1" }

// String describes the stage, for people.
func (o Op) String() string {
	s := fmt.Sprintf("seed %d", o.Seed)
	if o.Variant != AVX2 {
		s += ", " + string(o.Variant)
	}
	return s
}

// Run draws the noise.
func (o Op) Run(_ context.Context, c *eligen.Call) error {
	if o.Seed > math.MaxUint32 {
		return fmt.Errorf("seed %d: PyTorch's CPU generator takes seeds below 2³² only", o.Seed)
	}
	if o.Variant != AVX2 && o.Variant != Scalar && o.Variant != BFloat16 {
		return fmt.Errorf("there is no noise variant %q; choose avx2, scalar or bfloat16", o.Variant)
	}
	n := int64(1)
	for _, d := range o.Shape {
		if d < 1 || n > maxNumbers/int64(d) {
			return fmt.Errorf("noise of shape %v: more than %d numbers, or less than one", o.Shape, maxNumbers)
		}
		n *= int64(d)
	}
	t := Randn(o.Seed, o.Shape, o.Variant)
	if o.DType == "bfloat16" {
		for i, x := range t.Data {
			t.Data[i] = math.Float32frombits(uint32(tensor.BFloat16(x)) << 16)
		}
	}
	return tensor.Write(c.Out, nil, tensor.Named{Name: "latents", Tensor: t})
}
