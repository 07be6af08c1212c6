package page

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"
)

// A Writer takes text for people, and writes it so that neither a terminal nor a CI
// obeys any of it: as [Clean] does, and where GitHub Actions reads the log, no line is
// a workflow command. What is JSON stays the same JSON, since escapes are JSON's.
//
// Its methods may be called by several goroutines; one Write is written in one piece.
type Writer struct {
	mu      sync.Mutex
	out     io.Writer
	file    *os.File // out, where it is one
	colours bool
	actions bool
	err     error // the first of writing

	rest   []byte // of a character that isn't whole yet
	styled bool
	begun  bool // the line has more than spaces
	colons int  // at its beginning
	hashes int  // just before
}

// NewWriter writes to out. Colours are written to a terminal, if the environment
// doesn't speak against them: [Colours].
func NewWriter(out io.Writer, env func(string) string) *Writer {
	w := &Writer{out: out, actions: env("GITHUB_ACTIONS") == "true"}
	w.file, _ = out.(*os.File)
	w.colours = Terminal(w) != nil && Colours(env)
	return w
}

// Over returns w if it is a Writer, or else one that writes to it.
func Over(w io.Writer, env func(string) string) *Writer {
	if p, ok := w.(*Writer); ok {
		return p
	}
	return NewWriter(w, env)
}

// Colours reports whether somebody wants colours: NO_COLOR isn't set, and the terminal
// is none that can't show any.
func Colours(env func(string) string) bool {
	return env("NO_COLOR") == "" && env("TERM") != "dumb"
}

// Terminal returns the terminal that w writes to, or nil. Whoever draws on it must clean
// the drawing.
func Terminal(w io.Writer) *os.File {
	f, _ := w.(*os.File)
	if p, ok := w.(*Writer); ok {
		f = p.file
	}
	if f == nil || !term.IsTerminal(int(f.Fd())) {
		return nil
	}
	return f
}

// Columns returns how many cells a line of w has; 0, without limit, if w is no terminal.
func Columns(w io.Writer) int {
	f := Terminal(w)
	if f == nil {
		return 0
	}
	if n, _, err := term.GetSize(int(f.Fd())); err == nil && n > 0 {
		return n
	}
	return 80
}

// Exact returns a writer for w's bytes without changes, for a command whose output is
// somebody's file. Terminals and a CI's logs have none: their text is cleaned all the same.
func Exact(w io.Writer) io.Writer {
	p, ok := w.(*Writer)
	if !ok || Terminal(p) != nil || p.actions && !regular(p.file) {
		return w
	}
	return exact{p}
}

// exact writes as it is.
type exact struct{ w *Writer }

func (e exact) Write(p []byte) (int, error) {
	e.w.mu.Lock()
	defer e.w.mu.Unlock()
	return e.w.put(p)
}

// Err returns the first error of writing, or nil. Callers that print lines seldom check.
func (w *Writer) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

func (w *Writer) put(p []byte) (int, error) {
	n, err := w.out.Write(p)
	if err != nil && w.err == nil {
		w.err = err
	}
	return n, err
}

func regular(f *os.File) bool {
	if f == nil {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode().IsRegular()
}

// Write writes text.
func (w *Writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var b bytes.Buffer
	in := append(w.rest, p...)
	for len(in) > 0 {
		if !utf8.FullRune(in) {
			break
		}
		r, n := utf8.DecodeRune(in)
		next := rune(0)
		if n < len(in) {
			next, _ = utf8.DecodeRune(in[n:])
		}
		w.char(&b, r, in[:n], next)
		in = in[n:]
	}
	w.rest = append([]byte(nil), in...)
	if _, err := w.put(b.Bytes()); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Workflow writes a workflow command for GitHub Actions on a line of its own: the one
// kind of line that Write lets no text become. The command's own escapes (%0A) are made
// already.
func Workflow(w io.Writer, command string) {
	if p, ok := w.(*Writer); ok {
		p.mu.Lock()
		defer p.mu.Unlock()
		w = p.out
	}
	fmt.Fprintln(w, strings.ReplaceAll(Clean(command), "##[", `##\u005b`))
}

// char writes one character.
func (w *Writer) char(b *bytes.Buffer, r rune, raw []byte, next rune) {
	switch {
	case r == utf8.RuneError && len(raw) == 1:
		w.text(b, `\x`+strconv.FormatUint(uint64(raw[0]), 16))
	case isMark(r):
		w.style(b, Style(r))
	case r == '\n':
		if w.styled {
			w.style(b, end)
		}
		b.WriteByte('\n')
		w.begun, w.colons, w.hashes = false, 0, 0
	case r == '\r' && next == '\n': // a file of Windows
	case Obeyed(r), w.actions && w.commands(r):
		w.text(b, escape(r))
	default:
		b.Write(raw)
		w.note(r)
	}
}

// commands reports whether GitHub Actions would take the line so far and r as a
// command: "::" at its beginning, after spaces, or "##[" anywhere.
func (w *Writer) commands(r rune) bool {
	return r == ':' && !w.begun && w.colons == 1 || r == '[' && w.hashes >= 2
}

func (w *Writer) note(r rune) {
	w.hashes = map[bool]int{true: w.hashes + 1}[r == '#']
	switch {
	case r == ':' && !w.begun && w.colons == 0:
		w.colons = 1
	case !unicode.IsSpace(r) && r != '\ufeff' && r != '\u200b', w.colons > 0:
		w.begun = true
	}
}

func (w *Writer) text(b *bytes.Buffer, s string) {
	b.WriteString(s)
	w.begun, w.hashes = true, 0
}

func (w *Writer) style(b *bytes.Buffer, s Style) {
	if !w.colours {
		return
	}
	if w.styled {
		b.WriteString("\x1b[0m")
	}
	if w.styled = s != end; w.styled {
		b.WriteString("\x1b[" + s.sgr() + "m")
	}
}

// Redraw writes a line over the one that a terminal stands in, cut to its width; an
// empty one takes it away. It is for progress: w must be a terminal's.
func Redraw(w io.Writer, line string) error {
	columns := Columns(w)
	if p, ok := w.(*Writer); ok {
		p.mu.Lock()
		defer p.mu.Unlock()
		w = p.out
	}
	_, err := fmt.Fprintf(w, "\r\x1b[K%s", Shorten(Clean(line), max(1, columns-1)))
	return err
}

// Bare returns the writer of drawings, control sequences and all. The caller answers for
// every byte: none may come from a text that wasn't cleaned.
func Bare(w io.Writer) io.Writer {
	if p, ok := w.(*Writer); ok {
		return p.out
	}
	return w
}

// Prose returns the width of prose on w, 0 without limit.
func Prose(w io.Writer) int { return min(Columns(w), Readable) }
