package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/gguf"
	"github.com/eligen/eligen/model/quant"
	"github.com/eligen/eligen/model/weights"
)

// readKinds are how weights are stored: formats of package quant, and those of safetensors with scales.
var readKinds = []string{"F32", "BF16", "F16", "F8_E4M3", "F8_E4M3, a scale a tensor", "INT8, a scale a row", "NF4", "Q8_0", "Q6_K", "Q5_K",
	"Q5_0", "Q4_K", "Q4_0", "Q3_K", "Q2_K"}

// readMatrix is the shape of the tensors that are read: FLUX.1's linear2.
var readMatrix = []int{3072, 15360}

// reading measures how fast each kind of file becomes float32, from the system's memory: by one thread and by all.
func (b *bench) reading() error {
	shape := readMatrix
	if b.rounds < 7 {
		shape = []int{256, 2560}
	}
	t := table{head: []string{"stored as", "bytes a number", "GB/s of the file", "10⁹ numbers/s",
		fmt.Sprintf("with %d threads", runtime.NumCPU())}}
	for _, kind := range readKinds {
		b.progress("reading %s", kind)
		path, name, err := writeKind(b.dir, kind, shape)
		if err != nil {
			return err
		}
		one, err1 := readSpeed(path, name, shape, 1, b.rounds)
		all, err2 := readSpeed(path, name, shape, runtime.NumCPU(), b.rounds)
		if err := errors.Join(err1, err2); err != nil {
			return fmt.Errorf("%s: %w", kind, err)
		}
		fi, err := os.Stat(path)
		if err != nil {
			return err
		}
		bytes := float64(fi.Size()) / float64(weights.Elements(shape))
		t.add(kind, digits(bytes), digits(one*bytes), digits(one), digits(all))
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	b.section(fmt.Sprintf("Reading a weight of %v into float32, from the system's cache: the best of %d", shape, b.rounds), &t)
	return nil
}

// readSpeed reads a tensor with so many threads, and returns 10⁹ numbers a second.
func readSpeed(path, name string, shape []int, threads, rounds int) (float64, error) {
	c, err := weights.Open(path)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	const piece = 1 << 16
	n := weights.Elements(shape)
	best := 0.
	for range rounds {
		began := time.Now()
		errs := make([]error, threads)
		var wg sync.WaitGroup
		for i := range threads {
			wg.Go(func() {
				dst := make([]float32, piece)
				for at := i * piece; at < n && errs[i] == nil; at += threads * piece {
					errs[i] = c.Floats(name, at, dst[:min(piece, n-at)])
				}
			})
		}
		wg.Wait()
		for _, err := range errs {
			if err != nil {
				return 0, err
			}
		}
		best = max(best, float64(n)/time.Since(began).Seconds()/1e9)
	}
	return best, nil
}

// writeKind writes a file of one weight of random codes, and returns its path and the weight's name.
func writeKind(dir, kind string, shape []int) (path, name string, err error) {
	format, how, _ := strings.Cut(kind, ", ")
	dtype := strings.Replace(format, "INT8", "I8", 1)
	f, _ := quant.Of(format)
	n := weights.Elements(shape)
	name, path = "img_in.weight", filepath.Join(dir, "weights")
	list := []tensor.Info{{Name: name, DType: dtype, Shape: shape, Size: f.Size(n)}}
	beside := func(name, dtype string, size int64, shape ...int) {
		list = append(list, tensor.Info{Name: name, DType: dtype, Shape: shape, Size: size})
	}
	tail := []byte{}
	switch {
	case how == "a scale a tensor":
		beside("img_in.scale_weight", "F32", 4, 1)
	case how == "a scale a row":
		beside("img_in.weight_scale", "F32", 4*int64(shape[0]), shape[0], 1)
	case format == "NF4":
		tail = fmt.Appendf(nil, `{"quant_type": "nf4", "blocksize": 64, "shape": [%d, %d]}`, shape[0], shape[1])
		list[0].DType, list[0].Shape = "U8", []int{n / 2, 1}
		beside(name+".absmax", "F32", int64(n/64*4), n/64)
		beside(name+".quant_map", "F32", 64, 16)
		beside(name+".quant_state.bitsandbytes__nf4", "U8", int64(len(tail)), len(tail))
	}
	beside("txt_in.weight", "F32", 4, 1)
	if format == "NF4" { // the state's bytes come last
		last := len(list) - 1
		list[last], list[last-1] = list[last-1], list[last]
	}
	head, err := tensor.Header(nil, list)
	if f.Elements > 2 {
		head, err = gguf.Header(map[string]string{gguf.Architecture: "flux"}, list)
	}
	if err != nil {
		return "", "", err
	}
	size := -int64(len(tail))
	for _, t := range list {
		size += gguf.Padded(t.Size)
		if f.Elements <= 2 {
			size += t.Size - gguf.Padded(t.Size)
		}
	}
	data := make([]byte, size)
	fillRandom(data, f)
	for at := list[0].Size; f.Elements <= 2 && at+4 <= int64(len(data)); at += 4 { // scales are what they are in files
		binary.LittleEndian.PutUint32(data[at:], math.Float32bits(0.02))
	}
	return path, name, os.WriteFile(path, slices.Concat(head, data, tail), 0o600)
}

// fillRandom fills a file's data: with numbers as weights are where the format is a plain one, else with any codes and
// with scales that are numbers.
func fillRandom(data []byte, f quant.Format) {
	if f.Plain() {
		r := rand.New(rand.NewPCG(1, 2))
		list := make([]float32, 1<<16)
		for i := range list {
			list[i] = float32(0.05 * r.NormFloat64())
		}
		some := make([]byte, f.Size(len(list)))
		f.Encode(some, list)
		for rest := data; len(rest) > 0; {
			rest = rest[copy(rest, some):]
		}
		return
	}
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(data) // it never fails
	for i := range data {
		data[i] &= 0xbb // no exponent of ones alone
	}
}
