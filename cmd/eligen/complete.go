package main

import (
	"context"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/eligen/eligen/app"
	"github.com/eligen/eligen/dsl"
)

// Shells ask for completions while somebody types. What can't be found out soon is not
// offered.
const completing = 2 * time.Second

// completeVars offers the variables of the scene that is named already.
func completeVars(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var out []cobra.Completion
	if len(args) > 0 {
		for _, v := range dsl.Variables(args[0]) {
			out = append(out, cobra.CompletionWithDesc(v.Name+"=", v.Description))
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}

// completeTargets offers the renders of the scene that is named already, and the blocks
// of several.
func (o *planOptions) completeTargets(c *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx := c.Context()
	if ctx == nil {
		ctx = context.Background()
	}
	ctx, cancel := context.WithTimeout(ctx, completing)
	defer cancel()
	a := newApp(c.Flags())
	defer a.Close()
	scene, _, err := a.Open(ctx, o.input(args[0]))
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var out []cobra.Completion
	for _, t := range app.TargetsOf(scene) {
		out = append(out, cobra.CompletionWithDesc(t.Address, t.About))
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}

// completeRuns offers the names of earlier runs, the latest first.
func completeRuns(c *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	out := []cobra.Completion{cobra.CompletionWithDesc("latest", "the latest run")}
	a := newApp(c.Flags())
	defer a.Close()
	runs, err := a.RunNames()
	if err != nil {
		return out, cobra.ShellCompDirectiveDefault
	}
	for _, name := range slices.Backward(runs) {
		out = append(out, name)
	}
	return out, cobra.ShellCompDirectiveKeepOrder
}

// completed has a flag's values offered by a function.
func completed(c *cobra.Command, flag string, f cobra.CompletionFunc) {
	if err := c.RegisterFlagCompletionFunc(flag, f); err != nil {
		panic(err) // the flag is not defined
	}
}
