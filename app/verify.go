package app

import (
	"context"
	"errors"
	"fmt"
	"image"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/dsl"
	"github.com/eligen/eligen/planner"
	"github.com/eligen/eligen/runtime"
	"github.com/eligen/eligen/stage/still"
	"github.com/eligen/eligen/store/file"
)

// A VerifyRequest says which renders to hold to the record, the file eligen.lock.hcl next to the scene.
type VerifyRequest struct {
	PlanRequest        // Frames, Replace and Out are not used
	LockOnly    bool   // leave out the files next to the scene
	DiffFolder  string // takes difference pictures, and what was rendered; "" puts the former next to the scene
	// Advice is how a person makes the record anew, for messages, such as "with\n\n    COMMAND", and
	// Restore how they write the files again.
	Advice, Restore string
	// EngineAdvice is how a person chooses the engine of a kind, such as "--engine paint".
	EngineAdvice func(kind string) string
}

// A Verifying is a verification that is planned.
type Verifying struct {
	request VerifyRequest
	plan    *Plan
	sources *sources
	lock    *eligen.Lock
	list    []verified
	gone    eligen.Diagnostics      // renders that the lock has and the scene no more
	others  map[string]*eligen.Plan // the scene planned for the engines of the records, by engine
}

// A Verification is what came out.
type Verification struct {
	Verdicts []Verdict
	Problems eligen.Diagnostics // none: everything is as it was recorded
}

// A Verdict is about one render.
type Verdict struct {
	Render string
	Text   string // one line
	Same   bool   // as recorded
}

// ErrUnfinished says that a verification was interrupted, and nothing of it is kept.
var ErrUnfinished = errors.New("interrupted. Nothing of a verification is kept: the same command begins again")

// errGone joins the mismatches that are known before anything is rendered.
type errGone struct{ eligen.Diagnostics }

// Unwrap returns the diagnostics.
func (e errGone) Unwrap() error { return e.Diagnostics }

// Mismatch reports whether an error says that something is not as it was recorded.
func Mismatch(err error) bool {
	var gone errGone
	return errors.As(err, &gone)
}

// PlanVerify reads a scene and its lock, and plans what is recorded. It returns warnings too. Weights
// that are not those of the lock are an IntegrityError.
func (a *App) PlanVerify(ctx context.Context, r VerifyRequest) (*Verifying, eligen.Diagnostics, error) {
	if err := a.begin(); err != nil {
		return nil, nil, err
	}
	defer a.running.Done()
	v, warnings, err := a.openVerifying(ctx, r)
	if err != nil {
		return nil, warnings, err
	}
	ds, err := v.chooseRecorded()
	if warnings = append(warnings, ds...); err != nil {
		return nil, warnings, err
	}
	ds, err = v.build(ctx)
	if warnings = append(warnings, ds...); err != nil {
		return nil, warnings, err
	}
	if err := v.comparable(); err != nil {
		return nil, warnings, err
	}
	v.planForOthers(ctx)
	return v, warnings, nil
}

// openVerifying reads a scene and its lock.
func (a *App) openVerifying(ctx context.Context, r VerifyRequest) (*Verifying, eligen.Diagnostics, error) {
	e, err := a.engine(r.Engine, r.Backend)
	if err != nil {
		return nil, nil, err
	}
	scene, warnings, err := a.choose(ctx, r.PlanRequest)
	if err != nil {
		return nil, warnings, err
	}
	scene.Checks = nil // Apply tests them
	sheets(scene)
	lock, ds := dsl.LoadLock(filepath.Dir(scene.Path))
	if err := ds.Err(); err != nil {
		return nil, warnings, err
	}
	return &Verifying{request: r, plan: &Plan{Scene: scene, request: r.PlanRequest, engine: e}, sources: a.sources, lock: lock}, warnings, nil
}

