package main

import (
	"errors"
	"fmt"
	"image/png"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/eligen/eligen/app"
	"github.com/eligen/eligen/app/lab"
	"github.com/eligen/eligen/internal/page"
)

// evalOptions are the flags of `eligen eval`.
type evalOptions struct {
	lab.EvalRequest
	sheet string
	json  bool
}

func newEval() *cobra.Command {
	var o evalOptions
	c := &cobra.Command{
		Use:     "eval",
		Short:   "Measure how well a model follows layouts",
		Example: "eligen eval\neligen eval --layouts 8 --swaps 4 --sheet sheet.png",
		Long: `Measure how well a model follows layouts, on held-out ones that training never shows.

Every layout is rendered four times: without EliGen's regional attention and LoRA, with one of them, and with
both. The table gives, with 95 % intervals: placement (IoU of the drawn object with the requested box), identity
(a classifier names the requested class), binding (no entity is taken for its neighbour) and locality (a changed
prompt changes its own region). Its first row measures the composed pictures themselves: a perfect model's
result, and the classifier's accuracy. Further tables compare the overlap policies, and the steadiness of clips;
for a model with an in-context LoRA, they say how well a transferred object keeps its colour.

Renders are cached: an interrupted evaluation resumes.

eval import and eval export lead to benchmarks of others and back, and eval score does their sums.`,
		Args: cobra.NoArgs,
		RunE: withApp(o.run),
	}
	f := c.Flags()
	backendFlag(f, &o.Backend)
	f.StringVar(&o.Model, "model", "", "the model in this `FOLDER` (default the embedded one)")
	f.StringVar(&o.Sprites, "sprites", "", "the `FOLDER` of sprites (default where dataset fetch puts them)")
	f.IntVar(&o.Layouts, "layouts", 64, "render `N` layouts")
	f.IntVar(&o.Swaps, "swaps", 32, "swap an entity of `N` layouts, to measure locality")
	f.IntVar(&o.Pairs, "pairs", 20, "render `N` pairs of overlapping entities under each overlap policy")
	f.IntVar(&o.Clips, "clips", 4, "render `N` layouts as clips, in every way of keeping frames coherent")
	f.IntVar(&o.Transfers, "transfers", 16, "transfer `N` objects between pictures, with and without the in-context LoRA")
	f.IntVar(&o.Inpaints, "inpaints", 12, "paint an object into `N` pictures, in each mode of inpainting")
	f.IntVar(&o.Styles, "styles", 8, "render `N` layouts by a picture of each style")
	f.IntVar(&o.Classes, "classes", 0, "only the first `N` classes of objects (default those that the classifier knows)")
	f.IntVar(&o.Steps, "steps", 0, "`N` sampler steps (default the model's)")
	f.Float64Var(&o.CFG, "cfg", 0, "guidance `X` (default the model's)")
	f.IntVar(&o.Size, "size", 0, "width and height in `PIXELS` (default the model's native size)")
	f.StringVar(&o.sheet, "sheet", "", "draw the first layouts, one row per mode, to `FILE`, a PNG")
	f.BoolVar(&o.json, "json", false, "print the table as JSON")
	c.AddCommand(newEvalImport(), newEvalExport(), newEvalScore())
	return c
}

func (o *evalOptions) run(c *cobra.Command, a *app.App, _ []string) error {
	o.NeedTransfers, o.NeedStyles = c.Flags().Changed("transfers"), c.Flags().Changed("styles")
	rendered := newCounter(c.ErrOrStderr(), "renders")
	out, err := newLab().Evaluate(c.Context(), a, o.EvalRequest, rendered.add)
	rendered.end()
	if err != nil {
		return err
	}
	if o.sheet != "" {
		sheet, err := out.Sheet()
		if err != nil {
			return err
		}
		f, err := os.Create(filepath.Clean(o.sheet))
		if err != nil {
			return err
		}
		if err := errors.Join(png.Encode(f, sheet), f.Close()); err != nil {
			return err
		}
	}
	if o.json {
		return page.JSON(c.OutOrStdout(), out.Report)
	}
	fmt.Fprintf(c.OutOrStdout(), "%d layouts of %d classes at %d×%d, engine %s\n\n%s",
		o.Layouts, out.Classes, out.Size.W, out.Size.H, out.Engine, out.Report)
	return nil
}
