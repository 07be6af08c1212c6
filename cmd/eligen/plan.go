package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/eligen/eligen/app"
	"github.com/eligen/eligen/internal/page"
	"github.com/eligen/eligen/planner"
)

// planCommand are the flags of `eligen plan`.
type planCommand struct {
	makeOptions
	json     bool
	detailed bool
	verbose  bool
}

func newPlan() *cobra.Command {
	var o planCommand
	c := &cobra.Command{
		Use:     "plan SCENE",
		Short:   "Say what apply would do",
		Example: "eligen plan scenes/rain.hcl\neligen plan scenes/drive.hcl --verbose\n# every stage's whole definition\neligen plan scenes/rain.hcl --json | jq '.stages[].definition'",
		Long: `Say what apply would do: each render with its entities and how many image tokens they cover by the NEAREST rule of EliGen, the operations of a step and the memory at its peak, each stage and whether its result is in the store, and the files that would be written.

Renders and stages that differ in a key or a frame's number only are put together: --verbose shows each.

Where the scene was run before, it says what is different now; where stages of the same kind and a similar size have run on the same engine, how long they will take.

Weights are looked for, and their headers are read; no model runs.`,
		Args:              exactly(1),
		ValidArgsFunction: complete("hcl"),
		RunE:              withApp(o.run),
	}
	o.flags(c)
	c.Flags().BoolVar(&o.json, "json", false, "print the plan as JSON, with every stage's whole definition")
	c.Flags().BoolVar(&o.verbose, "verbose", false, "show every render and every stage by itself")
	c.Flags().BoolVar(&o.detailed, "detailed-exitcode", false, "exit with 2 if something would be made")
	return c
}

func (o *planCommand) run(c *cobra.Command, a *app.App, args []string) error {
	r, err := o.request(c, args[0])
	if err != nil {
		return err
	}
	p, warnings, err := a.Plan(c.Context(), r)
	warned(c, warnings)
	if len(warnings) > 0 && page.Terminal(c.OutOrStdout()) != nil {
		fmt.Fprintln(c.ErrOrStderr())
	}
	if err != nil {
		return err
	}
	outlook, err := a.Outlook(p)
	if err != nil {
		return err
	}
	text := []byte(planner.Print(p.Plan, outlook.Known, planner.View{Width: page.Columns(c.OutOrStdout()), Verbose: o.verbose}))
	if o.json {
		if text, err = planner.JSON(p.Plan, outlook.Known); err != nil {
			return err
		}
		text = append(text, '\n')
	}
	if _, err := fmt.Fprintf(c.OutOrStdout(), "%s", text); err != nil {
		return err
	}
	if o.detailed && outlook.Missing > 0 {
		return exit{code: exitChanges}
	}
	return nil
}
