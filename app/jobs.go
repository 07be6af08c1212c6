package app

import (
	"context"
	"path/filepath"
	"slices"
	"strings"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/jobs"
	"github.com/eligen/eligen/planner"
)

// A JobRequest says for which scheduler to write a job, and of what.
type JobRequest struct {
	ScenesRequest
	Scheduler string // one of Schedulers
	File      string // that it is written to, "" where that isn't known
	// Job is what tasks need. Its Name, and its Shards where they are 0, are filled in.
	Job jobs.Job
}

// Schedulers are those that jobs are written for.
var Schedulers = []string{"slurm", "k8s", "openjd"}

// mostShards is how many tasks a job has, unless its request says it.
const mostShards = 8

// ExportJob writes a job for a scheduler. The scenes are planned for the engine paint, which needs no
// weights: what machines lack, they say themselves.
func (a *App) ExportJob(ctx context.Context, r JobRequest) (string, eligen.Diagnostics, error) {
	r.Engine, r.Backend, r.Memory = "paint", "", NoLimit
	p, warnings, err := a.PlanScenes(ctx, r.ScenesRequest)
	if err != nil {
		return "", warnings, err
	}
	j, apart := r.Job, planner.Apart(p.Plan)
	j.Scenes = slices.Clone(j.Scenes)
	base := filepath.Base(p.Plan.Scene)
	if base == "." || base == string(filepath.Separator) {
		base = "scenes"
	}
	j.Name = jobs.NameOf(strings.TrimSuffix(base, filepath.Ext(base)))
	switch {
	case j.Shards == 0:
		j.Shards = max(1, min(apart, mostShards))
	case j.Shards < 0 || j.Shards > MaxShards:
		return "", warnings, &InputError{"shards", "", "pass a number from 1 to 100000"}
	case j.Shards > max(1, apart):
		warnings.Warnf(nil, "Empty shard", "Only %d of the %d shards have something to make: the scene's pictures can't be divided "+
			"further. Pictures that are made from one another, as frames over one background are, stay on one machine.", max(1, apart), j.Shards)
	}
	switch r.Scheduler {
	case "slurm":
		file := r.File
		if file == "" {
			file = j.Name + ".sbatch"
		}
		return jobs.Slurm(j, file), warnings, nil
	case "k8s":
		return jobs.Kubernetes(j), warnings, nil
	case "openjd": // paths are from the template's folder, and may not leave it
		for i, path := range j.Scenes {
			rel, err := filepath.Rel(filepath.Dir(r.File), path)
			if err != nil || filepath.IsAbs(path) || !filepath.IsLocal(rel) {
				rel = ""
			}
			j.Scenes[i] = filepath.ToSlash(rel)
		}
		text, err := jobs.OpenJD(j)
		if err != nil {
			err = &InputError{"scheduler", "openjd", err.Error()}
		}
		return text, warnings, err
	}
	return "", warnings, Unknown("scheduler", r.Scheduler, "scheduler", Schedulers)
}
