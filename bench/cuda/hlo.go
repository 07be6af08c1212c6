// Package cuda compiles eligen's graphs for graphics cards that aren't there, and holds what comes of it to
// a table. It runs nothing: numbers and speed need a card.
package cuda

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// A Program is what XLA made of a graph for a card.
type Program struct {
	Name    string
	Temp    int64 // bytes of temporaries
	Kernels int   // of the entry: fusions, calls, copies
	Fused   int   // calls of cuDNN's attention
	Problem string

	shapes     []shape // of intermediates
	parameters []shape
}

// A shape is a dtype, as "bf16", and dimensions.
type shape struct {
	dtype string
	dims  []int
}

func (s shape) size() (n int) {
	n = 1
	for _, d := range s.dims {
		n *= d
	}
	return n
}

func (s shape) String() string { return fmt.Sprintf("%s%v", s.dtype, s.dims) }

var (
	instruction = regexp.MustCompile(`^\s+(?:ROOT )?%?[\w.\-]+ = (.*?) ([\w\-]+)\(`)
	shapeText   = regexp.MustCompile(`\b(pred|[a-z]+\d+\w*)\[([\d,]*)\]`)
	target      = regexp.MustCompile(`custom_call_target="([^"]+)"`)
)

// free are the instructions that launch nothing.
var free = map[string]bool{"parameter": true, "constant": true, "get-tuple-element": true, "tuple": true, "bitcast": true}

// fmha is cuDNN's attention, as XLA calls it.
const fmha = "__cudnn$fmhaSoftmax"

// read reads the entry of a program after XLA's optimizations.
func (p *Program) read(text string) error {
	_, entry, ok := strings.Cut(text, "\nENTRY")
	if !ok {
		return fmt.Errorf("%s: the program has no entry", p.Name)
	}
	entry, _, _ = strings.Cut(entry, "\n}")
	for line := range strings.Lines(entry) {
		m := instruction.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		var of []shape
		for _, s := range shapeText.FindAllStringSubmatch(m[1], -1) {
			x := shape{dtype: s[1]}
			for d := range strings.SplitSeq(s[2], ",") {
				if n, err := strconv.Atoi(d); err == nil {
					x.dims = append(x.dims, n)
				}
			}
			of = append(of, x)
		}
		if m[2] == "parameter" {
			p.parameters = append(p.parameters, of...)
		}
		if free[m[2]] {
			continue
		}
		p.Kernels++
		p.shapes = append(p.shapes, of...)
		if t := target.FindStringSubmatch(line); t != nil && t[1] == fmha {
			p.Fused++
		}
	}
	return nil
}

// fewest is the number of rows from which a matrix of scores is one.
const fewest = 256

// Scores returns an intermediate that holds attention's scores of so many heads, or "".
func (p *Program) Scores(heads int) string {
	for _, s := range p.shapes {
		of, large := 0, 0
		for _, d := range s.dims {
			switch {
			case d == heads:
				of++
			case d >= fewest:
				large++
			}
		}
		if of > 0 && large >= 2 {
			return s.String()
		}
	}
	return ""
}

// leastWeight is the number of elements from which a parameter is a weight whose copy would matter.
const leastWeight = 1 << 22

// Widened returns an intermediate that is a weight in float32, where the weight isn't, or "".
func (p *Program) Widened() string {
	for _, w := range p.parameters {
		if len(w.dims) != 2 || w.dtype == "f32" || w.size() < leastWeight {
			continue
		}
		for _, s := range p.shapes {
			if s.dtype == "f32" && len(s.dims) == 2 && (s.dims[0] == w.dims[0] && s.dims[1] == w.dims[1] ||
				s.dims[0] == w.dims[1] && s.dims[1] == w.dims[0]) {
				return s.String()
			}
		}
	}
	return ""
}
