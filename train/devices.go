package train

import (
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/family"
)

// A Learner computes a lesson's loss, and its gradients to a LoRA's factors.
type Learner interface {
	Learn(ctx context.Context, transformer eligen.Digest, x family.Lesson, f family.Factors) (float64, family.Factors, error)
}

// A Device is a Learner in a process of its own, with a backend, weights and memory of its own: another
// graphics card. It is spoken to in encoding/gob, through the process's standard input and output.
type Device struct {
	name string
	c    *exec.Cmd
	stop context.CancelFunc
	in   io.WriteCloser
	to   *gob.Encoder
	from *gob.Decoder
	said bytes.Buffer // on standard error
}

var _ Learner = (*Device)(nil)

// order is what a Device's process is asked: first its model, then lessons.
type order struct {
	Model       eligen.Model
	Transformer eligen.Digest
	Lesson      family.Lesson
	Factors     family.Factors
}

// answer is what it answers to each.
type answer struct {
	Transformer eligen.Digest
	Loss        float64
	Gradients   family.Factors
	Problem     string
}

// StartDevice starts a process that calls ServeDevice, and has it open the model. name is for errors.
func StartDevice(name string, command func(context.Context) *exec.Cmd, m eligen.Model, transformer eligen.Digest) (*Device, error) {
	ctx, stop := context.WithCancel(context.Background())
	d := &Device{name: name, c: command(ctx), stop: stop}
	d.c.Stderr = &d.said
	out, err := d.c.StdoutPipe()
	if err == nil {
		d.in, err = d.c.StdinPipe()
	}
	if err == nil {
		err = d.c.Start()
	}
	if err != nil {
		stop()
		return nil, fmt.Errorf("%s: its process can't be started: %w", name, err)
	}
	d.to, d.from = gob.NewEncoder(d.in), gob.NewDecoder(out)
	m.At = nil // places in a scene's file
	a, err := d.ask(context.Background(), order{Model: m})
	if err == nil && a.Transformer != transformer {
		err = fmt.Errorf("%s has other weights (%s) than this process (%s): files have changed meanwhile", name, a.Transformer.Short(),
			transformer.Short())
	}
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// ask sends an order and waits for its answer. When ctx ends, so does the process.
func (d *Device) ask(ctx context.Context, o order) (a answer, err error) {
	defer context.AfterFunc(ctx, d.stop)()
	if err = d.to.Encode(o); err == nil {
		err = d.from.Decode(&a)
	}
	switch {
	case ctx.Err() != nil:
		return a, ctx.Err()
	case err != nil:
		_ = d.c.Wait() // so that all is there that it said
		lines := strings.Split(strings.TrimSpace(d.said.String()), "\n")
		return a, fmt.Errorf("the process of %s has ended: %s", d.name, lines[len(lines)-1])
	case a.Problem != "":
		return a, fmt.Errorf("%s: %s", d.name, a.Problem)
	}
	return a, nil
}

// Learn computes a lesson there.
func (d *Device) Learn(ctx context.Context, transformer eligen.Digest, x family.Lesson, f family.Factors) (float64, family.Factors, error) {
	a, err := d.ask(ctx, order{Transformer: transformer, Lesson: x, Factors: f})
	return a.Loss, a.Gradients, err
}

// Close ends the process.
func (d *Device) Close() error {
	_ = d.in.Close() // it ends when there is nothing more to read
	d.stop()
	_ = d.c.Wait() // however it ends
	return nil
}

// ServeDevice answers a StartDevice until there is nothing more to read. open opens a model, and returns who computes its
// lessons with the digest of its transformer.
func ServeDevice(ctx context.Context, r io.Reader, w io.Writer, open func(eligen.Model) (Learner, eligen.Digest, error)) error {
	from, to := gob.NewDecoder(r), gob.NewEncoder(w)
	var first order
	if err := from.Decode(&first); err != nil {
		return fmt.Errorf("a training starts this command, and nobody else: %w", err)
	}
	l, transformer, err := open(first.Model)
	if err != nil {
		return to.Encode(answer{Problem: err.Error()})
	}
	if err := to.Encode(answer{Transformer: transformer}); err != nil {
		return err
	}
	for {
		var o order
		if err := from.Decode(&o); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		var a answer
		if a.Loss, a.Gradients, err = l.Learn(ctx, o.Transformer, o.Lesson, o.Factors); err != nil {
			a.Problem = err.Error()
		}
		if err := to.Encode(a); err != nil {
			return err
		}
	}
}

// learnt is a lesson's result.
type learnt struct {
	loss      float64
	gradients family.Factors
	err       error
}

// learn computes lessons, each on a device, at the same time.
func (l Lessons) learn(ctx context.Context, lessons []family.Lesson, f family.Factors) []learnt {
	out := make([]learnt, len(lessons))
	var all sync.WaitGroup
	for i, x := range lessons {
		var on Learner = l.Engine
		if i > 0 {
			on = l.Devices[i-1]
		}
		all.Go(func() {
			o := &out[i]
			o.loss, o.gradients, o.err = on.Learn(ctx, l.Spec.Transformer, x, f)
		})
	}
	all.Wait()
	return out
}

// add adds a lesson's share to a step of n lessons.
func (g *Gradients) add(x family.Lesson, of learnt, n int) {
	g.Loss += of.loss / float64(n)
	if x.Weight > 0 {
		g.Measures["unweighted"] += of.loss / float64(x.Weight) / float64(n)
	}
	sum := func(name string, d tensor.Tensor) {
		t, ok := g.Of[name]
		if !ok {
			t = tensor.New(d.Shape...)
			g.Of[name] = t
		}
		for i, x := range d.Data {
			t.Data[i] += x / float32(n)
		}
	}
	for name, d := range of.gradients {
		a, b, _ := LoRANames("dit." + name)
		sum(a, d.A)
		sum(b, d.B)
	}
}
