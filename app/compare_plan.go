package app

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/page"
)

// maxPlan is how much of a plan is read, bytes.
const maxPlan = 64 << 20

// A planFile is a plan as `eligen plan --json` prints it.
type planFile struct {
	Engine string
	Stages []struct {
		Address, Kind, Digest string
		Inputs                []string
		Definition            json.RawMessage
		Recipe                json.RawMessage // what it was called before 0.2
	}
	Outputs []struct{ Render, Path, Stage string }
}

var errNoPlan = errors.New("it is no plan")

func readPlan(path string) (*planFile, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxPlan+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxPlan {
		return nil, fmt.Errorf("%s has more than %d MiB, which is the limit of a plan", path, maxPlan>>20)
	}
	p := &planFile{}
	if json.Unmarshal(data, p) != nil || p.Engine == "" || p.Stages == nil {
		return nil, errNoPlan // dsl says what is wrong with it, if it is no scene either
	}
	return p, nil
}

// ComparePlans compares the stages of two plans, files that `eligen plan --json` has printed.
func (a *App) ComparePlans(before, after string) (Difference, error) {
	var parts [2][]part
	for i, path := range []string{before, after} {
		p, err := readPlan(path)
		if err != nil {
			return Difference{}, err
		}
		if parts[i], err = p.parts(); err != nil {
			return Difference{}, fmt.Errorf("%s: %w", path, err)
		}
	}
	out := Difference{Changes: changes(parts[0], parts[1])}
	for _, p := range parts[1] {
		old := find(parts[0], p.address)
		changed := slices.ContainsFunc(out.Changes, func(c Change) bool { return c.Address == p.address })
		if old != nil && !changed && old.digest != p.digest {
			out.Follow++
		}
	}
	return out, nil
}

func (p *planFile) parts() ([]part, error) {
	out := []part{{address: "plan", facts: []fact{{"engine", p.Engine}}}}
	for _, s := range p.Stages {
		t := part{address: s.Address, brief: s.Kind, digest: s.Digest}
		t.add("kind", "%s", s.Kind)
		t.add("inputs", "[%s]", strings.Join(s.Inputs, ", "))
		text := s.Definition
		if len(text) == 0 {
			text = s.Recipe
		}
		dec := json.NewDecoder(bytes.NewReader(page.LowerKeys(text))) // older plans have keys in Go's style
		dec.UseNumber()
		var definition any
		if err := dec.Decode(&definition); err != nil && len(text) > 0 {
			return nil, fmt.Errorf("the definition of %s can't be read: %w", s.Address, err)
		}
		flatten(&t.facts, "", definition)
		out = append(out, t)
	}
	for _, o := range p.Outputs {
		out = append(out, part{address: o.Path, brief: o.Stage, facts: []fact{{"stage", o.Stage}}})
	}
	return out, nil
}

// flatten lists the values in JSON by their paths: "schedule.steps", "entities[0].bucket".
// A list of numbers is one fact.
func flatten(facts *[]fact, path string, v any) {
	switch v := v.(type) {
	case map[string]any:
		names := make([]string, 0, len(v))
		for name := range v {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			flatten(facts, strings.TrimPrefix(path+"."+name, "."), v[name])
		}
	case []any:
		if !slices.ContainsFunc(v, func(e any) bool { _, number := e.(json.Number); return !number }) {
			var parts []string
			for _, e := range v {
				parts = append(parts, fmt.Sprint(e))
			}
			text := strings.Join(parts, ", ")
			if len(parts) > 8 {
				text = fmt.Sprintf("%s, … (%d in all, %s)", strings.Join(parts[:4], ", "), len(parts), eligen.DigestOf([]byte(text)).Short())
			}
			*facts = append(*facts, fact{path, "[" + text + "]"})
			return
		}
		for i, e := range v {
			flatten(facts, fmt.Sprintf("%s[%d]", path, i), e)
		}
	case string:
		*facts = append(*facts, fact{path, strconv.Quote(shorten(v))})
	case nil:
		if path != "" {
			*facts = append(*facts, fact{path, "null"})
		}
	default:
		*facts = append(*facts, fact{path, fmt.Sprint(v)})
	}
}
