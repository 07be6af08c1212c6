package main

import (
	"context"
	"errors"
	"fmt"
	"image"
	"image/png"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/engine"
	graphs "github.com/eligen/eligen/model/exec"
	"github.com/eligen/eligen/model/flux"
	"github.com/eligen/eligen/model/fluxmodel"
	"github.com/eligen/eligen/model/nn"
	"github.com/eligen/eligen/model/regional"
	"github.com/eligen/eligen/store/file"
)

// peak measures matrix products, the largest of which is the peak that shares are of.
func (c *card) peak(context.Context) error {
	e, err := c.open()
	if err != nil {
		return err
	}
	c.tell("peak", "engine", "%s", e.about())
	for _, dtype := range []dtypes.DType{dtypes.BFloat16, dtypes.Float32} {
		speed, n, err := c.product(e, dtype)
		if err != nil {
			return err
		}
		c.tell("peak", fmt.Sprintf("matrix product, %s, %d", strings.ToLower(dtype.String()), n), "%s TFLOPS", digits(speed/1e12))
	}
	return nil
}

// product returns the operations a second of the best of several square matrix products, of size n.
func (c *card) product(e *backendEngine, dtype dtypes.DType) (speed float64, n int, err error) {
	n = 8192
	if c.small {
		n = 512
	}
	x, err := graph.NewExec(e.backend, func(a *graph.Node) *graph.Node {
		// The largest number is all that comes back, or copying would be timed; the products are made whole.
		a = graph.ConvertDType(graph.Mul(graph.IotaFull(a.Graph(), shapes.Make(dtypes.Float32, n, n)), a), dtype)
		for range 4 {
			a = nn.MatMulT(a, a)
		}
		return graph.ConvertDType(graph.ReduceAllMax(a), dtypes.Float32)
	})
	if err != nil {
		return 0, n, err
	}
	defer x.Finalize()
	best := time.Duration(math.MaxInt64)
	for range 4 {
		began := time.Now()
		out, err := x.Call(float32(1e-12))
		if err != nil {
			return 0, n, err
		}
		if err := errors.Join(out[0].ConstBytes(func([]byte) {}), out[0].FinalizeAll()); err != nil {
			return 0, n, err
		}
		best = min(best, time.Since(began))
	}
	return 4 * 2 * math.Pow(float64(n), 3) / best.Seconds(), n, nil
}

// attention compares the fused form with the chunked one, on the card, at FLUX.1's sizes.
func (c *card) attention(context.Context) error {
	e, err := c.open()
	if err != nil {
		return err
	}
	s := c.shape()
	heads, width := s.Config.Heads, s.Config.HeadDim()
	for _, n := range c.counts {
		bucket := eligen.Bucket(len(s.regions(1)[0]), s.tokens())
		r := rand.New(rand.NewPCG(3, uint64(n)))
		in := []*tensors.Tensor{}
		for _, rows := range []int{s.Text + n*s.EntityText, s.tokens()} {
			for range 3 {
				in = append(in, upload(random(r, 1, 1, rows, heads, width)))
			}
		}
		tokens := make([]int32, 0, n*bucket)
		for i, region := range s.regions(n) {
			for tokens = append(tokens, region...); len(tokens) < (i+1)*bucket; {
				tokens = append(tokens, int32(s.tokens()))
			}
		}
		if n > 0 {
			in = append(in, tensors.FromFlatDataAndDimensions(tokens, 1, n, bucket))
		}
		var results [3][]float32
		fused := false
		for i := range results {
			if results[i], err = c.attend(e, s, in, i > 0, i == 2, &fused); err != nil {
				return err
			}
		}
		size := largest(results[0])
		form := "fused"
		if !fused {
			form = "not fused on this backend, and so the same"
		}
		c.tell("attention", fmt.Sprintf("%d entities, bfloat16: how far chunked, and %s, are from float32", n, form),
			"%.2g and %.2g, of at most %.3g",
			distance(results[1], results[0]), distance(results[2], results[0]), size)
	}
	return nil
}

