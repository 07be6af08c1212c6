package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/eligen/eligen/app"
	"github.com/eligen/eligen/internal/page"
)

// diffOptions are the flags of `eligen diff`.
type diffOptions struct {
	sceneOptions
	out      string
	detailed bool
}

func newDiff() *cobra.Command {
	var o diffOptions
	c := &cobra.Command{
		Use:   "diff A B",
		Short: "Compare two scenes, plans or pictures",
		Long: `Compare two scenes, plans or pictures.

Scenes are compared by meaning, not by text: order, comments and formatting don't count, and a computed box
equals the same box written out. Plans are the output of "eligen plan --json". Pictures are PNG, JPEG or WebP.`,
		Example: `eligen diff scenes/rain.hcl scenes/seven.hcl
# two plans, as eligen plan --json prints them
eligen diff before.json after.json
eligen diff out/a.png out/b.png --out where.png`,
		Args:              exactly(2),
		ValidArgsFunction: complete("hcl"),
		RunE:              withApp(o.run),
	}
	o.flags(c)
	c.Flags().StringVar(&o.out, "out", "", "write a PNG to `FILE` that shows where two pictures differ")
	c.Flags().BoolVar(&o.detailed, "detailed-exitcode", false, "exit with 2 if they differ")
	return c
}

func (o *diffOptions) run(c *cobra.Command, a *app.App, args []string) error {
	kind, err := app.KindOf(args[0])
	if err != nil {
		return err
	}
	other, err := app.KindOf(args[1])
	if err != nil {
		return err
	}
	if kind != other {
		return fmt.Errorf("%s is a %s and %s a %s; diff compares two of one kind", args[0], kind, args[1], other)
	}
	if o.out != "" && kind != app.PictureFile {
		return usageError{fmt.Errorf("--out shows where two pictures differ, and these are %ss", kind)}
	}
	var differ bool
	switch kind {
	case app.PictureFile:
		differ, err = o.pictures(c, a, args[0], args[1])
	case app.PlanFile:
		differ, err = o.plans(c, a, args[0], args[1])
	default:
		differ, err = o.scenes(c, a, args[0], args[1])
	}
	if err == nil && differ && o.detailed {
		return exit{code: exitChanges}
	}
	return err
}

// scenes compares what two scenes mean.
func (o *diffOptions) scenes(c *cobra.Command, a *app.App, before, after string) (bool, error) {
	d, warnings, err := a.CompareScenes(c.Context(), o.input(before), o.input(after))
	warned(c, warnings)
	if err != nil {
		return false, err
	}
	return printDifference(c.OutOrStdout(), d)
}

// plans compares the stages of two plans.
func (o *diffOptions) plans(c *cobra.Command, a *app.App, before, after string) (bool, error) {
	d, err := a.ComparePlans(before, after)
	if err != nil {
		return false, err
	}
	return printDifference(c.OutOrStdout(), d)
}

// signs are the signs of changes, in their colours.
var signs = map[app.ChangeSign]string{app.Added: page.Added.Of("+"), app.Removed: page.Removed.Of("-"), app.Changed: page.Changed.Of("~")}

// printDifference prints changes and their sum, and reports whether there are any.
func printDifference(w io.Writer, d app.Difference) (bool, error) {
	if d.Equal() {
		_, err := fmt.Fprintln(w, "They are equal.")
		return false, err
	}
	for _, one := range d.Changes {
		fmt.Fprintf(w, "%s %s\n", signs[one.Sign], one.Text)
	}
	changed, added, removed := d.Counts()
	sum := fmt.Sprintf("%d changed, %d added, %d removed", changed, added, removed)
	if d.Follow > 0 {
		sum += fmt.Sprintf("; %d more made from these", d.Follow)
	}
	_, err := fmt.Fprintf(w, "%s.\n", sum)
	return true, err
}

// pictures compares two pictures.
func (o *diffOptions) pictures(c *cobra.Command, a *app.App, before, after string) (bool, error) {
	d, err := a.ComparePictures(before, after)
	if err != nil {
		return false, err
	}
	w := c.OutOrStdout()
	if !d.SameSize() {
		was, is := app.SizeText(d.Sizes[0]), app.SizeText(d.Sizes[1])
		if o.out != "" {
			return false, fmt.Errorf("--out: pictures of %s and %s pixels can't be laid over one another", was, is)
		}
		_, err := fmt.Fprintf(w, "%s has %s pixels, %s has %s.\n", before, was, after, is)
		return true, err
	}
	fmt.Fprintln(w, d)
	for _, text := range d.Made {
		fmt.Fprintf(w, "%s %s\n", signs[app.Changed], text)
	}
	if o.out != "" && d.Differ > 0 {
		if err := app.WritePicture(o.out, d.Picture()); err != nil {
			return true, err
		}
		fmt.Fprintln(w, o.out)
	}
	return d.Differ > 0, nil
}
