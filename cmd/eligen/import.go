package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/app"
	"github.com/eligen/eligen/internal/page"
	"github.com/eligen/eligen/layouts"
	"github.com/eligen/eligen/tui"
)

// importOptions are the flags of `eligen import`.
type importOptions struct {
	out        string
	convention string
	size       string
	words      []string
	places     []string
	radius     float64
	picture    string
	images     string
	score      float64
	crowds     bool
	json       bool
	preview    bool
	force      bool
}

func newImport() *cobra.Command {
	o := importOptions{}
	c := &cobra.Command{
		Use:   "import FILE",
		Short: "Write a scene from another program's layout",
		Long: `Write a scene from another program's layout: a prompt with boxes, a ComfyUI graph or a picture that holds one,
annotations, or a benchmark's prompts. One render is written for each record.

The file's form is recognised by its content. eligen prints the form, the order and unit of the boxes and who says
so, what was left out, cut or changed, and draws the layout: a wrong order is seen at once there. What a file
leaves open is an error that names the flag which answers it; nothing is guessed. docs/import.md lists the forms.

The scene goes to standard output, or to --out, with masks as pictures in a folder next to it.`,
		Example: `eligen import boxes.json --out scene.hcl
eligen import ComfyUI_00042_.png --out scene.hcl
eligen import detections.json --images instances.json --score 0.5 --out scene.hcl
eligen import layout.json --json`,
		Args: exactly(1),
		RunE: withApp(o.run),
	}
	f := c.Flags()
	f.StringVar(&o.out, "out", "", "write to this `FILE`")
	f.StringVar(&o.convention, "convention", "", "read boxes in this `ORDER/UNIT`, such as yxyx/1000, corner/px or centre; SR is RAG's grid")
	f.StringVar(&o.size, "size", "", "the canvas where the file has none, and the renders' size: `WIDTHxHEIGHT`")
	f.StringArrayVar(&o.words, "words", nil, "`TEXT` for an entity that has no words; repeat it, in their order")
	f.StringArrayVar(&o.places, "place", nil, "`NAME=X0,Y0,X1,Y1` in fractions, for an entity that has no place; repeat it")
	f.Float64Var(&o.radius, "radius", 0, "`R` of the region around a point, as a share of the shorter side")
	f.StringVar(&o.picture, "picture", "", "the picture `FILE` that an edit paints into")
	f.StringVar(&o.images, "images", "", "the `FILE` with the sizes and names of detections")
	f.Float64Var(&o.score, "score", 0, "leave out detections whose score is below `S`")
	f.BoolVar(&o.crowds, "crowds", false, "take crowds, many things as one, as entities")
	f.BoolVar(&o.json, "json", false, "print the reading as JSON, and no scene without --out")
	f.BoolVar(&o.preview, "preview", true, "draw the layout next to --out")
	f.BoolVar(&o.force, "force", false, "replace existing files")
	return c
}

var sizeFlag = regexp.MustCompile(`^([1-9][0-9]{0,4})[x×]([1-9][0-9]{0,4})$`)

// answer turns the flags into answers.
func (o *importOptions) answer() (layouts.Answer, error) {
	a := layouts.Answer{Convention: o.convention, Words: o.words, Radius: o.radius, Picture: o.picture, Images: o.images, Score: o.score,
		Crowds: o.crowds, Places: map[string][4]float64{}}
	if o.size != "" {
		m := sizeFlag.FindStringSubmatch(o.size)
		if m == nil {
			return a, fmt.Errorf("--size %s: pass a width and a height, such as 1024x768", o.size)
		}
		a.Size.W, _ = strconv.Atoi(m[1]) // digits, few
		a.Size.H, _ = strconv.Atoi(m[2])
	}
	if o.convention != "" && o.convention != "SR" {
		if _, _, err := layouts.ParseConvention(o.convention); err != nil {
			return a, fmt.Errorf("--convention: %w", err)
		}
	}
	for _, p := range o.places {
		name, numbers, _ := strings.Cut(p, "=")
		var b [4]float64
		n, err := fmt.Sscanf(numbers, "%g,%g,%g,%g", &b[0], &b[1], &b[2], &b[3])
		if n != 4 || err != nil || !(b[0] < b[2] && b[1] < b[3]) {
			return a, fmt.Errorf("--place %s: pass NAME=x0,y0,x1,y1 in fractions of the canvas, such as cat=0.1,0.2,0.5,0.9", p)
		}
		a.Places[name] = b
	}
	if !(o.radius >= 0 && o.radius <= 1) {
		return a, fmt.Errorf("--radius %g: pass a share of the shorter side, such as 0.1", o.radius)
	}
	return a, nil
}

