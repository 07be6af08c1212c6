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
		Short:   "Look at weights, and convert them",
		Example: "eligen models inspect flux1-dev.safetensors",
	}, newModelsInspect(), newModelsConvert())
}

// inspectOptions are the flags of `eligen models inspect`.
type inspectOptions struct{ json bool }

func newModelsInspect() *cobra.Command {
	var o inspectOptions
	c := &cobra.Command{
		Use:     "inspect {FILE|FOLDER}",
		Short:   "Say what a file of weights is, and whether eligen can run it",
		Example: "eligen models inspect flux1-dev.safetensors\neligen models inspect FLUX.1-dev --json",
		Long: `Say what a file of weights is, and whether eligen can run it: a FLUX transformer, autoencoder or text encoder, a LoRA, or a folder with all parts of a model.

Only headers are read, and of a LoRA all numbers. Every tensor that is missing, in excess or of the wrong shape is named, and the exit code is 6.`,
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
	force  bool
	format string
}

func newModelsConvert() *cobra.Command {
	var o convertOptions
	c := &cobra.Command{
		Use:   "convert IN OUT.safetensors",
		Short: "Write a PyTorch file as safetensors, or a LoRA in another format",
		Long: `Write the tensors of a file that PyTorch's torch.save made as a safetensors file, in the same numbers.

Such a file is an archive with a pickle, which is a program. It is not run: only tensors in dictionaries are found, and a file that asks for more is refused, with the exit code 6. So is one whose tensors share their numbers until they would fill more than eight times the file's size. The result appears whole or not at all, and a file that is there is left alone, unless --force.

With --format, IN is a LoRA of FLUX's transformer in any format, and OUT the same LoRA in the format named: it updates every weight alike. Alpha is multiplied into the factors.`,
		Example: `eligen models convert ip-adapter.bin ip-adapter.safetensors
eligen models convert --format kohya eligen.safetensors eligen-kohya.safetensors`,
		Args: exactly(2),
		RunE: o.run,
	}
	c.Flags().BoolVar(&o.force, "force", false, "replace OUT if it is there")
	c.Flags().StringVar(&o.format, "format", "", "IN is a LoRA, to be written as `FORMAT`: native (DiffSynth-Studio), kohya or diffusers")
	return c
}

func (o *convertOptions) run(c *cobra.Command, args []string) error {
	in, out := args[0], args[1]
	if o.format != "" {
		return o.lora(c, in, out)
	}
	if err := weights.Convert(in, out, o.force); err != nil {
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
		return fmt.Errorf("--format %s is no format of LoRAs; there are %s", o.format, strings.Join(weights.LoRAFormats, ", "))
	}
	ignored, err := weights.ConvertLoRA(in, out, o.format, o.force)
	if err != nil {
		return err
	}
	if ignored > 0 {
		fmt.Fprintf(c.ErrOrStderr(), "%d tensors are of text encoders, and are left out\n", ignored)
	}
	r, err := inspect.Path(out)
	if err != nil {
		return err
	}
	fmt.Fprint(c.OutOrStdout(), r)
	return nil
}
