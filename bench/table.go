package main

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// A table is printed as Markdown, its columns aligned.
type table struct {
	head []string
	rows [][]string
}

// none is the cell of an unmeasured figure.
const none = "–"

func (t *table) add(cells ...string) {
	for i, c := range cells {
		if c == "" {
			cells[i] = none
		}
	}
	t.rows = append(t.rows, cells)
}

// String aligns columns of numbers to the right and all others to the left.
func (t *table) String() string {
	if len(t.rows) == 0 {
		return ""
	}
	width := make([]int, len(t.head))
	right := make([]bool, len(t.head))
	for i := range t.head {
		right[i] = true
		for _, row := range append([][]string{t.head}, t.rows...) {
			width[i] = max(width[i], utf8.RuneCountInString(row[i]))
		}
		for _, row := range t.rows {
			right[i] = right[i] && (row[i] == none || strings.ContainsAny(row[i][:1], "0123456789+-<"))
		}
	}
	var b strings.Builder
	line := func(cells []string) {
		for i, c := range cells {
			pad := strings.Repeat(" ", width[i]-utf8.RuneCountInString(c))
			if right[i] {
				c = pad + c
			} else {
				c += pad
			}
			b.WriteString("| " + c + " ")
		}
		b.WriteString("|\n")
	}
	line(t.head)
	rule := make([]string, len(t.head))
	for i := range rule {
		rule[i] = strings.Repeat("-", width[i])
		if right[i] {
			rule[i] = rule[i][1:] + ":"
		}
	}
	line(rule)
	for _, row := range t.rows {
		line(row)
	}
	return b.String()
}

// samples are milliseconds of the same thing, in order of measurement.
type samples []float64

// median returns the median, 0 if there are no samples.
func (s samples) median() float64 {
	if len(s) == 0 {
		return 0
	}
	t := slices.Sorted(slices.Values(s))
	n := len(t)
	return (t[(n-1)/2] + t[n/2]) / 2
}

// String returns the median, and the range.
func (s samples) String() string {
	if len(s) == 0 {
		return ""
	}
	return fmt.Sprintf("%s (%s–%s)", digits(s.median()), digits(slices.Min(s)), digits(slices.Max(s)))
}

// over returns the ratio of two runs that took turns: the median over the turns, since
// whatever slows the machine for a while slows both.
func (s samples) over(t samples) samples {
	var out samples
	for i := range min(len(s), len(t)) {
		out = append(out, s[i]/t[i])
	}
	return out
}

// digits formats a number with three significant digits.
func digits(x float64) string {
	switch {
	case x >= 99.95:
		return fmt.Sprintf("%.0f", x)
	case x >= 9.995:
		return fmt.Sprintf("%.1f", x)
	}
	return fmt.Sprintf("%.2f", x)
}

func mebibytes(n int64) string {
	if n == 0 {
		return unknown
	}
	return fmt.Sprintf("%.0f", float64(n)/(1<<20))
}