func (o *importOptions) run(c *cobra.Command, a *app.App, args []string) error {
	answer, err := o.answer()
	if err != nil {
		return usageError{err}
	}
	r, err := a.ReadLayout(app.LayoutFile{Path: args[0], Answer: answer})
	if err != nil {
		return err
	}
	var made *app.ImportedLayout
	if r.Verdict == layouts.Import && (o.out != "" || !o.json) {
		path := o.out
		if path == "" {
			path = "scene.hcl"
		}
		if made, err = a.WriteLayout(c.Context(), r, path, answer); err != nil {
			return err
		}
	}
	if o.json {
		data, err := r.JSON()
		if err != nil {
			return err
		}
		if _, err := c.OutOrStdout().Write(data); err != nil {
			return err
		}
	}
	tell(c.ErrOrStderr(), r, made)
	if r.Verdict != layouts.Import {
		return openQuestions(args[0], r)
	}
	return o.write(c, a, made)
}

// openQuestions returns the error of a layout that leaves something open.
func openQuestions(path string, r *layouts.Reading) error {
	if r.Verdict == layouts.Refuse {
		return fmt.Errorf("%s is no layout: %s", path, strings.Join(r.Ask, "; "))
	}
	return fmt.Errorf("%s leaves something open:\n- %s", path, strings.Join(r.Ask, "\n- "))
}

// tell prints how a file was read.
func tell(w io.Writer, r *layouts.Reading, made *app.ImportedLayout) {
	fmt.Fprintf(w, "%s is %s: %s.\n", r.File, page.Name.Of(r.Format), r.Why)
	fmt.Fprintf(w, "Boxes: %s; %s; from the upper left corner; so says %s.\n", r.Convention.Order, r.Convention.Unit, r.Convention.By)
	n := 0
	for _, s := range r.Scenes {
		n += len(s.Entities)
	}
	things := "entities"
	if n == 1 {
		things = "entity"
	}
	fmt.Fprintf(w, "Scenes: %d, with %d %s.\n", len(r.Scenes), n, things)
	said := r.Said
	if made != nil {
		said = append(said, made.Said...)
	}
	for _, s := range said {
		fmt.Fprintf(w, "Note: %s.\n", strings.TrimSuffix(s, "."))
	}
}

// write writes the scene, and draws it.
func (o *importOptions) write(c *cobra.Command, a *app.App, made *app.ImportedLayout) error {
	switch {
	case made == nil:
		return nil
	case o.out == "" && len(made.Files) > 0:
		return errors.New("the scene has masks, which are pictures next to it: pass --out FILE")
	case o.out == "":
		_, err := c.OutOrStdout().Write(made.Text)
		return err
	}
	if err := made.Save(o.out, o.force); err != nil {
		return err
	}
	if !o.json {
		fmt.Fprintln(c.OutOrStdout(), o.out)
	}
	if !o.preview {
		return nil
	}
	return o.draw(c, a)
}

// draw draws the layouts of the written scene.
func (o *importOptions) draw(c *cobra.Command, a *app.App) error {
	preview, _, err := a.Preview(c.Context(), app.LayoutRequest{Input: app.Input{Path: o.out}})
	if err != nil {
		return err
	}
	drawn, err := a.Apply(c.Context(), preview.Plan, app.Run{Force: o.force, Unrecorded: true, Events: func(e eligen.Event) {
		if e.Type == eligen.Failed {
			diagnose(c.ErrOrStderr(), eligen.Diagnostics{*e.Problem})
		}
	}})
	if err != nil {
		return reported(err)
	}
	look := screenLook(c)
	for _, f := range drawn.Files {
		if l := preview.Layout(f.Render); look != nil && l != nil {
			fmt.Fprint(page.Bare(c.ErrOrStderr()), tui.Sketch(tui.Layout(*l), *look))
		}
		if !o.json {
			fmt.Fprintln(c.OutOrStdout(), filepath.ToSlash(f.Path))
		}
	}
	return nil
}
