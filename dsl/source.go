package dsl

import (
	"bytes"
	"slices"
	"sort"
	"strings"

	"github.com/eligen/eligen"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// A file is text that diagnostics can point into.
type file struct {
	name  string // as diagnostics show it
	src   []byte
	lines []int // offset of each line's first byte
}

var byteOrderMark = []byte("\xef\xbb\xbf")

func newFile(name string, src []byte) *file {
	f := &file{name: name, src: src, lines: []int{0}}
	for i, c := range src {
		if c == '\n' {
			f.lines = append(f.lines, i+1)
		}
	}
	return f
}

// shownLine is the most characters of a line that a diagnostic carries.
const shownLine = 1000

// source returns a range of the file as front ends show it. Only the range's byte offsets
// are used: HCL counts columns in grapheme clusters, a Source in characters. A range of
// several lines ends with its first.
func (f *file) source(r hcl.Range) eligen.Source {
	start := min(max(0, r.Start.Byte), len(f.src))
	end := min(max(start, r.End.Byte), len(f.src))
	line := sort.Search(len(f.lines), func(i int) bool { return f.lines[i] > start }) - 1
	from, to := f.lines[line], len(f.src)
	if line+1 < len(f.lines) {
		to = f.lines[line+1]
	}
	if line == 0 && bytes.HasPrefix(f.src, byteOrderMark) {
		from = len(byteOrderMark)
		start, end = max(start, from), max(end, from)
	}
	text := bytes.TrimRight(f.src[from:to], "\r\n")
	start = min(start, from+len(text))
	if end > from+len(text) {
		end = from + len(bytes.TrimRight(text, " \t"))
	}
	end = max(end, start)

	// Each invalid byte becomes one character, before columns are counted.
	code := []rune(string(text))
	s := eligen.Source{File: f.name, Line: line + 1}
	s.Start = len([]rune(string(f.src[from:start])))
	s.End = s.Start + len([]rune(string(f.src[start:end])))
	if len(code) > shownLine {
		cut := max(0, s.Start-shownLine/4)
		upto := min(len(code), cut+shownLine)
		s.Start, s.End = s.Start-cut, min(s.End, upto)-cut
		head, tail := "", ""
		if cut > 0 {
			head = "…"
			s.Start, s.End = s.Start+1, s.End+1
		}
		if upto < len(code) {
			tail = "…"
		}
		s.Code = head + string(code[cut:upto]) + tail
	} else {
		s.Code = string(code)
	}
	s.Code = printable(s.Code)
	if s.End <= s.Start {
		s.End = s.Start + 1
	}
	return s
}

// printable returns s without what a terminal would obey rather than show.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' && r != '\n' || r >= 0x7f && r < 0xa0 {
			return '\uFFFD'
		}
		return r
	}, s)
}

// text returns the source text of a range.
func (f *file) text(r hcl.Range) string {
	start := min(max(0, r.Start.Byte), len(f.src))
	return string(f.src[start:min(max(start, r.End.Byte), len(f.src))])
}

// isJSON reports whether a file of that name is in HCL's JSON syntax.
func isJSON(name string) bool { return strings.HasSuffix(strings.ToLower(name), ".json") }

// closest returns the candidate that somebody who wrote name may have meant, or "".
func closest(name string, candidates []string) string {
	best, cost := "", 3
	switch n := len([]rune(name)); {
	case n <= 1:
		cost = 1
	case n <= 3:
		cost = 2
	}
	for _, c := range candidates {
		if c == name {
			continue
		}
		if strings.EqualFold(c, name) {
			return c
		}
		if d := distance(name, c, cost); d < cost {
			best, cost = c, d
		}
	}
	if best == "" && len(name) >= 3 {
		for _, c := range candidates {
			if c != name && (strings.HasPrefix(c, name) || strings.HasPrefix(name, c) && len(c) >= 3) {
				return c
			}
		}
	}
	return best
}

// distance counts the insertions, deletions, substitutions and swaps of neighbours that
// turn a into b. It returns limit where there are at least that many.
func distance(a, b string, limit int) int {
	x, y := []rune(a), []rune(b)
	if max(len(x)-len(y), len(y)-len(x)) >= limit {
		return limit
	}
	before, prev, row := make([]int, len(y)+1), make([]int, len(y)+1), make([]int, len(y)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(x); i++ {
		row[0] = i
		for j := 1; j <= len(y); j++ {
			cost := 1
			if x[i-1] == y[j-1] {
				cost = 0
			}
			row[j] = min(prev[j]+1, row[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, prev, row = prev, row, before
	}
	return min(limit, prev[len(y)])
}

// didYouMean returns a sentence to append to a detail: " Did you mean …?", or "".
func didYouMean(name string, candidates []string) string {
	if c := closest(name, candidates); c != "" {
		return hidden(name) + ` Did you mean "` + c + `"?`
	}
	return hidden(name)
}

// HasRenders reports whether a file has a render block, and so is a scene to apply, and not a
// module's part or a recipe. One that can't be read or parsed may have.
func HasRenders(path string) bool {
	src, ds := ReadSource(path)
	if ds.HasErrors() {
		return true
	}
	s, ds := parse(newFile(path, src))
	body, ok := s.body.(*hclsyntax.Body)
	if ds.HasErrors() || !ok {
		return true
	}
	return slices.ContainsFunc(body.Blocks, func(b *hclsyntax.Block) bool { return b.Type == "render" })
}
