package judge_test

import (
	"image"
	"image/color"
	"image/draw"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	_ "github.com/gomlx/compute/gobackend"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/annotated"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/train"
	"github.com/eligen/eligen/train/judge"
)

var colours = map[string]color.NRGBA{"tomato": {220, 40, 30, 255}, "lime": {60, 200, 50, 255}}

// sample returns a grey picture with a square tomato or lime on it.
func sample(i int) (annotated.Sample, error) {
	rng := rand.New(rand.NewPCG(9, uint64(i)))
	class := []string{"tomato", "lime"}[rng.IntN(2)]
	grey := uint8(90 + rng.IntN(80))
	img := image.NewNRGBA(image.Rect(0, 0, 64, 64))
	draw.Draw(img, img.Rect, image.NewUniform(color.NRGBA{grey, grey, grey, 255}), image.Point{}, draw.Src)
	x, y, n := rng.IntN(30), rng.IntN(30), 18+rng.IntN(14)
	draw.Draw(img, image.Rect(x, y, x+n, y+n), image.NewUniform(colours[class]), image.Point{}, draw.Src)
	f := func(v int) float64 { return float64(v) / 64 }
	return annotated.Sample{Image: img, Entities: []annotated.Entity{{Class: class, Region: eligen.Box(f(x), f(y), f(x+n), f(y+n))}}}, nil
}

func TestLearnsToTellColoursApart(t *testing.T) {
	be, err := compute.NewWithConfig("go:ops_sequential")
	if err != nil {
		t.Fatal(err)
	}
	defer be.Finalize()
	classes := []string{"tomato", "lime"}
	r := eligen.Recipe{Name: "judge", Steps: 20, Batch: 8, Every: 20, Optimizer: eligen.Optimizer{Rate: 5e-3}}
	dir := t.TempDir()
	if err := train.Run(t.Context(), judge.Task(classes, func(_ annotated.Sample, e annotated.Entity) string { return e.Class }, r,
		sample), train.Options{Recipe: r, Backend: be, Dir: dir}); err != nil {
		t.Fatal(err)
	}
	weights, err := tensor.ReadFile(filepath.Join(dir, train.WeightsFile))
	if err != nil {
		t.Fatal(err)
	}
	j, err := judge.New(be, classes, weights)
	if err != nil {
		t.Fatal(err)
	}
	right := 0
	const n = 40
	for i := range n {
		s, _ := sample(1_000_000 + i) // not among the training's
		x0, y0, x1, y1, _ := s.Entities[0].Region.Bounds(eligen.Size{W: 64, H: 64})
		class, sure, err := j.Classify(s.Image, image.Rect(x0, y0, x1, y1))
		if err != nil {
			t.Fatal(err)
		}
		if sure < 0 || sure > 1 {
			t.Errorf("sure %v", sure)
		}
		if class == s.Entities[0].Class {
			right++
		}
	}
	if right < n*9/10 {
		t.Errorf("%d of %d right", right, n)
	}
	delete(weights, "head.bias")
	if _, err := judge.New(be, classes, weights); err == nil || !strings.Contains(err.Error(), "head.bias") {
		t.Errorf("without a tensor: %v", err)
	}
}

func TestCropRepeatsTheEdge(t *testing.T) {
	img := image.NewNRGBA(image.Rect(0, 0, 8, 8))
	draw.Draw(img, img.Rect, image.NewUniform(color.NRGBA{255, 0, 128, 255}), image.Point{}, draw.Src)
	for _, box := range []image.Rectangle{image.Rect(0, 0, 8, 8), image.Rect(-20, -20, 40, 4), image.Rect(3, 3, 4, 4)} {
		c := judge.Crop(img, box)
		if len(c) != 3*judge.Side*judge.Side || c[0] != 1 || c[judge.Side*judge.Side] != -1 {
			t.Errorf("%v: %d numbers, the first pixel is %v %v", box, len(c), c[0], c[judge.Side*judge.Side])
		}
	}
}
