package main

import (
	"fmt"
	"path/filepath"
	"strings"
)

// A stepResult is the comparison of a step with a number of entities.
type stepResult struct {
	entities int
	all      []*measurement
	forms    map[string]string // how far blocks are from the mask, by engine
}

// of returns a contender's part.
func (r stepResult) of(c *contender) *measurement {
	for _, m := range r.all {
		if m.contender == c {
			return m
		}
	}
	return nil
}

// first returns the velocity that all are compared with; nil if nobody has one.
func (r stepResult) first() []float32 {
	for _, m := range r.all {
		if m.velocity != nil {
			return m.velocity
		}
	}
	return nil
}

// steps compares a step at a shape, for each number of entities.
func (b *bench) steps(s shape) error {
	c := s.Config
	b.print("\n## %s: %d + %d blocks of width %d, %d heads; %d image tokens, %d tokens of text and %d an entity, regions of %.0f %%",
		s.Name, c.Double, c.Single, c.Dim, c.Heads, s.tokens(), s.Text, s.EntityText, 100*area)
	weights := filepath.Join(b.dir, "weights.safetensors")
	bytes, err := writeWeights(weights, s)
	if err != nil {
		return err
	}
	var results []stepResult
	for _, n := range b.entities {
		b.progress("%s, %d entities", s.Name, n)
		r := stepResult{entities: n}
		if r.all, r.forms, err = b.step(s, n, weights); err != nil {
			return err
		}
		results = append(results, r)
	}
	b.equality(s, results)
	b.times(s, results)
	b.work(s, results)
	b.growth(s, results)
	b.memory(s, results, bytes)
	return nil
}

// step compares a step with n entities. forms is how far eligen's blocks are from
// the same under a mask, by engine.
func (b *bench) step(s shape, n int, weights string) (all []*measurement, forms map[string]string, err error) {
	inputs := filepath.Join(b.dir, "inputs.safetensors")
	if err := writeInputs(inputs, s, n, 1); err != nil {
		return nil, nil, err
	}
	open := func(job, output string) request {
		return request{Do: "open", Job: job, Config: s.Config, Weights: weights, Inputs: inputs, Output: filepath.Join(b.dir, output),
			Runs: b.rounds}
	}
	masked, forms := map[string][]float32{}, map[string]string{}
	for _, c := range b.all {
		if c.Backend == "" || c.Missing != "" {
			continue
		}
		w, err := c.start(b.ctx)
		if err != nil {
			return nil, nil, err
		}
		r := open("dense", "mask")
		if _, err = w.ask(r); err == nil {
			masked[c.Name], err = readFloats(r.Output)
		}
		w.stop()
		if err != nil {
			b.progress("%s, under a mask: %s", c.Name, firstLine(err))
		}
	}
	all, err = b.compare(b.rounds, func(c *contender) (r request, whyNot string) {
		if c.Name == "reference" && n > 0 && s.EntityText != s.Text {
			whyNot = "takes one text length only"
		}
		return open("step", "velocity"), whyNot
	}, func(all []*measurement) {
		var first []float32
		for _, m := range all {
			if m.velocity == nil {
				continue
			}
			size := largest(m.velocity)
			if m.ours() {
				d := distance(m.velocity, masked[m.Name])
				forms[m.Name] = fmt.Sprintf("%.2g", d)
				if !(d <= sameForm*size) {
					m.problem = fmt.Sprintf("differs from the mask by %.2g", d)
				}
			}
			if first == nil {
				first = m.velocity
			}
			if d := distance(m.velocity, first); !(d <= sameStep*size) {
				m.problem = fmt.Sprintf("differs from the first by %.2g", d)
			}
		}
	})
	return all, forms, err
}

// columns returns a table's columns, for all contenders or for eligen's own engines.
func (b *bench) columns(own bool, suffix string, first ...string) table {
	for _, c := range b.all {
		if c.Backend != "" || !own {
			first = append(first, c.Name+suffix)
		}
	}
	return table{head: first}
}

func (b *bench) equality(s shape, results []stepResult) {
	t := b.columns(true, ", blocks − mask", "entities", "largest")
	t.head = append(t.head, b.columns(false, " − first").head...)
	for _, r := range results {
		row := []string{fmt.Sprint(r.entities), fmt.Sprintf("%.3g", largest(r.first()))}
		for _, m := range r.all {
			if m.ours() {
				row = append(row, r.forms[m.Name])
			}
			if r.forms[m.Name] != "" {
				b.goals.add("P1", fmt.Sprintf("%s: blocks − mask, the largest number being %.3g", at(s, r, m), largest(m.velocity)), r.forms[m.Name],
					"≤ 1e-05")
			}
		}
		for _, m := range r.all {
			cell := ""
			if m.velocity != nil {
				cell = fmt.Sprintf("%.2g", distance(m.velocity, r.first()))
			}
			row = append(row, cell)
		}
		t.add(row...)
	}
	b.section("Equality: largest difference of a velocity, and the largest number in it. No time is taken of what isn't equal.", &t)
}

// at names what a goal is about.
func at(s shape, r stepResult, m *measurement) string {
	return fmt.Sprintf("%s, %d entities, %s", s.Name, r.entities, m.Name)
}

