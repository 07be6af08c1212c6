package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/eligen/eligen/stage/still"
)

// showOptions are the flags of `eligen show`.
type showOptions struct{ json bool }

func newShow() *cobra.Command {
	var o showOptions
	c := &cobra.Command{
		Use:               "show FILE.png",
		Short:             "Say what made a picture",
		Long:              `Say what made a picture: the render with nothing left open, its seed, the engine, and the weights by their digests. Every PNG that eligen writes carries it.`,
		Args:              exactly(1),
		ValidArgsFunction: complete("png"),
		RunE:              o.run,
	}
	c.Flags().BoolVar(&o.json, "json", false, "print JSON")
	return c
}

func (o *showOptions) run(c *cobra.Command, args []string) error {
	f, err := os.Open(args[0])
	if err != nil {
		return err
	}
	defer f.Close()
	r, err := still.Metadata(f)
	if err != nil {
		return fmt.Errorf("%s: %w", args[0], err)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	untouched := still.Untouched(f)
	if o.json {
		e := json.NewEncoder(c.OutOrStdout())
		e.SetIndent("", "  ")
		return e.Encode(r)
	}
	if !untouched {
		fmt.Fprintf(c.ErrOrStderr(), "Warning: the pixels of %s were changed after eligen wrote it.\n", args[0])
	}
	return describe(c.OutOrStdout(), r)
}

// describe prints a render for people.
func describe(w io.Writer, r still.Resolved) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(t, "%s\t%s\n", name, fmt.Sprintf(format, args...))
	}
	row("render", "%s", r.Render)
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
	if r.Init != nil {
		row("init", "picture %s, strength %v", r.Init.Picture.Short(), r.Init.Strength)
	}
	for _, e := range r.Entities {
		text := fmt.Sprintf("%s in %s, %d tokens", e.Prompt, e.Region, e.Tokens)
		if e.Strength != 1 {
			text += fmt.Sprintf(", strength %v", e.Strength)
		}
		row(e.Address, "%s", text)
	}
	row("model", "%s %s", r.Model.Family, r.Model.DType)
	row("", "transformer %s, text %s, autoencoder %s", r.Model.Transformer.Short(), r.Model.Text.Short(), r.Model.Autoencoder.Short())
	for _, a := range r.Adapters {
		row("adapter", "%s %s × %v", a.Kind, a.Digest.Short(), a.Scale)
	}
	row("engine", "%s", r.Engine)
	row("eligen", "%s", r.Version)
	return t.Flush()
}
