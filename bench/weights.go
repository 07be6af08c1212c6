package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/flux"
	"github.com/eligen/eligen/model/text"
	"github.com/eligen/eligen/model/vae"
	"github.com/eligen/eligen/model/vision"
	"github.com/eligen/eligen/model/weights"
)

// fluxShape is FLUX.1's shape with a number of its blocks. Few are measured where all would
// not fit.
type fluxShape struct{ double, single int }

func (s fluxShape) String() string { return fmt.Sprintf("flux-%d-%d", s.double, s.single) }

// writeFlux makes a folder of all weights that a FLUX.1 repository has, with IP-Adapter and
// vision tower, of the published sizes but for the number of blocks: bfloat16, the
// autoencoder float32. The files are as long as those, and take no space: they are holes,
// which the system reads as pages of zeros. In memory a page of zeros is as large as another.
// filled writes random numbers in their place.
func writeFlux(dir string, s fluxShape, filled bool) error {
	c := flux.Dev
	c.Double, c.Single = s.double, s.single
	ip := flux.InstantX
	ip.Blocks = c.Double + c.Single
	return errors.Join(
		os.MkdirAll(filepath.Join(dir, "siglip"), 0o755),
		writeZeros(filepath.Join(dir, "flux1-dev.safetensors"), "BF16", filled, c.Weights()),
		writeZeros(filepath.Join(dir, "ae.safetensors"), "F32", filled, vae.Flux.Weights()),
		writeZeros(filepath.Join(dir, "clip_l.safetensors"), "BF16", filled, text.CLIPViTL14.Weights()),
		writeZeros(filepath.Join(dir, "t5xxl_bf16.safetensors"), "BF16", filled, text.T5XXL.Weights()),
		writeZeros(filepath.Join(dir, "ip-adapter.safetensors"), "BF16", filled, ip.Weights()),
		writeZeros(filepath.Join(dir, "siglip", "model.safetensors"), "BF16", filled, vision.SO400M.Weights()),
	)
}

// writeZeros makes a file of tensors, all of them zero, or, filled, between −0.1 and 0.1.
func writeZeros[W ~struct {
	Name  string
	Shape []int
}](path, dtype string, filled bool, list []W) (err error) {
	size := int64(2)
	if dtype == "F32" {
		size = 4
	}
	var infos []tensor.Info
	var total int64
	for _, w := range list {
		w := weights.Weight(w)
		n := size
		for _, d := range w.Shape {
			n *= int64(d)
		}
		infos = append(infos, tensor.Info{Name: w.Name, DType: dtype, Shape: w.Shape, Size: n})
		total += n
	}
	head, err := tensor.Header(nil, infos)
	if err != nil {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := f.Write(head); err != nil {
		return err
	}
	if filled {
		if err := fill(f, total, size); err != nil {
			return err
		}
	}
	return f.Truncate(int64(len(head)) + total)
}

// fill writes random numbers of an element's size.
func fill(f *os.File, total, size int64) error {
	r := rand.New(rand.NewPCG(3, uint64(total)))
	b := make([]byte, 1<<20)
	for at := int64(0); at < total; at += int64(len(b)) {
		b = b[:min(int64(len(b)), total-at)]
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		for i := size - 1; i < int64(len(b)); i += size {
			b[i] = 0x3c | b[i]&0x80 // the exponent's upper bits: at most 2⁻⁵ or so
		}
		if _, err := f.Write(b); err != nil {
			return err
		}
	}
	return nil
}
