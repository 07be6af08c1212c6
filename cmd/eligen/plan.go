package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/planner"
)

// planCommand are the flags of `eligen plan`.
type planCommand struct {
	planOptions
	json     bool
	detailed bool
}

func newPlan() *cobra.Command {
	var o planCommand
	c := &cobra.Command{
		Use:   "plan SCENE",
		Short: "Say what apply would do",
		Long: `Say what apply would do: each render with its entities and how many image tokens they cover, each stage and whether its result is in the store, and the files that would be written.

Weights are looked for, and their headers are read; no model runs.`,
		Args:              exactly(1),
		ValidArgsFunction: complete("hcl"),
		RunE:              o.run,
	}
	o.flags(c)
	c.Flags().BoolVar(&o.json, "json", false, "print the plan as JSON, with every stage's whole recipe")
	c.Flags().BoolVar(&o.detailed, "detailed-exitcode", false, "exit with 2 if something would be made")
	return c
}

func (o *planCommand) run(c *cobra.Command, args []string) (err error) {
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
	changes := false
	cached := func(d eligen.Digest) bool {
		has := store.Has(d)
		changes = changes || !has
		return has
	}
	text := []byte(planner.Print(p, cached))
	if o.json {
		if text, err = planner.JSON(p, cached); err != nil {
			return err
		}
		text = append(text, '\n')
	}
	if _, err := fmt.Fprintf(c.OutOrStdout(), "%s", text); err != nil {
		return err
	}
	if o.detailed && changes {
		return exit{code: exitChanges}
	}
	return nil
}
