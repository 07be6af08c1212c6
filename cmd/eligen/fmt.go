package main

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/dsl"
	"github.com/eligen/eligen/internal/files"
	"github.com/eligen/eligen/internal/page"
)

// fmtOptions are the flags of `eligen fmt`.
type fmtOptions struct {
	write bool
	check bool
}

func newFmt() *cobra.Command {
	var o fmtOptions
	c := &cobra.Command{
		Use:   "fmt {FILE…|FOLDER…|-}",
		Short: "Format scene files",
		Long: `Format scene files.

The result goes to standard output. With -w, fmt writes it back and lists the files that changed. With --check,
it changes nothing, lists the files that need formatting, and exits with 3 if there are any. For a folder, pass
one of these flags: fmt then takes every *.hcl and *.hclvars file below it, except in folders whose names begin
with a dot. - reads standard input.`,
		Example: `eligen fmt scenes/rain.hcl
eligen fmt -w scenes/*.hcl
# in CI: every scene below this folder
eligen fmt --check .`,
		Args:              some,
		ValidArgsFunction: complete("hcl"),
		RunE:              o.run,
	}
	c.Flags().BoolVarP(&o.write, "write", "w", false, "write the result back to the file")
	c.Flags().BoolVar(&o.check, "check", false, "list the files that need formatting")
	c.MarkFlagsMutuallyExclusive("write", "check")
	return c
}

func (o *fmtOptions) run(c *cobra.Command, args []string) error {
	var problems eligen.Diagnostics
	unformatted := false
	files, err := o.files(args)
	if err != nil {
		return err
	}
	for _, name := range files {
		changed, ds, err := o.format(c, name)
		if err != nil {
			return err
		}
		problems, unformatted = append(problems, ds...), unformatted || changed
	}
	if err := problems.Err(); err != nil {
		return err
	}
	if unformatted && o.check {
		return exit{code: exitCheck}
	}
	return nil
}

// format formats one file as the flags say, and reports whether that changes it.
func (o *fmtOptions) format(c *cobra.Command, name string) (changed bool, ds eligen.Diagnostics, err error) {
	src, err := readScene(c, name)
	if err != nil {
		return false, nil, err
	}
	shown := name
	if name == "-" {
		shown = "standard input"
	}
	out, ds := dsl.Format(shown, src)
	if out == nil {
		return false, ds, nil
	}
	changed = !bytes.Equal(src, out)
	switch {
	case o.check:
		if changed {
			fmt.Fprintln(c.OutOrStdout(), shown)
		}
	case o.write && name != "-":
		if !changed {
			return false, ds, nil
		}
		if err := rewrite(name, out); err != nil {
			return false, nil, err
		}
		fmt.Fprintln(c.OutOrStdout(), name)
	default:
		_, err = page.Exact(c.OutOrStdout()).Write(out)
	}
	return changed, ds, err
}

// files replaces folders by the files below them that fmt lays out.
func (o *fmtOptions) files(args []string) ([]string, error) {
	var out []string
	for _, name := range args {
		if fi, err := os.Stat(name); name == "-" || err != nil || !fi.IsDir() {
			out = append(out, name)
			continue
		}
		if !o.write && !o.check {
			return nil, usageError{fmt.Errorf("%s is a folder: pass -w to format its files, or --check to list those that need formatting", name)}
		}
		before := len(out)
		err := filepath.WalkDir(name, func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() && path != name && strings.HasPrefix(d.Name(), "."):
				return filepath.SkipDir
			case d.Type().IsRegular() && (strings.HasSuffix(path, ".hcl") || strings.HasSuffix(path, ".hclvars")):
				out = append(out, path)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		if len(out) == before {
			return nil, fmt.Errorf("%s has no scene files (*.hcl, *.hclvars)", name)
		}
	}
	return out, nil
}

// readScene reads a scene's text; one byte more than a scene may have is enough
// to refuse it.
func readScene(c *cobra.Command, name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(io.LimitReader(c.InOrStdin(), 2<<20))
	}
	if info, err := os.Stat(name); err != nil || info.Mode().IsRegular() || info.IsDir() {
		src, ds := dsl.ReadSource(name)
		return src, ds.Err()
	}
	f, err := os.Open(name) // a stream, such as what a shell's <(…) stands for
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, 2<<20))
}

// rewrite replaces what a file holds, whole or not at all, and keeps its mode.
func rewrite(name string, data []byte) error {
	name, err := filepath.EvalSymlinks(name)
	if err != nil {
		return err
	}
	return files.WriteBytes(name, data)
}
