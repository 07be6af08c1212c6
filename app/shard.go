package app

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/planner"
)

// A Shard is one machine's part of a plan that several machines share: some of its pictures, with
// all that they need. The zero value is the whole plan.
type Shard struct {
	Index int // from 1
	Count int
}

func (s Shard) String() string { return fmt.Sprintf("%d/%d", s.Index, s.Count) }

// MaxShards is the largest Count.
const MaxShards = 100_000

// of returns the part of a plan, and the stages to make again in it.
func (s Shard) of(p *eligen.Plan, again []eligen.Ref) (*eligen.Plan, []eligen.Ref, error) {
	if s == (Shard{}) {
		return p, again, nil
	}
	if _, err := inRange(s); err != nil {
		return nil, nil, err
	}
	part, at := planner.Shard(p, s.Index-1, s.Count)
	var refs []eligen.Ref
	for _, r := range again {
		if to, ok := at[r]; ok {
			refs = append(refs, to)
		}
	}
	return part, refs, nil
}

// empty warns of a shard that makes nothing.
func (s Shard) empty(whole, part *eligen.Plan) (ds eligen.Diagnostics) {
	if len(part.Stages) == 0 && len(whole.Stages) > 0 {
		ds.Warnf(nil, "Empty shard", "Shard %v has nothing to make: the scene's pictures fall to others. Pictures that are made from one "+
			"another, as frames over one background are, stay on one machine.", s)
	}
	return ds
}

// schedulers are the variables by which schedulers tell a task of an array its number and how many
// there are.
var schedulers = []struct {
	name         string
	index, count string
	first        string // the variable of the first number; "" is base
	step         string // the variable of the numbers' distance; "" is 1
	base         int
}{
	{"Slurm", "SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT", "SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_STEP", 0},
	{"AWS Batch", "AWS_BATCH_JOB_ARRAY_INDEX", "AWS_BATCH_JOB_ARRAY_SIZE", "", "", 0},
	// Kubernetes tells an Indexed Job's pod its index and not how many there are: the manifest has to.
	{"Kubernetes", "JOB_COMPLETION_INDEX", "JOB_COMPLETIONS", "", "", 0},
	{"GitLab CI", "CI_NODE_INDEX", "CI_NODE_TOTAL", "", "", 1},
	{"Buildkite", "BUILDKITE_PARALLEL_JOB", "BUILDKITE_PARALLEL_JOB_COUNT", "", "", 0},
	{"CircleCI", "CIRCLE_NODE_INDEX", "CIRCLE_NODE_TOTAL", "", "", 0},
}

// ReadShard reads a shard: 1/4; auto, which asks the variables of the scheduler that env looks up;
// or nothing, which is the whole.
func ReadShard(text string, env func(name string) (string, bool)) (Shard, error) {
	switch text {
	case "":
		return Shard{}, nil
	case "auto":
		return scheduled(env)
	}
	index, count, ok := strings.Cut(text, "/")
	i, err := strconv.Atoi(index)
	n, err2 := strconv.Atoi(count)
	if !ok || err != nil || err2 != nil {
		return Shard{}, &InputError{"shard", text, "write the machine's number and how many there are, such as 1/4, or auto"}
	}
	return inRange(Shard{i, n})
}

// scheduled returns the shard that a scheduler's variables tell.
func scheduled(env func(string) (string, bool)) (Shard, error) {
	var names []string
	for _, s := range schedulers {
		names = append(names, fmt.Sprintf("%s and %s (%s)", s.index, s.count, s.name))
		if _, ok := env(s.index); !ok {
			continue
		}
		var number [4]int
		for k, v := range []string{s.index, s.count, s.first, s.step} {
			number[k] = []int{0, 0, s.base, 1}[k]
			text, ok := env(v)
			if v == "" || !ok && k > 1 {
				continue
			}
			n, err := strconv.Atoi(text)
			if err != nil || k == 3 && n < 1 {
				return Shard{}, &InputError{"shard", "auto",
					fmt.Sprintf("%s sets %s, but %s is %q: set it to a number", s.name, s.index, v, text)}
			}
			number[k] = n
		}
		return inRange(Shard{(number[0]-number[2])/number[3] + 1, number[1]})
	}
	return Shard{}, &InputError{"shard", "auto", "no scheduler has set its variables: " + strings.Join(names, ", ")}
}

// inRange returns a shard if it is one of its Count.
func inRange(s Shard) (Shard, error) {
	if s.Count < 1 || s.Count > MaxShards || s.Index < 1 || s.Index > s.Count {
		return Shard{}, &InputError{"shard", s.String(), fmt.Sprintf("shards count from 1/N to N/N, with N at most %d", MaxShards)}
	}
	return s, nil
}
