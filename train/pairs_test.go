package train_test

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/annotated"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/train"
)

// A base with pairs sees them in steps of their own, of half as many samples: two whole
// panels, of which the left one has neither noise nor loss.
func TestPairs(t *testing.T) {
	m, samples := tiny(t)
	r := eligen.Recipe{
		Name: "base", Kind: "base", Size: eligen.Size{W: 32, H: 32}, Steps: 4, Batch: 8, Regions: 1, Every: 4, Objects: 2,
		Pairs: 0.5, Within: 0.5, Across: 0.5, Optimizer: eligen.Optimizer{Rate: 1e-3},
	}
	panels := func(i int) (annotated.Sample, error) { return twins(i, 32, 32), nil }
	dir := t.TempDir()
	task, err := train.Flow(backend(t), m, r, train.Pictures{Samples: samples, N: 1, Cache: filepath.Join(dir, "whole")},
		train.Pictures{Samples: panels, N: 1, Cache: filepath.Join(dir, "pairs")})
	if err != nil {
		t.Fatal(err)
	}
	var in []*tensors.Tensor
	for step := range 4 {
		if in, err = task.Batch(step); err != nil {
			t.Fatal(err)
		}
		shape, origins := in[0].Shape().Dimensions, in[12].Shape().Dimensions
		if step%2 == 0 {
			if !slices.Equal(shape, []int{8, 4, 4, 4}) || !slices.Equal(origins, []int{8, 2}) {
				t.Errorf("step %d: latents %v at %v, want eight pictures", step, shape, origins)
			}
			continue
		}
		if !slices.Equal(shape, []int{4, 4, 4, 8}) || !slices.Equal(origins, []int{4, 2, 2}) {
			t.Fatalf("step %d: latents %v at %v, want four pairs", step, shape, origins)
		}
		share, weight, origin := tensors.MustCopyFlatData[float32](in[3]), tensors.MustCopyFlatData[float32](in[4]),
			tensors.MustCopyFlatData[int32](in[12])
		for b := range 4 {
			if o := origin[4*b : 4*b+4]; !slices.Equal(o, []int32{0, 0, 0, 2}) {
				t.Errorf("pair %d: panels at %v, not side by side", b, o)
			}
			columns, w := share[8*b:8*b+8], weight[32*b:32*b+32]
			if !slices.Equal(columns, []float32{0, 0, 0, 0, 1, 1, 1, 1}) || w[0] != 0 || slices.Contains(w[4:8], 0) {
				t.Errorf("pair %d: columns have %v of the noise, weights %v", b, columns, w)
			}
		}
	}
	where := tensors.MustCopyFlatData[float32](in[5])
	regions := 0
	for i := 2; i < len(where); i += 3 {
		regions += int(where[i])
	}
	if regions == 0 {
		t.Error("no token is in a region")
	}

	// What asks where tokens are is not part of the model.
	var exported map[string]tensor.Tensor
	job := train.Job{
		Recipe: r, Backend: backend(t), Dir: dir,
		Samples: func(eligen.Size, bool) (annotated.Samples, error) { return samples, nil },
		Panels:  func(eligen.Size, bool) (annotated.Samples, error) { return panels, nil },
		Start:   train.Start{VAE: m.VAE, Autoencoder: m.Autoencoder, Model: m.Weights, Flux: m.Flux, T5: m.T5, CLIP: m.CLIP, Text: m.Text},
		Export:  func(w map[string]tensor.Tensor) error { exported = w; return nil },
		Report: func(s train.Status) {
			if s.Step == 4 && s.Note == "" && s.Measures["across"] == 0 {
				t.Errorf("measures %v: nothing was asked of pairs", s.Measures)
			}
		},
	}
	if err := train.Do(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	if len(exported) != len(m.Params()) || slices.ContainsFunc(slices.Collect(maps.Keys(exported)),
		func(n string) bool { return strings.HasPrefix(n, "head.") }) {
		t.Errorf("%d tensors, want %d: %v", len(exported), len(m.Params()), slices.Sorted(maps.Keys(exported)))
	}
	job.Panels = nil
	if err := train.Do(t.Context(), job); err == nil || !strings.Contains(err.Error(), `"pairs" is for`) {
		t.Errorf("without panels: error %v", err)
	}
}

func TestVision(t *testing.T) {
	dir := t.TempDir()
	exported := map[string]tensor.Tensor{}
	var first, last train.Status
	job := train.Job{
		Recipe: eligen.Recipe{
			Name: "vision", Kind: "vision", Size: eligen.Size{W: 32, H: 32}, Steps: 60, Batch: 16, Every: 60,
			Styles: map[string]float64{"dark": 0.5}, Optimizer: eligen.Optimizer{Rate: 1e-2},
		},
		Backend: backend(t), Dir: dir,
		Samples: func(eligen.Size, bool) (annotated.Samples, error) {
			return func(i int) (annotated.Sample, error) { return styled(i), nil }, nil
		},
		Start:  train.Start{Vision: tower},
		Export: func(w map[string]tensor.Tensor) error { exported = w; return nil },
		Report: func(s train.Status) {
			if s.Note == "" {
				if first.Step == 0 {
					first = s
				}
				last = s
			}
		},
	}
	if err := train.Do(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	if len(exported) != len(tower.Weights()) {
		t.Errorf("%d tensors are trained, want %d", len(exported), len(tower.Weights()))
	}
	if last.Measures["pairs"] < 0.9 || last.Loss >= first.Loss {
		t.Errorf("light and dark pictures are told apart in %.2f of pairs; the loss went from %.3f to %.3f", last.Measures["pairs"],
			first.Loss, last.Loss)
	}
	job.Recipe.Styles = nil
	if err := train.Do(t.Context(), job); err == nil || !strings.Contains(err.Error(), "Set \"styles\"") {
		t.Errorf("without styles: error %v", err)
	}
}
