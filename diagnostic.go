package eligen

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/eligen/eligen/internal/codes"
)

// A Diagnostic is a problem, made plain: all that a front end needs to show it,
// its line of the scene included.
type Diagnostic struct {
	Severity Severity `json:"severity"`
	Code     string   `json:"code,omitempty"`   // of the summary, such as "E0301": eligen explain tells more about it
	Summary  string   `json:"summary"`          // the kind of problem, in stock words; never a name of the author's
	Detail   string   `json:"detail,omitempty"` // what is wrong here, and what to do about it
	Source   *Source  `json:"source,omitempty"`
	Notes    []Note   `json:"notes,omitempty"`
}

// A Note is another place that belongs to a problem, and why: "first declared here".
type Note struct {
	Text   string  `json:"text"`
	Source *Source `json:"source,omitempty"`
}

// Problem returns a Diagnostic with its code, which is that of the summary.
func Problem(severity Severity, at *Source, summary, detail string) Diagnostic {
	return Diagnostic{Severity: severity, Code: codes.Of(summary), Summary: summary, Detail: detail, Source: at}
}

// Severity is Error or Warning.
type Severity string

// The severities of a Diagnostic.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
)

// A Source is a place in a file, and what is written there.
type Source struct {
	File  string `json:"file"`
	Line  int    `json:"line"`  // from 1
	Code  string `json:"code"`  // the whole line, tabs kept
	Start int    `json:"start"` // first column of Code to point at, in characters from 0
	End   int    `json:"end"`   // one past the last
}

// String writes "file:line", the form editors and terminals make into a link, and the
// file alone where no line of it is meant.
func (s Source) String() string {
	if s.File == "" || s.Line == 0 {
		return Printable(s.File)
	}
	return fmt.Sprintf("%s:%d", Printable(s.File), s.Line)
}

