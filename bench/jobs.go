package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/backend"
	"github.com/eligen/eligen/model/exec"
	"github.com/eligen/eligen/model/flux"
	"github.com/eligen/eligen/model/fluxmodel"
	"github.com/eligen/eligen/model/nn"
	"github.com/eligen/eligen/model/weights"
	"github.com/eligen/eligen/train"
)

// guidance is the embedded guidance of every step that has one.
const guidance = 3.5

// A backendEngine is eligen on one backend.
type backendEngine struct {
	backend compute.Backend
	info    backend.Info
}

func openEngine(name string) (*backendEngine, error) {
	b, info, err := backend.Open(name)
	return &backendEngine{b, info}, err
}

func (e *backendEngine) about() string {
	if e.info.Plugin == "" {
		return e.info.Instructions
	}
	return e.info.Instructions + ", plugin " + e.info.PluginDigest.Short()
}

// A job is work to repeat.
type job interface {
	run() (answer, error)
	close()
}

func (e *backendEngine) open(r request) (j job, err error) {
	defer func() {
		// Graphs are built by panicking code.
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	switch r.Job {
	case "matmul":
		return e.openMatmul(r.Size)
	case "step":
		return e.openStep(r)
	case "dense":
		return e.openDense(r)
	case "train":
		return e.openTraining(r)
	}
	return nil, fmt.Errorf("no such job: %q", r.Job)
}

// matmul is a square float32 matrix product: no backend does anything faster.
type matmul struct {
	exec *graph.Exec
	a, b *tensors.Tensor
}

func (e *backendEngine) openMatmul(n int) (job, error) {
	exec, err := graph.NewExec(e.backend, nn.MatMulT)
	if err != nil {
		return nil, err
	}
	numbers := make([]float32, n*n)
	for i := range numbers {
		numbers[i] = float32(i%17) - 8
	}
	of := func() *tensors.Tensor { return tensors.FromFlatDataAndDimensions(numbers, n, n) }
	return &matmul{exec, of(), of()}, nil
}

func (m *matmul) run() (a answer, err error) {
	out, err := m.exec.Call(m.a, m.b)
	if err != nil {
		return a, err
	}
	// A backend may answer before it is done; the bytes are there only then.
	return a, errors.Join(out[0].ConstBytes(func([]byte) {}), out[0].FinalizeAll())
}

func (m *matmul) close() { m.exec.Finalize() }

// step is the transformer of package model, taking one step at a time: what
// `eligen apply` runs, with latents going in and out.
type step struct {
	steps chan struct{} // one that is done
	next  chan struct{}
	ended chan error
	stop  context.CancelFunc
	once  float64 // the first step and all before it, in ms, until it is told
}

func (e *backendEngine) openStep(r request) (job, error) {
	checkpoint, err := weights.Open(r.Weights)
	if err != nil {
		return nil, err
	}
	in, err := tensor.ReadFile(r.Inputs)
	if err != nil {
		return nil, err
	}
	t := &fluxmodel.Transformer{Config: r.Config, Runner: exec.NewRunner(e.backend),
		Store: exec.NewStore(e.backend, checkpoint, dtypes.Float32)}
	d := denoise(r, in)

	// A first picture loads the weights and compiles, and ends with its first step;
	// the second, which is measured, is warm from its beginning.
	ctx, stop := context.WithCancel(context.Background())
	var failed error
	d.Velocity = func(_ int, v []float32) { failed = writeFloats(r.Output, v) }
	d.Step = func(int, int, tensor.Tensor) { stop() }
	if _, err := t.Denoise(ctx, d); failed != nil || !errors.Is(err, context.Canceled) {
		stop()
		return nil, errors.Join(failed, err)
	}

	ctx, stop = context.WithCancel(context.Background())
	s := &step{steps: make(chan struct{}), next: make(chan struct{}), ended: make(chan error, 1), stop: stop}
	d.Velocity = nil
	d.Step = func(int, int, tensor.Tensor) {
		select {
		case s.steps <- struct{}{}:
		case <-ctx.Done():
			return
		}
		select {
		case <-s.next:
		case <-ctx.Done():
		}
	}
	began := time.Now()
	go func() {
		_, err := t.Denoise(ctx, d)
		s.ended <- err
	}()
	if _, err := s.wait(); err != nil {
		stop()
		return nil, err
	}
	s.once = milliseconds(time.Since(began))
	return s, nil
}

func (s *step) wait() (a answer, err error) {
	select {
	case <-s.steps:
	case err = <-s.ended:
	}
	return a, err
}

func (s *step) run() (answer, error) {
	if once := s.once; once > 0 {
		s.once = 0
		return answer{Once: once}, nil
	}
	s.next <- struct{}{}
	return s.wait()
}

func (s *step) close() { s.stop() }

// denoise returns a picture whose every step is like the first: the noise level never changes.
func denoise(r request, in map[string]tensor.Tensor) eligen.Denoise {
	d := eligen.Denoise{
		Latents:  tensor.Tensor{Shape: in["latents"].Shape[1:], Data: in["latents"].Data},
		Prompt:   eligen.Conditioning{eligen.Txt: single(in["txt"]), eligen.Vec: single(in["vec"])},
		Guidance: guidance, CFG: 1,
	}
	for range r.Runs + 3 {
		d.Sigmas = append(d.Sigmas, in["sigma"].Data[0])
	}
	txt, members, buckets := in["entities"], in["members"], in["buckets"]
	if len(txt.Shape) == 0 {
		return d
	}
	length, width, image := txt.Shape[2], txt.Shape[3], members.Shape[2]
	for i := range txt.Shape[1] {
		e := eligen.EntityConditioning{
			Prompt: eligen.Conditioning{eligen.Txt: {Shape: []int{length, width}, Data: txt.Data[i*length*width:][:length*width]}},
			Bucket: int(buckets.Data[i]), Strength: 1,
		}
		for token, on := range members.Data[i*image:][:image] {
			if on > 0 {
				e.Tokens = append(e.Tokens, int32(token))
			}
		}
		d.Entities = append(d.Entities, e)
	}
	return d
}

// single returns the only sample of a batch of one.
func single(t tensor.Tensor) tensor.Tensor { return tensor.Tensor{Shape: t.Shape[1:], Data: t.Data} }

// dense is the same step under a mask, for comparison only.
type dense struct{}

func (e *backendEngine) openDense(r request) (job, error) {
	checkpoint, err := weights.Open(r.Weights)
	if err != nil {
		return nil, err
	}
	in, err := tensor.ReadFile(r.Inputs)
	if err != nil {
		return nil, err
	}
	list := []*tensors.Tensor{upload(in["latents"]), upload(in["sigma"]), upload(in["txt"]), upload(in["vec"])}
	if t, ok := in["entities"]; ok {
		list = append(list, upload(t), upload(in["members"]))
	}
	out, err := exec.NewRunner(e.backend).Run(exec.Graph{Name: "dense", Build: func(w nn.Weights, in []*graph.Node) []*graph.Node {
		return []*graph.Node{denseVelocity(w, r.Config, in[0], in[1], in[2], in[3], in[4:])}
	}}, exec.NewStore(e.backend, checkpoint, dtypes.Float32), list...)
	if err != nil {
		return nil, err
	}
	v, err := tensors.CopyFlatData[float32](out[0])
	if err != nil {
		return nil, err
	}
	return dense{}, writeFloats(r.Output, v)
}

func (dense) run() (answer, error) { return answer{}, nil }
func (dense) close()               {}

// denseVelocity returns the transformer at noise levels sigma [B]; entities is their
// text [B,N,Te,D] and members [B,N,S], or empty.
func denseVelocity(w nn.Weights, cfg flux.Config, latents, sigma, txt, vec *graph.Node, entities []*graph.Node) *graph.Node {
	in := flux.Input{Latents: latents, Timestep: graph.MulScalar(sigma, 1000), Txt: txt, Vec: vec}
	if cfg.Guidance {
		in.Guidance = graph.MulScalar(graph.OnesLike(sigma), guidance)
	}
	if len(entities) > 0 {
		in.Entities = []flux.Entities{{Txt: entities[0], Members: entities[1]}}
	}
	return flux.Velocity(w, cfg, in)
}

func upload(t tensor.Tensor) *tensors.Tensor {
	return tensors.FromFlatDataAndDimensions(t.Data, t.Shape...)
}

// trainer is package train at work on the transformer alone.
type trainer struct {
	steps chan train.Status
	next  chan struct{}
	ended chan error
	stop  context.CancelFunc
	spent float64 // seconds, as the training itself counts them
}

func (e *backendEngine) openTraining(r request) (job, error) {
	weights, err := tensor.ReadFile(r.Weights)
	if err != nil {
		return nil, err
	}
	in, err := tensor.ReadFile(r.Inputs)
	if err != nil {
		return nil, err
	}
	task := train.Task{
		Pictures: in["latents"].Shape[0],
		Batch: func(int) (list []*tensors.Tensor, err error) {
			for _, name := range []string{"latents", "noise", "sigma", "txt", "vec", "entities", "members"} {
				list = append(list, upload(in[name]))
			}
			return list, nil
		},
		Loss: func(w nn.Weights, in []*graph.Node) (*graph.Node, map[string]*graph.Node) {
			latents, noise, sigma := in[0], in[1], in[2]
			s := graph.Reshape(sigma, -1, 1, 1, 1)
			x := graph.Add(graph.Mul(latents, graph.OneMinus(s)), graph.Mul(noise, s))
			v := denseVelocity(w, r.Config, x, sigma, in[3], in[4], in[5:])
			return graph.ReduceAllMean(graph.Square(graph.Sub(v, graph.Sub(noise, latents)))), nil
		},
	}
	for _, w := range r.Config.Weights() {
		task.Params = append(task.Params, train.Param{Name: w.Name, Shape: w.Shape, Init: weights[w.Name].Data})
	}
	ctx, stop := context.WithCancel(context.Background())
	t := &trainer{steps: make(chan train.Status), next: make(chan struct{}), ended: make(chan error, 1), stop: stop}
	options := train.Options{
		Recipe:  eligen.Recipe{Name: "bench", Kind: "base", Steps: math.MaxInt32, Batch: task.Pictures, Every: 1, Optimizer: *r.Optimizer},
		Backend: e.backend, Dir: r.Output,
		Report: func(s train.Status) {
			if s.Note != "" {
				return // a checkpoint, outside of the time that is counted
			}
			select {
			case t.steps <- s:
			case <-ctx.Done():
				return
			}
			select {
			case <-t.next:
			case <-ctx.Done():
			}
		},
	}
	go func() { t.ended <- train.Run(ctx, task, options) }()
	return t, nil
}

// run waits for the step that is on its way, and has the training wait after it.
func (t *trainer) run() (a answer, err error) {
	if t.spent > 0 {
		t.next <- struct{}{}
	}
	select {
	case s := <-t.steps:
		a = answer{Loss: s.Loss, MS: 1000 * (s.Seconds - t.spent)}
		t.spent = s.Seconds
		return a, nil
	case err := <-t.ended:
		return a, err
	}
}

func (t *trainer) close() {
	t.stop()
	told := <-t.ended // the context's error, or one that run has told already
	_ = told
}
