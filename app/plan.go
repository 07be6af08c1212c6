package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/model/inspect"
	"github.com/eligen/eligen/planner"
	"github.com/eligen/eligen/runtime"
	"github.com/eligen/eligen/stage/clip"
	"github.com/eligen/eligen/stage/still"
	"github.com/eligen/eligen/store/file"
)

// A PlanRequest says what to plan of a scene, and for which engine.
type PlanRequest struct {
	Input
	Engine  string   // "model" or "paint"; "" is "model"
	Backend string   // that models run on: "go", "xla:cpu", "xla:cuda"; "" is the default
	Card    string   // one of Cards, to plan for a graphics card that isn't here; such a plan can't be applied
	Targets []string // renders' addresses, or those of blocks with several; none is all
	Seeds   []uint64 // for every render; none is the scene's own, several make a render each
	Frames  []Span   // of clips; none is all
	Replace []string // addresses of stages to make again though the store has them, or what they begin with
	Out     string   // folder that files are written below; "" is the scene's
	// Memory is how many bytes a render may take: 0 is what the machine has, NoLimit is any.
	// MemoryFrom says for people who sets it.
	Memory     int64
	MemoryFrom string
	// Shard is the part to plan of what all else chooses; the zero value is the whole.
	Shard Shard
}

// A Plan is what a request comes to, ready to be applied.
type Plan struct {
	*eligen.Plan
	Scene *eligen.Scene // as the request chose from it; of several, the folder that they are in and no more
	Left  []LeftOut     // of several scenes: those that aren't in the plan

	request PlanRequest
	engine  eligen.Engine
	again   []eligen.Ref // stages to make again
}

// Plan reads a scene and plans what the request chooses from it. It returns warnings with the plan;
// mistakes in the scene are an error of type eligen.Diagnostics, in an IntegrityError where they come
// of weights that are damaged. Warnings come with an error, too.
func (a *App) Plan(ctx context.Context, r PlanRequest) (*Plan, eligen.Diagnostics, error) {
	if err := a.begin(); err != nil {
		return nil, nil, err
	}
	defer a.running.Done()
	e, err := a.planning(&r)
	if err != nil {
		return nil, nil, err
	}
	scene, warnings, err := a.choose(ctx, r)
	if err != nil {
		return nil, warnings, err
	}
	p, ds, err := a.plan(ctx, e, scene, r)
	return p, append(warnings, ds...), err
}

// planning returns the engine that a request is about. For a card elsewhere, the request gets its memory.
func (a *App) planning(r *PlanRequest) (eligen.Engine, error) {
	if r.Card == "" {
		return a.engine(r.Engine, r.Backend)
	}
	switch {
	case r.Engine == "paint":
		return nil, &InputError{Field: "card", Value: r.Card, Problem: "the engine paint computes on no card"}
	case r.Backend != "":
		return nil, &InputError{Field: "card", Value: r.Card, Problem: "cards are planned for on xla:cuda: leave --backend out"}
	}
	card, err := FindCard(r.Card)
	if err != nil {
		return nil, err
	}
	if m := card.memory(); r.Memory == 0 {
		r.Memory, r.MemoryFrom = m.bytes, m.from
	}
	return a.elsewhere()
}

// choose reads a scene, leaves of it what the request is about, and has it use the weights that are pinned.
func (a *App) choose(ctx context.Context, r PlanRequest) (*eligen.Scene, eligen.Diagnostics, error) {
	scene, warnings, err := a.chosen(ctx, r)
	if err != nil || r.Engine == "paint" { // paint needs no weights
		return scene, warnings, err
	}
	moved, err := a.pin(scene)
	return scene, append(warnings, moved...), err
}

// chosen reads a scene, and leaves of it what the request is about.
func (a *App) chosen(ctx context.Context, r PlanRequest) (*eligen.Scene, eligen.Diagnostics, error) {
	scene, warnings, err := a.Open(ctx, r.Input)
	if err != nil {
		return nil, warnings, err
	}
	if len(scene.Renders) == 0 {
		var ds eligen.Diagnostics
		ds.Errorf(&eligen.Source{File: r.Path}, "Nothing to render", "The scene has no render block.%s", recipesHint(scene))
		return nil, warnings, ds
	}
	if err := target(scene, r.Targets); err != nil {
		return nil, warnings, err
	}
	ds, err := reseed(scene, r.Seeds)
	return scene, append(warnings, ds...), err
}

