package farm

import (
	"fmt"
	"slices"
	"strings"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/stage"
)

// needs says what a plan's stages need of a worker.
type needs struct {
	plan   *eligen.Plan
	models map[eligen.Digest][]eligen.Digest // all weights of the model that weights belong to
}

// needsOf looks through a plan. Weights belong to one model where a stage has both, or reads what a stage
// with the other made: a worker has a model whole, so that a run has few classes.
func needsOf(p *eligen.Plan) *needs {
	group := map[eligen.Digest]eligen.Digest{}
	var find func(d eligen.Digest) eligen.Digest
	find = func(d eligen.Digest) eligen.Digest {
		if group[d] != d {
			group[d] = find(group[d])
		}
		return group[d]
	}
	one := make([]eligen.Digest, len(p.Stages)) // weights that a stage or those before it have
	for i, s := range p.Stages {
		all := stage.WeightsOf(s.Op)
		for _, in := range s.Inputs {
			if one[in] != "" {
				all = append(all, one[in])
			}
		}
		for _, d := range all {
			if _, ok := group[d]; !ok {
				group[d] = d
			}
			group[find(d)] = find(all[0])
		}
		if _, ok := s.Op.(eligen.EngineOp); ok && len(all) > 0 {
			one[i] = all[0] // what needs no engine, such as a sheet, joins no models
		}
	}
	n := &needs{p, map[eligen.Digest][]eligen.Digest{}}
	models := map[eligen.Digest][]eligen.Digest{}
	for d := range group {
		models[find(d)] = append(models[find(d)], d)
	}
	for d := range group {
		n.models[d] = models[find(d)]
	}
	return n
}

// class returns the class of a task.
func (n *needs) class(engine string, stages []eligen.Ref) Class {
	c := Class{Engine: engine}
	for _, i := range stages {
		s := n.plan.Stages[i]
		c.Memory = max(c.Memory, peak(n.plan, s.Name))
		for _, w := range stage.WeightsOf(s.Op) {
			for _, d := range n.models[w] {
				if !slices.Contains(c.Weights, d) {
					c.Weights = append(c.Weights, d)
				}
			}
		}
	}
	slices.Sort(c.Weights)
	c.Memory = (c.Memory + 1<<30 - 1) >> 30 << 30
	c.ID = string(eligen.DigestOf(fmt.Appendf(nil, "%q %q %d", c.Engine, c.Weights, c.Memory)))[:12]
	return c
}

// peak returns how many bytes the render that a stage belongs to takes at its peak. What belongs to no
// render may belong to any.
func peak(p *eligen.Plan, name string) (most int64) {
	for _, r := range p.Renders {
		if strings.HasPrefix(name, r.Address+".") {
			return r.Memory
		}
		most = max(most, r.Memory)
	}
	return most
}