func (b *bench) times(s shape, results []stepResult) {
	t, once := b.columns(false, "", "entities"), b.columns(true, "", "entities")
	for _, p := range b.pairs() {
		t.head = append(t.head, p[0].Name+" / "+p[1].Name)
		if len(b.peak) > 0 {
			t.head = append(t.head, "of their own peaks")
		}
	}
	for _, r := range results {
		row, before := []string{fmt.Sprint(r.entities)}, []string{fmt.Sprint(r.entities)}
		for _, m := range r.all {
			cell, first := m.problem, ""
			if len(m.ms) > 0 {
				cell, first = m.ms.String(), digits(max(0, m.once-m.ms.median()))
			}
			row = append(row, cell)
			if m.ours() {
				before = append(before, first)
			}
		}
		for _, p := range b.pairs() {
			ratio := r.of(p[0]).ms.over(r.of(p[1]).ms).String()
			row = append(row, ratio)
			if len(b.peak) > 0 {
				row = append(row, b.shares(s, r, p))
			}
			if ratio != "" {
				b.ratioGoal(s, r, p[0], p[1], ratio)
			}
		}
		t.add(row...)
		once.add(before...)
	}
	b.section("A step, ms: median (range), and ratios: above 1, the second is faster. Beside a ratio, the share of its own best matrix "+
		"product that each reaches, by which machines compare. PyTorch projects text and makes modulations in every step.", &t)
	b.section("Before a picture's first step, ms: eligen projects text and makes all steps' modulations", &once)
}

// speed returns the operations a second of a contender's step; 0 where it wasn't timed.
func (s shape) speed(m *measurement, n int) float64 {
	if len(m.ms) == 0 {
		return 0
	}
	return s.flop(m, n) / m.ms.median() * 1e3
}

// shares returns the shares of their own matrix products that two contenders' steps reach.
func (b *bench) shares(s shape, r stepResult, pair [2]*contender) string {
	var both []string
	for _, c := range pair {
		m := r.of(c)
		if len(m.ms) == 0 || b.peak[c.Name] == 0 {
			return ""
		}
		both = append(both, fmt.Sprintf("%.0f %%", 100*s.speed(m, r.entities)/b.peak[c.Name]))
	}
	return strings.Join(both, " / ")
}

// ratioGoal notes how many times slower one was than the other, where a goal is
// about the two.
func (b *bench) ratioGoal(s shape, r stepResult, slow, fast *contender, ratio string) {
	of := at(s, r, r.of(fast))
	switch xla := strings.HasPrefix(fast.Name, "xla"); {
	case !xla:
	case slow.Name == "PyTorch" && r.entities == 0:
		b.goals.add("P2", of+": PyTorch's time over it", ratio, "≥ 1.3")
	case slow.Name == "reference" && r.entities > 0:
		b.goals.add("P3", of+": the reference's time over it", ratio, map[int]string{4: "≥ 1.5", 8: "≥ 1.8", 12: "≥ 2.0"}[r.entities])
	case slow.Name == "go":
		b.goals.add("P9", of+": the Go backend's time over it", ratio, "≤ 6, with SIMD")
	}
}

// flop returns the operations of a contender's step.
func (s shape) flop(m *measurement, n int) float64 {
	if m.ours() {
		return s.blocksFLOP(n)
	}
	return s.denseFLOP(n)
}

func (b *bench) work(s shape, results []stepResult) {
	t := b.columns(false, "", "entities", "GFLOP, blocks", "mask")
	for _, r := range results {
		row := []string{fmt.Sprint(r.entities), digits(s.blocksFLOP(r.entities) / 1e9), digits(s.denseFLOP(r.entities) / 1e9)}
		for _, m := range r.all {
			speed := s.speed(m, r.entities)
			if speed == 0 || b.peak[m.Name] == 0 {
				row = append(row, "")
				continue
			}
			share, own := fmt.Sprintf("%.0f %%", 100*speed/b.machinePeak()), fmt.Sprintf("%.0f %%", 100*speed/b.peak[m.Name])
			row = append(row, fmt.Sprintf("%s, %s (%s)", digits(speed/1e9), share, own))
			if strings.HasPrefix(m.Name, "xla") {
				b.goals.add("P5", at(s, r, m)+": share of its own best matrix product", own, "≥ 75 %")
			}
		}
		t.add(row...)
	}
	b.section("GFLOPS, share of the machine's best matrix product (of the engine's own)", &t)
}

func (b *bench) growth(s shape, results []stepResult) {
	t := b.columns(false, "", "entities", "FLOP, blocks", "mask")
	zero := results[0]
	for _, r := range results {
		row := []string{fmt.Sprint(r.entities), digits(s.blocksFLOP(r.entities) / s.blocksFLOP(0)),
			digits(s.denseFLOP(r.entities) / s.denseFLOP(0))}
		for _, m := range r.all {
			cell := ""
			if z := zero.of(m.contender); len(m.ms) > 0 && len(z.ms) > 0 {
				grown := m.ms.median() / z.ms.median()
				cell = fmt.Sprintf("%s, %+.0f %%", digits(grown), 100*(grown*s.flop(m, 0)/s.flop(m, r.entities)-1))
				if m.ours() && r.entities > 0 {
					b.goals.add("P4", at(s, r, m)+": growth of time, and how far from FLOP's", cell, "within 10 %")
				}
			}
			row = append(row, cell)
		}
		t.add(row...)
	}
	b.section("Growth of time over no entities, and how far that is from the growth of FLOP", &t)
}

func (b *bench) memory(s shape, results []stepResult, weights int64) {
	t := b.columns(false, "", "entities", "weights")
	for _, r := range results {
		row := []string{fmt.Sprint(r.entities), mebibytes(weights)}
		for _, m := range r.all {
			cell := ""
			if len(m.ms) > 0 {
				cell = fmt.Sprintf("%s (%s before weights)", mebibytes(m.peak), mebibytes(m.base))
				if m.ours() {
					b.goals.add("P6", at(s, r, m)+": peak memory over weights", digits(float64(m.peak)/float64(weights)), "≤ 1.15 with the working set")
				}
			}
			row = append(row, cell)
		}
		t.add(row...)
	}
	b.section("Peak memory (VmHWM), MiB", &t)
}
