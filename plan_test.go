package eligen_test

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/eligen/eligen"
)

// op is any Op whose recipe is its one field.
type op struct{ Field any2 }

// any2 stands for the kinds of value that recipes hold.
type any2 struct {
	N    int
	F    float64
	S    string
	L    []string
	R    eligen.Region
	Path string `recipe:"-"`
}

func (op) Kind() string                            { return "test/1" }
func (op) Run(context.Context, *eligen.Call) error { return nil }

type engineOp struct{ Op op }

func (engineOp) Kind() string                            { return "test/1" }
func (engineOp) Run(context.Context, *eligen.Call) error { return nil }
func (engineOp) UsesEngine()                             {}

func digest(engine string, o eligen.Op) eligen.Digest {
	p := eligen.NewPlan("scene.hcl", engine)
	return p.Stages[p.Add("x", eligen.Source{}, o)].Digest
}

// Two recipes have one digest if and only if they are the same recipe.
func TestDigestsTellRecipesApart(t *testing.T) {
	shape := func(kind string, n ...float64) eligen.Region { return eligen.Region{Kind: kind, Numbers: n} }
	different := []any2{
		{}, {N: 1}, {F: 1}, {S: "1"}, {L: []string{""}}, {L: []string{"a", "b"}}, {L: []string{"ab"}}, {S: "a;", L: []string{"b"}},
		{S: "a", L: []string{";b"}},
		{R: shape("box", 0, 0, 1, 1)}, {R: shape("ellipse", 0, 0, 1, 1)}, {R: shape("box", 0, 0, 1, 0.9999999)}, {F: math.Nextafter(1, 2)},
		{F: -1},
		{R: eligen.Region{Kind: "image", Bitmap: eligen.NewBitmap(2, 1, func(x, y int) bool { return x == 0 })}},
		{R: eligen.Region{Kind: "image", Bitmap: eligen.NewBitmap(2, 1, func(x, y int) bool { return x == 1 })}},
		{R: eligen.Region{Kind: "image", Bitmap: eligen.NewBitmap(1, 2, func(x, y int) bool { return y == 0 })}},
	}
	seen := map[eligen.Digest]string{}
	for _, v := range different {
		d := digest("e", op{v})
		if other, ok := seen[d]; ok {
			t.Errorf("%+v and %s have one digest", v, other)
		}
		seen[d] = fmt.Sprintf("%+v", v)
	}
	same := [][2]any2{{{F: 0}, {F: math.Copysign(0, -1)}}, {{Path: "a"}, {Path: "b"}}}
	for _, pair := range same {
		if digest("e", op{pair[0]}) != digest("e", op{pair[1]}) {
			t.Errorf("%+v and %+v have different digests", pair[0], pair[1])
		}
	}
	if digest("e", op{}) != digest("f", op{}) {
		t.Error("the engine is in the digest of a stage that doesn't use it")
	}
	if digest("e", engineOp{}) == digest("f", engineOp{}) {
		t.Error("the engine is not in the digest of a stage that uses it")
	}
}

func TestDigestsAreStable(t *testing.T) {
	const want = "a store made by an older release must stay readable, or the recipe's version must change"
	got := digest("e", op{any2{N: 1, F: 0.5, S: "é", L: []string{"a"}, R: eligen.Box(0, 0, 1, 1)}})
	if got != stable {
		t.Errorf("digest %s, it was %s: %s", got, stable, want)
	}
}

const stable = "551f825d4a0a9dc8c4376422388adebee1826d58e72bcad125d565d2b010d36c"

func TestPlanShares(t *testing.T) {
	p := eligen.NewPlan("s", "e")
	a := p.Add("a", eligen.Source{}, op{any2{S: "x"}})
	b := p.Add("b", eligen.Source{}, op{any2{S: "x"}})
	c := p.Add("c", eligen.Source{}, op{any2{S: "x"}}, a)
	d := p.Add("d", eligen.Source{}, op{any2{S: "x"}}, c)
	if a != b || c == a || d == c || len(p.Stages) != 3 {
		t.Errorf("refs %d %d %d %d of %d stages", a, b, c, d, len(p.Stages))
	}
}

func TestRecipesRefuse(t *testing.T) {
	for name, v := range map[string]any2{
		"infinity":      {F: math.Inf(1)},
		"no number":     {F: math.NaN()},
		"invalid UTF-8": {S: "\xff"},
	} {
		func() {
			defer func() {
				if p := fmt.Sprint(recover()); !strings.Contains(p, "This is a bug in eligen") {
					t.Errorf("%s: %s", name, p)
				}
			}()
			digest("e", op{v})
		}()
	}
}
