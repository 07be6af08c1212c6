package runtime

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/bug"
	"github.com/eligen/eligen/internal/tensor"
)

// stage makes a stage's result, if it has to be made, and the files that it is
// copied to.
func (w *walk) stage(ctx context.Context, i eligen.Ref) {
	s := &w.plan.Stages[i]
	if !w.needed[i] {
		w.unused(ctx, s)
		return
	}
	if info := w.found[i]; info != nil {
		w.cached(ctx, i, *info)
		return
	}
	skip := ctx.Err() != nil || w.halted()
	for _, in := range s.Inputs {
		skip = skip || w.failed[in]
	}
	if skip {
		w.skip(i)
		return
	}
	if w.engine(i) {
		release, err := w.lease(ctx, s)
		if err != nil {
			w.skip(i)
			return
		}
		defer release()
		if info, ok := w.meanwhile(ctx, i); ok {
			w.cached(ctx, i, info)
			return
		}
	}
	w.emit(eligen.Event{Type: eligen.Started, Stage: s.Name, Kind: s.Op.Kind()})
	info, err := w.run(ctx, i)
	if err != nil && ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		w.skip(i)
		return
	}
	if err != nil {
		w.fail(i, err)
		return
	}
	a := info.artifact()
	w.emit(eligen.Event{Type: eligen.Done, Stage: s.Name, Kind: s.Op.Kind(), Artifact: &a})
	w.write(ctx, i)
}

// halted reports whether a failure ends the run.
func (w *walk) halted() bool {
	w.state.Lock()
	defer w.state.Unlock()
	return w.Halt && len(w.errs) > 0
}

// unused emits that nothing needs a stage, with its result if there is one to look at.
func (w *walk) unused(ctx context.Context, s *eligen.Stage) {
	e := eligen.Event{Type: eligen.Cached, Stage: s.Name, Kind: s.Op.Kind(), Unused: true}
	if info, err := w.Store.Stat(ctx, s.Digest); err == nil {
		a := info.artifact()
		e.Artifact = &a
	}
	w.emit(e)
}

// cached emits that a result was in the store, and writes its files.
func (w *walk) cached(ctx context.Context, i eligen.Ref, info Info) {
	a := info.artifact()
	s := &w.plan.Stages[i]
	w.emit(eligen.Event{Type: eligen.Cached, Stage: s.Name, Kind: s.Op.Kind(), Artifact: &a})
	w.write(ctx, i)
}

// lease waits while another run makes a stage. The error is ctx's. Without leases, runs
// make the same result at the same time.
func (w *walk) lease(ctx context.Context, s *eligen.Stage) (release func(), err error) {
	none := func() {}
	if w.leaser == nil {
		return none, nil
	}
	l, err := w.leaser.Lease(ctx, s.Digest, func() {
		w.report("Waiting for another run", fmt.Errorf("another run of eligen is making %s; this one waits for it", s.Name))
	})
	if ctx.Err() != nil {
		if err == nil {
			l.Release()
		}
		return none, ctx.Err()
	}
	if err != nil {
		w.reportOnce(&w.unleased, "No leases", fmt.Errorf("other runs may make the same results at the same time: %w", err))
		return none, nil
	}
	return hold(l, func(err error) {
		w.reportOnce(&w.unleased, "Lease lost", fmt.Errorf("another run may be making %s too: %w", s.Name, err))
	}), nil
}

// reportOnce reports a problem, unless it was reported.
func (w *walk) reportOnce(reported *bool, summary string, err error) {
	w.state.Lock()
	again := *reported
	*reported = true
	w.state.Unlock()
	if !again {
		w.report(summary, err)
	}
}

// meanwhile reports whether another run has made a result since this one looked.
func (w *walk) meanwhile(ctx context.Context, i eligen.Ref) (Info, bool) {
	if w.replaced[i] {
		return Info{}, false
	}
	info, err := Verify(ctx, w.Store, w.plan.Stages[i].Digest)
	return info, err == nil
}

func (w *walk) skip(i eligen.Ref) {
	w.failed[i] = true
	s := w.plan.Stages[i]
	w.emit(eligen.Event{Type: eligen.Skipped, Stage: s.Name, Kind: s.Op.Kind()})
}

func (w *walk) fail(i eligen.Ref, err error) {
	w.failed[i] = true
	s := w.plan.Stages[i]
	w.failure(s, err, &s.Source, "")
}

