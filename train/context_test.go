package train_test

import (
	"image"
	"image/color"
	"image/draw"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/annotated"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/train"
)

// twins returns pair i of panels of a size: a square of one colour, top left in the left one
// and bottom right in the right one.
func twins(i, w, h int) annotated.Sample {
	c := image.NewUniform(color.NRGBA{uint8(41 * i), uint8(97 * i), uint8(59 * i), 255})
	before := image.NewNRGBA(image.Rect(0, 0, 2*w, h))
	draw.Draw(before, before.Rect, image.NewUniform(color.NRGBA{90, 120, 150, 255}), image.Point{}, draw.Src)
	draw.Draw(before, image.Rect(0, 0, w/2, h/2), c, image.Point{}, draw.Src)
	img := image.NewNRGBA(before.Rect)
	copy(img.Pix, before.Pix)
	draw.Draw(img, image.Rect(2*w-w/2, h/2, 2*w, h), c, image.Point{}, draw.Src)
	return annotated.Sample{
		Name: "twins", Image: img, Before: before, Prompt: "left a, right a", Background: "a colour",
		Entities:  []annotated.Entity{{Class: "square", Prompt: "square", Region: eligen.Box(0.75, 0.5, 1, 1)}},
		Reference: &annotated.Entity{Class: "square", Prompt: "square", Region: eligen.Box(0, 0, 0.25, 0.5)},
	}
}

func TestInContext(t *testing.T) {
	m, _ := tiny(t)
	be := backend(t)
	r := eligen.Recipe{
		Name: "in-context", Kind: "in-context", Rank: 2, Size: eligen.Size{W: 32, H: 32},
		Steps: 6, Batch: 4, Regions: 1, Every: 6, Optimizer: eligen.Optimizer{Rate: 1e-2},
	}
	dir := t.TempDir()
	exported := map[string]tensor.Tensor{}
	job := train.Job{
		Recipe: r, Backend: be, Dir: dir,
		Samples: func(eligen.Size, bool) (annotated.Samples, error) {
			return func(i int) (annotated.Sample, error) { return twins(i, 32, 32), nil }, nil
		},
		Start:  train.Start{VAE: m.VAE, Autoencoder: m.Autoencoder, Model: m.Weights, Flux: m.Flux, T5: m.T5, CLIP: m.CLIP, Text: m.Text},
		Export: func(w map[string]tensor.Tensor) error { exported = w; return nil },
	}
	if err := train.Do(t.Context(), job); err == nil || !strings.Contains(err.Error(), "trained over EliGen's") {
		t.Fatalf("without EliGen's LoRA: error %v", err)
	}
	// A LoRA of one layer is enough to be one.
	const layer = "dit.single_blocks.0.linear2.weight"
	a, b, _ := train.LoRANames(layer)
	shape := m.Weights[layer].Shape
	down, up := tensor.New(1, shape[1]), tensor.New(shape[0], 1)
	for i := range down.Data {
		down.Data[i] = 0.1
	}
	up.Data[0] = 3
	m.Weights[a], m.Weights[b] = down, up
	if err := train.Do(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	if want := 2 * (10*m.Flux.Double + 3*m.Flux.Single); len(exported) != want {
		t.Errorf("%d tensors are trained, want %d", len(exported), want)
	}
	moved := false
	for _, v := range exported[b].Data {
		moved = moved || v != 0
	}
	if !moved || len(exported[a].Data) != 2*shape[1] {
		t.Errorf("of the new LoRA on %s: %v, %v", layer, exported[a].Shape, exported[b].Data)
	}
	if sheets, _ := filepath.Glob(filepath.Join(dir, "sheet-*.png")); len(sheets) != 1 {
		t.Errorf("sheets %v", sheets)
	}
	if caches, _ := filepath.Glob(filepath.Join(dir, "latents-64x32-*")); len(caches) != 1 {
		t.Errorf("caches %v", caches)
	}
	job.Recipe.Objects = 3
	if err := train.Do(t.Context(), job); err == nil || !strings.Contains(err.Error(), "Remove \"object_weight\"") {
		t.Errorf("with objects: error %v", err)
	}
	job.Recipe.Objects = 0
	job.Samples = func(eligen.Size, bool) (annotated.Samples, error) {
		return func(i int) (annotated.Sample, error) {
			s := twins(i, 32, 32)
			s.Before = nil
			return s, nil
		}, nil
	}
	if err := train.Do(t.Context(), job); err == nil || !strings.Contains(err.Error(), "is not a pair of panels") {
		t.Errorf("without pairs: error %v", err)
	}
}

// A batch shows a window of each panel, at its own place: the object's on the left and
// the region's on the right, where alone the loss counts.
func TestInContextBatch(t *testing.T) {
	m, _ := tiny(t)
	r := eligen.Recipe{Rank: 2, Size: eligen.Size{W: 64, H: 32}, Window: eligen.Size{W: 32, H: 32}, Batch: 8, Regions: 1}
	samples := func(i int) (annotated.Sample, error) { return twins(i, 64, 32), nil }
	task, err := train.InContext(backend(t), m, r, train.Pictures{Samples: samples, N: 1, Cache: filepath.Join(t.TempDir(), "latents")})
	if err != nil {
		t.Fatal(err)
	}
	in, err := task.Batch(0)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range [][]int{{8, 4, 4, 8}, {8, 4, 4, 8}, {8}, {8, 1, 1, 8}, {8, 1, 4, 8}, {8, 8, 3}, {8, 4}, {8, 8}, {8, 4},
		{8, 4}, {8, 1, 3}, {8, 1, 8}, {8, 2, 2}} {
		if got := in[i].Shape().Dimensions; len(got) != len(want) || got[0] != want[0] || got[len(got)-1] != want[len(want)-1] {
			t.Errorf("input %d has shape %v, want %v", i, got, want)
		}
	}
	origin := tensors.MustCopyFlatData[int32](in[12])
	weight, members := tensors.MustCopyFlatData[float32](in[4]), tensors.MustCopyFlatData[float32](in[11])
	for b := range 8 {
		o := origin[4*b : 4*b+4]
		if o[0] != 0 || o[1] != 0 || o[2] != 0 || o[3] < 5 || o[3] > 6 {
			t.Errorf("sample %d: windows at %v", b, o)
		}
		// Whether the region has the token at a row and column of the windows: it is the
		// picture's last quarter of columns, in the lower row.
		in := func(y, x int) bool { return x >= 2 && y == 1 && int(o[3])+x-2 >= 6 }
		for i, on := range members[b*8 : b*8+8] {
			if (on != 0) != in(i/4, i%4) {
				t.Errorf("sample %d: the region's token %d is %v", b, i, on)
			}
		}
		for i, w := range weight[b*32 : b*32+32] {
			if (w != 0) != in(i/8/2, i%8/2) {
				t.Errorf("sample %d: weight %v at latent %d", b, w, i)
			}
		}
	}
	for _, x := range tensors.MustCopyFlatData[float32](in[0]) {
		if math.IsNaN(float64(x)) {
			t.Fatal("a latent is no number")
		}
	}
}
