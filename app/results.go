package app

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/store/file"
)

// Entries lists what the store holds, those used last at the end. With scenes, it lists only results
// that one of them used last.
func (a *App) Entries(scenes []string) ([]file.Entry, error) {
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
	if entries, err = ofScenes(entries, scenes); err != nil {
		return nil, err
	}
	slices.SortStableFunc(entries, func(a, b file.Entry) int { return a.Used.Compare(b.Used) })
	return entries, nil
}

// ofScenes leaves the results of some scenes; all entries where none is named.
func ofScenes(entries []file.Entry, names []string) ([]file.Entry, error) {
	if len(names) == 0 {
		return entries, nil
	}
	found := map[string]bool{}
	entries = slices.DeleteFunc(entries, func(e file.Entry) bool {
		i := slices.IndexFunc(names, func(n string) bool { return e.Kind == "result" && filepath.Clean(n) == filepath.Clean(e.Scene) })
		if i >= 0 {
			found[names[i]] = true
		}
		return i < 0
	})
	for _, n := range names {
		if !found[n] {
			return nil, fmt.Errorf("the store holds no result of %s. List the scenes that it has results of with\n\n    eligen cache ls", n)
		}
	}
	return entries, nil
}

// Collect removes results that are not wanted any more, and returns them.
func (a *App) Collect(c file.Collecting) ([]file.Entry, error) {
	if err := a.begin(); err != nil {
		return nil, err
	}
	defer a.running.Done()
	store, err := a.results()
	if err != nil {
		return nil, err
	}
	return store.Collect(c)
}

// CheckResults reads every result and checks it. Damaged ones are set aside.
func (a *App) CheckResults() (sound int, damaged []file.Entry, err error) {
	if err := a.begin(); err != nil {
		return 0, nil, err
	}
	defer a.running.Done()
	store, err := a.results()
	if err != nil {
		return 0, nil, err
	}
	return store.Verify()
}

// An ExportRequest says what to write to an archive.
type ExportRequest struct {
	Plan *PlanRequest // nil: all results
}

// An Exporting is an archive that can be written.
type Exporting struct {
	Results int // that were asked for
	store   *file.Store
	keys    []eligen.Digest
}

// Export finds what an archive is to hold: the results of a plan, or all. It returns warnings of the plan.
func (a *App) Export(ctx context.Context, r ExportRequest) (*Exporting, eligen.Diagnostics, error) {
	if err := a.begin(); err != nil {
		return nil, nil, err
	}
	defer a.running.Done()
	store, err := a.results()
	if err != nil {
		return nil, nil, err
	}
	out := &Exporting{store: store}
	var warnings eligen.Diagnostics
	if r.Plan != nil {
		var p *Plan
		if p, warnings, err = a.Plan(ctx, *r.Plan); err != nil {
			return nil, warnings, err
		}
		for _, s := range p.Stages {
			out.keys = append(out.keys, s.Digest)
		}
	} else {
		entries, err := store.Entries()
		if err != nil {
			return nil, nil, err
		}
		for _, e := range entries {
			if e.Kind == "result" {
				out.keys = append(out.keys, e.Digest)
			}
		}
	}
	out.Results = len(out.keys)
	return out, warnings, nil
}

// Write writes the archive, and returns how many results the store had.
func (e *Exporting) Write(w io.Writer) (int, error) { return e.store.Export(w, e.keys) }

// Import takes results from an archive, which name names in errors. One that is not sound, or was cut
// off, is an IntegrityError.
func (a *App) Import(r io.Reader, name string) (file.Imported, error) {
	if err := a.begin(); err != nil {
		return file.Imported{}, err
	}
	defer a.running.Done()
	store, err := a.results()
	if err != nil {
		return file.Imported{}, err
	}
	got, err := store.Import(bufio.NewReaderSize(r, 1<<20))
	if errors.Is(err, file.ErrArchive) {
		err = &IntegrityError{fmt.Errorf("%s: %w", name, err)}
	}
	return got, err
}
