package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/app"
	"github.com/eligen/eligen/internal/page"
	"github.com/eligen/eligen/tui"
)

// previewOptions are the flags of `eligen preview`.
type previewOptions struct {
	planOptions
	force bool
	watch bool
	open  bool
}

func newPreview() *cobra.Command {
	var o previewOptions
	c := &cobra.Command{
		Use:   "preview SCENE",
		Short: "Draw a scene's layout without a model",
		Long: `Draw a scene's layout without a model: each region as the planner sees it, in its colour, with its letter, name
and prompt. The picture, named …-preview.png, goes next to each file that the scene would write. For a clip it
shows the frames at the timeline's keys, and the paths of the entities. A terminal shows the layout, too.

Labels leave out characters that the font lacks (it has Latin, Greek and Cyrillic letters); the letter still
identifies the entity.

With --watch, eligen writes nothing: the layout fills the terminal and is drawn again whenever you save the
scene. While the scene has mistakes, they are listed and the last good layout stays.`,
		Example: `eligen preview scenes/rain.hcl
eligen preview --open scenes/drive.hcl
eligen preview --watch scenes/rain.hcl`,
		Args:              exactly(1),
		ValidArgsFunction: complete("hcl"),
		RunE:              withApp(o.run),
	}
	o.sceneOptions.flags(c)
	o.targetFlag(c)
	c.Flags().BoolVar(&o.watch, "watch", false, "show the layout on the terminal, and again whenever the scene is saved")
	c.Flags().BoolVar(&o.open, "open", false, "open the pictures in the system's viewer")
	c.Flags().BoolVar(&o.force, "force", false, "replace files that eligen did not write")
	c.MarkFlagsMutuallyExclusive("watch", "open")
	return c
}

func (o *previewOptions) run(c *cobra.Command, a *app.App, args []string) error {
	if o.watch {
		return o.follow(c, a, args[0])
	}
	preview, warnings, err := a.Preview(c.Context(), o.layouts(args[0]))
	warned(c, warnings)
	if err != nil {
		return err
	}
	made, err := a.Apply(c.Context(), preview.Plan, app.Run{Force: o.force, Unrecorded: true, Events: func(e eligen.Event) {
		if e.Type == eligen.Failed {
			diagnose(c.ErrOrStderr(), eligen.Diagnostics{*e.Problem})
		}
	}})
	if err != nil {
		return reported(err)
	}
	draw := screenLook(c)
	var files []string
	for _, f := range made.Files {
		files = append(files, f.Path)
		if l := preview.Layout(f.Render); draw != nil && l != nil {
			fmt.Fprint(page.Bare(c.ErrOrStderr()), tui.Sketch(tui.Layout(*l), *draw))
		}
		fmt.Fprintln(c.OutOrStdout(), f.Path)
	}
	if o.open {
		return open(c.Context(), files)
	}
	return nil
}

func (o *previewOptions) layouts(path string) app.LayoutRequest {
	return app.LayoutRequest{Input: o.input(path), Targets: o.targets}
}
