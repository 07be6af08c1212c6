package fluxmodel

import (
	"errors"
	"fmt"
	"math"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/tensor"
)

// A side is one of the two sides of guidance. Entities whose strength is 0 in a step are left out of it, so that a
// side has a branch for each set of entities that acts in one; most have one.
type side struct {
	branches []*branch
	of       []int // of each step, its branch; nil is the first
}

// side prepares a side, whose entities' prompts text replaces where it isn't nil.
func (t *Transformer) side(d eligen.Denoise, p eligen.Conditioning, entities []eligen.EntityConditioning, text eligen.Conditioning,
	images []eligen.ImagePrompt) (s *side, err error) {
	s = &side{}
	defer func() {
		if err != nil {
			s.Close()
			s = nil
		}
	}()
	of, sets := acting(entities, len(d.Sigmas)-1)
	for _, set := range sets {
		var like *branch
		if len(s.branches) > 0 {
			like = s.branches[0]
		}
		b, err := t.prepare(d, p, groupEntities(set, text), images, like)
		if err != nil {
			return s, err
		}
		s.branches = append(s.branches, b)
	}
	if len(sets) > 1 {
		s.of = of
	}
	return s, nil
}

// acting returns the sets of entities that act in a step, and which each step has.
func acting(entities []eligen.EntityConditioning, steps int) (of []int, sets [][]eligen.EntityConditioning) {
	seen := map[string]int{}
	for i := range steps {
		key, set := make([]byte, len(entities)), []eligen.EntityConditioning(nil)
		for k, e := range entities {
			if e.Factors == nil || e.Factors[i] != 0 {
				key[k], set = 1, append(set, e)
			}
		}
		n, ok := seen[string(key)]
		if !ok {
			n = len(sets)
			seen[string(key)], sets = n, append(sets, set)
		}
		of = append(of, n)
	}
	return of, sets
}

// Velocity returns the side's velocity in step i.
func (s *side) Velocity(x tensor.Tensor, i int) (tensor.Tensor, error) {
	if s.of == nil {
		return s.branches[0].Velocity(x, i)
	}
	return s.branches[s.of[i]].Velocity(x, i)
}

// Close frees what the branches hold.
func (s *side) Close() {
	for _, b := range s.branches {
		b.Close()
	}
}

// A waxing is a group whose strengths are not the same in all steps and blocks.
type waxing struct {
	mark     int // which of the marks has its strengths
	entities []eligen.EntityConditioning
}

// strengths returns the logarithms of entities' strengths in a step and a block, [1,N]. That of 0 is below all
// logits.
func (b *branch) strengths(entities []eligen.EntityConditioning, step, block int) *tensors.Tensor {
	logs := make([]float32, len(entities))
	for j, e := range entities {
		strength := e.Strength
		if e.Factors != nil {
			strength *= float64(e.Factors[step])
		}
		if e.Blocks != nil && (block < e.Blocks[0] || block > e.Blocks[1]) {
			strength = 0
		}
		logs[j] = float32(math.Log(strength))
	}
	key := fmt.Sprint(logs)
	if b.logs == nil {
		b.logs = map[string]*tensors.Tensor{}
	}
	if b.logs[key] == nil {
		b.logs[key] = tensors.FromFlatDataAndDimensions(logs, 1, len(logs))
	}
	return b.logs[key]
}

// checkSchedules refuses what a step cache would confuse: it compares steps that have the same entities.
func checkSchedules(d eligen.Denoise) error {
	for _, e := range append(append([]eligen.EntityConditioning(nil), d.Entities...), d.Against...) {
		if e.Factors != nil && d.TeaCache != 0 {
			return errors.New("a step cache goes with entities whose strength stays the same")
		}
	}
	return nil
}
