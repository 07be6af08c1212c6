package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/eligen/eligen/app"
	"github.com/eligen/eligen/planner"
)

// graphOptions are the flags of `eligen graph`.
type graphOptions struct {
	planOptions
	format string
}

func newGraph() *cobra.Command {
	var o graphOptions
	c := &cobra.Command{
		Use:   "graph SCENE",
		Short: "Draw a plan's stages as a graph",
		Long: `Draw a plan's stages and what each is made from, for Graphviz, for Mermaid, or as JSON. Cached stages are
dashed.`,
		Example: `eligen graph scenes/twins.hcl | dot -Tsvg > twins.svg
eligen graph scenes/twins.hcl --format mermaid`,
		Args:              exactly(1),
		ValidArgsFunction: complete("hcl"),
		RunE:              withApp(o.run),
	}
	o.flags(c)
	c.Flags().StringVar(&o.format, "format", "dot", "print the graph as `FORMAT`: dot, mermaid or json")
	choices(c, "format", planner.GraphFormats...)
	return c
}

func (o *graphOptions) run(c *cobra.Command, a *app.App, args []string) error {
	r, err := o.request(c, args[0])
	if err != nil {
		return err
	}
	p, warnings, err := a.Plan(c.Context(), r)
	warned(c, warnings)
	if err != nil {
		return err
	}
	text, err := a.Graph(c.Context(), p, o.format)
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(c.OutOrStdout(), text)
	return err
}
