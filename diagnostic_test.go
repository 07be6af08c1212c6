package eligen

import (
	"fmt"
	"testing"
)

// Of many warnings of a kind the first are shown, and the others counted with their
// places; errors, and kinds of few, stay as they are.
func TestFold(t *testing.T) {
	var ds Diagnostics
	at := func(line int) *Source { return &Source{File: "s.hcl", Line: line} }
	ds.Warnf(at(1), "Unused entity", "x")
	for i := range 60 {
		ds.Warnf(at(10+i), "Region is small", "entity %d", i)
		ds.Errorf(at(10+i), "Empty value", "entity %d", i)
	}
	for i := range 6 {
		ds.Warnf(at(100+i), "Regions overlap", "pair %d", i)
	}
	for i := range 9 {
		ds.Warnf(at(200+i/6), "Prompt is too long", "%d", i)
	}
	count := map[string]int{}
	last := map[string]string{}
	for _, d := range ds.Fold() {
		count[fmt.Sprint(d.Severity, " ", d.Summary)]++
		last[d.Summary] = d.Detail
	}
	for kind, want := range map[string]int{"warning Unused entity": 1, "warning Region is small": 6, "error Empty value": 60,
		"warning Regions overlap": 6, "warning Prompt is too long": 6} {
		if count[kind] != want {
			t.Errorf("%s: %d, want %d", kind, count[kind], want)
		}
	}
	for kind, want := range map[string]string{
		"Region is small":    "55 more of this kind, at s.hcl:15, s.hcl:16, s.hcl:17, s.hcl:18, s.hcl:19, …",
		"Prompt is too long": "4 more of this kind, at s.hcl:200, s.hcl:201.",
	} {
		if last[kind] != want {
			t.Errorf("%s ends with %q, want %q", kind, last[kind], want)
		}
	}
}