func recipesHint(s *eligen.Scene) string {
	if len(s.Recipes) == 0 {
		return ""
	}
	return fmt.Sprintf(" It has a recipe: run it with\n\n    eligen train %s", s.Path)
}

// plan plans a scene as the request says.
func (a *App) plan(ctx context.Context, e eligen.Engine, scene *eligen.Scene, r PlanRequest) (*Plan, eligen.Diagnostics, error) {
	warnings, err := spans(r.Frames).check(scene.Renders)
	if err != nil {
		return nil, nil, err
	}
	memory := limit(r.Memory, r.MemoryFrom, e.ID())
	hold(e, memory)
	p, ds, err := build(ctx, e, a.sources, scene, planner.Options{
		Memory: memory.bytes, MemoryFrom: memory.from, Out: r.Out, Frames: spans(r.Frames).only(),
	})
	if warnings = append(warnings, ds...); err != nil {
		return nil, warnings, err
	}
	if r.Engine != "paint" {
		if err := a.pinsHold(scene); err != nil {
			return nil, warnings, err
		}
	}
	again, err := stagesNamed(p, r.Replace)
	if err != nil {
		return nil, warnings, err
	}
	part, again, err := r.Shard.of(p, again)
	if err != nil {
		return nil, warnings, err
	}
	warnings = append(warnings, r.Shard.empty(p, part)...)
	return &Plan{Plan: part, Scene: scene, request: r, engine: e, again: again}, warnings, nil
}

// build plans a scene to be made, and returns warnings.
func build(
	ctx context.Context, e eligen.Engine, from *sources, scene *eligen.Scene, o planner.Options,
) (*eligen.Plan, eligen.Diagnostics, error) {
	damaged := false
	o.Video = clip.Available
	p, ds, err := planned(ctx, scene, e.ID(), func(m eligen.Model, adapters []eligen.Adapter) (eligen.Spec, error) {
		spec, err := e.Spec(m, adapters)
		if err != nil {
			damaged = damaged || unsound(from.path(m.Path, eligen.PartModel))
			for part, path := range m.Parts {
				damaged = damaged || unsound(from.path(path, part))
			}
			for _, a := range adapters {
				damaged = damaged || unsound(from.path(a.Path, adapterPart(a))) || unsound(from.path(a.Encoder, eligen.PartVision))
			}
		}
		return spec, err
	}, o)
	if err != nil {
		return nil, nil, err
	}
	switch err := ds.Err(); {
	case err != nil && damaged:
		return nil, nil, &IntegrityError{err}
	case err != nil:
		return nil, nil, err
	}
	return p, ds, nil
}

// planned calls [planner.Build]. The error is ctx's.
func planned(
	ctx context.Context, scene *eligen.Scene, engineID string,
	spec func(eligen.Model, []eligen.Adapter) (eligen.Spec, error), o planner.Options,
) (*eligen.Plan, eligen.Diagnostics, error) {
	type built struct {
		plan *eligen.Plan
		ds   eligen.Diagnostics
	}
	b, err := await(ctx, func() (b built) {
		b.plan, b.ds = planner.Build(ctx, scene, engineID, spec, o)
		return b
	})
	return b.plan, b.ds.Tidy(), err
}

// unsound reports whether weights that are there can't be what they should be: they are damaged, or
// their tensors are not those of the model.
func unsound(path string) bool {
	if _, err := os.Stat(path); err != nil {
		return false
	}
	r, err := inspect.Path(path)
	if err != nil {
		return true
	}
	for _, p := range r.Parts { // a folder that lacks a part is incomplete, not damaged
		if p.Problem != "" {
			return true
		}
	}
	return len(r.Parts) == 0 && r.Problem != ""
}

// Inspect returns what a file or a folder of weights is. One that is there and can't be read as
// weights is an IntegrityError.
func (a *App) Inspect(path string) (inspect.Report, error) {
	r, err := inspect.Path(path)
	if err != nil {
		if _, missing := os.Stat(path); !errors.Is(missing, fs.ErrNotExist) {
			err = &IntegrityError{err}
		}
	}
	return r, err
}

// stagesNamed returns the stages that addresses name: a stage, or all of a render or an entity.
func stagesNamed(p *eligen.Plan, addresses []string) ([]eligen.Ref, error) {
	var out []eligen.Ref
	for _, a := range addresses {
		found := false
		for i, s := range p.Stages {
			if rest, ok := strings.CutPrefix(s.Name, a); ok && (rest == "" || rest[0] == '.' || rest[0] == '[') {
				out, found = append(out, eligen.Ref(i)), true
			}
		}
		if !found {
			var known []string
			for _, s := range p.Stages {
				known = append(known, s.Name)
			}
			return nil, Unknown("replace", a, "stage", known)
		}
	}
	return out, nil
}

