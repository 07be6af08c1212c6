package dsl

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eligen/eligen"
)

// hostile holds inputs on which HCL's parser or evaluator runs out of stack,
// which no Go program survives (hashicorp/hcl #809). All are below the size
// limit, so only the guard stands before them.
var hostile = map[string]string{
	"bangs":               "a = " + strings.Repeat("!", 300_000) + "true\n",
	"minuses":             "a = " + strings.Repeat("-", 300_000) + "1\n",
	"minuses on lines":    "a = (" + strings.Repeat("-\n", 300_000) + "1)\n",
	"minuses in comments": "a = " + strings.Repeat("-/**/", 150_000) + "1\n",
	"brackets":            "a = " + strings.Repeat("[", 300_000) + "\n",
	"closed brackets":     "a = " + strings.Repeat("[", 300_000) + strings.Repeat("]", 300_000) + "\n",
	"parentheses":         "a = " + strings.Repeat("(", 300_000) + "\n",
	"objects":             "a = " + strings.Repeat("{a=", 300_000) + "\n",
	"mixed brackets":      "a = " + strings.Repeat("[(", 300_000) + "\n",
	"wrong closers":       "a = " + strings.Repeat("(}", 300_000) + "\n",
	"splats":              "a = x" + strings.Repeat("[*]", 300_000) + "\n",
	"attribute splats":    "a = x" + strings.Repeat(".*", 300_000) + "\n",
	"spaced splats":       "a = x" + strings.Repeat("[*].y", 200_000) + "\n",
	"indexes":             "a = x" + strings.Repeat("[y", 300_000) + "\n",
	"blocks":              strings.Repeat("a {\n", 250_000),
	"flat blocks":         strings.Repeat("a {\n}\n", 150_000),
	"labelled blocks":     strings.Repeat("a \"b\" {\n", 120_000),
	"templates":           "a = " + strings.Repeat(`"${`, 300_000) + "\n",
	"heredocs":            "a = " + strings.Repeat("<<X\n${", 150_000) + "\n",
	"loops":               "a = " + strings.Repeat("[for x in ", 100_000) + "\n",
	"object loops":        "a = " + strings.Repeat("{for x in ", 100_000) + "\n",
	"exponential loops":   "a = " + strings.Repeat("[for x in [1, 2] : ", 60) + "x" + strings.Repeat("]", 60) + "\n",
	"sums":                "a = 1" + strings.Repeat("+1", 500_000) + "\n",
	"sums in parentheses": "a = (1" + strings.Repeat("\n+1", 340_000) + ")\n",
	"conditions":          "a = 1" + strings.Repeat("?1:1", 250_000) + "\n",
	"open conditions":     "a = 1" + strings.Repeat("?1", 500_000) + "\n",
	"conditions in loops": "a = {for x in y : \n" + strings.Repeat("1?1:\n", 200_000) + "}\n",
	"calls":               "a = " + strings.Repeat("f(", 300_000) + "\n",
	"directives":          "a = \"" + strings.Repeat("%{if true}", 100_000) + "\"\n",
	"loop directives":     "a = \"" + strings.Repeat("%{for x in [1, 2]}", 50) + "x" + strings.Repeat("%{endfor}", 50) + "\"\n",
	"long number":         "a = " + strings.Repeat("9", 1_000_000) + "\n",
	"large number":        "a = \"${1e900000000}\"\n",
	"after a mistake":     "x = \"\n" + "entity \"a\" {\n  b = " + strings.Repeat("!", 300_000) + "\n}\n",
}

// onFormat are the families that Format is tried with too: one for each of the
// parser's recursions. It has the same guard.
var onFormat = map[string]bool{"bangs": true, "minuses": true, "splats": true, "blocks": true, "templates": true, "loops": true,
	"sums": true, "conditions": true}

