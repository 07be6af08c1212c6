package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/eligen/eligen/app"
	"github.com/eligen/eligen/internal/page"
)

// consoleOptions are the flags of `eligen console`.
type consoleOptions struct {
	sceneOptions
	exprs []string
}

func newConsole() *cobra.Command {
	var o consoleOptions
	c := &cobra.Command{
		Use:   "console SCENE",
		Short: "Evaluate expressions against a scene",
		Long: `Evaluate expressions against a scene, one per line of standard input, and print their values as a scene writes
them. Empty lines are skipped; "exit" ends. On a terminal you can edit the line, recall earlier ones with the
arrow keys, and drop it with ctrl+c.

You can use all that an argument of the scene can: references, functions, shapes, variables.`,
		Example: `eligen console scenes/rain.hcl --expr 'entity.frog.box'
echo 'iou(entity.frog.box, entity.umbrella.box)' | eligen console scenes/rain.hcl`,
		Args:              exactly(1),
		ValidArgsFunction: complete("hcl"),
		RunE:              withApp(o.run),
	}
	o.flags(c)
	c.Flags().StringArrayVar(&o.exprs, "expr", nil, "evaluate `EXPR` instead of standard input; may be repeated")
	return c
}

// maxLine limits the bytes of a line.
const maxLine = 1 << 20

func (o *consoleOptions) run(c *cobra.Command, a *app.App, args []string) error {
	failed := false
	var broken error
	ds := a.Console(c.Context(), o.input(args[0]), func(evaluate app.Evaluate) {
		answer := func(name string, line int, expr string) {
			text, ds := evaluate(name, line, expr)
			diagnose(c.ErrOrStderr(), ds)
			if ds.HasErrors() {
				failed = true
				return
			}
			fmt.Fprintln(c.OutOrStdout(), text)
		}
		for i, expr := range o.exprs {
			answer("--expr", i+1, expr)
		}
		if len(o.exprs) == 0 {
			broken = lines(o.source(c), func(line int, text string) { answer("stdin", line, text) })
		}
	})
	if err := c.Context().Err(); err != nil {
		return err
	}
	if err := ds.Err(); err != nil {
		return err
	}
	if broken == nil && failed {
		return exit{code: exitError}
	}
	return broken
}

// source returns where lines come from: a person at a terminal with the keys to edit
// them, else from standard input as it is.
func (o *consoleOptions) source(c *cobra.Command) func() (string, error) {
	in, ok := c.InOrStdin().(*os.File)
	if ok && term.IsTerminal(int(in.Fd())) && page.Terminal(c.ErrOrStderr()) != nil && os.Getenv("TERM") != "dumb" {
		t := newTyped(in, page.Bare(c.ErrOrStderr()), "> ")
		return func() (string, error) { return t.next(c.Context()) }
	}
	s := bufio.NewScanner(c.InOrStdin())
	s.Buffer(nil, maxLine)
	asks := ok && term.IsTerminal(int(in.Fd()))
	return func() (string, error) {
		if asks {
			fmt.Fprint(c.ErrOrStderr(), "> ")
		}
		if s.Scan() {
			return s.Text(), nil
		}
		if err := s.Err(); err != nil {
			return "", err
		}
		return "", io.EOF
	}
}

// lines hands on lines until the end, or "exit".
func lines(next func() (string, error), f func(line int, text string)) error {
	for line := 1; ; line++ {
		text, err := next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("standard input can't be read: %w", err)
		}
		switch word := strings.TrimSpace(text); {
		case word == "":
		case ends(word):
			return nil
		default:
			f(line, strings.TrimRight(text, "\r"))
		}
	}
}

// ends reports whether a word ends the session.
func ends(word string) bool { return word == "exit" || word == "quit" }
