package app

import (
	"bufio"
	"context"
	"encoding/json"
	"path/filepath"
	"slices"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/files"
	"github.com/eligen/eligen/planner"
	"github.com/eligen/eligen/stage/still"
)

// A SceneRun is an earlier run of a scene, and what it made.
type SceneRun struct {
	PastRun
	Made     []RunPicture
	Problems eligen.Diagnostics // that ended stages
}

// A RunPicture is a file that a run made.
type RunPicture struct {
	Layout
	Seed     uint64
	Stage    string        // address
	Result   eligen.Digest // of the file, in the store as long as it is kept
	resolved still.Resolved
}

// SceneRuns returns the latest runs of a scene's file, the latest first, at most that many. It reads the
// journals of that scene alone.
func (a *App) SceneRuns(scene string, most int) ([]SceneRun, error) {
	scene, err := filepath.Abs(scene)
	if err != nil {
		return nil, err
	}
	runs, err := a.journals()
	if err != nil {
		return nil, err
	}
	var out []SceneRun
	for _, r := range slices.Backward(runs) {
		if len(out) == most {
			break
		}
		if openedBy(r.path) != scene {
			continue
		}
		events, err := readRun(r.path)
		if err != nil {
			continue // it has been removed meanwhile
		}
		r.add(events)
		out = append(out, sceneRun(r, events))
	}
	return out, nil
}

// openedBy returns the scene whose run a journal is of, or "".
func openedBy(journal string) string {
	f, err := files.Open(journal)
	if err != nil {
		return ""
	}
	defer f.Close()
	var e eligen.Event
	line, _ := bufio.NewReader(f).ReadBytes('\n')
	if json.Unmarshal(line, &e) != nil || e.Type != eligen.Opened {
		return ""
	}
	return e.Path
}

// sceneRun finds what a run's events say of the files that it made.
func sceneRun(r PastRun, events []eligen.Event) SceneRun {
	out := SceneRun{PastRun: r}
	made := map[string]RunPicture{}
	for _, e := range events {
		switch e.Type {
		case eligen.Planned:
			layout, ok := LayoutOf(e.Definition)
			if !ok {
				continue
			}
			p := RunPicture{Layout: layout, Stage: e.Stage}
			p.resolved, _ = recorded(e.Definition)
			p.Seed = p.resolved.Seed
			made[e.Stage] = p
		case eligen.Done, eligen.Cached:
			if p, ok := made[e.Stage]; ok && e.Artifact != nil && !e.Unused {
				p.Result = e.Artifact.Digest
				out.Made = append(out.Made, p)
			}
		case eligen.Failed:
			if e.Problem != nil {
				out.Problems = append(out.Problems, *e.Problem)
			}
		}
	}
	return out
}

// Changes lists in the scene's words what is different between two pictures of a render.
func (p RunPicture) Changes(since RunPicture) []string {
	return planner.Changes(since.resolved, p.resolved)
}

// Values are a render's settings with nothing left open.
type Values struct {
	Render   string
	Size     eligen.Size
	Seed     uint64
	Steps    int
	CFG      float64
	Guidance float64 // 0 where the model takes none
	Schedule string
	Model    string
	Negative string
	Overlap  string // "" is "blend"
}

// Values returns the settings of the plan's renders.
func (p *Plan) Values() []Values {
	var out []Values
	for _, r := range planner.Resolved(p.Plan) {
		out = append(out, valuesOf(r))
	}
	return out
}

// Values returns the settings that a picture was made by.
func (p RunPicture) Values() Values { return valuesOf(p.resolved) }

func valuesOf(r still.Resolved) Values {
	return Values{r.Render, r.Size, r.Seed, r.Steps, r.CFG, r.Guidance, r.Schedule, r.Model.Family, r.Negative, r.Overlap}
}

// Has reports whether the store has a stage's result. It looks, and doesn't read.
func (a *App) Has(d eligen.Digest) bool {
	if a.begin() != nil {
		return false
	}
	defer a.running.Done()
	store, err := a.made()
	if err != nil {
		return false
	}
	return has(context.Background(), store)(d)
}
