package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"strings"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/tensor"
)

// writeWeights makes random weights for a shape, of such a size that streams and
// logits are as large as in a trained model.
func writeWeights(path string, s shape) (bytes int64, err error) {
	r := rand.New(rand.NewPCG(1, uint64(s.Config.Dim)))
	var list []tensor.Named
	for _, w := range s.Config.Weights() {
		deviation, mean := 0.1, 0.0
		switch {
		case strings.HasSuffix(w.Name, ".scale"):
			mean = 1.5
		case len(w.Shape) == 2:
			deviation = 1 / math.Sqrt(float64(w.Shape[1]))
		}
		t := random(r, deviation, w.Shape...)
		for i := range t.Data {
			t.Data[i] += float32(mean)
		}
		bytes += 4 * int64(len(t.Data))
		list = append(list, tensor.Named{Name: w.Name, Tensor: t})
	}
	return bytes, writeTensors(path, list)
}

// writeInputs makes a batch of pictures, each with n entities: the first in the
// regions of the shape, the others in these moved on.
func writeInputs(path string, s shape, n, batch int) error {
	r := rand.New(rand.NewPCG(2, uint64(n)))
	c := s.Config
	sigma, scale := tensor.New(batch), tensor.New(batch)
	for i := range batch {
		sigma.Data[i] = float32(i+1) / float32(batch+1)
		scale.Data[i] = guidance
	}
	list := []tensor.Named{
		{Name: "latents", Tensor: random(r, 1, batch, c.LatentChannels, 2*s.Rows, 2*s.Columns)},
		{Name: "noise", Tensor: random(r, 1, batch, c.LatentChannels, 2*s.Rows, 2*s.Columns)},
		{Name: "txt", Tensor: random(r, 1, batch, s.Text, c.TextDim)},
		{Name: "vec", Tensor: random(r, 1, batch, c.PooledDim)},
		{Name: "sigma", Tensor: sigma}, {Name: "guidance", Tensor: scale},
	}
	if n > 0 {
		members, buckets := tensor.New(batch, n, s.tokens()), tensor.New(n)
		for i, region := range s.regions(n) {
			buckets.Data[i] = float32(eligen.Bucket(len(region), s.tokens()))
			for b := range batch {
				for _, token := range region {
					members.Data[(b*n+i)*s.tokens()+(int(token)+b)%s.tokens()] = 1
				}
			}
		}
		list = append(list,
			tensor.Named{Name: "entities", Tensor: random(r, 1, batch, n, s.EntityText, c.TextDim)},
			tensor.Named{Name: "members", Tensor: members}, tensor.Named{Name: "buckets", Tensor: buckets})
	}
	return writeTensors(path, list)
}

func random(r *rand.Rand, deviation float64, shape ...int) tensor.Tensor {
	t := tensor.New(shape...)
	for i := range t.Data {
		t.Data[i] = float32(deviation * r.NormFloat64())
	}
	return t
}

func writeTensors(path string, list []tensor.Named) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	b := bufio.NewWriter(f)
	return errors.Join(tensor.Write(b, nil, list...), b.Flush(), f.Close())
}

func writeFloats(path string, v []float32) error {
	b := make([]byte, 0, 4*len(v))
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
	}
	return os.WriteFile(path, b, 0o644)
}

func readFloats(path string) ([]float32, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return tensor.Floats("F32", b)
}

// distance returns the largest difference of two results; infinite if one has another size
// or isn't a number.
func distance(a, b []float32) (worst float64) {
	if len(a) != len(b) {
		return math.Inf(1)
	}
	for i := range a {
		d := math.Abs(float64(a[i]) - float64(b[i]))
		if math.IsNaN(d) {
			return math.Inf(1)
		}
		worst = max(worst, d)
	}
	return worst
}

func largest(a []float32) float64 { return distance(a, make([]float32, len(a))) }
