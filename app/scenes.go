package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/dsl"
	"github.com/eligen/eligen/stage/encode"
	"github.com/eligen/eligen/stage/image"
)

// Scenes returns the files of scenes that arguments stand for, sorted, each once: a file; a folder, for
// every *.hcl file below it that has a render block, except in folders whose names begin with a dot; a
// pattern of * ? and [ ], for the files that match it. several reports whether they are to be planned together,
// which a folder's are even where it has one.
func Scenes(args []string) (paths []string, several bool, err error) {
	for _, arg := range args {
		info, err := os.Stat(arg)
		switch {
		case err == nil && info.IsDir():
			several = true
			below, err := scenesBelow(arg)
			if err != nil {
				return nil, false, err
			}
			paths = append(paths, below...)
		case err != nil && strings.ContainsAny(arg, "*?["):
			several = true
			matches, err := filepath.Glob(arg)
			if err == nil && len(matches) == 0 {
				err = errors.New("no file matches")
			}
			if err != nil {
				return nil, false, fmt.Errorf("%s: %w", arg, err)
			}
			paths = append(paths, matches...)
		default:
			paths = append(paths, arg) // who reads it says what is wrong with it
		}
	}
	if len(paths) == 1 && !several {
		return paths, false, nil
	}
	for i := range paths {
		paths[i] = filepath.Clean(paths[i])
	}
	slices.Sort(paths)
	return slices.Compact(paths), true, nil
}

// scenesBelow returns the scenes in a folder and the folders in it.
func scenesBelow(folder string) (paths []string, err error) {
	err = filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != folder && strings.HasPrefix(d.Name(), "."):
			return filepath.SkipDir
		case d.Type().IsRegular() && strings.HasSuffix(path, ".hcl") && !IsLock(path) && dsl.HasRenders(path):
			paths = append(paths, path)
		}
		return nil
	})
	if err == nil && len(paths) == 0 {
		err = fmt.Errorf("%s has no scenes: no *.hcl file below it has a render block", folder)
	}
	return paths, err
}

// A ScenesRequest says which scenes to plan together, and how each.
type ScenesRequest struct {
	PlanRequest          // with a Path only where there are no Paths
	Paths       []string // of scenes, as Scenes returns them
	KeepGoing   bool     // leave out scenes with mistakes
}

// A LeftOut is a scene that isn't in the plan of several, and why.
type LeftOut struct {
	Path     string
	Problems eligen.Diagnostics
}

// PlanScenes plans several scenes as one, so that they share stages, shards and workers; see [eligen.Join].
// Without Paths it is Plan. Mistakes in any of the scenes are an error, as Plan's. With KeepGoing,
// the scenes that have some are in the plan's Left, and it is an error if all have.
func (a *App) PlanScenes(ctx context.Context, r ScenesRequest) (*Plan, eligen.Diagnostics, error) {
	if len(r.Paths) == 0 {
		return a.Plan(ctx, r.PlanRequest)
	}
	if len(r.Targets) > 0 {
		return nil, nil, &InputError{"target", "", "targets are renders of one scene, and there are several"}
	}
	folder, paths, err := commonFolder(r.Paths)
	if err != nil {
		return nil, nil, err
	}
	plans := make([]scenePlan, len(paths))
	work, workers := errgroup.WithContext(ctx)
	work.SetLimit(runtime.GOMAXPROCS(0))
	for i, path := range paths {
		work.Go(func() (err error) {
			plans[i], err = a.planOne(workers, r.PlanRequest, folder, path)
			return err
		})
	}
	if err := work.Wait(); err != nil {
		return nil, nil, err
	}
	return r.join(folder, plans)
}

// A scenePlan is the plan of one scene of several, or what is wrong with it.
type scenePlan struct {
	name     string
	path     string
	plan     *Plan
	warnings eligen.Diagnostics
	err      error // of the scene
}

