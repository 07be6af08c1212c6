package main

import (
	"fmt"
	"io"

	"github.com/eligen/eligen/app"
	"github.com/eligen/eligen/internal/page"
)

// printChecks says how each check came out. The error is the exit code of a failed one.
func printChecks(w io.Writer, results []app.CheckResult) error {
	failed := false
	for _, r := range results {
		if len(r.Problems) > 0 {
			failed = true
			diagnose(w, r.Problems)
			continue
		}
		fmt.Fprintf(w, "%s %s", r.Address, page.Added.Of("holds"))
		sep := ": "
		for _, m := range r.Measured {
			fmt.Fprintf(w, "%s%s %.4g", sep, m.Call, m.Value)
			sep = ", "
		}
		fmt.Fprintln(w)
	}
	if failed {
		return exit{code: exitCheck}
	}
	return nil
}
