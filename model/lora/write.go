package lora

import (
	"fmt"
	"math"
	"slices"

	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/names"
)

// A Factor is an update of one linear layer to write: alpha/rank·B·A.
type Factor struct {
	Part   Part          // the component that it is for
	Module string        // Black Forest Labs' name, "double_blocks.0.img_attn.qkv"; Hugging Face's of a text encoder
	A      tensor.Tensor // [rank, in]
	B      tensor.Tensor // [out, rank]
	Alpha  float64       // 0 is the rank
}

// Named returns factors as the tensors of a file in a format: Native, Kohya or
// Diffusers. Only Kohya has a place for alpha; in the others B is scaled by
// alpha/rank. Where Diffusers has queries, keys and values apart, each has its rows of
// B, and of the rank what these rows use. Native has no names for text encoders.
func Named(format string, factors ...Factor) ([]tensor.Named, error) {
	modules := modulesOf(factors)
	var out []tensor.Named
	for _, f := range factors {
		m, ok := modules[f.Module]
		if !ok {
			return nil, fmt.Errorf("%q is not a linear layer of FLUX's", f.Module)
		}
		if f.Part != Transformer && format == Native {
			return nil, fmt.Errorf("the format %s has no names for text encoders, such as %s. Write %s or %s", Native, f.Module, Kohya, Diffusers)
		}
		if len(f.A.Shape) != 2 || len(f.B.Shape) != 2 || f.A.Shape[0] != f.B.Shape[1] || f.A.Shape[0] == 0 {
			return nil, fmt.Errorf("%s: factors of shapes %v and %v don't make an update", f.Module, f.A.Shape, f.B.Shape)
		}
		rank := float64(f.A.Shape[0])
		scale := 1.0
		if f.Alpha != 0 {
			scale = f.Alpha / rank
		}
		if math.IsNaN(scale) || math.IsInf(scale, 0) {
			return nil, fmt.Errorf("%s: alpha is %v", f.Module, f.Alpha)
		}
		b := f.B
		if scale != 1 && format != Kohya {
			b.Data = slices.Clone(b.Data)
			for i := range b.Data {
				b.Data[i] = float32(float64(b.Data[i]) * scale)
			}
		}
		named := func(name string, t tensor.Tensor) tensor.Named { return tensor.Named{Name: name, Tensor: t} }
		switch format {
		case Native:
			out = append(out, named(m.Native+".lora_A.weight", f.A), named(m.Native+".lora_B.weight", b))
		case Kohya:
			alpha := tensor.Tensor{Data: []float32{float32(scale * rank)}}
			stem := kohyaPrefix[f.Part] + m.Underlined()
			out = append(out, named(stem+".lora_down.weight", f.A), named(stem+".lora_up.weight", b), named(stem+".alpha", alpha))
		case Diffusers:
			parts, err := inDiffusers(diffusersPrefix[f.Part], m, f.A, b)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", f.Module, err)
			}
			out = append(out, parts...)
		default:
			return nil, fmt.Errorf("unknown LoRA format %q: use %s, %s or %s", format, Native, Kohya, Diffusers)
		}
	}
	return out, nil
}

// What names of each component begin with.
var (
	kohyaPrefix     = map[Part]string{Transformer: "lora_unet_", CLIP: "lora_te1_", T5: "lora_te3_"}
	diffusersPrefix = map[Part]string{Transformer: "transformer.", CLIP: "text_encoder.", T5: "text_encoder_2."}
)

// modulesOf returns the linear layers of a model with the blocks that factors name.
func modulesOf(factors []Factor) map[string]names.Module {
	blocks := 0
	for _, f := range factors {
		var n int
		for _, p := range []string{"double_blocks.%d.", "single_blocks.%d.", "text_model.encoder.layers.%d.", "encoder.block.%d."} {
			if _, err := fmt.Sscanf(f.Module, p, &n); err == nil && n < 1000 {
				blocks = max(blocks, n+1)
			}
		}
	}
	modules := map[string]names.Module{}
	for _, m := range slices.Concat(names.Modules(blocks, blocks, true), names.CLIPModules(blocks), names.T5Modules(blocks)) {
		if !m.Norm {
			modules[m.BFL] = m
		}
	}
	return modules
}

// inDiffusers returns factors of a module as those of diffusers' own modules.
func inDiffusers(prefix string, m names.Module, a, b tensor.Tensor) (out []tensor.Named, err error) {
	rank, in, rows := a.Shape[0], a.Shape[1], b.Shape[0]
	if m.Swap {
		half := len(b.Data) / 2
		b.Data = append(slices.Clone(b.Data[half:]), b.Data[:half]...)
	}
	for i, d := range m.Diffusers {
		from, to := m.PartRows(i, []int{rows, in})
		if from < 0 || to > rows || from >= to {
			return nil, fmt.Errorf("%d rows can't be queries, keys and values of width %d", rows, in)
		}
		pa, pb := a, tensor.Tensor{Shape: []int{to - from, rank}, Data: b.Data[from*rank : to*rank]}
		if len(m.Diffusers) > 1 {
			pa, pb = used(pa, pb)
		}
		out = append(out, tensor.Named{Name: prefix + d + ".lora_A.weight", Tensor: pa},
			tensor.Named{Name: prefix + d + ".lora_B.weight", Tensor: pb})
	}
	return out, nil
}

// used returns factors without the part of the rank that B has zeros for, which is of other
// rows. Of a B of zeros one column stays: some readers want all parts of a layer.
func used(a, b tensor.Tensor) (_, _ tensor.Tensor) {
	rank, cols := a.Shape[0], a.Shape[1]
	var keep []int
	for k := range rank {
		for at := k; at < len(b.Data); at += rank {
			if b.Data[at] != 0 {
				keep = append(keep, k)
				break
			}
		}
	}
	switch len(keep) {
	case rank:
		return a, b
	case 0:
		keep = []int{0}
	}
	smallA, smallB := tensor.New(len(keep), cols), tensor.New(b.Shape[0], len(keep))
	for i, k := range keep {
		copy(smallA.Data[i*cols:(i+1)*cols], a.Data[k*cols:])
		for row := range b.Shape[0] {
			smallB.Data[row*len(keep)+i] = b.Data[row*rank+k]
		}
	}
	return smallA, smallB
}
