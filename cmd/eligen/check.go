package main

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/page"
	"github.com/eligen/eligen/stage/measure"
	"github.com/eligen/eligen/store/file"
)

// checks tests a plan's checks on what was measured, and says how each went. The
// error is the exit code of a failed check.
func checks(w io.Writer, p *eligen.Plan, store *file.Store) error {
	failed := 0
	for _, c := range p.Checks {
		var ds eligen.Diagnostics
		var shown []string
		for i, a := range c.Check.Asserts {
			values, err := measured(p, store, c.Values[i])
			if err != nil {
				return fmt.Errorf("%s: %w", c.Check.Address, err)
			}
			at := a.Source
			ok, message, err := a.Test(values)
			said := ""
			for k, m := range a.Metrics {
				said += fmt.Sprintf("\n%s is %.4g.", call(m), values[k])
			}
			switch {
			case err != nil:
				ds.Errorf(&at, "Check can't be evaluated", "%v.%s", err, said)
			case !ok:
				ds.Errorf(&at, "Check failed", "%s\n%s", message, said[min(1, len(said)):])
			default:
				for k, m := range a.Metrics {
					shown = append(shown, fmt.Sprintf("%s %.4g", call(m), values[k]))
				}
			}
		}
		if len(ds) > 0 {
			failed++
			diagnose(w, ds)
			continue
		}
		fmt.Fprintf(w, "%s %s", c.Check.Address, page.Added.Of("holds"))
		for i, s := range shown {
			sep := ", "
			if i == 0 {
				sep = ": "
			}
			fmt.Fprint(w, sep, s)
		}
		fmt.Fprintln(w)
	}
	if failed > 0 {
		return exit{code: exitCheck}
	}
	return nil
}

// call is a measurement as a scene writes it.
func call(m eligen.MetricCall) string {
	second := m.Entity
	switch {
	case m.Other != "":
		second = m.Other
	case m.Picture != nil:
		second = fmt.Sprintf("image(%q)", m.Picture.Path)
	}
	return fmt.Sprintf("%s(%s, %s)", m.Name, m.Render, second)
}

func measured(p *eligen.Plan, store *file.Store, refs []eligen.Ref) ([]float64, error) {
	var out []float64
	for _, ref := range refs {
		a, ok, err := store.Get(p.Stages[ref].Digest)
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, fmt.Errorf("%s was measured and is gone from the store; run the command again", p.Stages[ref].Name)
		}
		var r measure.Result
		if err := json.Unmarshal(a.Data, &r); err != nil {
			return nil, err
		}
		out = append(out, r.Value)
	}
	return out, nil
}
