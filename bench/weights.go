package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/flux"
	"github.com/eligen/eligen/model/gguf"
	"github.com/eligen/eligen/model/quant"
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
// filled writes random numbers in their place: the same in every form, "F8_E4M3" being of the
// matrices of the transformer and of T5, "Q4_0" of the transformer's.
func writeFlux(dir string, s fluxShape, filled bool, form string) error {
	c := flux.Dev
	c.Double, c.Single = s.double, s.single
	ip := flux.InstantX
	ip.Blocks = c.Double + c.Single
	dit, t5 := form, "BF16"
	if form == "F8_E4M3" {
		t5 = form
	}
	name := "flux1-dev.safetensors"
	if form == "Q4_0" {
		name = "flux1-dev.gguf"
	}
	return errors.Join(
		os.MkdirAll(filepath.Join(dir, "siglip"), 0o755),
		writeForm(filepath.Join(dir, name), dit, filled, weights.List(c.Weights())),
		writeForm(filepath.Join(dir, "ae.safetensors"), "F32", filled, weights.List(vae.Flux.Weights())),
		writeForm(filepath.Join(dir, "clip_l.safetensors"), "BF16", filled, weights.List(text.CLIPViTL14.Weights())),
		writeForm(filepath.Join(dir, "t5xxl_bf16.safetensors"), t5, filled, weights.List(text.T5XXL.Weights())),
		writeForm(filepath.Join(dir, "ip-adapter.safetensors"), "BF16", false, weights.List(ip.Weights())),
		writeForm(filepath.Join(dir, "siglip", "model.safetensors"), "BF16", false, weights.List(vision.SO400M.Weights())),
	)
}

// writeForm makes a file of tensors, all of them zero, or, filled, between −0.1 and 0.1.
// Matrices are stored in a form, other tensors as bfloat16 where that is a form of fewer bits.
func writeForm(path, form string, filled bool, list []weights.Weight) (err error) {
	var infos []tensor.Info
	var total int64
	isGGUF := strings.HasSuffix(path, ".gguf")
	for _, w := range list {
		as := form
		if len(w.Shape) != 2 && form != "F32" {
			as = "BF16"
		}
		f, ok := quant.Of(as)
		if !ok {
			return fmt.Errorf("there is no format %s", as)
		}
		n := f.Size(weights.Elements(w.Shape))
		infos = append(infos, tensor.Info{Name: w.Name, DType: as, Shape: w.Shape, Size: n})
		if total += n; isGGUF {
			total = gguf.Padded(total)
		}
	}
	head, err := tensor.Header(nil, infos)
	if isGGUF {
		head, err = gguf.Header(map[string]string{"general.architecture": "flux"}, infos)
	}
	if err != nil {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	out := bufio.NewWriterSize(f, 1<<20)
	if _, err := out.Write(head); err != nil {
		return err
	}
	for _, t := range infos {
		if !filled {
			break
		}
		n, err := fill(out, t)
		if err != nil {
			return err
		}
		if isGGUF {
			if _, err := out.Write(make([]byte, gguf.Padded(n)-n)); err != nil {
				return err
			}
		}
	}
	return errors.Join(out.Flush(), f.Truncate(int64(len(head))+total))
}

// randomOf returns the numbers that a name determines.
func randomOf(name string) *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte(name))
	return rand.New(rand.NewPCG(3, h.Sum64()))
}

// randomise fills bytes, a multiple of eight, with numbers in bfloat16 of at most 2⁻⁵ or so.
func randomise(r *rand.Rand, b []byte) {
	for i := 0; i < len(b); i += 8 {
		binary.LittleEndian.PutUint64(b[i:], r.Uint64()&0x80ff80ff80ff80ff|0x3c003c003c003c00)
	}
}

// randomBytes returns n random numbers in bfloat16.
func randomBytes(name string, n int) []byte {
	b := make([]byte, (2*n+7)/8*8)
	randomise(randomOf(name), b)
	return b[:2*n]
}

// fill writes a tensor's random numbers, which its name determines, and returns how many bytes.
func fill(w io.Writer, t tensor.Info) (written int64, err error) {
	r := randomOf(t.Name)
	format, _ := quant.Of(t.DType)
	const atOnce = 1 << 16
	b, numbers := make([]byte, 2*atOnce), make([]float32, atOnce)
	for left := weights.Elements(t.Shape); left > 0; left -= len(numbers) {
		numbers = numbers[:min(left, len(numbers))]
		out := b[:2*len(numbers)]
		randomise(r, b[:(len(out)+7)/8*8])
		if t.DType != "BF16" {
			if err := tensor.Fill(numbers, "BF16", out); err != nil {
				return written, err
			}
			out = make([]byte, format.Size(len(numbers)))
			format.Encode(out, numbers)
		}
		if _, err := w.Write(out); err != nil {
			return written, err
		}
		written += int64(len(out))
	}
	return written, nil
}