// attend returns regional attention of queries, keys and values: in float32, or half precision, fused
// or not. What comes in is rounded to half precision in all of them.
func (c *card) attend(e *backendEngine, s shape, in []*tensors.Tensor, half, infer bool, fused *bool) ([]float32, error) {
	x, err := graph.NewExec(e.backend, func(in []*graph.Node) *graph.Node {
		if infer {
			regional.Infer(in[0].Graph())
		}
		var parts []*graph.Node
		for _, p := range in[:6] {
			p = graph.ConvertDType(p, dtypes.BFloat16)
			if !half {
				p = graph.ConvertDType(p, dtypes.Float32)
			}
			parts = append(parts, p)
		}
		*fused = *fused || regional.Fuses(parts[0])
		var groups []regional.Group
		if len(in) > 6 {
			groups = append(groups, regional.NewGroup(in[6], nil, s.EntityText, s.tokens()))
		}
		_, img := regional.Attend(groups, regional.QKV{Q: parts[0], K: parts[1], V: parts[2]},
			regional.QKV{Q: parts[3], K: parts[4], V: parts[5]}, true)
		return graph.ConvertDType(img, dtypes.Float32)
	})
	if err != nil {
		return nil, err
	}
	defer x.Finalize()
	args := make([]any, len(in))
	for i, t := range in {
		args[i] = t
	}
	out, err := x.Call(args...)
	if err != nil {
		return nil, err
	}
	v, err := tensors.CopyFlatData[float32](out[0])
	return v, errors.Join(err, out[0].FinalizeAll())
}

// goldens runs the fixtures of the kit, which PyTorch computed, on the card.
func (c *card) goldens(ctx context.Context) error {
	program := filepath.Join(c.kit, "goldens.test")
	if _, err := os.Stat(program); err != nil {
		c.tell("goldens", "fixtures", "are not in the kit")
		return nil
	}
	p := exec.CommandContext(ctx, program, "-test.v", "-test.run", "Goldens/xla")
	p.Dir = c.kit
	p.Env = append(os.Environ(), "ELIGEN_XLA_CPU="+c.plugin) // any plugin, whatever the name says
	out, err := p.CombinedOutput()
	so := ""
	if ctx.Err() != nil {
		so = ", when the time for them was up"
	}
	passed, failed, skipped := 0, []string{}, 0
	for line := range strings.Lines(string(out)) {
		word, name, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "--- "), ": ")
		name, _, _ = strings.Cut(name, " (")
		switch {
		case strings.Count(name, "/") < 2: // a group's own line
		case word == "PASS":
			passed++
		case word == "FAIL":
			failed = append(failed, name)
		case word == "SKIP":
			skipped++
		}
	}
	if passed+len(failed) == 0 {
		return fmt.Errorf("no fixture ran: %w", errors.Join(err, errors.New(firstLine(errors.New(string(out))))))
	}
	c.tell("goldens", "PyTorch's fixtures, in float32", "%d hold, %d don't, %d are for later%s", passed, len(failed), skipped, so)
	for _, name := range failed[:min(len(failed), 8)] {
		c.tell("goldens", "doesn't hold", "%s", strings.TrimPrefix(name, "TestGoldens/xla/"))
	}
	return nil
}

// shape is FLUX.1 at 1024×1024, or what a processor can do of it.
func (c *card) shape() shape {
	s := shape{Name: "FLUX.1, 1024×1024", Config: flux.Dev, Rows: 64, Columns: 64, Text: 512, EntityText: 512}
	if c.small {
		s.Name, s.Rows, s.Columns, s.Text, s.EntityText = "two blocks of width 384, 128×128", 8, 8, 32, 32
		s.Config.Double, s.Config.Single, s.Config.Dim, s.Config.Heads = 1, 1, 384, 3
	}
	return s
}

// noise is weights of random numbers, in bfloat16 and as large as a trained model's: pieces of one
// block of them, so that gigabytes are there at once.
type noise struct {
	infos []tensor.Info
	block []byte
}

func newNoise(list []tensor.Info) *noise {
	n := &noise{infos: list, block: make([]byte, 0, 8<<20)}
	r := rand.New(rand.NewPCG(4, 4))
	for len(n.block) < cap(n.block) {
		b := tensor.BFloat16(float32(0.018 * r.NormFloat64())) // 1/√3072
		n.block = append(n.block, byte(b), byte(b>>8))
	}
	return n
}

// Tensors lists the weights.
func (n *noise) Tensors() []tensor.Info { return n.infos }

// Floats is asked for nothing: Bytes gives all.
func (n *noise) Floats(string, int, []float32) error { return errors.New("random weights are bytes") }

// Bytes fills dst with random numbers.
func (n *noise) Bytes(name string, dst []byte) (bool, error) {
	if strings.HasSuffix(name, ".scale") { // of a norm: 1
		for i := 0; i < len(dst); i += 2 {
			dst[i], dst[i+1] = 0x80, 0x3f
		}
		return true, nil
	}
	at := 2 * (len(name) * 7919 % 9973) // another piece first for another name's length
	for len(dst) > 0 {
		k := copy(dst, n.block[at:])
		dst, at = dst[k:], 0
	}
	return true, nil
}

