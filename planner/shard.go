package planner

import (
	"cmp"
	"slices"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/stage/denoise"
)

// Shard returns the part of a plan that one of count machines makes, index counted from 0:
// some pictures with all that they are made from, and the files of which each is one picture.
// Clips and contact sheets of several machines' pictures belong to none: who plans the whole
// afterwards makes them from the pictures. What several pictures are made from, as prompts,
// is in each of their parts.
//
// Pictures that are made from one another stay together: frames of a warm start, and all that
// are painted over one background. The parts are about equal in work, and depend on the plan's
// order alone, so that all machines agree on them whatever engine each has.
func Shard(p *eligen.Plan, index, count int) (part *eligen.Plan, at map[eligen.Ref]eligen.Ref) {
	u := unitsOf(p)
	mine := u.share(index, count)
	keep := make([]bool, len(p.Stages))
	for i := range slices.Backward(p.Stages) {
		keep[i] = keep[i] || mine[u.of[i]]
		if keep[i] {
			for _, in := range p.Stages[i].Inputs {
				keep[in] = true
			}
		}
	}
	return p.Only(keep)
}

// Stages that belong to no unit: what several are made from, and what is made of several.
const (
	inCommon = -1
	joined   = -2
)

// units are what a plan falls into that can be made apart. A unit has the number of its first
// stage that denoises, or, of a picture that none denoises, of its last stage.
type units struct {
	of   []int // each stage's unit, or inCommon or joined
	work map[int]float64
}

func unitsOf(p *eligen.Plan) units {
	n := len(p.Stages)
	u := units{of: make([]int, n), work: map[int]float64{}}
	parent := make([]int, n)
	for i := range parent {
		parent[i] = i
	}
	root := func(i int) int {
		for parent[i] != i {
			parent[i] = parent[parent[i]]
			i = parent[i]
		}
		return i
	}
	from, read := make([][]int, n), make([]bool, n) // stages that denoise, behind each
	for i, s := range p.Stages {
		for _, in := range s.Inputs {
			from[i] = append(from[i], from[in]...)
			read[in] = true
		}
		if denoises(s) {
			for _, d := range from[i] {
				a, b := root(d), root(i)
				parent[max(a, b)] = min(a, b)
			}
			from[i] = []int{i}
		}
		slices.Sort(from[i])
		from[i] = slices.Compact(from[i])
	}
	for i, s := range p.Stages {
		u.of[i] = inCommon
		for k, d := range from[i] {
			if r := root(d); k == 0 {
				u.of[i] = r
			} else if u.of[i] != r {
				u.of[i] = joined
			}
		}
		if u.of[i] == inCommon && !read[i] {
			u.of[i] = i
		}
		if denoises(s) {
			u.work[u.of[i]] += s.Work
		}
	}
	return u
}

func denoises(s eligen.Stage) bool {
	_, ok := s.Op.(denoise.Op)
	return ok
}

// share returns the units of one of count machines: those with the most work are given away
// first, each to the machine that has the least.
func (u units) share(index, count int) map[int]bool {
	all := slices.DeleteFunc(slices.Clone(u.of), func(unit int) bool { return unit < 0 })
	slices.Sort(all)
	all = slices.Compact(all)
	slices.SortStableFunc(all, func(a, b int) int { return cmp.Compare(u.work[b], u.work[a]) })
	load := make([]float64, count)
	given := make([]int, count)
	mine := map[int]bool{}
	for _, unit := range all {
		least := 0
		for k := range load {
			if load[k] < load[least] || load[k] == load[least] && given[k] < given[least] {
				least = k
			}
		}
		load[least] += u.work[unit]
		given[least]++
		mine[unit] = least == index
	}
	return mine
}

// Apart returns how many parts of a plan can be made apart: more shards would be empty.
func Apart(p *eligen.Plan) int {
	seen := map[int]bool{}
	for _, unit := range unitsOf(p).of {
		if unit >= 0 {
			seen[unit] = true
		}
	}
	return len(seen)
}
