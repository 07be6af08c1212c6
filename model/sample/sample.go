// Package sample follows velocities from noise to latents. It knows no model: a family's
// transformer gives it the two sides of guidance as branches.
package sample

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/tensor"
)

// A Branch is one of the two sides of guidance, ready for the steps.
type Branch interface {
	// Velocity returns the velocity [C,h,w] at latents x in a step, counted from 0. The
	// result is the caller's to change.
	Velocity(x tensor.Tensor, step int) (tensor.Tensor, error)
	// Close frees what the branch holds for its steps.
	Close()
}

// Integrate follows the velocity along the schedule by Euler's method:
//
//	x ← x + v·(σᵢ₊₁ − σᵢ),   v = v₋ + cfg·(v₊ − v₋)
//
// v₊ is the velocity of the positive branch, v₋ that of the negative one; where that is
// nil, v is v₊. Latents [C,h,w] stay float32 between steps.
func Integrate(ctx context.Context, d eligen.Denoise, positive, negative Branch) (tensor.Tensor, error) {
	steps := len(d.Sigmas) - 1
	x := tensor.Tensor{Shape: slices.Clone(d.Latents.Shape), Data: slices.Clone(d.Latents.Data)}
	for i := d.From; i < steps; i++ {
		v, err := guided(ctx, d, positive, negative, x, i)
		if err != nil {
			return tensor.Tensor{}, err
		}
		dt := d.Sigmas[i+1] - d.Sigmas[i]
		sum := 0.0
		for j := range x.Data {
			x.Data[j] += v.Data[j] * dt
			sum += float64(x.Data[j])
		}
		if math.IsNaN(sum) || math.IsInf(sum, 0) {
			return tensor.Tensor{}, fmt.Errorf("step %d of %d: the model gave numbers that are not finite. "+
				"Its weights or adapters may be damaged, or a scale too large", i+1, steps)
		}
		if d.Step != nil {
			d.Step(i+1, steps, x)
		}
	}
	return x, nil
}

// guided returns step i's velocity after guidance and fusion.
func guided(ctx context.Context, d eligen.Denoise, positive, negative Branch, x tensor.Tensor, i int) (tensor.Tensor, error) {
	if err := ctx.Err(); err != nil {
		return tensor.Tensor{}, err
	}
	v, err := positive.Velocity(x, i)
	if err != nil {
		return tensor.Tensor{}, err
	}
	if d.Fusion != nil && d.Fusion.Before {
		d.Fusion.Fuse(v.Data, x.Data, d.Sigmas[i])
	}
	if negative != nil {
		if err := ctx.Err(); err != nil {
			return tensor.Tensor{}, err
		}
		n, err := negative.Velocity(x, i)
		if err != nil {
			return tensor.Tensor{}, err
		}
		cfg, positive := float32(d.CFG), v.Data
		if d.Rescale {
			positive = slices.Clone(positive)
		}
		for j, p := range v.Data {
			v.Data[j] = n.Data[j] + cfg*(p-n.Data[j])
		}
		if d.Rescale {
			rescale(v, positive, d.Patch)
		}
	}
	if d.Velocity != nil {
		d.Velocity(i, v.Data)
	}
	if d.Fusion != nil && !d.Fusion.Before {
		d.Fusion.Fuse(v.Data, x.Data, d.Sigmas[i])
	}
	return v, nil
}

// rescale gives each token of v, patch×patch latents, the length that it has in another velocity.
func rescale(v tensor.Tensor, like []float32, patch int) {
	channels, h, w := v.Shape[0], v.Shape[1], v.Shape[2]
	each := func(row, column int, f func(i int)) {
		for c := range channels {
			for y := range patch {
				for x := range patch {
					f((c*h+row*patch+y)*w + column*patch + x)
				}
			}
		}
	}
	for row := range h / patch {
		for column := range w / patch {
			own, other := 0.0, 0.0
			each(row, column, func(i int) {
				own += float64(v.Data[i]) * float64(v.Data[i])
				other += float64(like[i]) * float64(like[i])
			})
			if own == 0 {
				continue
			}
			by := float32(math.Sqrt(other / own))
			each(row, column, func(i int) { v.Data[i] *= by })
		}
	}
}

