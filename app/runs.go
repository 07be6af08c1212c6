package app

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/files"
)

// A PastRun is a journal in the store, and what it adds up to.
type PastRun struct {
	Name    string                   `json:"name"`
	Scene   string                   `json:"scene"`
	Engine  string                   `json:"engine"`
	Began   time.Time                `json:"began"`
	Seconds float64                  `json:"seconds"`
	State   string                   `json:"state"` // "ended", "running", "broken off"
	Stages  map[eligen.EventType]int `json:"stages"`
	Files   []string                 `json:"files"`
	path    string
}

// ErrNoRuns says that the store has no journal.
var ErrNoRuns = errors.New("no runs recorded yet. Run eligen apply first")

// RunNames lists the names of the store's journals, the latest last.
func (a *App) RunNames() ([]string, error) {
	runs, err := a.journals()
	var out []string
	for _, r := range runs {
		out = append(out, r.Name)
	}
	return out, err
}

// Runs lists earlier runs, the latest last. It reads every journal.
func (a *App) Runs() ([]PastRun, error) {
	runs, err := a.journals()
	if err != nil {
		return nil, err
	}
	out := []PastRun{}
	for _, r := range runs {
		events, err := readRun(r.path)
		if err != nil {
			continue // empty: its run was killed at once
		}
		r.add(events)
		out = append(out, r)
	}
	return out, nil
}

func (r *PastRun) add(events []eligen.Event) {
	var p eligen.Progress
	for _, e := range events {
		p.Add(e)
	}
	r.Scene, r.Engine, r.Began, r.Seconds, r.Stages, r.Files = p.Scene, p.Engine, p.Began, p.Latest.Sub(p.Began).Seconds(), p.Counts(), p.Files
	if p.Ended {
		r.State = "ended"
	}
}

// journals lists the store's journals without reading them.
func (a *App) journals() ([]PastRun, error) {
	if err := a.begin(); err != nil {
		return nil, err
	}
	defer a.running.Done()
	store, err := a.results()
	if err != nil {
		return nil, err
	}
	entries, err := store.Entries()
	if err != nil {
		return nil, err
	}
	var out []PastRun
	for _, e := range entries {
		if e.Kind != "run" || path.Ext(e.Name) != ".jsonl" {
			continue
		}
		r := PastRun{
			Name: strings.TrimSuffix(path.Base(e.Name), ".jsonl"), State: "broken off",
			path: filepath.Join(store.Dir(), filepath.FromSlash(e.Name)),
		}
		if e.Live {
			r.State = "running"
		}
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b PastRun) int { return cmp.Compare(a.Name, b.Name) }) // names begin with the time
	return out, nil
}

// RunEvents returns the events of a run by its name, the beginning of one, "latest", or the path of a
// journal (….jsonl).
func (a *App) RunEvents(name string) ([]eligen.Event, error) {
	if path.Ext(name) == ".jsonl" {
		return readRun(name)
	}
	runs, err := a.journals()
	if err != nil {
		return nil, err
	}
	if len(runs) == 0 {
		return nil, ErrNoRuns
	}
	if name == "latest" {
		return readRun(runs[len(runs)-1].path)
	}
	var found []PastRun
	for _, r := range runs {
		if r.Name == name {
			return readRun(r.path)
		}
		if strings.HasPrefix(r.Name, name) {
			found = append(found, r)
		}
	}
	switch len(found) {
	case 0:
		return nil, fmt.Errorf("there is no run %s. List them with\n\n    eligen replay --list", name)
	case 1:
		return readRun(found[0].path)
	}
	return nil, fmt.Errorf(
		"%s begins the names of %d runs, from %s to %s; write more of it", name, len(found), found[0].Name, found[len(found)-1].Name)
}

// maxEvent is the longest line of a journal that is read: a stage's definition may hold masks.
const maxEvent = 64 << 20

// readRun reads a journal. It passes over lines that are no events: a run that was killed ends in half
// of one.
func readRun(file string) ([]eligen.Event, error) {
	f, err := files.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var out []eligen.Event
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, maxEvent)
	for lines.Scan() {
		var e eligen.Event
		if json.Unmarshal(lines.Bytes(), &e) == nil && e.Type != "" {
			out = append(out, e)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s can't be read: %w", file, err)
	}
	if len(out) == 0 || out[0].Type != eligen.Opened {
		return nil, fmt.Errorf("%s is no journal of a run: it does not begin with an event of the type opened", file)
	}
	return out, nil
}
