package app_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/app"
	"github.com/eligen/eligen/stage/denoise"
)

// TestShardsDivideThePlan: of every scene, each picture is in one machine's part, with all that it
// is made from; what a part lacks is made of several pictures.
func TestShardsDivideThePlan(t *testing.T) {
	a := open(t)
	paths, err := filepath.Glob("../scenes/*.hcl")
	if err != nil || len(paths) < 20 {
		t.Fatal(paths, err)
	}
	planned := 0
	for _, path := range paths {
		r := app.PlanRequest{Input: app.Input{Path: path}, Engine: "paint", Memory: app.NoLimit}
		whole, _, err := a.Plan(t.Context(), r)
		if err != nil {
			continue // a recipe
		}
		planned++
		for _, count := range []int{1, 2, 5} {
			in, written := map[eligen.Digest]int{}, map[string]int{}
			for i := range count {
				r.Shard = app.Shard{Index: i + 1, Count: count}
				part, _, err := a.Plan(t.Context(), r)
				if err != nil {
					t.Fatalf("%s, %v: %v", path, r.Shard, err)
				}
				here := map[eligen.Digest]bool{}
				for _, s := range part.Stages {
					in[s.Digest]++
					here[s.Digest] = true
					for _, input := range s.Inputs {
						if !here[part.Stages[input].Digest] {
							t.Errorf("%s, %v: %s lacks an input before it", path, r.Shard, s.Name)
						}
					}
				}
				for _, o := range part.Outputs {
					written[o.Path]++
				}
			}
			for _, s := range whole.Stages {
				_, denoises := s.Op.(denoise.Op)
				if n := in[s.Digest]; denoises && n != 1 {
					t.Errorf("%s of %d: %s is in %d parts", path, count, s.Name, n)
				} else if n == 0 && len(s.Inputs) < 2 {
					t.Errorf("%s of %d: %s is in none", path, count, s.Name)
				}
			}
			for _, o := range whole.Outputs {
				if n := written[o.Path]; n > 1 || count == 1 && n == 0 && in[whole.Stages[o.Stage].Digest] > 0 {
					t.Errorf("%s of %d: %d parts write %s", path, count, n, o.Path)
				}
			}
		}
	}
	if planned < 20 {
		t.Errorf("%d scenes were planned", planned)
	}
}

