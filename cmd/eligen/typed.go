package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/term"

	"github.com/eligen/eligen/internal/page"
)

// typed reads lines that a person types on a terminal: with the usual keys to edit
// them, and earlier lines, of earlier sessions too, with the arrows.
type typed struct {
	in      *os.File
	out     io.Writer // the same terminal
	prompt  string
	history *history
	line    *term.Terminal
	dropped bool // ctrl+c was the last key
}

func newTyped(in *os.File, out io.Writer, prompt string) *typed {
	t := &typed{in: in, out: out, prompt: prompt, history: openHistory()}
	t.begin()
	return t
}

// begin begins with an empty line.
func (t *typed) begin() {
	t.line = term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{t, t.out}, t.prompt)
	t.line.History = t.history
}

// Read reads keys, for the line.
func (t *typed) Read(p []byte) (int, error) {
	n, err := t.in.Read(p)
	t.dropped = n > 0 && p[n-1] == 3
	return n, err
}

// next returns the next line, and io.EOF after ctrl+d. ctrl+c drops a line.
func (t *typed) next(ctx context.Context) (string, error) {
	before, err := term.MakeRaw(int(t.in.Fd()))
	if err != nil {
		return "", err
	}
	restore := onLeave(ctx, func() { _ = term.Restore(int(t.in.Fd()), before) })
	defer restore()
	if width, height, err := term.GetSize(int(t.in.Fd())); err == nil && width > 0 {
		_ = t.line.SetSize(width, height)
	}
	for {
		line, err := t.line.ReadLine()
		if !errors.Is(err, io.EOF) || !t.dropped {
			return line, err
		}
		_, _ = io.WriteString(t.out, "^C\r\n")
		t.begin()
	}
}

// history holds the lines of this session and of earlier ones, in a file if possible.
type history struct {
	lines []string // the latest last
	file  string   // "": none
}

// remembered is how many lines history keeps.
const remembered = 500

func openHistory() *history {
	dir, err := cacheDir()
	if err != nil {
		return &history{}
	}
	h := &history{file: filepath.Join(dir, "console-history")}
	f, err := os.Open(h.file)
	if err != nil {
		return h
	}
	defer f.Close()
	lines := bufio.NewScanner(io.LimitReader(f, 1<<20))
	for lines.Scan() {
		if line := lines.Text(); page.Clean(line) == line { // it will be written to the terminal
			h.lines = append(h.lines, line)
		}
	}
	h.lines = h.lines[max(0, len(h.lines)-remembered):]
	return h
}

// Add adds a line, unless it is the last one again.
func (h *history) Add(line string) {
	if text := strings.TrimSpace(line); text == "" || ends(text) || len(h.lines) > 0 && h.lines[len(h.lines)-1] == line {
		return
	}
	h.lines = append(h.lines, line)
	h.lines = h.lines[max(0, len(h.lines)-remembered):]
	if h.file == "" {
		return
	}
	// Without a history file the session works, too.
	if os.MkdirAll(filepath.Dir(h.file), 0o755) != nil || os.WriteFile(h.file, []byte(strings.Join(h.lines, "\n")+"\n"), 0o600) != nil {
		h.file = ""
	}
}

// Len returns how many lines there are.
func (h *history) Len() int { return len(h.lines) }

// At returns the line typed ago lines before.
func (h *history) At(ago int) string { return h.lines[len(h.lines)-1-ago] }
