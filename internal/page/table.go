package page

import (
	"strings"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

// A Column tells how a table's column behaves in lines that are too short.
type Column struct {
	Right bool // cells stand at the right
	Tight bool // the next column is near: this one is a sign before it
	Fit   Fit
}

// Fit tells how a cell that is too long is cut.
type Fit int

// The ways of a Fit.
const (
	Keep    Fit = iota // it stays as it is
	Cut                // its end goes
	CutLeft            // its beginning goes: of an address, the end tells it apart
	Wrap               // it goes on below
)

const (
	narrow   = 12 // no column gives way further
	ellipsis = "…"
)

// gap returns how many cells lie between a column and the next.
func (c Column) gap() int {
	if c.Tight {
		return 1
	}
	return 2
}

// Table lays rows out in columns that are as wide as their widest cell, each row on a
// line that ends in a newline. Where a line would be wider than width (0: no limit), the
// columns that may give way become narrower, the widest first. Columns that aren't
// described are kept. A cell may have several lines.
func Table(rows [][]string, width int, columns ...Column) string {
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			for line := range strings.SplitSeq(cell, "\n") {
				widths[i] = max(widths[i], cellWidth(line))
			}
		}
	}
	for len(columns) < len(widths) {
		columns = append(columns, Column{})
	}
	if width > 0 {
		shrink(widths, columns, width)
	}
	var b strings.Builder
	for _, row := range rows {
		writeRow(&b, row, widths, columns)
	}
	return b.String()
}

// cellWidth returns the width of a line of a cell.
func cellWidth(line string) int { return Width(Clean(strings.ReplaceAll(line, "\t", " "))) }

// shrink takes cells away from the widest columns that may give way, until all fit.
func shrink(widths []int, columns []Column, width int) {
	all := 0
	for i, w := range widths {
		if all += w; i < len(widths)-1 {
			all += columns[i].gap()
		}
	}
	for ; all > width; all-- {
		i := givesWay(widths, columns)
		if i < 0 {
			return
		}
		widths[i]--
	}
}

// givesWay returns the column to make narrower: the widest that may be cut anywhere, while
// some of it stays readable, then the widest of all that may.
func givesWay(widths []int, columns []Column) int {
	best, first := -1, false
	for i, w := range widths {
		fit := columns[i].Fit
		early := (fit == Cut || fit == Wrap) && w > 2*narrow
		if fit == Keep || w <= narrow || first && !early {
			continue
		}
		if best < 0 || early && !first || w > widths[best] {
			best, first = i, early
		}
	}
	return best
}

// writeRow writes a row: a line, and more where cells wrap.
func writeRow(b *strings.Builder, row []string, widths []int, columns []Column) {
	height := 1
	cells := make([][]string, len(row))
	for i, cell := range row {
		for line := range strings.SplitSeq(cell, "\n") {
			cells[i] = append(cells[i], fitCell(strings.ReplaceAll(line, "\t", " "), widths[i], columns[i].Fit)...)
		}
		height = max(height, len(cells[i]))
	}
	for y := range height {
		var line strings.Builder
		for i := range row {
			text := ""
			if y < len(cells[i]) {
				text = cells[i][y]
			}
			space := strings.Repeat(" ", max(0, widths[i]-Width(text)))
			if columns[i].Right {
				line.WriteString(space + text)
			} else {
				line.WriteString(text + space)
			}
			line.WriteString(strings.Repeat(" ", columns[i].gap()))
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
}

func fitCell(cell string, width int, fit Fit) []string {
	switch {
	case Width(cell) <= width || fit == Keep:
		return []string{cell}
	case fit == Wrap:
		return WrapLine(cell, width)
	}
	style, text := unstyle(cell)
	if fit == CutLeft {
		return []string{restyle(style, shortenLeft(text, width))}
	}
	return []string{restyle(style, Shorten(text, width))}
}

// unstyle takes apart a cell that is in one style as a whole.
func unstyle(cell string) (Style, string) {
	r, n := utf8.DecodeRuneInString(cell)
	if !isMark(r) {
		return 0, strip(cell)
	}
	return Style(r), strip(cell[n:])
}

func restyle(s Style, text string) string {
	if s == 0 {
		return text
	}
	return s.Of(text)
}

// Shorten returns the beginning of a text that fits, and an ellipsis. Composed characters
// stay whole.
func Shorten(s string, width int) string {
	if Width(s) <= width {
		return s
	}
	var b strings.Builder
	used := 0
	for g := uniseg.NewGraphemes(s); g.Next(); {
		if used += g.Width(); used+1 > width {
			break
		}
		b.WriteString(g.Str())
	}
	return b.String() + ellipsis
}

// shortenLeft returns an ellipsis, and the end of a text that fits.
func shortenLeft(s string, width int) string {
	for g := uniseg.NewGraphemes(s); g.Next(); {
		_, to := g.Positions()
		if rest := s[to:]; Width(rest)+1 <= width {
			return ellipsis + rest
		}
	}
	return ellipsis
}

// WrapLine breaks a line between words, so that none is wider than width; a word that
// is wider is broken anywhere. Styles go on in the next line.
func WrapLine(s string, width int) []string {
	width = max(1, width)
	var out []string
	line, used := "", 0
	style := Style(0)
	push := func() {
		if style != 0 {
			line += string(end)
		}
		out = append(out, line)
		line, used = "", 0
		if style != 0 {
			line = string(style)
		}
	}
	for i, word := range strings.Split(s, " ") {
		w := Width(word)
		switch {
		case i == 0:
		case used+1+w > width && used > 0:
			push()
		default:
			line, used = line+" ", used+1
		}
		for g := uniseg.NewGraphemes(word); g.Next(); {
			r, _ := utf8.DecodeRuneInString(g.Str())
			if isMark(r) {
				if style = Style(r); style == end {
					style = 0
				}
			} else if used+g.Width() > width && used > 0 {
				push()
			}
			line += g.Str()
			if !isMark(r) {
				used += g.Width()
			}
		}
	}
	push()
	return out
}

// WrapText wraps each line of a text. A line that begins with spaces stays as it is: it
// is a command to copy, or is laid out already. With a width of 0 all do.
func WrapText(s string, width int) string {
	if width <= 0 {
		return s
	}
	var out []string
	for _, l := range strings.Split(s, "\n") {
		if strings.HasPrefix(l, " ") {
			out = append(out, l)
		} else {
			out = append(out, WrapLine(l, width)...)
		}
	}
	return strings.Join(out, "\n")
}
