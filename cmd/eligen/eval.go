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
		Short:   "Measure how well a model puts entities where they are asked for",
		Example: "eligen eval\neligen eval --layouts 8 --swaps 4 --sheet sheet.png",
		Long: `Measure how well a model puts entities where they are asked for, on held-out layouts that training never shows.

Every layout is rendered four times: with neither EliGen's regional attention nor its LoRA, with one of them, and with both. Printed are, with 95 % intervals, placement (IoU of what is drawn with the asked box), identity (a classifier names the asked class), binding (no entity is taken for its neighbour) and locality (a changed prompt changes its own region). The composed pictures themselves come first: what a perfect model would reach, and the classifier's own accuracy. Further tables say what the overlap policies do where two regions meet, and how steady a clip is in which an entity moves; and, of a model with an in-context LoRA, whether an object that is carried over from another picture keeps its colour.

Renders go through the store like any other: an interrupted evaluation goes on where it stopped.`,
		Args: cobra.NoArgs,
		RunE: withApp(o.run),
	}
	f := c.Flags()
	f.StringVar(&o.Backend, "backend", "", "run models on `BACKEND`: go, xla:cpu or xla:cuda (default GOMLX_BACKEND, or the installed one, or go)")
	f.StringVar(&o.Model, "model", "", "the model in this `FOLDER` (default: the embedded one)")
	f.StringVar(&o.Sprites, "sprites", "", "the `FOLDER` of sprites (default: where dataset fetch put them)")
	f.IntVar(&o.Layouts, "layouts", 64, "render `N` layouts")
	f.IntVar(&o.Swaps, "swaps", 32, "swap an entity of `N` layouts, to measure locality")
	f.IntVar(&o.Pairs, "pairs", 20, "render `N` pairs of overlapping entities under each overlap policy")
	f.IntVar(&o.Clips, "clips", 4, "render `N` layouts as clips, in every way to hold frames together")
	f.IntVar(&o.Transfers, "transfers", 16, "carry `N` objects over from one picture to another, without and with the in-context LoRA")
	f.IntVar(&o.Inpaints, "inpaints", 12, "paint an object into `N` pictures, in each mode of inpainting")
	f.IntVar(&o.Styles, "styles", 8, "render `N` layouts by a picture of each style")
	f.IntVar(&o.Classes, "classes", 0, "only the first `N` classes of objects (default: those that the classifier knows)")
	f.IntVar(&o.Steps, "steps", 0, "`N` sampler steps (default: the model's)")
	f.Float64Var(&o.CFG, "cfg", 0, "guidance `X` (default: the model's)")
	f.IntVar(&o.Size, "size", 0, "width and height, `PIXELS` (default: the model's native size)")
	f.StringVar(&o.sheet, "sheet", "", "draw the first layouts, a row a mode, into a PNG, `FILE`")
	f.BoolVar(&o.json, "json", false, "print the table as JSON")
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
	fmt.Fprintf(c.OutOrStdout(), "%d layouts of %d classes at %d×%d, engine %s\n\n%s", o.Layouts, out.Classes, out.Size.W, out.Size.H, out.Engine, out.Report)
	return nil
}
