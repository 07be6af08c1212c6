package eligen

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode"
)

// An Ease says how a value gets from one key to the next: progress in time,
// 0 to 1, becomes progress of the value. The zero Ease is linear.
type Ease struct {
	Kind    string    `json:"kind,omitempty"`
	Numbers []float64 `json:"numbers,omitempty"` // bezier x1 y1 x2 y2 · steps n · spring stiffness damping
}

// The in forms of the curves that easings.net names; out and in-out follow from
// them, but for those of inOut.
var easeIn = map[string]func(t float64) float64{
	"sine":  func(t float64) float64 { return 1 - math.Cos(t*math.Pi/2) },
	"quad":  func(t float64) float64 { return t * t },
	"cubic": func(t float64) float64 { return t * t * t },
	"quart": func(t float64) float64 { return t * t * t * t },
	"quint": func(t float64) float64 { return t * t * t * t * t },
	"expo":  func(t float64) float64 { return math.Pow(2, 10*t-10) },
	"circ":  func(t float64) float64 { return 1 - math.Sqrt(1-t*t) },
	"back":  func(t float64) float64 { return back(t, overshoot) },
	"elastic": func(t float64) float64 {
		return -math.Pow(2, 10*t-10) * math.Sin((10*t-10.75)*2*math.Pi/3)
	},
	"bounce": func(t float64) float64 { return 1 - bounceOut(1-t) },
}

// inOut are the first halves, for t in 0…½, of curves whose in-out form has
// other constants than their in form.
var inOut = map[string]func(t float64) float64{
	"back": func(t float64) float64 { return back(2*t, 1.525*overshoot) / 2 },
	"elastic": func(t float64) float64 {
		return -math.Pow(2, 20*t-10) * math.Sin((20*t-11.125)*2*math.Pi/4.5) / 2
	},
}

// overshoot makes back go a tenth beyond its end.
const overshoot = 1.70158

func back(t, s float64) float64 { return t * t * ((s+1)*t - s) }

func bounceOut(t float64) float64 {
	const n, d = 7.5625, 2.75
	switch {
	case t < 1/d:
		return n * t * t
	case t < 2/d:
		t -= 1.5 / d
		return n*t*t + 0.75
	case t < 2.5/d:
		t -= 2.25 / d
		return n*t*t + 0.9375
	}
	t -= 2.625 / d
	return n*t*t + 0.984375
}

// cssEase are the curves that CSS has names for.
var cssEase = map[string][]float64{
	"ease": {0.25, 0.1, 0.25, 1}, "ease-in": {0.42, 0, 1, 1}, "ease-out": {0, 0, 0.58, 1}, "ease-in-out": {0.42, 0, 0.58, 1},
}

// EaseNames lists every name that ParseEase knows, in alphabetical order.
func EaseNames() []string {
	names := []string{"linear", "hold"}
	for n := range cssEase {
		names = append(names, n)
	}
	for n := range easeIn {
		names = append(names, n+"-in", n+"-out", n+"-in-out")
	}
	slices.Sort(names)
	return names
}

// ParseEase returns the Ease of a name, and false where there is none. Other spellings of
// the names that EaseNames lists are read too: easings.net's "easeInOutCubic", its
// stylesheets' "ease-in-out-cubic", and what libraries for animation write, such as
// "cubicInOut" or "cubic.inOut".
func ParseEase(name string) (Ease, bool) {
	names := EaseNames()
	for _, n := range []string{name, easeSpelling(name)} {
		if _, ok := slices.BinarySearch(names, n); ok {
			return Ease{Kind: n}, true
		}
	}
	return Ease{Kind: name}, false
}

// easeSpelling returns a name in this package's spelling, if its words are those of one.
func easeSpelling(name string) string {
	var curve, way string
	words := easeWords(name)
	for i, w := range words {
		switch {
		case w == "ease" && i == 0:
		case w == "in" && way == "", w == "out" && way == "":
			way = "-" + w
		case w == "out" && way == "-in":
			way = "-in-out"
		case curve == "" && w != "ease":
			curve = w
		default:
			return ""
		}
	}
	if curve == "" && len(words) > 0 && words[0] == "ease" {
		curve = "ease" // CSS's
	}
	return curve + way
}

