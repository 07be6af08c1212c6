package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/page"
	"github.com/eligen/eligen/model/backend"
)

// versionOptions are the flags of `eligen version`.
type versionOptions struct{ json bool }

func newVersion() *cobra.Command {
	var o versionOptions
	c := &cobra.Command{
		Use:     "version",
		Short:   "Print eligen's version",
		Example: "eligen version\neligen version --json",
		Args:    cobra.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return o.run(c) },
	}
	c.Flags().BoolVar(&o.json, "json", false, "print JSON")
	return c
}

func (o *versionOptions) run(c *cobra.Command) error {
	gobackend, err := backend.Find("go")
	if err != nil {
		return err
	}
	v := struct {
		Version  string `json:"version"`
		Commit   string `json:"commit,omitempty"`
		Go       string `json:"go"`
		Platform string `json:"platform"`
		SIMD     bool   `json:"simd"` // the Go backend uses the processor's vector instructions
		XLA      bool   `json:"xla"`  // the build can load XLA plugins
	}{
		Version: eligen.Version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
		SIMD: strings.HasSuffix(gobackend.Instructions, "+simd"), XLA: cgoBuild,
	}
	if b, ok := debug.ReadBuildInfo(); ok {
		for _, s := range b.Settings {
			if s.Key == "vcs.revision" {
				v.Commit = s.Value
			}
		}
	}
	if o.json {
		return page.JSONLine(c.OutOrStdout(), v)
	}
	fmt.Fprintf(c.OutOrStdout(), "eligen %s (%s, %s)\n", v.Version, v.Go, v.Platform)
	if v.Commit != "" {
		fmt.Fprintf(c.OutOrStdout(), "commit %s\n", v.Commit)
	}
	fmt.Fprintf(c.OutOrStdout(), "SIMD in the Go backend: %s\n", yes(v.SIMD, "no; build with GOEXPERIMENT=simd for a faster Go backend"))
	fmt.Fprintf(c.OutOrStdout(), "XLA plugins: %s\n", yes(v.XLA, "no; build with a C compiler (CGO_ENABLED=1) to use them"))
	return nil
}

func yes(ok bool, otherwise string) string {
	if ok {
		return "yes"
	}
	return otherwise
}
