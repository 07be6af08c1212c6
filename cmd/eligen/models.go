package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/eligen/eligen/app"
	"github.com/eligen/eligen/internal/page"
	"github.com/eligen/eligen/model/inspect"
	"github.com/eligen/eligen/model/weights"
)

func newModels() *cobra.Command {
	return family(&cobra.Command{
		Use:     "models",
		Short:   "Download, inspect and convert weights",
		Example: "eligen models pull black-forest-labs/FLUX.1-dev\neligen models inspect flux1-dev.safetensors",
	}, newModelsPull(), newModelsList(), newModelsVerify(), newModelsRemove(), newModelsInspect(), newModelsConvert())
}

// inspectOptions are the flags of `eligen models inspect`.
type inspectOptions struct{ json bool }

func newModelsInspect() *cobra.Command {
	var o inspectOptions
	c := &cobra.Command{
		Use:     "inspect {FILE|FOLDER}",
		Short:   "Identify weights and check them",
		Example: "eligen models inspect flux1-dev.safetensors\neligen models inspect FLUX.1-dev --json",
		Long: `Identify weights and check whether eligen can run them: a FLUX transformer, autoencoder or text encoder, a LoRA,
or a folder with all components of a model.

inspect reads headers only, but all numbers of a LoRA. It lists every tensor that is missing, unexpected or of
the wrong shape, and then exits with 6.`,
		Args: exactly(1),
		RunE: withApp(o.run),
	}
	c.Flags().BoolVar(&o.json, "json", false, "print JSON")
	return c
}

func (o *inspectOptions) run(c *cobra.Command, a *app.App, args []string) error {
	r, err := a.Inspect(args[0])
	if err != nil {
		return err
	}
	if o.json {
		if err := page.JSON(c.OutOrStdout(), r); err != nil {
			return err
		}
		if r.Problem != "" {
			return exit{code: exitIntegrity}
		}
		return nil
	}
	fmt.Fprint(c.OutOrStdout(), r)
	if r.Problem != "" {
		return exit{code: exitIntegrity}
	}
	return nil
}

// convertOptions are the flags of `eligen models convert`.
type convertOptions struct {
	force          bool
	format, to, of string
	card           bool
	about          weights.About
}

func newModelsConvert() *cobra.Command {
	var o convertOptions
	c := &cobra.Command{
		Use:   "convert {FILE|FOLDER} OUT",
		Short: "Convert weights, or a LoRA's format",
		Long: `Convert weights of any kind that eligen reads to safetensors or GGUF, by OUT's ending .safetensors or .gguf:
GGUF, 8-bit floats, bitsandbytes' NF4, all-in-one files, diffusers' folders, and files that PyTorch's torch.save
wrote. Tensors get the names that Black Forest Labs and Hugging Face publish. A folder with a model's files
becomes one file with all networks.

--to stores them in another type. Without it plain numbers stay as they are, and quantised ones become bfloat16.

A file of PyTorch's is an archive with a pickle, which is a program. eligen doesn't run it: it finds tensors in
dictionaries, and refuses a file that needs more, with exit code 6. Without other flags it keeps their names. It
also refuses a file whose tensors share numbers so that they would fill more than eight times the file's size.

The result is written atomically, and an existing file stays, unless you pass --force.

With --format, FILE is a LoRA of FLUX's transformer in any format, and OUT the same LoRA in the format you name:
it changes every weight by the same amount. Alpha is multiplied into the factors. What FILE says of itself (its
title, trigger words, base model) goes along; --title and --trigger replace it. --card writes README.md next to OUT, a
model card for Hugging Face.`,
		Example: `eligen models convert ip-adapter.bin ip-adapter.safetensors
eligen models convert flux1-dev-Q8_0.gguf flux1-dev.safetensors
eligen models convert FLUX.1-dev flux1-dev-fp8.safetensors --to fp8_scaled
eligen models convert --format kohya eligen.safetensors eligen-kohya.safetensors`,
		Args: exactly(2),
		RunE: o.run,
	}
	c.Flags().BoolVar(&o.force, "force", false, "replace OUT")
	c.Flags().StringVar(&o.to, "to", "", "store weights as `TYPE`: "+strings.Join(weights.Types, ", "))
	c.Flags().StringVar(&o.of, "part", "", "convert one `PART` of several: transformer, autoencoder, clip or t5")
	c.Flags().StringVar(&o.format, "format", "", "convert a LoRA to `FORMAT`: native (DiffSynth-Studio), kohya or diffusers")
	c.Flags().BoolVar(&o.card, "card", false, "write a model card next to OUT; with --format")
	c.Flags().StringVar(&o.about.Title, "title", "", "`TITLE` of the LoRA; with --format (default: that of FILE)")
	c.Flags().StringSliceVar(&o.about.Triggers, "trigger", nil, "`WORDS` that call it in a prompt; with --format (default: those of FILE)")
	return c
}

func (o *convertOptions) run(c *cobra.Command, args []string) error {
	in, out := args[0], args[1]
	if o.format != "" {
		return o.lora(c, in, out)
	}
	for _, flag := range []string{"card", "title", "trigger"} {
		if c.Flags().Changed(flag) {
			return fmt.Errorf("--%s is for LoRAs: set --format, too", flag)
		}
	}
	convert := func() error { return weights.Save(in, out, o.to, o.of, o.force) }
	if o.to == "" && o.of == "" && weights.IsTorch(in) {
		convert = func() error { return weights.Convert(in, out, o.force) }
	}
	if err := convert(); err != nil {
		var unreadable weights.ErrUnreadable
		if errors.As(err, &unreadable) {
			return exit{exitIntegrity, err}
		}
		return err
	}
	r, err := inspect.Path(out)
	if err != nil {
		return err
	}
	fmt.Fprint(c.OutOrStdout(), r) // whether it is a model's, is another question
	return nil
}

// lora converts a LoRA.
func (o *convertOptions) lora(c *cobra.Command, in, out string) error {
	if !slices.Contains(weights.LoRAFormats, o.format) {
		return app.Unknown("format", o.format, "format of LoRAs", weights.LoRAFormats)
	}
	dropped, err := weights.ConvertLoRA(in, out, weights.LoRAConversion{Format: o.format, Force: o.force, Card: o.card, About: o.about})
	if err != nil {
		return err
	}
	for _, what := range dropped {
		fmt.Fprintf(c.ErrOrStderr(), "left out %s\n", what)
	}
	r, err := inspect.Path(out)
	if err != nil {
		return err
	}
	fmt.Fprint(c.OutOrStdout(), r)
	return nil
}
