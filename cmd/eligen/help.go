package main

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/eligen/eligen/internal/page"
)

// help prints a command's page: a description, its usage, examples, subcommands and flags.
func help(c *cobra.Command, _ []string) {
	w := c.OutOrStdout()
	width := page.Prose(w)
	text := c.Long
	if text == "" {
		text = c.Short
	}
	fmt.Fprintln(w, page.WrapText(unwrapped(text), width))
	if c.Runnable() || c.HasAvailableSubCommands() {
		heading(w, "Usage")
		fmt.Fprintf(w, "  %s\n", usageLine(c))
	}
	if c.Example != "" {
		heading(w, "Examples")
		for line := range strings.Lines(c.Example) {
			line = strings.TrimRight(line, "\n")
			if strings.HasPrefix(line, "#") {
				line = page.Quiet.Of(line)
			}
			fmt.Fprintf(w, "  %s\n", line)
		}
	}
	for _, g := range append([]*cobra.Group{{Title: "Commands"}}, c.Groups()...) {
		var rows [][]string
		for _, sub := range c.Commands() {
			if sub.GroupID == g.ID && (sub.IsAvailableCommand() || sub.IsAdditionalHelpTopicCommand()) {
				rows = append(rows, []string{"  " + page.Name.Of(sub.Name()), sub.Short})
			}
		}
		section(w, g.Title, rows, width)
	}
	section(w, "Flags", flagRows(c.LocalFlags()), width)
	section(w, "Global flags", flagRows(c.InheritedFlags()), width)
}

// unwrapped joins the lines of each paragraph: sources wrap help for those who read the source.
func unwrapped(text string) string {
	paragraphs := strings.Split(text, "\n\n")
	for i, p := range paragraphs {
		paragraphs[i] = strings.ReplaceAll(p, "\n", " ")
	}
	return strings.Join(paragraphs, "\n\n")
}

func heading(w io.Writer, title string) { fmt.Fprintf(w, "\n%s\n", page.Title.Of(title)) }

// section prints a table under a heading, if there is anything in it.
func section(w io.Writer, title string, rows [][]string, width int) {
	if len(rows) == 0 {
		return
	}
	heading(w, title)
	fmt.Fprint(w, page.Table(rows, width, page.Column{}, page.Column{Fit: page.Wrap}))
}

// usageLine returns the usage of a command.
func usageLine(c *cobra.Command) string {
	line := c.CommandPath()
	if _, args, ok := strings.Cut(c.Use, " "); ok {
		line += " " + args
	}
	if c.HasAvailableSubCommands() {
		return line + " COMMAND"
	}
	if c.HasAvailableLocalFlags() {
		line += " [flags]"
	}
	return line
}

// flagRows describes flags: each with a placeholder for its value, and its purpose. The
// placeholder stands in backquotes in the flag's description.
func flagRows(flags *pflag.FlagSet) [][]string {
	var rows [][]string
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		value, about := pflag.UnquoteUsage(f)
		name := "    "
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", "
		}
		name += "--" + f.Name
		written := "  " + page.Name.Of(name)
		if value != "" {
			written += " " + page.Value.Of(value)
		}
		if !strings.Contains(about, "(default") && !slices.Contains([]string{"", "0", "false", "[]"}, f.DefValue) {
			about += fmt.Sprintf(" (default %s)", f.DefValue)
		}
		rows = append(rows, []string{written, about})
	})
	return rows
}

// newHelp returns the command help. Unlike cobra's own, it fails for an unknown command.
func newHelp() *cobra.Command {
	return &cobra.Command{
		Use:     "help [COMMAND…]",
		Short:   "Explain a command or a topic",
		Example: "eligen help plan\neligen help cache gc\neligen help exit-codes",
		RunE: func(c *cobra.Command, args []string) error {
			found, rest, err := c.Root().Find(args)
			if err == nil && len(rest) > 0 {
				err = unknownCommand(found, rest[0])
			}
			if err != nil {
				return err
			}
			found.InitDefaultHelpFlag()
			return found.Help()
		},
		ValidArgsFunction: func(c *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
			var out []cobra.Completion
			found, rest, err := c.Root().Find(args)
			if err == nil && len(rest) == 0 {
				for _, sub := range found.Commands() {
					if !sub.Hidden && strings.HasPrefix(sub.Name(), begun) {
						out = append(out, cobra.CompletionWithDesc(sub.Name(), sub.Short))
					}
				}
			}
			return out, cobra.ShellCompDirectiveNoFileComp
		},
	}
}

// family returns a command that only holds others.
func family(c *cobra.Command, members ...*cobra.Command) *cobra.Command {
	c.AddCommand(members...)
	c.Args = cobra.ArbitraryArgs
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return c.Help()
		}
		return unknownCommand(c, args[0])
	}
	return c
}

// completionExamples completes cobra's own commands.
func completionExamples(root *cobra.Command) {
	for _, c := range root.Commands() {
		if c.Name() != "completion" {
			continue
		}
		c.Short = "Print a completion script for a shell"
		c.Example = "source <(eligen completion bash)"
		for _, shell := range c.Commands() {
			shell.Example = map[string]string{
				"bash":       "source <(eligen completion bash)",
				"fish":       "eligen completion fish | source",
				"powershell": "eligen completion powershell | Out-String | Invoke-Expression",
				"zsh":        "source <(eligen completion zsh)",
			}[shell.Name()]
		}
	}
}

// unknownCommand returns the error for an unknown command below c, with the name that comes
// closest.
func unknownCommand(c *cobra.Command, word string) error {
	var names []string
	for _, sub := range c.Commands() {
		if !sub.Hidden {
			names = append(names, sub.Name())
		}
	}
	return usageError{fmt.Errorf("unknown command %q for %q%s", word, c.CommandPath(), didYouMean(word, names))}
}

// wrongFlag returns cobra's error for a flag, with the flag that comes closest.
func wrongFlag(c *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return usageError{err}
	}
	var names []string
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			names = append(names, "--"+f.Name)
		}
	})
	if len(unknown.GetSpecifiedShortnames()) > 0 {
		return usageError{err}
	}
	return usageError{fmt.Errorf("%w%s", err, didYouMean("--"+unknown.GetSpecifiedName(), names))}
}

// exclusive matches cobra's error for flags that exclude one another. The second list has
// those that were given.
var exclusive = regexp.MustCompile(`^if any flags in the group .* set none of the others can be; \[(.+)\] were all set$`)

// together returns err, with our words for flags that exclude one another.
func together(err error) error {
	if err == nil {
		return nil
	}
	m := exclusive.FindStringSubmatch(err.Error())
	if m == nil {
		return err
	}
	return usageError{fmt.Errorf("--%s exclude one another: give one of them", strings.Join(strings.Fields(m[1]), " and --"))}
}

// didYouMean returns a sentence with the name that comes closest to a word, or "".
func didYouMean(word string, names []string) string {
	if name := page.Nearest(word, names); name != "" {
		return fmt.Sprintf("\n\nDid you mean %q?", name)
	}
	return ""
}
