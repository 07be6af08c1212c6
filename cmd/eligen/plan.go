package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/page"
	"github.com/eligen/eligen/planner"
	"github.com/eligen/eligen/stage/clip"
	"github.com/eligen/eligen/stage/still"
	"github.com/eligen/eligen/store/file"
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
		Example: "eligen plan scenes/rain.hcl\neligen plan scenes/drive.hcl --verbose\n# every stage's whole recipe\neligen plan scenes/rain.hcl --json | jq '.stages[].recipe'",
		Long: `Say what apply would do: each render with its entities and how many image tokens they cover by the NEAREST rule of EliGen, the operations of a step and the memory at its peak, each stage and whether its result is in the store, and the files that would be written.

Renders and stages that differ in a key or a frame's number only are put together: --verbose shows each.

Where the scene was run before, it says what is different now; where stages of the same kind and a similar size have run on the same engine, how long they will take.

Weights are looked for, and their headers are read; no model runs.`,
		Args:              exactly(1),
		ValidArgsFunction: complete("hcl"),
		RunE:              o.run,
	}
	o.flags(c)
	c.Flags().BoolVar(&o.json, "json", false, "print the plan as JSON, with every stage's whole recipe")
	c.Flags().BoolVar(&o.verbose, "verbose", false, "show every render and every stage by itself")
	c.Flags().BoolVar(&o.detailed, "detailed-exitcode", false, "exit with 2 if something would be made")
	return c
}

func (o *planCommand) run(c *cobra.Command, args []string) (err error) {
	e, err := o.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.close()) }()
	o.warn = func(ds eligen.Diagnostics) {
		diagnose(c.ErrOrStderr(), ds)
		if len(ds) > 0 && page.Terminal(c.OutOrStdout()) != nil {
			fmt.Fprintln(c.ErrOrStderr())
		}
	}
	p, err := o.plan(c, e, args[0])
	if err != nil {
		return err
	}
	store, err := openStore()
	if err != nil {
		return err
	}
	defer store.Close()
	again, err := replaced(p, o.replace)
	if err != nil {
		return err
	}
	made := downstream(p, again)
	changes := false
	known := past(store, p)
	known.Cached = func(d eligen.Digest) bool {
		has := store.Has(d) && !made[d]
		changes = changes || !has
		return has
	}
	text := []byte(planner.Print(p, known, planner.View{Width: page.Columns(c.OutOrStdout()), Verbose: o.verbose}))
	if o.json {
		if text, err = planner.JSON(p, known); err != nil {
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

// past is what the store's journals tell of a plan.
func past(store *file.Store, p *eligen.Plan) planner.Known {
	history := store.History(p.Engine, p.Scene)
	known := planner.Known{Seconds: history.Seconds, Since: history.Last}
	last := map[string]still.Resolved{}
	for _, recipe := range history.Recipes {
		var op struct{ Resolved json.RawMessage }
		var moving clip.Resolved
		var made still.Resolved
		if json.Unmarshal(recipe, &op) != nil || json.Unmarshal(op.Resolved, &moving) != nil {
			continue
		}
		first := op.Resolved // a still says it itself, a clip of its first frame
		if len(moving.First) > 0 {
			first = moving.First
		}
		if json.Unmarshal(first, &made) != nil {
			continue
		}
		made.Render, _, _ = strings.Cut(made.Render, ".frame[")
		if last[made.Render].Render == "" { // the newest come first
			last[made.Render] = made
		}
	}
	for _, now := range planner.Resolved(p) {
		changes := []string{now.Render + ": new"}
		if old, ok := last[now.Render]; ok {
			changes = planner.Changes(old, now)
		}
		for _, change := range changes {
			if !slices.Contains(known.Changes, change) { // renders share entities
				known.Changes = append(known.Changes, change)
			}
		}
	}
	return known
}
