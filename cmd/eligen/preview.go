package main

import (
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"
	"os"
	"path"
	"strings"

	"github.com/spf13/cobra"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/page"
	"github.com/eligen/eligen/planner"
	"github.com/eligen/eligen/runtime"
)

// previewOptions are the flags of `eligen preview`.
type previewOptions struct {
	planOptions
	force bool
	watch bool
}

func newPreview() *cobra.Command {
	var o previewOptions
	c := &cobra.Command{
		Use:   "preview SCENE",
		Short: "Draw a scene's layout, without a model",
		Long: `Draw a scene's layout, without a model: each region as the planner sees it, in a flat colour, with its outline and prompt. Beside each picture that the scene would write, one named …-preview.png is written; on a terminal the layout is shown too.

With --watch nothing is written: the layout fills the terminal, and is drawn again whenever the scene is saved. While the scene has mistakes they are listed, and the last good layout stays.`,
		Example: `eligen preview scenes/rain.hcl
eligen preview --watch scenes/rain.hcl`,
		Args:              exactly(1),
		ValidArgsFunction: complete("hcl"),
		RunE:              o.run,
	}
	o.sceneOptions.flags(c)
	c.Flags().StringArrayVar(&o.targets, "target", nil, "only this `RENDER`, as render.name or 'render.name[\"key\"]'; may be repeated")
	c.Flags().BoolVar(&o.watch, "watch", false, "show the layout on the terminal, and again whenever the scene is saved")
	c.Flags().BoolVar(&o.force, "force", false, "replace files that eligen did not write")
	return c
}

func (o *previewOptions) run(c *cobra.Command, args []string) (err error) {
	o.engine = "paint"
	e, err := o.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.close()) }()
	if o.watch {
		return o.follow(c, e, args[0])
	}
	scene, err := o.load(c, args[0])
	if err != nil {
		return err
	}
	if err := o.target(scene); err != nil {
		return err
	}
	if len(scene.Renders) == 0 {
		return fmt.Errorf("%s has no render block, so it has no layout", args[0])
	}
	scene.Checks = nil // they are about pictures that a model has made
	for i := range scene.Renders {
		r := &scene.Renders[i]
		first := r.Outputs[0]
		name := strings.TrimSuffix(first.Path, path.Ext(first.Path)) + "-preview.png"
		r.Outputs = []eligen.Output{{Path: name, Overlay: len(r.Entities) > 0, Source: first.Source}}
	}
	p, ds, err := planned(c.Context(), scene, e.ID(), e.Spec, planner.Options{})
	if err != nil {
		return err
	}
	if err := ds.Err(); err != nil {
		return err
	}
	diagnose(c.ErrOrStderr(), ds)
	store, err := openStore()
	if err != nil {
		return err
	}
	defer store.Close()
	var files []string
	r := runtime.Runner{Store: store, Engine: e, Force: o.force, Recognise: untouched, Emit: func(e eligen.Event) {
		if e.Type == eligen.Wrote {
			files = append(files, e.Path)
		}
		if e.Type == eligen.Failed {
			diagnose(c.ErrOrStderr(), eligen.Diagnostics{*e.Problem})
		}
	}}
	if err := r.Apply(c.Context(), p); err != nil {
		return reported(err)
	}
	for _, f := range files {
		if terminal(c.OutOrStdout()) && os.Getenv("NO_COLOR") == "" {
			if err := blocks(c.OutOrStdout(), f); err != nil {
				return err
			}
		}
		fmt.Fprintln(c.OutOrStdout(), f)
	}
	return nil
}

// blocks shows a picture in half blocks of 24-bit colour, two rows of pixels to a
// line of text.
func blocks(w io.Writer, file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	img, err := png.Decode(f)
	if err != nil {
		return err
	}
	_, err = io.WriteString(page.Bare(w), halfBlocks(img, 64))
	return err
}

// halfBlocks is a picture so many characters wide.
func halfBlocks(img image.Image, width int) string {
	b := img.Bounds()
	width = min(width, b.Dx())
	rows := max(2, b.Dy()*width/b.Dx()/2*2)
	at := func(x, y int) (r, g, bl uint32) {
		r, g, bl, _ = img.At(b.Min.X+(2*x+1)*b.Dx()/(2*width), b.Min.Y+(2*y+1)*b.Dy()/(2*rows)).RGBA()
		return r >> 8, g >> 8, bl >> 8
	}
	var out strings.Builder
	for y := 0; y < rows; y += 2 {
		for x := range width {
			r, g, bl := at(x, y)
			fmt.Fprintf(&out, "\x1b[38;2;%d;%d;%dm", r, g, bl)
			r, g, bl = at(x, y+1)
			fmt.Fprintf(&out, "\x1b[48;2;%d;%d;%dm▀", r, g, bl)
		}
		out.WriteString("\x1b[0m\n")
	}
	return out.String()
}
