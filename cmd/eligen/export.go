package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/eligen/eligen/app"
	"github.com/eligen/eligen/layouts"
)

// layoutExportOptions are the flags of `eligen export`.
type layoutExportOptions struct {
	sceneOptions
	targets []string
	to      string
	out     string
	force   bool
}

func newLayoutExport() *cobra.Command {
	o := layoutExportOptions{}
	c := &cobra.Command{
		Use:   "export FILE",
		Short: "Write a layout in another program's form",
		Long: `Write a layout in another program's form: a scene's, or one that import reads. Its commands below write a scene's
rendering as a job for a scheduler.

Forms: ` + strings.Join(layouts.Targets(), ", ") + `. comfyui is a graph of core nodes in the form of ComfyUI's API,
comfyui-couple one with a node of attention couple; diffusers and diffsynth are scripts in Python. What a form can't
hold is printed. coco holds all renders of a scene, the others one in a file.

The file goes to standard output, or to --out, with masks as pictures next to it.`,
		Example: `eligen export scenes/rain.hcl --to ideogram4
eligen export scenes/rain.hcl --to comfyui --out rain.json`,
		Args:              exactly(1),
		ValidArgsFunction: complete("hcl"),
		RunE:              withApp(o.run),
	}
	o.flags(c)
	f := c.Flags()
	f.StringArrayVar(&o.targets, "target", nil, "export only this `RENDER`; may be repeated")
	f.StringVar(&o.to, "to", "", "the `FORM` to write")
	f.StringVar(&o.out, "out", "", "write to this `FILE`; of several renders, each adds its name")
	f.BoolVar(&o.force, "force", false, "replace existing files")
	c.AddCommand(newExportSlurm(), newExportKubernetes(), newExportOpenJD())
	return c
}

func (o *layoutExportOptions) run(c *cobra.Command, a *app.App, args []string) error {
	if o.to == "" {
		return usageError{errors.New("--to is missing: pass one of " + strings.Join(layouts.Targets(), ", "))}
	}
	ending := filepath.Ext(o.out)
	base := strings.TrimSuffix(filepath.Base(o.out), ending)
	if o.out == "" {
		base = "layout"
	}
	list, warnings, err := a.ExportLayout(c.Context(), app.LayoutExport{Input: o.input(args[0]), Targets: o.targets, To: o.to, Base: base})
	warned(c, warnings)
	if err != nil {
		return err
	}
	for _, e := range list {
		for _, s := range e.Said {
			fmt.Fprintf(c.ErrOrStderr(), "Note: %s.\n", s)
		}
	}
	if o.out == "" {
		return o.print(c, list)
	}
	for _, e := range list {
		name := o.out
		if len(list) > 1 {
			name = strings.TrimSuffix(o.out, ending) + "-" + e.Name + ending
		}
		made := app.ImportedLayout{Text: e.Text, Files: e.Files}
		if err := made.Save(name, o.force); err != nil {
			return err
		}
		fmt.Fprintln(c.OutOrStdout(), name)
	}
	return nil
}

// print writes one export to standard output.
func (o *layoutExportOptions) print(c *cobra.Command, list []app.WrittenLayout) error {
	switch {
	case len(list) > 1:
		return fmt.Errorf("there are %d renders: pass --out FILE, or --target with one of them", len(list))
	case len(list[0].Files) > 0:
		return errors.New("the layout has masks, which are pictures next to it: pass --out FILE")
	}
	_, err := c.OutOrStdout().Write(list[0].Text)
	return err
}
