package page

import (
	"fmt"
	"strings"

	"github.com/eligen/eligen"
)

// Readable is the widest line of prose: longer ones are hard to follow.
const Readable = 100

// Diagnostic returns a diagnostic as String does, in colours, and in lines of width cells
// (0: no limit): it wraps prose, and shows the marked part of a long line of a scene.
func Diagnostic(d eligen.Diagnostic, width int) string {
	style := Failed
	if d.Severity == eligen.Warning {
		style = Warned
	}
	var b strings.Builder
	kind := strings.ToUpper(string(d.Severity[:1])) + string(d.Severity[1:]) + ":"
	fmt.Fprintf(&b, "%s %s", style.Of(kind), Title.Of(d.Summary))
	if d.Code != "" {
		fmt.Fprintf(&b, " %s", Quiet.Of("["+d.Code+"]"))
	}
	b.WriteByte('\n')
	position(&b, d.Source, width, style)
	if d.Detail != "" {
		fmt.Fprintf(&b, "\n%s\n", commands(prose(d.Detail, width)))
	}
	for _, n := range d.Notes {
		text := prose("Note: "+n.Text, width)
		fmt.Fprintf(&b, "\n%s%s\n", Name.Of("Note:"), strings.TrimPrefix(text, "Note:"))
		position(&b, n.Source, width, Name)
	}
	return b.String()
}

// prose wraps words whose lines would be too long to read.
func prose(text string, width int) string {
	if width > 0 {
		width = min(width, Readable)
	}
	return WrapText(strip(text), width)
}

// position writes where s is, and its line with carets below in a style.
func position(b *strings.Builder, s *eligen.Source, width int, style Style) {
	if s == nil || s.File == "" {
		return
	}
	fmt.Fprintf(b, "  %s %s\n", Quiet.Of("at"), s)
	if s.Line > 0 {
		code, before, marked := excerpt(*s, width)
		fmt.Fprintf(b, "\n%s %s\n%s %s%s\n", Quiet.Of(fmt.Sprintf("%5d │", s.Line)), code,
			Quiet.Of("      │"), strings.Repeat(" ", before), style.Of(strings.Repeat("^", marked)))
	}
}

// commands marks the lines of a text that are there to be copied.
func commands(text string) string {
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		if rest := strings.TrimLeft(l, " "); len(l)-len(rest) >= 4 && rest != "" {
			lines[i] = l[:len(l)-len(rest)] + Name.Of(rest)
		}
	}
	return strings.Join(lines, "\n")
}

// gutter is the room before a line of a scene, in cells.
const gutter = 8

// excerpt returns a source's line for display, how many cells lie before its marked part,
// and how many that takes. It escapes characters that a terminal obeys here already, since
// the escapes take other room.
func excerpt(s eligen.Source, width int) (code string, before, marked int) {
	runes := []rune(s.Code)
	start, end := min(max(0, s.Start), len(runes)), min(max(0, s.End), len(runes))
	end = max(end, start)
	show := func(r []rune) string { return Clean(strings.ReplaceAll(string(r), "\t", "  ")) }
	head, meant, tail := show(runes[:start]), show(runes[start:end]), show(runes[end:])
	room := width - gutter
	if width <= 0 || room < 3*narrow {
		return head + meant + tail, Width(head), max(1, Width(meant))
	}
	if Width(head+meant+tail) <= room {
		return head + meant + tail, Width(head), max(1, Width(meant))
	}
	meant = Shorten(meant, room*2/3)
	if most := max(room-Width(meant)-narrow, room/3-1); Width(head) > most {
		head = shortenLeft(head, most)
	}
	tail = Shorten(tail, max(1, room-Width(head)-Width(meant)))
	return head + meant + tail, Width(head), max(1, Width(meant))
}
