// Package lora lays low-rank updates over a checkpoint's weights: what it gives
// is W + scale·(alpha/r)·B·A wherever its files have factors, and W elsewhere.
// The model never hears of it.
//
// Source: Hu et al., LoRA (arXiv 2106.09685); the formats are those of
// DiffSynth-Studio, kohya's trainer, and diffusers with PEFT.
package lora

import "github.com/eligen/eligen/internal/tensor"

// A Loader gives the tensors of a checkpoint, by Black Forest Labs' names for
// the transformer and the autoencoder and by Hugging Face's for text encoders.
// Its methods may be called from several goroutines at once.
type Loader interface {
	// Tensors lists all tensors, in the order of the data. Offset is of no
	// meaning; Size is bytes in the file's dtype.
	Tensors() []tensor.Info
	// Floats fills dst with a tensor's elements, row-major, from an element on.
	Floats(name string, from int, dst []float32) error
	// Bytes fills dst with all of a tensor's bytes, little-endian, in the dtype that
	// Tensors says. It is false for a tensor that is computed, which only Floats gives.
	Bytes(name string, dst []byte) (ok bool, err error)
}
