package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/eligen/eligen/model"
)

func newModels() *cobra.Command {
	return family(&cobra.Command{
		Use:   "models",
		Short: "Look at weights",
	}, newModelsInspect())
}

// inspectOptions are the flags of `eligen models inspect`.
type inspectOptions struct{ json bool }

func newModelsInspect() *cobra.Command {
	var o inspectOptions
	c := &cobra.Command{
		Use:   "inspect {FILE|FOLDER}",
		Short: "Say what a file of weights is, and whether eligen can run it",
		Long: `Say what a file of weights is, and whether eligen can run it: a FLUX transformer, autoencoder or text encoder, a LoRA, or a folder with all parts of a model.

Only headers are read. Every tensor that is missing, in excess or of the wrong shape is named, and the exit code is 6.`,
		Args: exactly(1),
		RunE: o.run,
	}
	c.Flags().BoolVar(&o.json, "json", false, "print JSON")
	return c
}

func (o *inspectOptions) run(c *cobra.Command, args []string) error {
	r, err := model.Inspect(args[0])
	if err != nil {
		if _, missing := os.Stat(args[0]); errors.Is(missing, fs.ErrNotExist) {
			return err
		}
		return exit{exitIntegrity, err}
	}
	if o.json {
		e := json.NewEncoder(c.OutOrStdout())
		e.SetIndent("", "  ")
		if err := e.Encode(r); err != nil {
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

// unsound reports whether weights that are there can't be what they should be:
// they are damaged, or their tensors are not those of the model.
func unsound(path string) bool {
	if _, err := os.Stat(path); err != nil {
		return false
	}
	r, err := model.Inspect(path)
	if err != nil {
		return true
	}
	for _, p := range r.Parts { // a folder that lacks a part is incomplete, not damaged
		if p.Problem != "" {
			return true
		}
	}
	return len(r.Parts) == 0 && r.Problem != ""
}