// failure reports what went wrong in a stage, or in writing a file of it.
func (w *walk) failure(s eligen.Stage, err error, at *eligen.Source, path string) {
	problem := diagnose(err, at)
	w.state.Lock()
	w.errs = append(w.errs, &StageError{s.Name, problem, err})
	w.state.Unlock()
	w.emit(eligen.Event{Type: eligen.Failed, Stage: s.Name, Kind: s.Op.Kind(), Path: path, Problem: &problem})
}

// run runs a stage's Op, which writes into the store.
func (w *walk) run(ctx context.Context, i eligen.Ref) (info Info, err error) {
	s := &w.plan.Stages[i]
	out, err := w.Store.Create(context.WithoutCancel(ctx), s.Digest) // an interrupted run keeps what it finishes
	if err != nil {
		return Info{}, err
	}
	defer out.Close()
	c := &eligen.Call{Engine: w.Engine, Out: out}
	for _, in := range s.Inputs {
		a, err := w.input(ctx, in)
		if err != nil {
			return Info{}, err
		}
		c.Inputs = append(c.Inputs, a)
	}
	var estimate *tensor.Tensor
	c.Step = func(step, of int) {
		w.emit(eligen.Event{Type: eligen.Stepped, Stage: s.Name, Kind: s.Op.Kind(), Step: step, Of: of, Estimate: estimate})
		estimate = nil
	}
	if w.Estimates {
		c.Show = func(t tensor.Tensor) { estimate = &t }
	}
	w.resume(context.WithoutCancel(ctx), i, c)
	defer func() {
		if b := bug.From(recover()); b != nil {
			err = b
		}
	}()
	if err := s.Op.Run(ctx, c); err != nil {
		return Info{}, err
	}
	if info, err = w.commit(i, out); err != nil {
		return Info{}, err
	}
	if w.partials != nil {
		w.partials.DropPartial(context.WithoutCancel(ctx), s.Digest)
	}
	return info, nil
}

// commit keeps a stage's result.
func (w *walk) commit(i eligen.Ref, out Writer) (Info, error) {
	info, err := out.Commit(false)
	if !errors.Is(err, ErrNotDeterministic) || !strings.Contains(w.plan.Engine, "cuda") {
		return info, err
	}
	// A GPU adds numbers in whatever order they come.
	w.report("Stage is not deterministic", fmt.Errorf("%s: %w", w.plan.Stages[i].Name, err))
	if w.replaced[i] {
		return out.Commit(true)
	}
	return info, nil
}

// resume lets a stage save partial results, and resume from what an earlier run saved.
func (w *walk) resume(ctx context.Context, i eligen.Ref, c *eligen.Call) {
	s := &w.plan.Stages[i]
	if w.partials == nil {
		return
	}
	if w.replaced[i] {
		w.partials.DropPartial(ctx, s.Digest)
	}
	c.Saved = func() ([]byte, int) {
		data, step, damage := w.partials.Partial(ctx, s.Digest)
		if damage != nil {
			w.report("Damaged partial result", damage)
			return nil, 0
		}
		return data, step
	}
	c.Save = func(data []byte, step int) {
		if err := w.partials.SavePartial(ctx, s.Digest, data, step); err != nil {
			err = fmt.Errorf("if the run is interrupted, %s begins again: %w", s.Name, err)
			w.reportOnce(&w.unsaved, "Partial result is not kept", err)
		}
	}
}

// input returns an earlier stage's result, to be read from the store.
func (w *walk) input(ctx context.Context, i eligen.Ref) (eligen.Artifact, error) {
	s := &w.plan.Stages[i]
	info, err := w.Store.Stat(ctx, s.Digest)
	if missing(err) {
		return eligen.Artifact{}, fmt.Errorf("the result of %s has just vanished from the store; run the command again", s.Name)
	}
	a := info.artifact()
	a.Open = func() (io.ReadCloser, error) { return w.Store.Open(ctx, s.Digest) }
	return a, err
}

// write copies a result to its files.
func (w *walk) write(ctx context.Context, i eligen.Ref) {
	s := w.plan.Stages[i]
	ctx = context.WithoutCancel(ctx) // an interrupted run writes what it has
	for _, k := range w.files[i] {
		o := w.plan.Outputs[k]
		err := w.outputs.write(o, func() (Reader, error) {
			r, err := w.Store.Open(ctx, s.Digest)
			if missing(err) {
				err = errors.New("the picture has just vanished from the store; run the command again")
			}
			return r, err
		})
		if err != nil {
			w.failure(s, err, &o.Source, o.Path)
			continue
		}
		w.emit(eligen.Event{Type: eligen.Wrote, Stage: s.Name, Path: o.Path})
	}
}
