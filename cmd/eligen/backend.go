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
		Short:   "List and install backends",
		Example: "eligen backend list\neligen backend install xla:cpu",
		Long: `List and install backends, which run models.

The backend go is built in and runs everywhere. xla:cpu is several times faster and needs a plugin: "eligen
backend install xla:cpu" gets it. An installed backend becomes the default; --backend and the variable
GOMLX_BACKEND override it.`,
	}, newBackendList(), newBackendInstall())
}

func newBackendList() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:     "list",
		Short:   "List backends and mark the default",
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
		Short: "Install an XLA plugin and make it the default",
		Long: `Install an XLA plugin and make it the default backend.

The plugin comes as a pinned wheel from PyPI (or the index that pip is configured to use) and is checked by
SHA-256. On machines without such a wheel, and with --source go-xla, go-xla's own installer gets it from GitHub
or PyPI; it is then not pinned, and eligen prints its digest. With --from, eligen takes a wheel or a plugin from
this machine and downloads nothing; for a file that it doesn't know, pass its digest in --sha256. The installed
plugin stays in place until the new one has been loaded.`,
		Example: `eligen backend install xla:cpu
eligen backend install xla:cpu --from pjrt_c_api_cpu_plugin.so`,
		Args:      cobra.MatchAll(exactly(1), cobra.OnlyValidArgs),
		ValidArgs: []string{"xla:cpu", "xla:cuda"},
		RunE:      o.run,
	}
	c.Flags().StringVar(&o.source, "source", "",
		"get the plugin from `SOURCE`: pypi (a pinned wheel) or go-xla (its installer, not pinned) (default pypi, if it has a wheel)")
	choices(c, "source", "pypi", "go-xla")
	c.Flags().StringVar(&o.from, "from", "", "install this `FILE`, a wheel or a plugin, and download nothing")
	c.Flags().StringVar(&o.sha256, "sha256", "", "require this SHA-256, as `HEX`, of the file of --from")
	c.MarkFlagsMutuallyExclusive("source", "from")
	return c
}

func (o *installOptions) run(c *cobra.Command, args []string) error {
	name, log := args[0], c.ErrOrStderr()
	if o.sha256 != "" && o.from == "" {
		return fmt.Errorf("--sha256 needs --from: downloads are pinned already")
	}
	if !cgoBuild {
		return fmt.Errorf("this build can't load XLA plugins: it was made without a C compiler. " +
			"Build eligen again with CGO_ENABLED=1 and a C compiler (gcc or clang)")
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
