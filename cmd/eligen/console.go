package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/eligen/eligen/dsl"
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
		Long: `Evaluate expressions against a scene, one a line of standard input, and print their values as a scene writes them. An empty line is passed over; "exit" ends.

Everything that an argument of the scene may use can be used: references, functions, shapes, variables.`,
		Example: `eligen console scenes/rain.hcl --expr 'entity.frog.box'
echo 'iou(entity.frog.box, entity.umbrella.box)' | eligen console scenes/rain.hcl`,
		Args:              exactly(1),
		ValidArgsFunction: complete("hcl"),
		RunE:              o.run,
	}
	o.flags(c)
	c.Flags().StringArrayVar(&o.exprs, "expr", nil, "evaluate `EXPR`, instead of lines of standard input; may be repeated")
	return c
}

// maxLine is how much of one line is read, bytes.
const maxLine = 1 << 20

func (o *consoleOptions) run(c *cobra.Command, args []string) error {
	failed := false
	var broken error
	ds := dsl.Console(c.Context(), args[0], o.values(), func(evaluate dsl.Evaluate) {
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
			broken = lines(c.InOrStdin(), prompter(c), func(line int, text string) { answer("stdin", line, text) })
		}
	})
	if err := ds.Err(); err != nil {
		return err
	}
	if broken == nil && failed {
		return exit{code: exitError}
	}
	return broken
}

// prompter asks for the next line, where a person types.
func prompter(c *cobra.Command) func() {
	if f, ok := c.InOrStdin().(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return func() { fmt.Fprint(c.ErrOrStderr(), "> ") }
	}
	return func() {}
}

// lines reads lines until the end, or "exit".
func lines(r io.Reader, prompt func(), f func(line int, text string)) error {
	s := bufio.NewScanner(r)
	s.Buffer(nil, maxLine)
	for line := 1; ; line++ {
		if prompt(); !s.Scan() {
			break
		}
		switch text := strings.TrimSpace(s.Text()); text {
		case "":
		case "exit", "quit":
			return nil
		default:
			f(line, strings.TrimRight(s.Text(), "\r"))
		}
	}
	if err := s.Err(); err != nil {
		return fmt.Errorf("standard input can't be read: %w", err)
	}
	return nil
}