// Printable returns a file's name on one line: characters that can't be seen, such as a line
// break, escaped.
func Printable(name string) string {
	if !strings.ContainsFunc(name, unicode.IsControl) {
		return name
	}
	var b strings.Builder
	for _, r := range name {
		switch {
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case unicode.IsControl(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// Diagnostics is all that was found wrong, in the order found.
type Diagnostics []Diagnostic

// Errorf appends an error at a position (nil: the whole input), and returns it until
// the next one is appended, for notes.
func (ds *Diagnostics) Errorf(at *Source, summary, detail string, args ...any) *Diagnostic {
	*ds = append(*ds, Problem(Error, at, summary, fmt.Sprintf(detail, args...)))
	return &(*ds)[len(*ds)-1]
}

// Warnf appends a warning, as Errorf does an error.
func (ds *Diagnostics) Warnf(at *Source, summary, detail string, args ...any) *Diagnostic {
	*ds = append(*ds, Problem(Warning, at, summary, fmt.Sprintf(detail, args...)))
	return &(*ds)[len(*ds)-1]
}

// Note adds another position to the diagnostic, with what is there, and returns the
// diagnostic. It leaves out positions without a file: nobody could go there.
func (d *Diagnostic) Note(at Source, text string, args ...any) *Diagnostic {
	if at.File != "" {
		d.Notes = append(d.Notes, Note{fmt.Sprintf(text, args...), &at})
	}
	return d
}

// Tidy returns ds without repetitions, in the order of files and lines. Files come in
// the order in which ds names them, diagnostics without a file last.
func (ds Diagnostics) Tidy() Diagnostics {
	var out Diagnostics
	said, files := map[string]bool{}, map[string]int{}
	for _, d := range ds {
		if text := d.String(); !said[text] {
			said[text] = true
			out = append(out, d)
		}
		if d.Source != nil {
			if _, ok := files[d.Source.File]; !ok {
				files[d.Source.File] = len(files)
			}
		}
	}
	slices.SortStableFunc(out, func(a, b Diagnostic) int {
		switch {
		case a.Source == nil && b.Source == nil:
			return 0
		case a.Source == nil:
			return 1
		case b.Source == nil:
			return -1
		}
		return cmp.Or(cmp.Compare(files[a.Source.File], files[b.Source.File]),
			cmp.Compare(a.Source.Line, b.Source.Line), cmp.Compare(a.Source.Start, b.Source.Start))
	})
	return out
}

// HasErrors reports whether one of ds is an error.
func (ds Diagnostics) HasErrors() bool {
	for _, d := range ds {
		if d.Severity == Error {
			return true
		}
	}
	return false
}

// Err returns ds as an error, or nil if none of ds is one. The error is of type
// Diagnostics, so that errors.As finds it.
func (ds Diagnostics) Err() error {
	if ds.HasErrors() {
		return ds
	}
	return nil
}

// fewWarnings is how many warnings of a kind Fold leaves.
const fewWarnings = 5

// Fold returns ds with the first few warnings of each kind, and behind them how many more
// there were, and where. One more stays: a count would be no shorter. Errors all stay.
func (ds Diagnostics) Fold() Diagnostics {
	all, seen := map[string]int{}, map[string]int{}
	for _, d := range ds {
		if d.Severity == Warning {
			all[d.Summary]++
		}
	}
	var out Diagnostics
	count := map[string]int{} // where in out a kind's count stands
	places := map[string][]string{}
	for _, d := range ds {
		n := all[d.Summary]
		if d.Severity != Warning || n <= fewWarnings+1 {
			out = append(out, d)
			continue
		}
		if seen[d.Summary]++; seen[d.Summary] <= fewWarnings {
			out = append(out, d)
			continue
		}
		if seen[d.Summary] == fewWarnings+1 {
			count[d.Summary] = len(out)
			out = append(out, Problem(Warning, nil, d.Summary, ""))
		}
		if d.Source != nil {
			if at := d.Source.String(); at != "" && !slices.Contains(places[d.Summary], at) && len(places[d.Summary]) <= fewWarnings {
				places[d.Summary] = append(places[d.Summary], at)
			}
		}
	}
	for kind, i := range count {
		where := places[kind]
		if len(where) > fewWarnings {
			where = append(where[:fewWarnings], "…")
		}
		out[i].Detail = fmt.Sprintf("%d more of this kind", all[kind]-fewWarnings)
		if len(where) > 0 {
			out[i].Detail += ", at " + strings.Join(where, ", ")
		}
		if !strings.HasSuffix(out[i].Detail, "…") {
			out[i].Detail += "."
		}
	}
	return out
}

// Error writes every diagnostic as plain text.
func (ds Diagnostics) Error() string {
	var b strings.Builder
	for i, d := range ds {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(d.String())
	}
	return b.String()
}

// String writes the diagnostic as plain text. What it points at is marked with carets,
// not colour, so that it survives a pipe.
func (d Diagnostic) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s%s: %s", strings.ToUpper(string(d.Severity[:1])), d.Severity[1:], d.Summary)
	if d.Code != "" {
		fmt.Fprintf(&b, " [%s]", d.Code)
	}
	b.WriteByte('\n')
	d.Source.draw(&b)
	if d.Detail != "" {
		fmt.Fprintf(&b, "\n%s\n", d.Detail)
	}
	for _, n := range d.Notes {
		fmt.Fprintf(&b, "\nNote: %s\n", n.Text)
		n.Source.draw(&b)
	}
	return b.String()
}

// draw writes where s is, and its line with carets below.
func (s *Source) draw(b *strings.Builder) {
	if s == nil || s.File == "" {
		return
	}
	fmt.Fprintf(b, "  at %s\n", s)
	if s.Line > 0 {
		code, start, end := s.expand()
		fmt.Fprintf(b, "\n%5d │ %s\n      │ %s%s\n", s.Line, code,
			strings.Repeat(" ", start), strings.Repeat("^", max(1, end-start)))
	}
}

// expand returns the line with tabs as two spaces, and the columns moved along.
func (s Source) expand() (code string, start, end int) {
	var b strings.Builder
	col := 0
	start, end = -1, -1
	for i, r := range []rune(s.Code) {
		if i == s.Start {
			start = col
		}
		if i == s.End {
			end = col
		}
		if r == '\t' {
			b.WriteString("  ")
			col += 2
			continue
		}
		b.WriteRune(r)
		col++
	}
	if start < 0 {
		start = col
	}
	if end < 0 {
		end = max(col, start)
	}
	return b.String(), start, end
}
