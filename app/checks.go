package app

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/runtime"
	"github.com/eligen/eligen/stage/measure"
)

// A CheckResult is how a check of a scene came out.
type CheckResult struct {
	Address  string
	Problems eligen.Diagnostics // none: the check holds
	Measured []Measurement      // of the asserts that hold
}

// A Measurement is a call of a metric, as the scene writes it, and its value.
type Measurement struct {
	Call  string
	Value float64
}

// checks tests a plan's checks on what was measured.
func checks(ctx context.Context, p *eligen.Plan, store runtime.Store) ([]CheckResult, error) {
	var out []CheckResult
	for _, c := range p.Checks {
		r := CheckResult{Address: c.Check.Address}
		for i, a := range c.Check.Asserts {
			values, err := measured(ctx, p, store, c.Values[i])
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.Check.Address, err)
			}
			r.assert(a, values)
		}
		out = append(out, r)
	}
	return out, nil
}

// assert adds how one assert came out.
func (r *CheckResult) assert(a eligen.Assert, values []float64) {
	at := a.Source
	ok, message, err := a.Test(values)
	stated := ""
	var list []Measurement
	for k, m := range a.Metrics {
		list = append(list, Measurement{call(m), values[k]})
		stated += fmt.Sprintf("\n%s is %.4g.", call(m), values[k])
	}
	switch {
	case err != nil:
		r.Problems.Errorf(&at, "Check can't be evaluated", "%v.%s", err, stated)
	case !ok:
		r.Problems.Errorf(&at, "Check failed", "%s\n%s", message, stated[min(1, len(stated)):])
	default:
		r.Measured = append(r.Measured, list...)
	}
}

// call returns a metric's call as a scene writes it.
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

func measured(ctx context.Context, p *eligen.Plan, store runtime.Store, refs []eligen.Ref) ([]float64, error) {
	var out []float64
	for _, ref := range refs {
		a, ok, err := result(ctx, store, p.Stages[ref].Digest)
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