// chooseRecorded leaves the renders of the scene that are recorded, and warns of the others.
func (v *Verifying) chooseRecorded() (warnings eligen.Diagnostics, err error) {
	scene, advice := v.plan.Scene, v.request.Advice
	if len(v.request.Targets) == 0 {
		for i := range v.lock.Renders {
			r := &v.lock.Renders[i]
			address := movedTo(scene.Moves, r.Address)
			if r.Scene == filepath.Base(scene.Path) && !hasRender(scene, address) {
				v.gone.Errorf(&r.Source, "Recorded render is gone",
					"%s is recorded, and %s has no such render. If it has another name now, a moved block keeps its "+
						"record; if it is not wanted any more, forget it %s", r.Address, scene.Path, advice)
			}
		}
	}
	scene.Renders = slices.DeleteFunc(scene.Renders, func(r eligen.Render) bool {
		missing := recordOf(v.lock, scene, r.Address) == nil
		if missing {
			warnings.Warnf(&r.Source, "Render is not recorded",
				"%s is not in %s, so there is nothing to compare it with. Record it %s", r.Address, eligen.LockName, advice)
		}
		return missing
	})
	switch {
	case len(scene.Renders) > 0:
		return warnings, nil
	case len(v.gone) > 0:
		return nil, errGone{v.gone}
	}
	var ds eligen.Diagnostics
	ds.Errorf(&eligen.Source{File: scene.Path}, "Nothing is recorded",
		"%s has no record of %s, so there is nothing to compare it with. Render and record it %s",
		filepath.Join(filepath.Dir(scene.Path), eligen.LockName), scene.Path, advice)
	return nil, ds
}

func hasRender(scene *eligen.Scene, address string) bool {
	return slices.ContainsFunc(scene.Renders, func(r eligen.Render) bool { return r.Address == address })
}

// options returns the planner's options. With withLock, a render that leaves open whether it is decoded in tiles
// is planned as it was recorded, however much memory there is: its digest must not depend on the
// machine that verifies.
func (v *Verifying) options(withLock bool) planner.Options {
	m := limit(v.request.Memory, v.request.MemoryFrom, v.plan.engine.ID())
	hold(v.plan.engine, m)
	o := planner.Options{Memory: m.bytes, MemoryFrom: m.from}
	if withLock {
		o.Recorded = func(address string) (*eligen.Tiling, bool) {
			if r := recordOf(v.lock, v.plan.Scene, address); r != nil {
				return r.Tiles, true
			}
			return nil, false
		}
	}
	return o
}

// build plans the scene as it was recorded.
func (v *Verifying) build(ctx context.Context) (eligen.Diagnostics, error) {
	p, warnings, err := build(ctx, v.plan.engine, v.sources, v.plan.Scene, v.options(true))
	if err != nil {
		return warnings, err
	}
	v.plan.Plan = p
	v.list = verifiedOf(p, v.plan.Scene, v.lock)
	return warnings, nil
}

// planForOthers plans the scene for each engine of the records: a render that comes to the recorded
// recipe there differs by its engine only.
func (v *Verifying) planForOthers(ctx context.Context) {
	e, o := v.plan.engine, planner.Options{Recorded: v.options(true).Recorded}
	v.others = map[string]*eligen.Plan{e.ID(): v.plan.Plan}
	for _, one := range v.list {
		if id := one.record.Engine; v.others[id] == nil {
			v.others[id], _ = planner.Build(ctx, v.plan.Scene, id, e.Spec, o) // mistakes are those of the first plan
		}
	}
}

// comparable reports records that this engine and these weights can't be held to.
func (v *Verifying) comparable() error {
	paints := func(id string) bool { return strings.HasPrefix(id, "paint/") }
	id := v.plan.engine.ID()
	var other, weights eligen.Diagnostics
	for _, one := range v.list {
		r := one.record
		if paints(r.Engine) != paints(id) {
			kind := map[bool]string{true: "paint", false: "model"}[paints(r.Engine)]
			other.Errorf(&r.Source, "Recorded with another kind of engine",
				"%s was recorded on %s, and this is %s: flat colours and a model's picture have nothing in common. "+
					"Verify it with %s.",
				one.render.Address, r.Engine, id, v.request.EngineAdvice(kind))
			continue
		}
		v.otherWeights(&weights, one)
	}
	if len(weights) > 0 {
		return &IntegrityError{append(weights, other...)}
	}
	return other.Err()
}

