package train_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	_ "github.com/gomlx/compute/gobackend"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/google/go-cmp/cmp"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/annotated"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/flux"
	"github.com/eligen/eligen/model/nn"
	"github.com/eligen/eligen/model/text"
	"github.com/eligen/eligen/model/vae"
	"github.com/eligen/eligen/train"
)

func backend(t *testing.T) compute.Backend {
	t.Helper()
	b, err := compute.NewWithConfig("go:ops_sequential")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Finalize)
	return b
}

// line returns the smallest training: find a and b of y = a·x + b.
func line(after func(step int)) train.Task {
	return train.Task{
		Params:   []train.Param{{Name: "line.weight", Shape: []int{1, 1}}, {Name: "line.bias", Shape: []int{1}}},
		Pictures: 16,
		Batch: func(step int) ([]*tensors.Tensor, error) {
			if after != nil {
				after(step)
			}
			rng := rand.New(rand.NewPCG(1, uint64(step)))
			x, y := make([]float32, 16), make([]float32, 16)
			for i := range x {
				x[i] = float32(rng.NormFloat64())
				y[i] = 3*x[i] - 2
			}
			return []*tensors.Tensor{tensors.FromFlatDataAndDimensions(x, 16, 1), tensors.FromFlatDataAndDimensions(y, 16, 1)}, nil
		},
		Loss: func(w nn.Weights, in []*Node) (*Node, map[string]*Node) {
			d := Sub(w.In("line").Linear(in[0]), in[1])
			return ReduceAllMean(Square(d)), map[string]*Node{"worst": ReduceAllMax(Abs(d))}
		},
	}
}

var lineRecipe = eligen.Recipe{
	Name: "line", Steps: 300, Batch: 16, EMA: 0.9, Every: 50, Seed: 3,
	Optimizer: eligen.Optimizer{Rate: 0.1, Warmup: 10, Decay: "cosine", Clip: 10},
}

func run(t *testing.T, ctx context.Context, task train.Task, r eligen.Recipe, dir string) error {
	t.Helper()
	return train.Run(ctx, task, train.Options{Recipe: r, Backend: backend(t), Dir: dir})
}

func log(t *testing.T, dir string) (lines []train.Status) {
	t.Helper()
	f, err := os.Open(filepath.Join(dir, train.LogFile))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		var st train.Status
		if err := json.Unmarshal(s.Bytes(), &st); err != nil {
			t.Fatalf("the log's line %q: %v", s.Text(), err)
		}
		lines = append(lines, st)
	}
	return lines
}

func TestRunLearns(t *testing.T) {
	dir := t.TempDir()
	if err := run(t, t.Context(), line(nil), lineRecipe, dir); err != nil {
		t.Fatal(err)
	}
	w, err := train.Result(dir)
	if err != nil {
		t.Fatal(err)
	}
	a, b := w["line.weight"].Data[0], w["line.bias"].Data[0]
	if math.Abs(float64(a-3)) > 0.01 || math.Abs(float64(b+2)) > 0.01 {
		t.Errorf("learnt y = %.4f·x %+.4f, want 3·x − 2", a, b)
	}
	lines := log(t, dir)
	if first, last := lines[0], lines[len(lines)-2]; !(last.Loss < first.Loss/100) || last.Pictures != 300*16 || last.Measures["worst"] == 0 {
		t.Errorf("the log begins %+v and ends %+v", first, last)
	}
}

// A training that is interrupted and started again by the same call ends with
// the same bits as one that was not.
func TestRunResumes(t *testing.T) {
	whole, parts := t.TempDir(), t.TempDir()
	if err := run(t, t.Context(), line(nil), lineRecipe, whole); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err := run(t, ctx, line(func(step int) {
		if step == 120 {
			cancel()
		}
	}), lineRecipe, parts)
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("an interrupted training says %v", err)
	}
	at := log(t, parts)
	stopped := at[len(at)-1]
	if stopped.Note != "checkpoint" || stopped.Step < 100 || stopped.Step > 121 {
		t.Fatalf("interrupted at about step 120, the log's last line is %+v", stopped)
	}
	if err := run(t, t.Context(), line(nil), lineRecipe, parts); err != nil {
		t.Fatal(err)
	}
	resumed := false
	for _, l := range log(t, parts) {
		resumed = resumed || strings.HasPrefix(l.Note, "resumed from step ")
	}
	if !resumed {
		t.Error("the log does not say that the training was resumed")
	}
	want, _ := train.Result(whole)
	got, _ := train.Result(parts)
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("whole against interrupted:\n%s", d)
	}
}