// Deep and long input is refused by one diagnostic that names the limit, by
// Load and Format alike.
func TestGuard(t *testing.T) {
	dir := t.TempDir()
	for name, src := range hostile {
		t.Run(name, func(t *testing.T) {
			if len(src) > maxFile {
				t.Fatalf("%d bytes: the size limit would refuse it, not the guard", len(src))
			}
			_, ds := load(t.Context(), filepath.Join(dir, "scene.hcl"), []byte("locals {\n"+src+"}\n"), Vars{})
			refused(t, "Load", ds)
			if onFormat[name] {
				_, ds = Format("scene.hcl", []byte(src))
				refused(t, "Format", ds)
			}
			for _, d := range ds {
				if n := len([]rune(d.Source.Code)); n > shownLine+2 {
					t.Errorf("the diagnostic carries a line of %d characters", n)
				}
			}
		})
	}
}

func refused(t *testing.T, what string, ds eligen.Diagnostics) {
	t.Helper()
	for _, d := range ds {
		if d.Summary == tooComplex && d.Source != nil && d.Source.Line > 0 {
			return
		}
	}
	t.Errorf("%s: want %q, got %s", what, tooComplex, ds.Error()[:min(400, len(ds.Error()))])
}

// The same in HCL's JSON syntax, where every string may be a template.
func TestGuardJSON(t *testing.T) {
	dir := t.TempDir()
	for name, src := range map[string]string{
		"arrays":        `{"a": ` + strings.Repeat("[", 500_000),
		"objects":       strings.Repeat(`{"a":`, 200_000),
		"wrong closers": strings.Repeat("[}", 500_000),
		"bangs":         `{"locals": {"a": "${` + strings.Repeat("!", 300_000) + `true}"}}`,
		"templates":     `{"locals": {"a": "` + strings.Repeat(`${\"`, 200_000) + `"}}`,
		"escaped":       `{"locals": {"a": "\u0024\u007b` + strings.Repeat("-", 300_000) + `1}"}}`,
		"keys":          `{"locals": {"a": {"${` + strings.Repeat("!", 300_000) + `true}": 1}}}`,
		"types":         `{"variable": {"a": {"type": "` + strings.Repeat("list(", 150_000) + `"}}}`,
		"numbers":       `{"locals": {"a": 1e99999999}}`,
		"many objects":  `{"render": [` + strings.Repeat(`{},`, 20_000) + `{}]}`,
		"sums":          `{"locals": {"a": "${1` + strings.Repeat("+1", 400_000) + `}"}}`,
		"directives":    `{"locals": {"a": "` + strings.Repeat("%{if true}", 50_000) + `"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			_, ds := load(t.Context(), filepath.Join(dir, "scene.json"), []byte(src), Vars{})
			refused(t, "Load", ds)
			_, ds = Format("scene.json", []byte(src))
			refused(t, "Format", ds)
		})
	}
}

// What is just within the limits is read and evaluated.
func TestGuardLimits(t *testing.T) {
	dir := t.TempDir()
	for name, src := range map[string]string{
		"nesting":    "a = " + strings.Repeat("[", maxNesting-1) + strings.Repeat("]", maxNesting-1),
		"unary":      "a = " + strings.Repeat("-", maxUnary) + "1",
		"expression": "a = 1" + strings.Repeat("+1", maxExpression/2-2),
		"conditions": "a = " + strings.Repeat("true?1:", maxUnary) + "1",
		"loops":      "a = " + strings.Repeat("[for x in [1] : ", maxLoops) + "x" + strings.Repeat("]", maxLoops),
		"directives": "a = \"" + strings.Repeat("%{if true}x", maxDirectives/2) + strings.Repeat("%{endif}", maxDirectives/2) + "\"",
		"list":       "a = [" + strings.Repeat("true ? 1 : 2, ", 1000) + "]",
		"chain":      chain(20_000),
	} {
		t.Run(name, func(t *testing.T) {
			_, ds := load(t.Context(), filepath.Join(dir, "scene.hcl"), []byte("locals {\n"+src+"\n}\nrender \"a\" {\n  prompt = \"x\"\n}\n"),
				Vars{})
			if len(ds) > 0 {
				t.Errorf("%s", ds.Error()[:min(400, len(ds.Error()))])
			}
		})
	}
}

// chain writes n local values, each of which is the one after it.
func chain(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "v%d = local.v%d\n", i, i+1)
	}
	fmt.Fprintf(&b, "v%d = 1", n)
	return b.String()
}

// Repetition is bounded: by block, and for the scene and all of its renders together.
func TestExpansion(t *testing.T) {
	const entity = "entity \"e\" {\n  count  = %d\n  prompt = \"e\"\n  box    = xywh(0, 0, 1, 1)\n}\n"
	const render = "render \"r\" {\n  count  = %d\n  prompt = \"r\"\n}\n"
	var many strings.Builder
	for i := range maxInstances + 1 {
		fmt.Fprintf(&many, ",\"k%d\": 1", i)
	}
	dir := write(t, map[string]string{"many.json": "{" + many.String()[1:] + "}"})
	for name, c := range map[string]struct {
		src  string
		line int // of the one mistake; 0: none
		want string
	}{
		"within":   {fmt.Sprintf(entity+render, 300, 300), 0, ""},
		"entities": {fmt.Sprintf(entity+render, 10_001, 1), 2, "from 0 to 10000"},
		"product":  {fmt.Sprintf(entity+render, 400, 400), 6, "more than 100000 parts"},
		"for_each": {"render \"r\" {\n  for_each = jsondecode(file(\"many.json\"))\n  prompt = \"r\"\n}\n", 2,
			"has 10001 elements; a block has at most 10000"},
		"dynamic": {"render \"r\" {\n  prompt = \"r\"\n  dynamic \"output\" {\n    for_each = jsondecode(file(\"many.json\"))\n    content " +
			"{\n    }\n  }\n}\n", 4, "has 10001 elements"},
	} {
		t.Run(name, func(t *testing.T) {
			_, ds := load(t.Context(), filepath.Join(dir, "scene.hcl"), []byte(c.src), Vars{})
			switch {
			case c.line == 0 && !ds.HasErrors():
			case c.line == 0 || len(ds) != 1 || ds[0].Source.Line != c.line || !strings.Contains(ds[0].Detail, c.want):
				t.Errorf("want %q at line %d, got %s", c.want, c.line, ds.Error()[:min(600, len(ds.Error()))])
			}
		})
	}
}

// Values that double from one local to the next are stopped while they are small.
func TestGrowth(t *testing.T) {
	dir := t.TempDir()
	for name, double := range map[string]string{
		"lists":   "[local.v%[2]d, local.v%[2]d]",
		"texts":   "\"${local.v%[2]d}${local.v%[2]d}\"",
		"shapes":  "union(local.v%[2]d, local.v%[2]d)",
		"numbers": "local.v%[2]d * local.v%[2]d",
		"nesting": "[local.v%[2]d]",
	} {
		t.Run(name, func(t *testing.T) {
			seed := map[string]string{"texts": `"some text"`, "shapes": "xywh(0, 0, 1, 1)", "numbers": "1e10"}[name]
			if seed == "" {
				seed = "[1]"
			}
			src := "locals {\n  v0 = " + seed + "\n"
			for i := range 100 {
				src += fmt.Sprintf("  v%d = "+double+"\n", i+1, i)
			}
			_, ds := load(t.Context(), filepath.Join(dir, "scene.hcl"), []byte(src+"}\n"), Vars{})
			if !ds.HasErrors() {
				t.Error("100 doublings are accepted")
			}
			for _, d := range ds {
				if d.Summary != tooComplex && d.Summary != outOfRange && d.Summary != "Invalid function argument" {
					t.Errorf("unexpected: %s", d)
				}
			}
		})
	}
}