// easeWords splits a name where words begin: at capitals and between letters.
func easeWords(name string) []string {
	var b strings.Builder
	if name == strings.ToUpper(name) { // EASE_IN_OUT_CUBIC
		name = strings.ToLower(name)
	}
	for i, r := range name {
		if unicode.IsUpper(r) && i > 0 {
			b.WriteByte(' ')
		}
		if strings.ContainsRune("-_. ", r) {
			r = ' '
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return strings.Fields(b.String())
}

// Bezier returns CSS's cubic-bezier. x1 and x2 must lie in 0…1, or time would run
// backwards.
func Bezier(x1, y1, x2, y2 float64) (Ease, error) {
	if !(x1 >= 0 && x1 <= 1 && x2 >= 0 && x2 <= 1) {
		return Ease{}, fmt.Errorf("the x of a control point must be from 0 to 1, since time can't run backwards; they are %v and %v", x1, x2)
	}
	return Ease{Kind: "bezier", Numbers: []float64{x1, y1, x2, y2}}, nil
}

// Steps returns an ease of n equal jumps, the last of them at the end.
func Steps(n int) (Ease, error) {
	if n < 1 || n > 10_000 {
		return Ease{}, fmt.Errorf("steps must be from 1 to 10000, not %d", n)
	}
	return Ease{Kind: "steps", Numbers: []float64{float64(n)}}, nil
}

// Spring returns the motion of a mass of 1 on a spring that is let go at 0 and comes to
// rest at 1, with the time between the keys as its unit of time.
func Spring(stiffness, damping float64) (Ease, error) {
	if !(stiffness > 0 && stiffness <= 1e6 && damping >= 0 && damping <= 1e4) {
		return Ease{}, fmt.Errorf("a spring's stiffness must be above 0 and its damping at least 0; they are %v and %v", stiffness, damping)
	}
	return Ease{Kind: "spring", Numbers: []float64{stiffness, damping}}, nil
}

// At returns how far the value has come at t, 0…1. At(0) is 0 and At(1) is 1, except for
// hold, which stays at 0; between them it may leave 0…1.
func (e Ease) At(t float64) float64 {
	if t <= 0 {
		return 0
	}
	if e.Kind == "hold" {
		return 0
	}
	if t >= 1 {
		return 1
	}
	n := e.Numbers
	switch e.Kind {
	case "", "linear":
		return t
	case "bezier":
		return bezierAt(n[0], n[1], n[2], n[3], t)
	case "steps":
		return math.Floor(t*n[0]) / n[0]
	case "spring":
		// What is missing at the end is added in proportion, so that a slow spring
		// arrives too.
		return spring(n[0], n[1], t) + (1-spring(n[0], n[1], 1))*t
	}
	if c, ok := cssEase[e.Kind]; ok {
		return bezierAt(c[0], c[1], c[2], c[3], t)
	}
	if name, ok := strings.CutSuffix(e.Kind, "-in-out"); ok {
		half := inOut[name]
		if half == nil {
			half = func(t float64) float64 { return easeIn[name](2*t) / 2 }
		}
		if t < 0.5 {
			return half(t)
		}
		return 1 - half(1-t)
	}
	if name, ok := strings.CutSuffix(e.Kind, "-out"); ok {
		return 1 - easeIn[name](1-t)
	}
	name, _ := strings.CutSuffix(e.Kind, "-in")
	return easeIn[name](t)
}

// String writes the ease as a scene does.
func (e Ease) String() string {
	if e.Kind == "" {
		return "linear"
	}
	if len(e.Numbers) == 0 {
		return e.Kind
	}
	var parts []string
	for _, x := range e.Numbers {
		parts = append(parts, fmt.Sprint(x))
	}
	return e.Kind + "(" + strings.Join(parts, ", ") + ")"
}

// bezierAt finds the curve's parameter at x = t by bisection, which can't miss:
// x rises with the parameter.
func bezierAt(x1, y1, x2, y2, t float64) float64 {
	at := func(a, b, u float64) float64 { return u * ((1-u)*(1-u)*3*a + u*((1-u)*3*b+u)) }
	low, high := 0.0, 1.0
	for range 60 {
		mid := (low + high) / 2
		if at(x1, x2, mid) < t {
			low = mid
		} else {
			high = mid
		}
	}
	return at(y1, y2, (low+high)/2)
}

// spring returns the position at time t of a damped harmonic oscillator of mass 1 that
// starts at rest at 0 and is drawn to 1.
func spring(stiffness, damping, t float64) float64 {
	w := math.Sqrt(stiffness)
	z := damping / (2 * w)
	switch {
	case z < 1:
		d := w * math.Sqrt(1-z*z)
		return 1 - math.Exp(-z*w*t)*(math.Cos(d*t)+z*w/d*math.Sin(d*t))
	case z == 1:
		return 1 - math.Exp(-w*t)*(1+w*t)
	}
	d := w * math.Sqrt(z*z-1)
	a, b := -z*w+d, -z*w-d // both negative
	return 1 - (a*math.Exp(b*t)-b*math.Exp(a*t))/(a-b)
}
