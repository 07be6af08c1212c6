package eligen

import (
	"math"
	"strings"
	"testing"
)

// What easings.net and CSS promise of their curves.
func TestEaseAlgebra(t *testing.T) {
	for _, name := range EaseNames() {
		e, ok := ParseEase(name)
		if !ok || e.String() != name {
			t.Fatalf("%s is not known by its name", name)
		}
		end := 1.0
		if name == "hold" {
			end = 0
		}
		if e.At(0) != 0 || e.At(1) != end {
			t.Errorf("%s goes from %v to %v", name, e.At(0), e.At(1))
		}
		for i := 1; i < 64; i++ {
			x := float64(i) / 64
			if y := e.At(x); math.IsNaN(y) || y < -0.5 || y > 1.5 {
				t.Errorf("%s(%v) = %v", name, x, y)
			}
			base, out := strings.CutSuffix(name, "-out")
			if !out || strings.HasPrefix(name, "ease") {
				continue
			}
			if in, ok := strings.CutSuffix(base, "-in"); ok {
				// In-out is point symmetric, and mostly two halves of in.
				if y := e.At(x) + e.At(1-x); math.Abs(y-1) > 1e-12 {
					t.Errorf("%s(%v) + %[1]s(1−%[2]v) = %v", name, x, y)
				}
				if inOut[in] == nil && x < 0.5 {
					if d := e.At(x) - (Ease{Kind: in + "-in"}).At(2*x)/2; math.Abs(d) > 1e-12 {
						t.Errorf("%s(%v) is %v off half of %s-in", name, x, d, in)
					}
				}
			} else if d := e.At(x) - (1 - (Ease{Kind: base + "-in"}).At(1-x)); math.Abs(d) > 1e-12 {
				t.Errorf("%s(%v) is %v off 1 − %s-in(1 − x)", name, x, d, base)
			}
		}
	}
	if _, ok := ParseEase("cubic"); ok {
		t.Error("cubic alone is no ease")
	}
}

// Points of curves that others have published.
func TestEaseValues(t *testing.T) {
	bezier, err := Bezier(0.42, 0, 0.58, 1)
	if err != nil {
		t.Fatal(err)
	}
	steps, err := Steps(4)
	if err != nil {
		t.Fatal(err)
	}
	spring, err := Spring(400, 10)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		ease Ease
		t, y float64
	}{
		{Ease{}, 0.3, 0.3}, {Ease{Kind: "hold"}, 0.999, 0}, {Ease{Kind: "cubic-in"}, 0.5, 0.125}, {Ease{Kind: "quad-in-out"}, 0.75, 0.875},
		{Ease{Kind: "bounce-out"}, 1 / 2.75, 1}, {Ease{Kind: "ease-in-out"}, 0.5, 0.5}, {bezier, 0.5, 0.5},
		{steps, 0.24, 0}, {steps, 0.26, 0.25}, {steps, 0.99, 0.75},
		{Ease{Kind: "back-in"}, 0.42, -0.1}, // the lowest point of back: a tenth below
		{spring, 1, 1},
	} {
		if got := c.ease.At(c.t); math.Abs(got-c.y) > 1e-3 {
			t.Errorf("%s(%v) = %v, want %v", c.ease, c.t, got, c.y)
		}
	}
	if y := spring.At(math.Pi / 20); y < 1.2 {
		t.Errorf("a lightly damped spring is at %v after half a swing; it overshoots", y)
	}
	for _, err := range []error{second(Bezier(-0.1, 0, 1, 1)), second(Steps(0)), second(Spring(0, 1)), second(Spring(math.NaN(), 1))} {
		if err == nil {
			t.Error("an ease that can't be is accepted")
		}
	}
}

func second(_ Ease, err error) error { return err }

// Names as they are copied from elsewhere are those of EaseNames, so that plans and
// metadata know one name for one curve.
func TestEaseSpellings(t *testing.T) {
	for _, c := range []struct{ name, want string }{
		// easings.net
		{"easeInOutCubic", "cubic-in-out"}, {"easeOutBounce", "bounce-out"}, {"easeInSine", "sine-in"}, {"easeInOutElastic", "elastic-in-out"},
		// its stylesheets
		{"ease-in-out-cubic", "cubic-in-out"}, {"ease_in_quad", "quad-in"}, {"EASE_OUT_BACK", "back-out"}, {"ease in out expo", "expo-in-out"},
		// Svelte, Phaser, D3
		{"cubicInOut", "cubic-in-out"}, {"cubic.inOut", "cubic-in-out"}, {"easeCubicInOut", "cubic-in-out"}, {"easeLinear", "linear"},
		{"Linear", "linear"},
		{"easeIn", "ease-in"}, {"easeInOut", "ease-in-out"}, {"ease", "ease"}, {"EaseOut", "ease-out"}, // CSS's
	} {
		if e, ok := ParseEase(c.name); !ok || e.Kind != c.want || e.String() != c.want {
			t.Errorf("%q is %q, %v; want %q", c.name, e.Kind, ok, c.want)
		}
	}
	for _, name := range EaseNames() { // as easings.net writes them, all of them
		words := strings.Split(name, "-")
		curve, way := words[0], strings.Join(words[1:], " ")
		if curve == "ease" || way == "" {
			continue
		}
		camel := "ease"
		for _, w := range append(strings.Fields(way), curve) {
			camel += strings.ToUpper(w[:1]) + w[1:]
		}
		if e, ok := ParseEase(camel); !ok || e.Kind != name {
			t.Errorf("%s is %q, not %q", camel, e.Kind, name)
		}
	}
	for _, name := range []string{"", "easeInOut Cubic Quad", "easeOutInCubic", "cubic-out-in", "inOut", "easeHoldIn", "easeEase", "in", "-",
		"easeInInCubic"} {
		if e, ok := ParseEase(name); ok {
			t.Errorf("%q is %q", name, e.Kind)
		}
	}
}
