package studio_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/dsl/edit"
)

// pure opens a page that knows the pure functions of the page's sources.
func pure(t *testing.T) *tab {
	t.Helper()
	script, err := os.ReadFile("web/testdata/pure.js")
	if err != nil {
		t.Fatal(err)
	}
	x := open(t, "harbor.hcl", harbor).show(800, 600)
	// A bundle's own name is a var, which evaluating makes global.
	x.do(chromedp.Evaluate[chromedp.Void](string(script)))
	return x
}

func asJSON(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(data)
}

// TestGeometry: what the page thinks of boxes and of what lies in a region is what eligen thinks, to 1e-9.
func TestGeometry(t *testing.T) {
	x := pure(t)
	rng := rand.New(rand.NewPCG(1, 2))
	canvas := eligen.Size{W: 64, H: 48}
	for range 20 {
		x0, y0 := rng.Float64(), rng.Float64()
		box := []float64{x0, y0, x0 + rng.Float64(), y0 + rng.Float64()}
		for _, call := range []string{"xywh", "xyxy", "cxcywh", "ellipse"} {
			got := eval[[]float64](x, fmt.Sprintf("pure.numbersBox(%q, pure.boxNumbers(%q, %s))", call, call, asJSON(box)))
			for i := range box {
				if math.Abs(got[i]-box[i]) > 1e-9 {
					t.Errorf("%s of %v is %v", call, box, got)
				}
			}
		}
	}
	for _, r := range []eligen.Region{
		eligen.Box(0.1, 0.2, 0.7, 0.9),
		eligen.Box(0, 0, 0.3, 0.35), // ends before the middle of a latent
		eligen.Box(-0.2, 0.5, 1.3, 0.505),
		{Kind: "ellipse", Numbers: []float64{0.5, 0.4, 0.3, 0.2}},
		{Kind: "polygon", Numbers: []float64{0.1, 0.1, 0.9, 0.3, 0.4, 0.5, 0.8, 0.9, 0.2, 0.8}},
		{Kind: "polygon", Numbers: []float64{0.5, 0, 0.8, 1, 0, 0.4, 1, 0.4, 0.2, 1}}, // a star that crosses itself
	} {
		f := fmt.Sprintf("pure.figure(%q, %s)", r.Kind, asJSON(r.Numbers))
		bounds := eval[[]float64](x, f+".bounds")
		want, _, problem := r.Box()
		for i := range want {
			if problem != "" || math.Abs(bounds[i]-want[i]) > 1e-9 {
				t.Errorf("the box around %v is %v, want %v", r, bounds, want)
			}
		}
		in := eval[string](x, fmt.Sprintf(
			"(f => { let s = ''; for (let y = 0; y < 48; y++) for (let x = 0; x < 64; x++) "+
				"s += pure.inside(f, (x + 0.5) / 64, (y + 0.5) / 48) ? 1 : 0;"+
				" return s })(%s)", f))
		g := eligen.DefaultGeometry
		tokens := eval[[]int32](x, "pure.tokensOf("+f+", {width: 64, height: 48, token: 16, latent: 8})")
		if want := r.Tokens(canvas, g); !slices.Equal(tokens, want) {
			t.Errorf("the tokens of %v are %v, want %v", r, tokens, want)
		}
		for i, on := range r.Mask(canvas) {
			if on != (in[i] == '1') {
				t.Errorf("%v: the middle of pixel %d, %d", r, i%64, i/64)
			}
		}
	}
}

// TestNumbers: a number has as few decimals as put it within a fiftieth of a pixel, and no fewer than before.
func TestNumbers(t *testing.T) {
	x := pure(t)
	for _, c := range []struct {
		value, pixels float64
		before, want  string
	}{
		{0.5, 256, "0.74", "0.50"}, {0.5, 256, "1", "0.5"}, {0.0625, 256, "0.10", "0.0625"}, {37.0 / 256, 256, "", "0.1445"},
		{1.0 / 3, 1024, "0.1", "0.33333"}, {0, 256, "", "0"}, {-0.00001, 256, "0.10", "0.00"}, {1, 256, "0.123", "1.000"}, {12.5, 1, "", "12.5"},
	} {
		got := eval[string](x, fmt.Sprintf("pure.numberText(%v, %v, %q)", c.value, c.pixels, c.before))
		if got != c.want {
			t.Errorf("%v on %v pixels, before %q: %s, want %s", c.value, c.pixels, c.before, got, c.want)
		}
	}
	for _, s := range []string{`a "duck"`, "${x} %{y}", "a\nb\\c", "ünï"} {
		got := eval[string](x, "pure.quote("+asJSON(s)+")")
		text, ds := edit.Parse("a.hcl", []byte("entity \"a\" {\n  prompt = "+got+"\n}\n"))
		if ds.HasErrors() || !text.Blocks()[0].Attributes[0].Plain || got != edit.Quote(s) {
			t.Errorf("%q is written %s, want %s", s, got, edit.Quote(s))
		}
	}
}