// otherWeights reports weights of a render that are not the recorded ones, where the scene asks for
// the same model.
func (v *Verifying) otherWeights(ds *eligen.Diagnostics, one verified) {
	r := one.record
	now := weightsOf(one.resolved)
	model, known := r.Resolved["model"]
	if known && model != one.resolved.Model.Family+" "+one.resolved.Model.DType || len(now) != len(r.Weights) {
		return // that is a change of the scene
	}
	for i, w := range now {
		if was := r.Weights[i]; was != w {
			ds.Errorf(&r.Source, "Weights are not those of the lock",
				"%s was recorded with the weights %s of its %s; they are %s now. A file was changed, or another was "+
					"put in its place. Nothing was rendered. Get the recorded weights back, or, if the new ones are "+
					"meant, record what comes of them %s",
				one.render.Address, was.Digest.Short(), was.Part, w.Digest.Short(), v.request.Advice)
		}
	}
}

// Verify renders in a store of its own, so that nothing comes of an earlier run, and compares. Of r,
// only Events count.
func (a *App) Verify(ctx context.Context, v *Verifying, r Run) (*Verification, error) {
	if err := a.begin(); err != nil {
		return nil, err
	}
	defer a.running.Done()
	out := &Verification{Problems: slices.Clone(v.gone)}
	// It writes no file: those next to the scene are the ones to compare with.
	err := alone(ctx, v.plan, Run{Events: r.Events, Unwritten: true}, func(store *file.Store) error {
		for _, one := range v.list {
			img, err := picture(ctx, store, one.digest(v.plan.Plan))
			if err != nil {
				return fmt.Errorf("%s: %w", one.render.Address, err)
			}
			out.add(ctx, v, one, img, store)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// add compares a render with its record.
func (out *Verification) add(ctx context.Context, v *Verifying, one verified, img *image.NRGBA, store runtime.Store) {
	c := comparison{verified: one, v: v, img: img, now: one.digest(v.plan.Plan)}
	there := v.others[one.record.Engine]
	for _, w := range verifiedOf(there, v.plan.Scene, v.lock) {
		if w.render == one.render {
			c.there = w.digest(there)
		}
	}
	verdict, mismatch := c.compare()
	if mismatch == "" && !v.request.LockOnly {
		if troubles := c.files(ctx, store); len(troubles) > 0 {
			verdict += "; " + strings.Join(troubles, "; ")
			out.Problems.Errorf(&one.render.Source, "File differs from its record",
				"%s comes out as it was recorded, but next to the scene\n  %s\nGet the recorded files back, or write "+
					"them again %s",
				one.render.Address, strings.Join(troubles, "\n  "), v.request.Restore)
		}
	}
	out.Verdicts = append(out.Verdicts, Verdict{one.render.Address, verdict, mismatch == ""})
	if mismatch != "" {
		out.Problems.Errorf(&one.render.Source, c.summary,
			"%s If the picture is meant to be as it is now, record it %s", mismatch, v.request.Advice)
	}
}

// alone applies a plan in a store of its own, and hands the store to use.
func alone(ctx context.Context, p *Plan, r Run, use func(*file.Store) error) error {
	dir, err := os.MkdirTemp("", "eligen-verify-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	store, err := file.Open(dir)
	if err != nil {
		return err
	}
	defer store.Close()
	if _, err = apply(ctx, runtime.Runner{Store: store}, p, r); ctx.Err() != nil {
		return errors.Join(ErrUnfinished, ctx.Err())
	}
	if err != nil {
		return err
	}
	return use(store)
}

// A Recorded is a render that was recorded.
type Recorded struct{ Render, Engine string }

// PlanRecord reads a scene and its lock, and plans what Record is to record.
func (a *App) PlanRecord(ctx context.Context, r VerifyRequest) (*Verifying, eligen.Diagnostics, error) {
	if err := a.begin(); err != nil {
		return nil, nil, err
	}
	defer a.running.Done()
	v, warnings, err := a.openVerifying(ctx, r)
	if err != nil {
		return nil, warnings, err
	}
	p, ds, err := build(ctx, v.plan.engine, v.sources, v.plan.Scene, v.options(false))
	if warnings = append(warnings, ds...); err != nil {
		return nil, warnings, err
	}
	v.plan.Plan = p
	return v, warnings, nil
}

// Record renders in a store of its own, writes the files as Apply does, and then the lock, whose path it
// returns. Of r, Events and Force count.
func (a *App) Record(ctx context.Context, v *Verifying, r Run) (list []Recorded, lock string, err error) {
	if err := a.begin(); err != nil {
		return nil, "", err
	}
	defer a.running.Done()
	scene := v.plan.Scene
	folder := filepath.Dir(scene.Path)
	err = alone(ctx, v.plan, Run{Events: r.Events, Force: r.Force}, func(store *file.Store) error {
		renders, err := v.records(ctx, store)
		if err != nil {
			return err
		}
		err = dsl.UpdateLock(ctx, folder, func(l *eligen.Lock) { l.Renders = v.recorded(l.Renders, renders) })
		if err != nil {
			return err
		}
		for _, r := range renders {
			if r.Scene == filepath.Base(scene.Path) && hasRender(scene, r.Address) {
				list = append(list, Recorded{r.Address, r.Engine})
			}
		}
		return nil
	})
	return list, filepath.Join(folder, eligen.LockName), err
}

// recorded returns records as they are in the lock now, with what changed since it was read in place of theirs:
// another process may have recorded another scene of the folder.
func (v *Verifying) recorded(now, changed []eligen.LockedRender) (out []eligen.LockedRender) {
	is := func(a eligen.LockedRender) func(eligen.LockedRender) bool {
		return func(b eligen.LockedRender) bool { return a.Scene == b.Scene && a.Address == b.Address }
	}
	for _, r := range changed {
		i := slices.IndexFunc(v.lock.Renders, is(r))
		if i < 0 || !reflect.DeepEqual(v.lock.Renders[i], r) || slices.ContainsFunc(now, is(r)) {
			out = append(out, r)
		}
	}
	for _, r := range now {
		switch i := slices.IndexFunc(out, is(r)); {
		case i < 0 && !slices.ContainsFunc(v.lock.Renders, is(r)):
			out = append(out, r) // it is new
		case i >= 0 && r.Scene != filepath.Base(v.plan.Scene.Path):
			out[i] = r // another scene's, which this run only copied
		}
	}
	return out
}

// records returns what the lock is to hold: the renders as they are now, and others' records.
func (v *Verifying) records(ctx context.Context, store runtime.Store) ([]eligen.LockedRender, error) {
	p, scene := v.plan.Plan, v.plan.Scene
	name := filepath.Base(scene.Path)
	var out []eligen.LockedRender
	for _, one := range verifiedOf(p, scene, v.lock) {
		img, err := picture(ctx, store, one.digest(p))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", one.render.Address, err)
		}
		r := eligen.LockedRender{
			Scene: name, Address: one.render.Address, Plan: one.digest(p), Engine: v.plan.engine.ID(), Pixels: still.Pixels(img),
			PSNR: eligen.DefaultPSNR, Weights: weightsOf(one.resolved), Tiles: tilesOf(one.resolved), Resolved: map[string]string{},
		}
		if one.record != nil {
			r.PSNR = one.record.PSNR // somebody's choice
		}
		for _, f := range append(resolvedFacts(one.resolved), motionFacts(one.render.Clip)...) {
			r.Resolved[f.name] = f.value
		}
		for _, f := range one.files {
			r.Files = append(r.Files, localPath(p, f))
		}
		out = append(out, r)
	}
	for _, old := range v.lock.Renders {
		address := movedTo(scene.Moves, old.Address)
		again := slices.ContainsFunc(out, func(r eligen.LockedRender) bool { return r.Address == address })
		// Of a whole scene, renders that it no longer has are forgotten.
		if old.Scene != name || !again && len(v.request.Targets) > 0 {
			out = append(out, old)
		}
	}
	return out, nil
}
