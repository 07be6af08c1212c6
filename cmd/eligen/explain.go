package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/eligen/eligen/app"
	"github.com/eligen/eligen/internal/page"
)

// explainOptions are the flags of `eligen explain`.
type explainOptions struct{ json bool }

func newExplain() *cobra.Command {
	var o explainOptions
	c := &cobra.Command{
		Use:   "explain [CODE|WORDS…]",
		Short: "Explain an error or warning",
		Long: `Explain an error or warning: what it means, why it is one, and how to fix it, with an example.

Each message shows its code behind its title, such as [E0107], and as "code" in JSON. Words find the messages
whose title holds all of them. Without an argument, explain lists all messages.`,
		Example: `eligen explain E0107
eligen explain unsupported argument
eligen explain`,
		ValidArgsFunction: completeCodes,
		RunE:              o.run,
	}
	c.Flags().BoolVar(&o.json, "json", false, "print JSON")
	return c
}

func (o *explainOptions) run(c *cobra.Command, args []string) error {
	found := app.Explanations()
	if len(args) > 0 {
		var near string
		if found, near = app.Explain(strings.Join(args, " ")); len(found) == 0 {
			return notExplained(strings.Join(args, " "), near)
		}
	}
	w := c.OutOrStdout()
	switch {
	case o.json:
		return page.JSON(w, explained(found))
	case len(found) == 1:
		explain(w, found[0])
		return nil
	}
	var rows [][]string
	for _, e := range found {
		rows = append(rows, []string{page.Name.Of(e.Code), e.Summary})
	}
	_, err := io.WriteString(w, page.Table(rows, page.Columns(w), page.Column{}, page.Column{Fit: page.Wrap}))
	return err
}

func notExplained(text, near string) error {
	hint := ""
	if near != "" {
		hint = fmt.Sprintf("\n\nDid you mean %q?", near)
	}
	return fmt.Errorf("no error or warning has the code %q, or these words in its title. eligen explain lists them all%s", text, hint)
}

// explain prints one explanation.
func explain(w io.Writer, e app.Explanation) {
	fmt.Fprintf(w, "%s %s\n\n%s\n", page.Name.Of(e.Code), page.Title.Of(e.Summary), page.WrapText(e.Text, page.Prose(w)))
	if e.Gone {
		fmt.Fprint(w, "\nNo release reports it any more.\n")
	}
	for _, example := range []struct{ title, scene string }{{page.Failed.Of("Wrong"), e.Wrong}, {page.Added.Of("Right"), e.Right}} {
		if example.scene == "" {
			continue
		}
		fmt.Fprintf(w, "\n%s\n\n", example.title)
		for line := range strings.Lines(strings.Trim(example.scene, "\n") + "\n") {
			fmt.Fprint(w, strings.TrimRight("    "+line, " \n"), "\n")
		}
	}
}

// An explanation is one in JSON.
type explanation struct {
	Code  string `json:"code"`
	Title string `json:"title"`
	Text  string `json:"text"`
	Wrong string `json:"wrong,omitempty"` // a scene that has the problem
	Right string `json:"right,omitempty"` // the same scene, mended
	Gone  bool   `json:"gone,omitempty"`  // no release reports it any more
}

func explained(list []app.Explanation) []explanation {
	var out []explanation
	for _, e := range list {
		out = append(out, explanation{e.Code, e.Summary, e.Text, e.Wrong, e.Right, e.Gone})
	}
	return out
}

// completeCodes offers the codes, each with its title.
func completeCodes(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var out []cobra.Completion
	if len(args) == 0 {
		for _, e := range app.Explanations() {
			out = append(out, cobra.CompletionWithDesc(e.Code, e.Summary))
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}