// TestMerge: changes of different lines go together, changes of one line don't.
func TestMerge(t *testing.T) {
	x := pure(t)
	const base = "one\ntwo\nthree\nfour\n"
	for _, c := range []struct{ mine, theirs, want string }{
		{"ONE\ntwo\nthree\nfour\n", "one\ntwo\nthree\nFOUR\n", "ONE\ntwo\nthree\nFOUR\n"},
		{"one\ntwo\nthree\nFOUR\n", "zero\none\ntwo\nthree\nfour\n", "zero\none\ntwo\nthree\nFOUR\n"},
		{base, "one\n", "one\n"},
		{"one\ntwo\n3\nfour\n", "one\ntwo\n3\nfour\n", "one\ntwo\n3\nfour\n"},
		{"one\nTWO\nthree\nfour\n", "one\n2\nthree\nfour\n", ""},
		{"one\ntwo!\nthree\nfour\n", "one\nthree\nfour\n", ""},
	} {
		got := eval[*string](x, fmt.Sprintf("pure.merged(%s, %s, %s)", asJSON(base), asJSON(c.mine), asJSON(c.theirs)))
		if got == nil && c.want != "" || got != nil && *got != c.want {
			t.Errorf("%q and %q make %v, want %q", c.mine, c.theirs, got, c.want)
		}
	}
	if got := eval[string](x, `pure.nameOf("a small red boat on the sea", n => n == "small_red_boat")`); got != "small_red_boat_2" ||
		strings.ContainsAny(got, " ") {
		t.Errorf("a name %q", got)
	}
}

// TestCompletion: at the beginning of a line are the arguments and blocks of the block around it, in a value
// functions and references, in a comment nothing.
func TestCompletion(t *testing.T) {
	x := pure(t)
	x.do(chromedp.Evaluate[chromedp.Void]("fetch('/api/schema').then(r => r.json()).then(s => { window.language = s })",
		chromedp.EvalAwaitPromise))
	for _, c := range []struct{ text, has, not string }{
		{"|", "render", "xywh"},
		{"# |", "", "render"},
		{"render \"a\" {\n  |", "sampler", "xywh"},
		{"render \"a\" {\n  prompt = \"{ not a block\"\n  sampler {\n    st|", "steps", "prompt"},
		{"render \"a\" {\n  sampler {\n  }\n  |", "negative", "steps"},
		{"render \"a\" {\n}\n|", "entity", "prompt"},
		{"entity \"a\" {\n  box = |", "xywh", "prompt"},
		{"entity \"a\" {\n  box = xywh(|", "var.horizon", "prompt"},
		{"entity \"a\" {\n  prompt = <<-EOT\n    box = \n  EOT\n  |", "strength", "xywh"},
		{"entity \"a\" {\n  prompt = \"|", "", "xywh"},
		{"timeline \"a\" {\n  track {\n    keys = [\n      { at = 0, value = 1, ease = \"|", "cubic-out", "xywh"},
		{"timeline \"a\" {\n  track {\n    keys = [\n      { at = 0 },\n    ]\n    |", "extrapolate", "duration"},
	} {
		at := strings.IndexByte(c.text, '|')
		got := eval[[]string](x, fmt.Sprintf("pure.choices(language, ['variable.horizon'], pure.whereIs(%s, %d)).map(c => c.label)",
			asJSON(strings.Replace(c.text, "|", "", 1)), at))
		if c.has == "" && len(got) > 0 || c.has != "" && !slices.Contains(got, c.has) || slices.Contains(got, c.not) {
			t.Errorf("%q: %v", c.text, got)
		}
	}
}
