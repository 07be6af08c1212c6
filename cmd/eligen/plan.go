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
	card     string
	json     bool
	detailed bool
	verbose  bool
}

func newPlan() *cobra.Command {
	var o planCommand
	c := &cobra.Command{
		Use:   "plan {SCENE|FOLDER}…",
		Short: "Show what apply would do",
		Example: `eligen plan scenes/rain.hcl
eligen plan scenes/drive.hcl --verbose
# every scene in a folder, as one plan
eligen plan scenes --engine paint
# what it would take on a graphics card that isn't here
eligen plan scenes/rain.hcl --card "rtx 4090"
# every stage's whole definition
eligen plan scenes/rain.hcl --json | jq '.stages[].definition'`,
		Long: `Show what apply would do: for each render, its entities and how many image tokens each covers by EliGen's
NEAREST rule, the operations of a step and the peak memory; then the stages, with those that are cached, and the
files to be written.

Of several scenes, or those of a folder, it shows how much of each is to be made.

Renders and stages that differ only in a key or a frame number share a line. --verbose lists each.

If the scene was run before, the plan lists what has changed since. If similar stages have run on this engine,
it estimates how long these will take.

plan finds weights and reads their headers. It runs no model.

--card plans for a graphics card that isn't here: what is held in its memory, what passes through it, and what
doesn't fit. Such a plan isn't for applying, and counts its pictures as still to be made.`,
		Args:              some,
		ValidArgsFunction: complete("hcl"),
		RunE:              withApp(o.run),
	}
	o.flags(c)
	c.Flags().StringVar(&o.card, "card", "", "plan for a graphics card that isn't here: `CARD`, such as rtx4090")
	c.Flags().BoolVar(&o.json, "json", false, "print the plan as JSON, with every stage's whole definition")
	c.Flags().BoolVar(&o.verbose, "verbose", false, "list every render and every stage")
	c.Flags().BoolVar(&o.detailed, "detailed-exitcode", false, "exit with 2 if apply would make something")
	return c
}

func (o *planCommand) run(c *cobra.Command, a *app.App, args []string) error {
	r, err := o.scenes(c, args)
	if err != nil {
		return err
	}
	r.Card = o.card
	p, warnings, err := a.PlanScenes(c.Context(), r)
	warned(c, warnings)
	if len(warnings) > 0 && page.Terminal(c.OutOrStdout()) != nil {
		fmt.Fprintln(c.ErrOrStderr())
	}
	if err != nil {
		return err
	}
	outlook, err := a.Outlook(c.Context(), p)
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
