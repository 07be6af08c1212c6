package main

import (
	"testing"

	"github.com/eligen/eligen"
)

func TestAnnotation(t *testing.T) {
	for _, c := range []struct {
		d    eligen.Diagnostic
		want string
	}{
		{eligen.Diagnostic{Severity: eligen.Error, Summary: "Value out of range", Detail: "It is 120 %:\ntoo much, far too much.",
			Source: &eligen.Source{File: "a,b.hcl", Line: 3, Code: "  cfg = 120", Start: 8, End: 11}},
			"::error file=a%2Cb.hcl,line=3,col=9,endColumn=11,title=Value out of range::It is 120 %25:%0Atoo much, far too much."},
		{eligen.Diagnostic{Severity: eligen.Warning, Summary: "100%: really", Detail: "x"}, "::warning title=100%25%3A really::x"},
		{eligen.Diagnostic{Severity: eligen.Error, Code: "E0106", Summary: "Duplicate declaration", Detail: "x",
			Notes: []eligen.Note{{Text: "first declared here", Source: &eligen.Source{File: "s.hcl", Line: 4}}}},
			"::error title=Duplicate declaration [E0106]::x%0ANote: first declared here: s.hcl:4"},
		{eligen.Diagnostic{Severity: eligen.Error, Summary: "No file", Source: &eligen.Source{File: "s.hcl"}},
			"::error file=s.hcl,title=No file::"},
	} {
		if got := annotation(c.d); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}