// TestShardsMakeTheSame: three machines over one store make a clip's frames, each its own; who
// applies the whole afterwards makes the clip alone, and it is the one that a single machine makes.
func TestShardsMakeTheSame(t *testing.T) {
	f := newFrontEnd(t)
	r := f.request("walk.hcl", clipScene)
	frames := 0
	for i := range 3 {
		r.Shard = app.Shard{Index: i + 1, Count: 3}
		p := f.planned(t, r)
		if len(p.Outputs) > 0 {
			t.Errorf("shard %v writes %v, which takes all frames", r.Shard, p.Outputs)
		}
		var progress eligen.Progress
		if _, err := f.app.Apply(t.Context(), p, app.Run{Events: progress.Add}); err != nil {
			t.Fatal(err)
		}
		for _, s := range progress.Stages {
			if s.State == eligen.Done && s.Kind == "denoise/1" {
				frames++
			}
		}
	}
	r.Shard = app.Shard{}
	whole := f.planned(t, r)
	want := 0 // frames whose regions cover the same tokens are one
	for _, s := range whole.Stages {
		if s.Op.Kind() == "denoise/1" {
			want++
		}
	}
	if frames != want || want < 4 {
		t.Errorf("the shards made %d frames, want each of %d once", frames, want)
	}
	var progress eligen.Progress
	made, err := f.app.Apply(t.Context(), whole, app.Run{Events: progress.Add})
	if err != nil || len(made.Files) != 1 {
		t.Fatal(made, err)
	}
	if n := progress.Counts()[eligen.Done]; n != 1 {
		t.Errorf("%d stages were left to make, want the clip alone", n)
	}
	alone := frontEnd{open(t), t.TempDir()}
	single, err := alone.app.Apply(t.Context(), alone.planned(t, alone.request("walk.hcl", clipScene)), app.Run{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(made.Files[0].Path)
	same, err2 := os.ReadFile(single.Files[0].Path)
	if err != nil || err2 != nil || !bytes.Equal(got, same) {
		t.Errorf("the clips differ: %v, %v", err, err2)
	}
}

// TestEmptyShard: a machine that no picture falls to says so.
func TestEmptyShard(t *testing.T) {
	f := newFrontEnd(t)
	r := f.request("rain.hcl", stillScene, "colour=green")
	r.Shard = app.Shard{Index: 2, Count: 2}
	p, warnings, err := f.app.Plan(t.Context(), r)
	if err != nil || len(p.Stages) > 0 || len(warnings) != 1 || warnings[0].Code != "E0924" {
		t.Errorf("%d stages, warnings %v, %v", len(p.Stages), warnings, err)
	}
}

// TestReadShard: shards as people write them, and as schedulers tell them.
func TestReadShard(t *testing.T) {
	for _, c := range []struct {
		text, env string
		want      app.Shard
		problem   string
	}{
		{text: "", want: app.Shard{}},
		{text: "1/4", want: app.Shard{Index: 1, Count: 4}},
		{text: "4/4", want: app.Shard{Index: 4, Count: 4}},
		{text: "0/4", problem: "shards count from 1/N to N/N"},
		{text: "5/4", problem: "shards count from 1/N to N/N"},
		{text: "1/0", problem: "shards count from 1/N to N/N"},
		{text: "2", problem: "such as 1/4, or auto"},
		{text: "-1/-1", problem: "shards count"},
		{text: "auto", problem: "no scheduler has set its variables: SLURM_ARRAY_TASK_ID"},
		{text: "auto", env: "SLURM_ARRAY_TASK_ID=7 SLURM_ARRAY_TASK_MIN=1 SLURM_ARRAY_TASK_STEP=2 SLURM_ARRAY_TASK_COUNT=4",
			want: app.Shard{Index: 4, Count: 4}},
		{text: "auto", env: "SLURM_ARRAY_TASK_ID=0 SLURM_ARRAY_TASK_COUNT=4", want: app.Shard{Index: 1, Count: 4}},
		{text: "auto", env: "AWS_BATCH_JOB_ARRAY_INDEX=2 AWS_BATCH_JOB_ARRAY_SIZE=3", want: app.Shard{Index: 3, Count: 3}},
		{text: "auto", env: "JOB_COMPLETION_INDEX=0 JOB_COMPLETIONS=2", want: app.Shard{Index: 1, Count: 2}},
		{text: "auto", env: "JOB_COMPLETION_INDEX=0", problem: `JOB_COMPLETIONS is ""`},
		{text: "auto", env: "CI_NODE_INDEX=2 CI_NODE_TOTAL=2", want: app.Shard{Index: 2, Count: 2}},
		{text: "auto", env: "CI_NODE_INDEX=3 CI_NODE_TOTAL=2", problem: "shards count"},
		{text: "auto", env: "BUILDKITE_PARALLEL_JOB=x BUILDKITE_PARALLEL_JOB_COUNT=2", problem: `BUILDKITE_PARALLEL_JOB is "x"`},
	} {
		env := map[string]string{}
		for _, v := range strings.Fields(c.env) {
			name, value, _ := strings.Cut(v, "=")
			env[name] = value
		}
		got, err := app.ReadShard(c.text, func(name string) (string, bool) { v, ok := env[name]; return v, ok })
		var input *app.InputError
		switch {
		case c.problem == "" && (err != nil || got != c.want):
			t.Errorf("%q, %s: got %v, %v; want %v", c.text, c.env, got, err, c.want)
		case c.problem != "" && (!errors.As(err, &input) || !strings.Contains(err.Error(), c.problem)):
			t.Errorf("%q, %s: got error %v, want %q", c.text, c.env, err, c.problem)
		}
	}
}
