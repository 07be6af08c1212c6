package lora

import (
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/names"
)

// A Factor is an update of one linear layer to write: alpha/rank·B·A.
type Factor struct {
	Module string        // Black Forest Labs' name, "double_blocks.0.img_attn.qkv"
	A      tensor.Tensor // [rank, in]
	B      tensor.Tensor // [out, rank]
	Alpha  float64       // 0 is the rank
}

// Write writes factors as a safetensors file of float32; see [Named].
func Write(w io.Writer, format string, metadata map[string]string, factors ...Factor) error {
	tensors, err := Named(format, factors...)
	if err != nil {
		return err
	}
	return tensor.Write(w, metadata, tensors...)
}

// Named is factors as the tensors of a file in a format: Native, Kohya or
// Diffusers. Only Kohya has a place for alpha; in the others B is scaled by
// alpha/rank. Where Diffusers has queries, keys and values apart, each has its rows of
// B, and of the rank what these rows use.
func Named(format string, factors ...Factor) ([]tensor.Named, error) {
	blocks := 0
	for _, f := range factors {
		var n int
		for _, p := range []string{"double_blocks.%d.", "single_blocks.%d."} {
			if _, err := fmt.Sscanf(f.Module, p, &n); err == nil && n < 1000 {
				blocks = max(blocks, n+1)
			}
		}
	}
	modules := map[string]names.Module{}
	for _, m := range names.Modules(blocks, blocks, true) {
		if !m.Norm {
			modules[m.BFL] = m
		}
	}
	var out []tensor.Named
	add := func(name string, shape []int, data []float32) {
		out = append(out, tensor.Named{Name: name, Tensor: tensor.Tensor{Shape: shape, Data: data}})
	}
	for _, f := range factors {
		m, ok := modules[f.Module]
		if !ok {
			return nil, fmt.Errorf("%q is no linear layer of FLUX's transformer", f.Module)
		}
		if len(f.A.Shape) != 2 || len(f.B.Shape) != 2 || f.A.Shape[0] != f.B.Shape[1] || f.A.Shape[0] == 0 {
			return nil, fmt.Errorf("%s: factors of shapes %v and %v don't make an update", f.Module, f.A.Shape, f.B.Shape)
		}
		rank, in, rows := f.A.Shape[0], f.A.Shape[1], f.B.Shape[0]
		scale := 1.0
		if f.Alpha != 0 {
			scale = f.Alpha / float64(rank)
		}
		if math.IsNaN(scale) || math.IsInf(scale, 0) {
			return nil, fmt.Errorf("%s: alpha is %v", f.Module, f.Alpha)
		}
		b := f.B.Data
		if scale != 1 && format != Kohya {
			b = slices.Clone(b)
			for i := range b {
				b[i] = float32(float64(b[i]) * scale)
			}
		}
		switch format {
		case Native:
			add(m.Native+".lora_A.weight", f.A.Shape, f.A.Data)
			add(m.Native+".lora_B.weight", f.B.Shape, b)
		case Kohya:
			add(m.Kohya()+".lora_down.weight", f.A.Shape, f.A.Data)
			add(m.Kohya()+".lora_up.weight", f.B.Shape, b)
			add(m.Kohya()+".alpha", nil, []float32{float32(scale * float64(rank))})
		case Diffusers:
			if m.Swap {
				half := len(b) / 2
				b = append(slices.Clone(b[half:]), b[:half]...)
			}
			for i, d := range m.Diffusers {
				from, to := m.PartRows(i, []int{rows, in})
				if from < 0 || to > rows || from >= to {
					return nil, fmt.Errorf("%s: %d rows can't be queries, keys and values of width %d", f.Module, rows, in)
				}
				pa, pb := f.A, tensor.Tensor{Shape: []int{to - from, rank}, Data: b[from*rank : to*rank]}
				if len(m.Diffusers) > 1 {
					pa, pb = used(pa, pb)
				}
				add("transformer."+d+".lora_A.weight", pa.Shape, pa.Data)
				add("transformer."+d+".lora_B.weight", pb.Shape, pb.Data)
			}
		default:
			return nil, fmt.Errorf("no LoRA format %q; there are %s, %s and %s", format, Native, Kohya, Diffusers)
		}
	}
	return out, nil
}

// used is factors without the part of the rank that B has zeros for, which is of other
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