// planOne plans one of several scenes. The error is of the request or ctx.
func (a *App) planOne(ctx context.Context, r PlanRequest, folder, path string) (s scenePlan, err error) {
	s.path = path
	if s.name, err = filepath.Rel(folder, path); err != nil {
		return s, err
	}
	if r.Out != "" {
		r.Out = filepath.Join(r.Out, filepath.Dir(s.name))
	}
	s.name = strings.TrimSuffix(filepath.ToSlash(s.name), ".hcl")
	r.Path, r.Shard, r.Replace = path, Shard{}, nil // shards and stages are the joined plan's
	s.plan, s.warnings, s.err = a.Plan(ctx, r)
	var ds eligen.Diagnostics
	if s.err != nil && (ctx.Err() != nil || !errors.As(s.err, &ds)) {
		return s, s.err
	}
	return s, nil
}

// join makes one plan of those of several scenes.
func (r *ScenesRequest) join(folder string, plans []scenePlan) (*Plan, eligen.Diagnostics, error) {
	var named []eligen.NamedPlan
	var warnings eligen.Diagnostics
	var wrong []error
	out := &Plan{Scene: &eligen.Scene{Path: folder}, request: r.PlanRequest}
	for _, s := range plans {
		warnings = append(warnings, s.warnings...)
		if s.err != nil {
			wrong = append(wrong, s.err)
			left := LeftOut{Path: s.path}
			errors.As(s.err, &left.Problems)
			out.Left = append(out.Left, left)
			continue
		}
		named = append(named, eligen.NamedPlan{Name: s.name, Plan: s.plan.Plan})
		out.engine = s.plan.engine
	}
	if len(wrong) > 0 && (!r.KeepGoing || len(named) == 0) {
		return nil, warnings, joined(wrong)
	}
	whole, ds := eligen.Join(folder, named, comesFirst)
	if err := ds.Err(); err != nil {
		return nil, warnings, err
	}
	if r.Out != "" {
		whole.Folder = r.Out
	}
	again, err := stagesNamed(whole, r.Replace)
	if err != nil {
		return nil, warnings, err
	}
	out.Plan, out.again, err = r.Shard.of(whole, again)
	if err != nil {
		return nil, warnings, err
	}
	return out, append(warnings, r.Shard.empty(whole, out.Plan)...), nil
}

// joined returns the diagnostics of errors as one error, of integrity if one of them is.
func joined(list []error) error {
	var all eligen.Diagnostics
	var damaged *IntegrityError
	for _, err := range list {
		var ds eligen.Diagnostics
		errors.As(err, &ds)
		errors.As(err, &damaged)
		all = append(all, ds...)
	}
	if damaged != nil {
		return &IntegrityError{all}
	}
	return all
}

// comesFirst reports whether an Op encodes prompts, by models that nothing else needs.
func comesFirst(op eligen.Op) bool {
	switch op.(type) {
	case encode.Op, image.Prompt:
		return true
	}
	return false
}

// commonFolder returns the deepest folder that all paths are in, and the paths, made absolute where they
// have no common beginning as they are.
func commonFolder(paths []string) (folder string, same []string, err error) {
	mixed := false
	for _, p := range paths {
		mixed = mixed || filepath.IsAbs(p) != filepath.IsAbs(paths[0]) || strings.HasPrefix(p, "..")
	}
	same = slices.Clone(paths)
	if mixed {
		for i, p := range same {
			if same[i], err = filepath.Abs(p); err != nil {
				return "", nil, err
			}
		}
	}
	folder = filepath.Dir(same[0])
	for _, p := range same {
		for {
			if rel, err := filepath.Rel(folder, p); err == nil && filepath.IsLocal(rel) {
				break
			}
			up := filepath.Dir(folder)
			if up == folder {
				return "", nil, fmt.Errorf("%s and %s have no folder in common", same[0], p)
			}
			folder = up
		}
	}
	return folder, same, nil
}
