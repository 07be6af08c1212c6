package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

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
		Short: "Draw a plan's stages and what each is made from",
		Long:  `Draw a plan's stages and what each is made from, for Graphviz, for Mermaid, or as JSON. Stages whose result is in the store are dashed.`,
		Example: `eligen graph scenes/twins.hcl | dot -Tsvg > twins.svg
eligen graph scenes/twins.hcl --format mermaid`,
		Args:              exactly(1),
		ValidArgsFunction: complete("hcl"),
		RunE:              o.run,
	}
	o.flags(c)
	c.Flags().StringVar(&o.format, "format", "dot", "`FORMAT` is dot, mermaid or json")
	choices(c, "format", planner.GraphFormats...)
	return c
}

func (o *graphOptions) run(c *cobra.Command, args []string) (err error) {
	e, err := o.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.close()) }()
	p, err := o.plan(c, e, args[0])
	if err != nil {
		return err
	}
	store, err := openStore()
	if err != nil {
		return err
	}
	defer store.Close()
	text, err := planner.Graph(p, o.format, store.Has)
	if err != nil {
		return usageError{err}
	}
	_, err = fmt.Fprint(c.OutOrStdout(), text)
	return err
}
