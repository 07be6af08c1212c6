package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/page"
)

// The words around diagnostics are printed with them: what was being done, and what went
// wrong besides.
func TestReport(t *testing.T) {
	ds := eligen.Diagnostics{{Severity: eligen.Error, Summary: "Bad box", Detail: "It is empty.", Source: &eligen.Source{File: "a.hcl"}}}
	const drawn = "Error: Bad box\n  at a.hcl\n\nIt is empty.\n"
	for _, c := range []struct {
		name string
		err  error
		want string
	}{
		{"alone", ds, drawn},
		{"a name of two lines", eligen.Diagnostics{{Severity: eligen.Error, Summary: "Bad box", Source: &eligen.Source{File: "a\nb.hcl"}}},
			"Error: Bad box\n  at a\\nb.hcl\n"},
		{"wrapped", fmt.Errorf("the change does not fit the rest of a.hcl: %w", ds),
			"Error: the change does not fit the rest of a.hcl\n\n" + drawn},
		{"with words after it", fmt.Errorf("%w\n\nNothing was written", ds), drawn + "\nError: Nothing was written\n"},
		{"joined", errors.Join(ds, errors.New("the store can't be closed")), drawn + "\nError: the store can't be closed\n"},
		{"joined and wrapped", fmt.Errorf("apply: %w", errors.Join(errors.New("no space"), ds)), "Error: apply: no space\n\n" + drawn},
		{"two", errors.Join(ds, ds), drawn + "\n" + drawn},
		{"in an exit", exit{exitIntegrity, fmt.Errorf("weights: %w", ds)}, "Error: weights\n\n" + drawn},
		{"none", errors.New("no such file"), "Error: no such file\n"},
		{"a code alone", exit{code: exitCheck}, ""},
		{"interrupted", context.Canceled, "Interrupted. Finished work is kept. Run the same command to resume.\n"},
		{"nothing", nil, ""},
	} {
		var b bytes.Buffer
		report(page.NewWriter(&b, func(string) string { return "" }), c.err)
		if b.String() != c.want {
			t.Errorf("%s:\n%s\nwant\n%s", c.name, b.String(), c.want)
		}
	}
}
