package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/eligen/eligen/app"
	"github.com/eligen/eligen/internal/files"
	"github.com/eligen/eligen/internal/page"
	"github.com/eligen/eligen/stage/clip"
	"github.com/eligen/eligen/stage/still"
)

// showOptions are the flags of `eligen show`.
type showOptions struct{ json, open bool }

func newShow() *cobra.Command {
	var o showOptions
	c := &cobra.Command{
		Use:     "show FILE",
		Short:   "Show how a picture or a clip was made",
		Example: "eligen show scenes/out/rain.png\neligen show scenes/out/rain.png --json",
		Long: `Show how a picture or a clip was made: the render with every default filled in, its seed, the engine, and the
digests of the weights. Every file that eligen writes carries this: PNG, JPEG, WebP, GIF, APNG, MP4 and WebM. A
terminal shows the picture, too.`,
		Args: exactly(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
			return []cobra.Completion{"png", "jpg", "jpeg", "webp", "gif", "apng", "mp4", "webm"}, cobra.ShellCompDirectiveFilterFileExt
		},
		RunE: o.run,
	}
	c.Flags().BoolVar(&o.json, "json", false, "print JSON")
	c.Flags().BoolVar(&o.open, "open", false, "open the file in the system's viewer, too")
	return c
}

func (o *showOptions) run(c *cobra.Command, args []string) error {
	f, err := files.Open(args[0])
	if err != nil {
		return err
	}
	defer f.Close()
	if err := o.show(c, f, args[0]); err != nil || !o.open {
		return err
	}
	return open(c.Context(), args)
}

func (o *showOptions) show(c *cobra.Command, f io.ReadSeeker, name string) error {
	r, err := app.RecordOf(f, name)
	if err != nil {
		return err
	}
	if r.Changed {
		fmt.Fprintf(c.ErrOrStderr(), "Warning: %s was changed after eligen wrote it. What it says of itself may be wrong.\n", name)
	}
	if o.json {
		return page.JSON(c.OutOrStdout(), r.Value())
	}
	w := c.OutOrStdout()
	drawFile(w, f)
	switch {
	case r.Clip != nil:
		return describeClip(w, *r.Clip, r.First)
	case r.Still != nil:
		return describe(w, *r.Still)
	}
	for i, one := range r.Sheet.Renders {
		if i > 0 {
			fmt.Fprintln(w)
		}
		if err := describe(w, one); err != nil {
			return err
		}
	}
	return nil
}

// describeClip prints a clip for people, and its first frame.
func describeClip(w io.Writer, r clip.Resolved, first *still.Resolved) error {
	played := "without end"
	if r.Loop > 0 {
		played = fmt.Sprintf("%d ×", r.Loop)
	}
	err := facts(w, [][]string{
		{"clip", page.Name.Of(r.Render)},
		{"frames", fmt.Sprintf("%d of %d × %d, %v a second, played %s", r.Frames, r.Size.W, r.Size.H, r.FPS, played)},
		{"eligen", r.Version},
	})
	if err != nil || first == nil {
		return err
	}
	fmt.Fprint(w, "\nThe first frame:\n\n")
	return describe(w, *first)
}

// facts prints names, and what each is. A name wraps, too: an entity's key may be long.
func facts(w io.Writer, rows [][]string) error {
	for _, row := range rows {
		row[0] = page.Quiet.Of(row[0])
	}
	_, err := io.WriteString(w, page.Table(rows, page.Prose(w), page.Column{Fit: page.Wrap}, page.Column{Fit: page.Wrap}))
	return err
}

// describe prints a render for people.
func describe(w io.Writer, r still.Resolved) error {
	var rows [][]string
	row := func(name, format string, args ...any) {
		rows = append(rows, []string{name, fmt.Sprintf(format, args...)})
	}
	row("render", "%s", page.Name.Of(r.Render))
	row("size", "%d × %d", r.Size.W, r.Size.H)
	row("prompt", "%s", r.Prompt)
	if r.Negative != "" {
		row("negative", "%s", r.Negative)
	}
	row("seed", "%d (%s noise)", r.Seed, r.Noise)
	sampler := fmt.Sprintf("%d steps, cfg %v", r.Steps, r.CFG)
	if r.Guidance != 0 {
		sampler += fmt.Sprintf(", guidance %v", r.Guidance)
	}
	sampler += ", schedule " + r.Schedule
	if r.Shift != 0 {
		sampler += fmt.Sprintf(" shift %v", r.Shift)
	}
	if r.NegativeEntities {
		sampler += ", entities on the negative side"
	}
	row("sampler", "%s", sampler)
	if r.Overlap != "" {
		row("overlap", "%s", r.Overlap)
	}
	if r.Approximate != nil {
		row("approximate", "%v", r.Approximate)
	}
	if p := r.Inpaint; p != nil {
		row("inpaint", "picture %s, %s", p.Picture.Short(), app.KeepingText(p.Mode, p.Feather, p.Background)+app.SeenText(p.Colour, p.Profile))
	}
	if t := r.Transfer; t != nil {
		kept := app.KeepingText(t.Way(), t.Feather, t.Background) + app.SeenText(t.Colour, t.Profile)
		row("transfer", "from picture %s into %s, %s", t.Source.Short(), t.Target.Short(), kept)
	}
	if r.Init != nil {
		row("init", "picture %s, strength %v%s", r.Init.Picture.Short(), r.Init.Strength, app.SeenText(r.Init.Background, ""))
	}
	for _, e := range r.Entities {
		row(e.Address, "%s", entityText(e))
	}
	row("model", "%s %s", r.Model.Family, r.Model.DType)
	row("", "transformer %s, text %s, autoencoder %s", r.Model.Transformer.Short(), r.Model.Text.Short(), r.Model.Autoencoder.Short())
	for _, a := range r.Adapters {
		what := fmt.Sprintf("%s %s × %v", a.Kind, a.Digest.Short(), a.Scale)
		if a.Factors {
			what += ", unmerged"
		}
		for _, p := range a.Pictures {
			what += ", picture " + p.Short()
		}
		row("adapter", "%s", what)
	}
	row("engine", "%s", r.Engine)
	row("eligen", "%s", r.Version)
	return facts(w, rows)
}

// entityText says what an entity is and where, for people.
func entityText(e still.Entity) string {
	text := fmt.Sprintf("%s in %s, %d tokens", e.Prompt, e.Region, e.Tokens)
	if e.Strength != 1 {
		text += fmt.Sprintf(", strength %v", e.Strength)
	}
	if e.Opacity != nil {
		text += fmt.Sprintf(", opacity %v", *e.Opacity)
	}
	if e.Negative != "" {
		text += fmt.Sprintf(", not %q", e.Negative)
	}
	if e.AutoNegative {
		text += ", nowhere else"
	}
	if e.Feather != 0 {
		text += fmt.Sprintf(", feather %g", e.Feather)
	}
	if e.Schedule != "" {
		text += ", " + e.Schedule
	}
	return text
}