func TestRunRefuses(t *testing.T) {
	t.Run("a checkpoint of another recipe", func(t *testing.T) {
		dir := t.TempDir()
		r := lineRecipe
		r.Steps = 2
		if err := run(t, t.Context(), line(nil), r, dir); err != nil {
			t.Fatal(err)
		}
		other := line(nil)
		other.Params[0].Name = "curve.weight"
		if err := run(t, t.Context(), other, r, dir); err == nil || !strings.Contains(err.Error(), "belongs to another recipe") {
			t.Errorf("error %v", err)
		}
	})
	t.Run("a damaged checkpoint", func(t *testing.T) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, train.CheckpointFile), []byte("not tensors"), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := run(t, t.Context(), line(nil), lineRecipe, dir); err == nil || !strings.Contains(err.Error(), train.CheckpointFile) {
			t.Errorf("error %v", err)
		}
	})
	t.Run("a loss that is no number", func(t *testing.T) {
		r := lineRecipe
		r.Optimizer.Rate, r.Optimizer.Warmup = 1e30, 0
		if err := run(t, t.Context(), line(nil), r, t.TempDir()); err == nil || !strings.Contains(err.Error(), "lower the optimizer's rate") {
			t.Errorf("error %v", err)
		}
	})
	t.Run("a batch that fails", func(t *testing.T) {
		task := line(nil)
		broken := errors.New("no such picture")
		task.Batch = func(int) ([]*tensors.Tensor, error) { return nil, broken }
		if err := run(t, t.Context(), task, lineRecipe, t.TempDir()); !errors.Is(err, broken) {
			t.Errorf("error %v", err)
		}
	})
}

func TestRate(t *testing.T) {
	cosine := eligen.Optimizer{Rate: 1, Warmup: 10, Decay: "cosine"}
	reference := eligen.Optimizer{Rate: 3, Decay: "reference"}
	for _, c := range []struct {
		o    eligen.Optimizer
		step int
		want float64
	}{
		{cosine, 0, 0.1}, {cosine, 9, 1}, {cosine, 10, 1}, {cosine, 60, 0.51}, {cosine, 110, 0.02},
		{reference, 0, 1}, {reference, 4, 1}, {reference, 5, 3},
		{eligen.Optimizer{Rate: 2, Decay: "constant"}, 1000, 2},
	} {
		if got := train.Rate(c.o, c.step, 110); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%q: rate of step %d is %v, want %v", c.o.Decay, c.step, got, c.want)
		}
	}
}

func TestLoRANames(t *testing.T) {
	for name, want := range map[string]string{
		"dit.double_blocks.1.img_attn.qkv.weight":   "blocks.1.attn.a_to_qkv.lora_A.weight",
		"dit.double_blocks.0.txt_mod.lin.weight":    "blocks.0.norm1_b.linear.lora_A.weight",
		"dit.double_blocks.0.txt_mlp.2.weight":      "blocks.0.ff_b.2.lora_A.weight",
		"dit.single_blocks.7.linear1.weight":        "single_blocks.7.to_qkv_mlp.lora_A.weight",
		"dit.single_blocks.7.modulation.lin.weight": "single_blocks.7.norm.linear.lora_A.weight",
		// Not adapted: embedders, the last layer, norms, biases, other parts.
		"dit.img_in.weight": "", "dit.final_layer.linear.weight": "", "dit.single_blocks.0.norm.query_norm.scale": "",
		"dit.single_blocks.0.linear1.bias": "", "t5.encoder.block.0.layer.0.SelfAttention.q.weight": "",
	} {
		a, b, ok := train.LoRANames(name)
		if ok != (want != "") || a != want || ok && b != strings.Replace(want, "lora_A", "lora_B", 1) {
			t.Errorf("%s: %q, %q, %v; want %q", name, a, b, ok, want)
		}
	}
	// The reference adapts 10 linears of a double block and 3 of a single one.
	n := 0
	for _, w := range flux.Nano.Weights() {
		if _, _, ok := train.LoRANames("dit." + w.Name); ok {
			n++
		}
	}
	if want := 10*flux.Nano.Double + 3*flux.Nano.Single; n != want {
		t.Errorf("%d linears are adapted, want %d", n, want)
	}
}

// tiny returns a model small enough for a test, and samples without any file.
func tiny(t *testing.T) (train.Model, annotated.Samples) {
	t.Helper()
	m := train.Model{
		Flux: flux.Config{Dim: 16, Heads: 2, Axes: [3]int{2, 2, 4}, Double: 1, Single: 1, TextDim: 8, PooledDim: 8, MLPRatio: 2,
			LatentChannels: 4},
		T5:   text.T5Config{Dim: 8, FF: 8, HeadDim: 4, Heads: 2, Layers: 1, Vocab: 8},
		CLIP: text.CLIPConfig{Dim: 8, FF: 8, Heads: 2, Layers: 1, Vocab: 8, Positions: 4},
		VAE:  vae.Config{Ch: 4, Mult: []int{1, 1, 1, 1}, ResBlocks: 1, Groups: 2, Z: 4, Scale: 1},
		Text: train.Text{Length: 4, EntityLength: 3, CLIPLength: 4},
	}
	tokens := func(p string, n int) []int32 {
		ids := make([]int32, n)
		for i := range min(n, len(p)) {
			ids[i] = int32(p[i] % 8)
		}
		return ids
	}
	m.Text.T5, m.Text.CLIP = tokens, tokens
	rng := rand.New(rand.NewPCG(5, 5))
	// As after some training: Initial's zeros would let no gradient through.
	fill := func(dst map[string]tensor.Tensor, name string, shape []int) {
		t := tensor.New(shape...)
		for i := range t.Data {
			t.Data[i] = float32(rng.NormFloat64() * 0.2)
		}
		dst[name] = t
	}
	m.Autoencoder = map[string]tensor.Tensor{}
	for _, w := range m.VAE.Weights() {
		fill(m.Autoencoder, w.Name, w.Shape)
	}
	m.Weights = map[string]tensor.Tensor{}
	for _, p := range m.Params() {
		fill(m.Weights, p.Name, p.Shape)
	}
	samples := func(i int) (annotated.Sample, error) { return patches(i), nil }
	return m, samples
}

