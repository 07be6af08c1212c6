package model_test

import (
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/detect"
	"github.com/eligen/eligen/model/flux"
	"github.com/eligen/eligen/model/nn"
	"github.com/eligen/eligen/train"
)

// testTraining trains a LoRA for the case's steps: losses, gradients of the
// first step and weights after the last, at a constant rate and at that of the
// reference's trainer.
func testTraining(t *testing.T, s *suite, g *golden) {
	t.Run("constant", func(t *testing.T) { g.train(t, s, "constant", "losses", "after") })
	t.Run("reference", func(t *testing.T) {
		if s.xla {
			t.Skip("the rate is an argument of the graph that was just run")
		}
		g.train(t, s, "reference", "losses_with_constantlr", "after_constantlr")
	})
}

type trainingStep struct {
	Timestep, Sigma, Weight float32
}

func (g *golden) train(t *testing.T, s *suite, decay, losses, after string) {
	var steps []trainingStep
	var rank int
	var alpha, scaling float64
	var optimizer struct {
		LR          float64
		Betas       [2]float64
		Eps         float64
		WeightDecay float64 `json:"weight_decay"`
	}
	var tolerance struct {
		Loss    float64 `json:"loss_rtol"`
		Grad    float64 `json:"grad_atol"`
		Weights float64 `json:"weights_atol"`
	}
	var wantLosses, wantMSE []float64
	g.field(t, "steps", &steps)
	g.field(t, "lora_rank", &rank)
	g.field(t, "lora_alpha", &alpha)
	g.field(t, "scaling", &scaling)
	g.field(t, "optimizer", &optimizer)
	g.field(t, "tolerance", &tolerance)
	g.field(t, losses, &wantLosses)
	g.field(t, "unweighted_mse", &wantMSE)
	if scaling != 1 || alpha != float64(rank) {
		t.Fatalf("a LoRA is trained with alpha = rank; the case has alpha %g, rank %d", alpha, rank)
	}

	checkpoint := g.open(t, g.text("model"))
	cfg, err := detect.Transformer(checkpoint)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Axes = g.axes(t)
	start := g.initialLoRA(t)
	inputs, _ := ditInputs(g.in)

	task := train.Task{Pictures: 1}
	for _, w := range cfg.Weights() {
		x := tensor.New(w.Shape...)
		if err := checkpoint.Floats(w.Name, 0, x.Data); err != nil {
			t.Fatal(err)
		}
		name := "dit." + w.Name
		task.Frozen = append(task.Frozen, tensor.Named{Name: name, Tensor: x})
		if a, b, ok := train.LoRANames(name); ok {
			for _, factor := range []string{a, b} {
				x, ok := start[factor]
				if !ok {
					t.Fatalf("the case starts without %s", factor)
				}
				delete(start, factor)
				task.Params = append(task.Params, train.Param{Name: factor, Shape: x.Shape, Init: slices.Clone(x.Data)})
			}
		}
	}
	if len(start) > 0 {
		t.Fatalf("the reference trains factors that the product doesn't: %v", sortedKeys(start))
	}

	delete(inputs, "tokens") // trained in the dense form, as the product does
	fixed := slices.DeleteFunc(sortedKeys(inputs), func(name string) bool { return strings.HasPrefix(name, "noise.") })
	task.Batch = func(step int) ([]*tensors.Tensor, error) {
		upload := func(x tensor.Tensor) *tensors.Tensor { return tensors.FromFlatDataAndDimensions(x.Data, x.Shape...) }
		st := steps[step]
		in := []*tensors.Tensor{
			upload(g.in["noise."+strconv.Itoa(step)]),
			upload(vector([]float32{st.Timestep})), upload(vector([]float32{st.Sigma})), upload(vector([]float32{st.Weight})),
		}
		for _, name := range fixed {
			in = append(in, upload(inputs[name]))
		}
		return in, nil
	}
	task.Loss = func(w nn.Weights, in []*Node) (*Node, map[string]*Node) {
		named := map[string]*Node{}
		for i, name := range fixed {
			named[name] = in[4+i]
		}
		noise, sigma, weight, x0 := in[0], Reshape(in[2]), Reshape(in[3]), named["input_latents"]
		named["timestep"] = in[1]
		named["latents"] = Add(Mul(x0, OneMinus(sigma)), Mul(noise, sigma))
		v := flux.Velocity(train.Adapted(w, rank).In("dit"), cfg, ditInput(named, nil))
		mse := ReduceAllMean(Square(Sub(v, Sub(noise, x0))))
		return Mul(mse, weight), map[string]*Node{"mse": mse}
	}

	dir := t.TempDir()
	var first map[string]tensor.Tensor // the checkpoint of step 1
	var gotLosses, gotMSE []float64
	err = train.Run(t.Context(), task, train.Options{
		Backend: s.runner.Backend, Dir: dir,
		Recipe: eligen.Recipe{Name: "golden", Steps: len(steps), Batch: 1, Rank: rank, Every: 1, Optimizer: eligen.Optimizer{
			Rate: optimizer.LR, Decay: decay, Weight: optimizer.WeightDecay, Betas: optimizer.Betas, Epsilon: optimizer.Eps,
		}},
		Report: func(st train.Status) {
			if st.Note == "" {
				gotLosses, gotMSE = append(gotLosses, st.Loss), append(gotMSE, st.Measures["mse"])
			}
			if st.Note == "checkpoint" && st.Step == 1 {
				var err error
				if first, err = tensor.ReadFile(filepath.Join(dir, train.CheckpointFile)); err != nil {
					t.Error(err)
				}
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	compareNumbers(t, "losses", gotLosses, wantLosses, tolerance.Loss)
	if decay == "constant" {
		compareNumbers(t, "unweighted losses", gotMSE, wantMSE, tolerance.Loss)
	}
	trained, err := tensor.ReadFile(filepath.Join(dir, train.WeightsFile))
	if err != nil {
		t.Fatal(err)
	}

	family, suffix, _ := strings.Cut(after, "_")
	family += strconv.Itoa(len(steps))
	if suffix != "" {
		family += "_" + suffix
	}
	gradients, weights, off, all := 0, 0, 0, 0
	for _, name := range sortedKeys(g.want) {
		kind, factor, _ := strings.Cut(name, ".")
		want := g.want[name]
		switch kind {
		case "grad":
			// AdamW's first moment of step 1 is (1−β₁) times the gradient.
			m, ok := first["m/"+factor]
			if !ok {
				t.Errorf("%s: not trained", factor)
				continue
			}
			x := clone(m)
			for i := range x.Data {
				x.Data[i] = float32(float64(x.Data[i]) / (1 - optimizer.Betas[0]))
			}
			quiet(t, name, x, want, tolerance.Grad)
			gradients++
		case family:
			x, ok := trained[factor]
			if !ok || !slices.Equal(x.Shape, want.Shape) {
				t.Errorf("%s: not trained, or of another shape", factor)
				continue
			}
			for i, w := range want.Data {
				d := math.Abs(float64(x.Data[i] - w))
				// AdamW's first steps follow the sign of the gradient: where that is
				// about 0, either direction is right.
				if !(d <= 2*float64(len(steps))*optimizer.LR+tolerance.Weights) {
					t.Errorf("%s: element %d is %g, want %g", name, i, x.Data[i], w)
				}
				if !(d <= tolerance.Weights) {
					off++
				}
				all++
			}
			weights++
		}
	}
	if gradients == 0 || weights == 0 && decay == "constant" {
		t.Fatalf("the case has %d gradients and %d weights under %q", gradients, weights, family)
	}
	t.Logf("%d gradients within %g; of %d numbers after %d steps, %d are more than %g off", gradients, tolerance.Grad, all,
		len(steps), off, tolerance.Weights)
	if off > all/200 {
		t.Errorf("after %d steps %d of %d numbers are off by more than %g", len(steps), off, all, tolerance.Weights)
	}
}

// quiet compares as near does, and logs nothing.
func quiet(t *testing.T, name string, got, want tensor.Tensor, atol float64) {
	t.Helper()
	if !slices.Equal(got.Shape, want.Shape) {
		t.Errorf("%s: shape %v, want %v", name, got.Shape, want.Shape)
		return
	}
	for i, w := range want.Data {
		if d := math.Abs(float64(got.Data[i] - w)); !(d <= atol) {
			t.Errorf("%s: element %d is %g, want %g", name, i, got.Data[i], w)
			return
		}
	}
}

func compareNumbers(t *testing.T, name string, got, want []float64, rtol float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %v, want %v", name, got, want)
		return
	}
	for i, w := range want {
		if !(math.Abs(got[i]-w) <= rtol*math.Abs(w)) {
			t.Errorf("%s, step %d: %v, want %v", name, i, got[i], w)
		}
	}
}

// axes returns the rotary axes of the set's transformer.
func (g *golden) axes(t *testing.T) [3]int {
	t.Helper()
	return g.dims(t, filepath.Dir(g.text("model"))).DiT.Axes
}

// initialLoRA returns the factors that a training starts from, in the reference's
// names.
func (g *golden) initialLoRA(t *testing.T) map[string]tensor.Tensor {
	t.Helper()
	out := map[string]tensor.Tensor{}
	for name, x := range g.want {
		if factor, ok := strings.CutPrefix(name, "init."); ok {
			out[factor] = x
		}
	}
	if len(out) > 0 {
		return out
	}
	m, err := tensor.ReadFile(g.path(g.text("initial_weights")))
	if err != nil {
		t.Fatal(err)
	}
	return maps.Clone(m)
}