// flux takes steps of FLUX.1 over random weights in bfloat16.
func (c *card) flux(ctx context.Context) error {
	e, err := c.open()
	if err != nil {
		return err
	}
	peak, _, err := c.product(e, dtypes.BFloat16)
	if err != nil {
		return err
	}
	s := c.shape()
	var infos []tensor.Info
	for _, w := range s.Config.Weights() {
		size := int64(2)
		for _, d := range w.Shape {
			size *= int64(d)
		}
		infos = append(infos, tensor.Info{Name: w.Name, DType: "BF16", Shape: w.Shape, Size: size})
	}
	t := &fluxmodel.Transformer{Config: s.Config, Runner: graphs.NewRunner(e.backend),
		Store: graphs.NewStore(e.backend, newNoise(infos), dtypes.BFloat16)}
	for _, n := range c.counts {
		if err := c.steps(ctx, t, s, n, peak); err != nil {
			return fmt.Errorf("%d entities: %w", n, err)
		}
	}
	c.tell("FLUX.1", "the card's memory at the end", "%s, of which weights %s MiB", c.memory(), mebibytes(t.Store.Bytes()))
	return nil
}

// steps takes steps with n entities: the first compiles, and the others are timed.
func (c *card) steps(ctx context.Context, t *fluxmodel.Transformer, s shape, n int, peak float64) error {
	dir, err := os.MkdirTemp("", "eligen-gpu-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	inputs := filepath.Join(dir, "inputs")
	if err := writeInputs(inputs, s, n, 1); err != nil {
		return err
	}
	in, err := tensor.ReadFile(inputs)
	if err != nil {
		return err
	}
	d := denoise(request{Config: s.Config, Runs: 5}, in)
	began := time.Now()
	var times samples
	finite := true
	d.Step = func(step, _ int, x tensor.Tensor) {
		times = append(times, milliseconds(time.Since(began)))
		began = time.Now()
		finite = finite && !math.IsNaN(float64(x.Data[0]))
	}
	if _, err := t.Denoise(ctx, d); err != nil {
		return err
	}
	steady := times[2:]
	speed := s.blocksFLOP(n) / steady.median() * 1e3
	c.tell("FLUX.1", fmt.Sprintf("%s, %d entities: a step", s.Name, n), "%s ms, %s TFLOPS, %.0f %% of the product", steady, digits(speed/1e12),
		100*speed/peak)
	c.tell("FLUX.1", fmt.Sprintf("%d entities: compiling so far, loading so far, the first step after both", n), "%.1f s, %.1f s, %.1f s",
		t.Runner.Compiling.Seconds(), t.Runner.Loading.Seconds(), times[0]/1000)
	return nil
}

// nano makes scenes by the embedded model, and compares them with the gallery's pictures, which
// another engine made.
func (c *card) nano(ctx context.Context) error {
	scenes, err := filepath.Glob(filepath.Join(c.kit, "scenes", "*.hcl"))
	if err != nil || len(scenes) == 0 {
		c.tell("nano", "scenes", "are not in the kit")
		return err
	}
	if _, err := c.open(); err != nil { // sets XLA's flags
		return err
	}
	for _, path := range scenes {
		name := strings.TrimSuffix(filepath.Base(path), ".hcl")
		began := time.Now()
		var picture image.Image
		made := map[string]eligen.Artifact{}
		var compiling time.Duration
		see := func(e eligen.Event) {
			if e.Type == eligen.Done {
				made[e.Stage] = *e.Artifact
			}
		}
		err := apply(ctx, path, c.backend(), nil, see, func(e *engine.Engine, store *file.Store) error {
			compiling, _ = e.Waited()
			pictures, err := decoded(store, made)
			for _, p := range pictures {
				picture = p
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		c.tell("nano", name+".hcl: a fresh engine, and the picture beside the gallery's", "%.1f s, of which compiling %.1f; PSNR %s dB",
			time.Since(began).Seconds(), compiling.Seconds(), decibels(psnr(picture, readPNG(filepath.Join(c.kit, "gallery", name+".png")))))
	}
	return nil
}

// readPNG returns a picture; nil where there is none.
func readPNG(path string) image.Image {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	p, err := png.Decode(f)
	if err != nil {
		return nil
	}
	return p
}

// pytorch has PyTorch take the same steps, eager and compiled.
func (c *card) pytorch(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "eligen-gpu-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for name, text := range map[string][]byte{"reference.py": referencePy, "flux.py": fluxPy} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			return err
		}
	}
	p := exec.CommandContext(ctx, c.python, "-u", filepath.Join(dir, "flux.py"), fmt.Sprint(c.small))
	p.Stdout, p.Stderr = c.out.(*os.File), os.Stderr
	return p.Run()
}
