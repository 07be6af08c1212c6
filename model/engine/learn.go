package engine

import (
	"context"
	"errors"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/model/exec"
	"github.com/eligen/eligen/model/family"
	"github.com/eligen/eligen/model/panics"
	"github.com/eligen/eligen/model/weights"
)

// learning finds a transformer that can be taught a LoRA.
func (e *Engine) learning(d eligen.Digest) (family.Learning, error) {
	p, err := part(e, e.dits, d)
	if err != nil {
		return nil, err
	}
	l, ok := p.(family.Learning)
	if !ok {
		return nil, errors.New("no LoRA is trained for models of this family yet")
	}
	return l, nil
}

// Adaptable lists the matrices [out, in] of a transformer that EliGen's LoRA adapts.
func (e *Engine) Adaptable(transformer eligen.Digest) ([]weights.Weight, error) {
	p, err := e.learning(transformer)
	if err != nil {
		return nil, err
	}
	return p.Adaptable(), nil
}

// Learn returns a lesson's loss, and its gradient with respect to each of a LoRA's factors. The weights are frozen,
// and held as they are for pictures: what doesn't fit into the engine's limit passes through.
func (e *Engine) Learn(ctx context.Context, transformer eligen.Digest, x family.Lesson,
	f family.Factors) (loss float64, gradients family.Factors, err error) {
	defer panics.Catch("learning", &err)
	p, err := e.learning(transformer)
	if err != nil {
		return 0, nil, err
	}
	err = e.run(ctx, func() error {
		s, err := e.layered(eligen.Denoise{Transformer: transformer}, p, layers{})
		if err != nil {
			return err
		}
		loss, gradients, err = p.Learn(ctx, host{e}, s, e.roomOfLearning(p, x, f), x, f)
		return err
	})
	return loss, gradients, err
}

// roomOfLearning returns how many bytes weights may take beside a lesson; 0 is no limit.
func (e *Engine) roomOfLearning(p family.Learning, x family.Lesson, f family.Factors) int64 {
	rank := 0
	for _, w := range f {
		rank = w.A.Shape[0]
		break
	}
	shape := lessonShape(x, p.Shape())
	return e.room(e.lessonBytes(p, shape) + optimized(p, rank))
}

// A LessonShape is what counts of a lesson for the memory that it takes.
type LessonShape struct{ Image, Text int } // tokens; of text, of all prompts

func lessonShape(x family.Lesson, of family.Shape) (s LessonShape) {
	s.Image = len(x.Latents.Data) / max(1, of.TokenDim)
	s.Text = x.Prompt[eligen.Txt].Shape[0]
	for _, e := range x.Entities {
		s.Text += e.Prompt[eligen.Txt].Shape[0]
	}
	return s
}

// lessonBytes is what a lesson takes beside weights and factors: what each block is given, and one block's
// inside with the gradient of it.
func (e *Engine) lessonBytes(p family.Learning, s LessonShape) int64 {
	f, number := p.Shape(), int64(p.DType().Size())
	rows := int64(s.Image + s.Text)
	kept := rows * int64(f.Dim) * number * int64(f.Double+f.Single+2)
	c := costOf(e.info)
	inside := rows * number * int64(7*f.Dim+2*f.MLP)
	scores := c.scores(int64(f.Heads)*rows*rows, int64(f.Scores))
	step := 3*inside + 3*scores
	if c.convert && number < 4 {
		step += 4 * int64(f.Dim) * int64(3*f.Dim+f.MLP) * 2 // the largest weight, in float32, forward and backward
	}
	return kept + max(step, c.compiling(1)*2)
}

// optimized is what a LoRA takes: factors, two moments, a running mean, gradients of a step and of a lesson, in
// float32, and what an optimizer's graph makes anew.
func optimized(p family.Learning, rank int) (bytes int64) {
	for _, w := range p.Adaptable() {
		bytes += int64(rank) * int64(w.Shape[0]+w.Shape[1])
	}
	return 4 * 8 * bytes
}

// LearningBytes returns what training a LoRA of a rank takes at most, by lessons of a shape: the weights that stay,
// those that pass through at once, and all in all.
func (e *Engine) LearningBytes(transformer eligen.Digest, rank int, s LessonShape) (l Learning, err error) {
	p, err := e.learning(transformer)
	if err != nil {
		return l, err
	}
	held, err := p.Held(p.Weights())
	if err != nil {
		return l, err
	}
	beside := e.lessonBytes(p, s) + optimized(p, rank)
	store := exec.NewStore(nil, held, p.DType())
	l.Plan = store.Plan(p.Scopes(), func(string) bool { return true }, e.room(beside), e.info.CUDA() || store.Whole() <= e.keepBytes())
	l.Parameters = optimized(p, rank) / (4 * 8)
	l.Lesson, l.Optimizer = e.lessonBytes(p, s), optimized(p, rank)
	l.All = costOf(e.info).program + l.Plan.Held + l.Plan.Passing + beside
	return l, nil
}

// Learning is what training a LoRA takes, in bytes.
type Learning struct {
	Plan       exec.Plan // of the weights
	Lesson     int64     // beside them, for a picture
	Optimizer  int64     // for the factors
	All        int64
	Parameters int64 // that are trained, as a number
}