// Check refuses work that no model of a geometry can do, or would compute nonsense from.
func Check(d eligen.Denoise, g eligen.Geometry) error {
	s := d.Latents.Shape
	if len(s) != 3 || s[0] != g.Channels || s[1] <= 0 || s[2] <= 0 || s[1]%g.Patch != 0 || s[2]%g.Patch != 0 {
		return fmt.Errorf("latents have shape %v; this model takes [%d,h,w] with h and w multiples of %d", s, g.Channels, g.Patch)
	}
	if len(d.Sigmas) < 2 {
		return fmt.Errorf("a schedule of %d sigmas has no step", len(d.Sigmas))
	}
	if d.From < 0 || d.From >= len(d.Sigmas) {
		return fmt.Errorf("can't go on from step %d of %d", d.From, len(d.Sigmas)-1)
	}
	if math.IsNaN(d.TeaCache) || d.TeaCache < 0 {
		return fmt.Errorf("a step cache has the threshold %v; it must be a number above 0, or 0 for none", d.TeaCache)
	}
	if p := d.Fusion; p != nil && (!slices.Equal(p.Picture.Shape, s) || len(p.Paint) != s[1]*s[2]) {
		return fmt.Errorf("the picture to keep has latents of shape %v and a mask of %d; the latents to denoise have %v",
			p.Picture.Shape, len(p.Paint), s)
	}
	image := s[1] / g.Patch * (s[2] / g.Patch)
	for i, e := range slices.Concat(d.Entities, d.Against) {
		if e.Factors != nil && len(e.Factors) != len(d.Sigmas)-1 {
			return fmt.Errorf("entity %d has strengths for %d steps of %d", i, len(e.Factors), len(d.Sigmas)-1)
		}
	}
	for i, e := range d.Entities {
		if err := checkEntity(i, e, image); err != nil {
			return err
		}
		if (e.Share == nil) != (d.Entities[0].Share == nil) {
			return fmt.Errorf("entities 0 and %d: only one is a layer", i)
		}
	}
	if d.NegativeEntities && len(d.Against) > 0 {
		return errors.New("the negative side has either the entities, or its own")
	}
	for i, e := range d.Against {
		if err := checkEntity(i, e, image); err != nil {
			return fmt.Errorf("on the negative side, %w", err)
		}
		if e.Share != nil {
			return fmt.Errorf("on the negative side, entity %d is a layer; there are none", i)
		}
	}
	return nil
}

// checkEntity compares the region of entity i with a picture of so many image tokens.
func checkEntity(i int, e eligen.EntityConditioning, image int) error {
	if e.Bucket != 0 && e.Bucket < len(e.Tokens) {
		return fmt.Errorf("entity %d's region of %d tokens doesn't fit into %d", i, len(e.Tokens), e.Bucket)
	}
	for j, n := range e.Tokens {
		if n < 0 || int(n) >= image || j > 0 && n <= e.Tokens[j-1] {
			return fmt.Errorf("entity %d's region has token %d; tokens must ascend, from 0 to %d", i, n, image-1)
		}
	}
	if e.Share != nil && (len(e.Share) != len(e.Tokens) || len(e.Seen) != len(e.Tokens)) {
		return fmt.Errorf("entity %d of %d tokens has %d shares, of which %d are seen", i, len(e.Tokens), len(e.Share), len(e.Seen))
	}
	if e.Cover != nil && (len(e.Cover) != len(e.Tokens) || slices.ContainsFunc(e.Cover, func(c float32) bool { return !(c > 0 && c <= 1) })) {
		return fmt.Errorf("entity %d of %d tokens covers %d of them, each more than nothing and at most whole", i, len(e.Tokens), len(e.Cover))
	}
	if math.IsNaN(e.Strength) || e.Strength < 0 || math.IsInf(e.Strength, 0) {
		return fmt.Errorf("entity %d has the strength %v; it must be a number from 0", i, e.Strength)
	}
	return nil
}

// CheckText refuses a conditioning whose text is no states of a width. what names it.
func CheckText(what string, c eligen.Conditioning, width int) error {
	if s := c[eligen.Txt].Shape; len(s) != 2 || s[0] == 0 || s[1] != width {
		return fmt.Errorf("%s's text has shape %v; this model takes [tokens,%d]", what, s, width)
	}
	return nil
}

// CheckTexts checks all texts of a picture's work as CheckText does.
func CheckTexts(d eligen.Denoise, width int) error {
	errs := []error{CheckText("the prompt", d.Prompt, width)}
	if d.Negative != nil {
		errs = append(errs, CheckText("the negative prompt", d.Negative, width))
	}
	for i, e := range d.Entities {
		errs = append(errs, CheckText(fmt.Sprintf("entity %d", i), e.Prompt, width))
	}
	for i, e := range d.Against {
		errs = append(errs, CheckText(fmt.Sprintf("entity %d of the negative side", i), e.Prompt, width))
	}
	return errors.Join(errs...)
}