// The LoRA's training changes the LoRA and nothing else, and starts where the
// base is: B is zero.
func TestFlowLoRA(t *testing.T) {
	m, samples := tiny(t)
	be := backend(t)
	r := eligen.Recipe{Name: "eligen", Kind: "eligen", Rank: 2, Size: eligen.Size{W: 32, H: 32}, Steps: 30, Batch: 4, Regions: 1, Every: 100,
		Optimizer: eligen.Optimizer{Rate: 1e-2}}
	task, err := train.Flow(be, m, r, train.Pictures{Samples: samples, N: 1, Cache: filepath.Join(t.TempDir(), "latents")}, train.Pictures{})
	if err != nil {
		t.Fatal(err)
	}
	if want := 2 * (10*m.Flux.Double + 3*m.Flux.Single); len(task.Params) != want || len(task.Frozen) != len(m.Params()) {
		t.Fatalf("%d trained and %d frozen tensors, want %d and %d", len(task.Params), len(task.Frozen), want, len(m.Params()))
	}
	for _, p := range task.Params {
		zero := true
		for _, x := range p.Init {
			zero = zero && x == 0
		}
		if strings.Contains(p.Name, "lora_B") != zero {
			t.Errorf("%s starts at zero: %v", p.Name, zero)
		}
	}
	dir := t.TempDir()
	if err := train.Run(t.Context(), task, train.Options{Recipe: r, Backend: be, Dir: dir}); err != nil {
		t.Fatal(err)
	}
	w, err := train.Result(dir)
	if err != nil {
		t.Fatal(err)
	}
	changed := false
	for name, x := range w {
		if strings.Contains(name, "lora_B") {
			for _, v := range x.Data {
				changed = changed || v != 0
			}
		}
	}
	if !changed || len(w) != len(task.Params) {
		t.Errorf("after 30 steps the LoRA is as it was: %v; %d tensors", !changed, len(w))
	}
}

// Latents that were kept are of one autoencoder and one dataset: another gets a
// folder of its own.
func TestKeptLatentsAreToldApart(t *testing.T) {
	m, samples := tiny(t)
	m.Weights = nil
	dir := t.TempDir()
	do := func() {
		t.Helper()
		err := train.Do(t.Context(), train.Job{
			Recipe: eligen.Recipe{Name: "base", Kind: "base", Size: eligen.Size{W: 32, H: 32}, Steps: 1, Batch: 2, Every: 2,
				Optimizer: eligen.Optimizer{Rate: 1e-3}},
			Backend: backend(t), Dir: dir,
			Samples: func(eligen.Size, bool) (annotated.Samples, error) { return samples, nil },
			Start:   train.Start{VAE: m.VAE, Autoencoder: m.Autoencoder, Flux: m.Flux, T5: m.T5, CLIP: m.CLIP, Text: m.Text},
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(filepath.Join(dir, train.CheckpointFile)); err != nil {
			t.Fatal(err)
		}
	}
	folders := func() int {
		list, err := filepath.Glob(filepath.Join(dir, "latents-32x32-*"))
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	do()
	do()
	if n := folders(); n != 1 {
		t.Fatalf("the same training twice keeps %d folders of latents", n)
	}
	m.Autoencoder["encoder.conv_in.bias"].Data[0] += 1
	do()
	if n := folders(); n != 2 {
		t.Errorf("after another autoencoder there are %d folders of latents, want 2", n)
	}
}

func TestFlowNeedsABase(t *testing.T) {
	m, samples := tiny(t)
	delete(m.Weights, "dit.img_in.weight")
	_, err := train.Flow(backend(t), m, eligen.Recipe{Rank: 2, Size: eligen.Size{W: 32, H: 32}},
		train.Pictures{Samples: samples, N: 1, Cache: t.TempDir()}, train.Pictures{})
	if err == nil || !strings.Contains(err.Error(), `"dit.img_in.weight" is missing`) {
		t.Errorf("error %v", err)
	}
}
