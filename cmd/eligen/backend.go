package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/eligen/eligen/internal/page"
	"github.com/eligen/eligen/model/backend"
)

func newBackend() *cobra.Command {
	return family(&cobra.Command{
		Use:     "backend",
		Short:   "List and install what models run on",
		Example: "eligen backend list\neligen backend install xla:cpu",
		Long: `List and install what models run on.

go is built in and runs everywhere. xla:cpu is several times faster and needs a plugin, which "eligen backend install" gets. A backend that is installed becomes the default; --backend and the variable GOMLX_BACKEND go before it.`,
	}, newBackendList(), newBackendInstall())
}

func newBackendList() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:     "list",
		Short:   "List the backends, and say which is used",
		Example: "eligen backend list",
		Args:    cobra.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return listBackends(c.OutOrStdout(), asJSON) },
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func listBackends(out io.Writer, asJSON bool) error {
	states := backend.List()
	if asJSON {
		return page.JSONLine(out, states)
	}
	var rows [][]string
	for _, s := range states {
		mark, state := " ", page.Added.Of("ready")
		if s.Chosen {
			mark = page.Added.Of("*")
		}
		if _, err := os.Stat(s.Plugin); !s.Ready && cgoBuild && s.Plugin != "" && err != nil {
			state = "not installed; get it with: " + page.Name.Of("eligen backend install "+s.Name)
		} else if !s.Ready {
			state = s.Problem
		} else if s.Plugin != "" {
			state += " (" + s.Plugin + ")"
		}
		rows = append(rows, []string{mark, s.Name, state})
	}
	_, err := io.WriteString(out, page.Table(rows, page.Columns(out), page.Column{Tight: true}, page.Column{}, page.Column{Fit: page.Wrap}))
	return err
}

// installOptions are the flags of `eligen backend install`.
type installOptions struct {
	source string
	from   string
	sha256 string
}

func newBackendInstall() *cobra.Command {
	var o installOptions
	c := &cobra.Command{
		Use:   "install {xla:cpu|xla:cuda}",
		Short: "Get an XLA plugin, and make it the default backend",
		Long: `Get an XLA plugin, and make it the default backend.

The plugin comes as a pinned wheel from PyPI (or the index that pip is set up to use) and is checked by SHA-256. For machines without such a wheel, and with --source go-xla, go-xla's own installer gets it instead, from GitHub or PyPI; what comes is then not pinned, and its digest is printed. --from takes a wheel or a plugin from this machine instead, and then nothing is downloaded; a file that eligen doesn't know needs its digest in --sha256. What is installed stays until the new plugin has been loaded.`,
		Example: `eligen backend install xla:cpu
eligen backend install xla:cpu --from pjrt_c_api_cpu_plugin.so`,
		Args:      cobra.MatchAll(exactly(1), cobra.OnlyValidArgs),
		ValidArgs: []string{"xla:cpu", "xla:cuda"},
		RunE:      o.run,
	}
	c.Flags().StringVar(&o.source, "source", "", "`SOURCE` is pypi (a pinned wheel) or go-xla (its own installer; nothing is pinned) (default pypi, where it has a wheel for this machine)")
	choices(c, "source", "pypi", "go-xla")
	c.Flags().StringVar(&o.from, "from", "", "take this `FILE`, a wheel or a plugin, and download nothing")
	c.Flags().StringVar(&o.sha256, "sha256", "", "the SHA-256 that the file of --from must have, as `HEX`")
	c.MarkFlagsMutuallyExclusive("source", "from")
	return c
}

func (o *installOptions) run(c *cobra.Command, args []string) error {
	name, log := args[0], c.ErrOrStderr()
	if o.sha256 != "" && o.from == "" {
		return fmt.Errorf("--sha256 goes with --from: what is downloaded is pinned already")
	}
	if !cgoBuild {
		return fmt.Errorf("this build can't load XLA plugins, since it was made without a C compiler. Build eligen again with CGO_ENABLED=1 and a C compiler (gcc or clang)")
	}
	path, digest, err := o.installPlugin(c.Context(), name, log)
	if err != nil {
		return err
	}
	if err := backend.SetDefault(name); err != nil {
		return err
	}
	fmt.Fprintf(log, "%s is installed (SHA-256 %s) and is the default backend now.\n", name, digest)
	fmt.Fprintln(c.OutOrStdout(), path)
	return nil
}