// downstream returns the results of stages, and of all that is made from them.
func downstream(p *eligen.Plan, refs []eligen.Ref) map[eligen.Digest]bool {
	again := map[eligen.Digest]bool{}
	for i, s := range p.Stages {
		if slices.Contains(refs, eligen.Ref(i)) || slices.ContainsFunc(s.Inputs, func(in eligen.Ref) bool { return again[p.Stages[in].Digest] }) {
			again[s.Digest] = true
		}
	}
	return again
}

// An Outlook is what applying a plan would do.
type Outlook struct {
	planner.Known
	Missing int // stages that would have to be made
}

// Outlook compares a plan with the store and with earlier runs.
func (a *App) Outlook(ctx context.Context, p *Plan) (Outlook, error) {
	if err := a.begin(); err != nil {
		return Outlook{}, err
	}
	defer a.running.Done()
	store, err := a.made()
	if err != nil {
		return Outlook{}, err
	}
	out := Outlook{}
	if own, err := a.results(); err == nil {
		out.Known = past(own, p.Plan)
	} else if !errors.Is(err, ErrNoFolder) {
		return Outlook{}, err
	}
	made := has(ctx, store)
	if far, ok := store.(runtime.Gatherer); ok {
		digests := make([]eligen.Digest, len(p.Stages))
		for i, s := range p.Stages {
			digests[i] = s.Digest
		}
		lacks := far.Lacks(ctx, digests)
		made = func(d eligen.Digest) bool { return !lacks[d] }
	}
	again := downstream(p.Plan, p.again)
	cached := make(map[eligen.Digest]bool, len(p.Stages))
	for _, s := range p.Stages {
		cached[s.Digest] = made(s.Digest) && !again[s.Digest]
		if !cached[s.Digest] {
			out.Missing++
		}
	}
	out.Cached = func(d eligen.Digest) bool { return cached[d] }
	return out, nil
}

// Graph draws a plan's stages in a format of [planner.GraphFormats].
func (a *App) Graph(ctx context.Context, p *Plan, format string) (string, error) {
	if err := a.begin(); err != nil {
		return "", err
	}
	defer a.running.Done()
	store, err := a.made()
	if err != nil {
		return "", err
	}
	if !slices.Contains(planner.GraphFormats, format) {
		return "", Unknown("format", format, "format", planner.GraphFormats)
	}
	return planner.Graph(p.Plan, format, has(ctx, store))
}

// past returns what the store's journals tell of a plan.
func past(store *file.Store, p *eligen.Plan) planner.Known {
	history := store.History(p.Engine, p.Scene)
	known := planner.Known{Seconds: history.Seconds, Since: history.Last}
	if len(p.Scenes) > 0 { // what has changed is asked of a scene
		return planner.Known{Seconds: history.Seconds}
	}
	last, moved := map[string]still.Resolved{}, map[string]planner.Motion{}
	for _, definition := range history.Definitions { // the newest come first
		made, ok := recorded(definition)
		if ok && last[made.Render].Render == "" {
			last[made.Render] = made
		}
		if m, ok := planner.MotionOf(definition); ok && moved[m.Render].Render == "" {
			moved[m.Render] = m
		}
	}
	motions, told := planner.Motions(p), map[string]bool{}
	for _, now := range planner.Resolved(p) {
		changes := []string{now.Render + ": new"}
		if old, ok := last[now.Render]; ok {
			changes = planner.Changes(old, now)
			changes = append(changes, planner.MotionChanges(moved[now.Render], motions[now.Render])...)
		}
		for _, change := range changes {
			if !told[change] { // renders share entities
				told[change] = true
				known.Changes = append(known.Changes, change)
			}
		}
	}
	return known
}

// recorded returns the render that a stage of a journal made: a still says it itself, a clip of its
// first frame.
func recorded(op json.RawMessage) (made still.Resolved, ok bool) {
	var about struct{ Resolved json.RawMessage }
	var moving clip.Resolved
	if json.Unmarshal(op, &about) != nil || json.Unmarshal(about.Resolved, &moving) != nil {
		return made, false
	}
	first := about.Resolved
	if len(moving.First) > 0 {
		first = moving.First
	}
	if json.Unmarshal(first, &made) != nil {
		return made, false
	}
	made.Render, _, _ = strings.Cut(made.Render, ".frame[")
	return made, true
}
