package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/eligen/eligen/internal/page"
	"github.com/eligen/eligen/scenes"
	"github.com/eligen/eligen/tui"
)

// initOptions are the flags of `eligen init`.
type initOptions struct {
	from  string
	list  bool
	force bool
}

func newInit() *cobra.Command {
	var o initOptions
	c := &cobra.Command{
		Use:   "init [--from NAME] [DIR]",
		Short: "Copy an example scene",
		Long: `Copy an example scene, with the pictures, tables and modules that it uses.

Without --from, a terminal offers a list to choose from. The scenes are embedded in eligen; nothing is
downloaded. If one of the files exists, init copies nothing, unless you pass --force.`,
		Example: `eligen init
eligen init --list
eligen init --from rain
eligen init --from village my-village
eligen init --from flux/harbor`,
		Args: cobra.MaximumNArgs(1),
		RunE: o.run,
	}
	f := c.Flags()
	f.StringVar(&o.from, "from", "", "copy the scene `NAME`")
	f.BoolVar(&o.list, "list", false, "list the scenes")
	f.BoolVar(&o.force, "force", false, "replace existing files")
	c.MarkFlagsMutuallyExclusive("from", "list")
	var names []cobra.Completion
	for _, s := range examples() {
		names = append(names, s.name)
	}
	choices(c, "from", names...)
	return c
}

// An example is a scene that eligen brings along.
type example struct {
	name, about string
	folder      string   // of scenes, "flux", "qwen" or "."; it is not copied
	files       []string // below that folder: its own, and those that it names
}

// examples lists the scenes of the folder scenes, by their names; those for FLUX.1 and Qwen-Image last.
func examples() []example {
	var out []example
	for _, folder := range []string{".", "flux", "qwen"} {
		files, err := fs.Glob(scenes.Files, path.Join(folder, "*.hcl"))
		if err != nil {
			panic(err) // the pattern is wrong
		}
		for _, f := range files {
			text := exampleText(f)
			out = append(out, example{
				name:   strings.TrimSuffix(f, ".hcl"),
				about:  aboutScene(text),
				folder: folder,
				files:  append([]string{path.Base(f)}, named(folder, text)...),
			})
		}
	}
	return out
}

func exampleText(name string) string {
	text, err := scenes.Files.ReadFile(name)
	if err != nil {
		panic(err) // it was listed
	}
	return string(text)
}

// aboutScene returns the first sentence of a scene's comment.
func aboutScene(text string) string {
	var words []string
	for l := range strings.Lines(text) {
		c, ok := strings.CutPrefix(l, "#")
		if !ok {
			break
		}
		words = append(words, strings.Fields(c)...)
	}
	about, _, _ := strings.Cut(strings.Join(words, " ")+" ", ". ")
	return strings.TrimRight(about, ". ")
}

// quotedText matches what may be the name of a file or folder.
var quotedText = regexp.MustCompile(`"(?:\./)?([a-z]+(?:/[a-z]+)?(?:\.[a-z]+)?)"`)

// named lists the files that the text of a scene of a folder names, modules' files
// included.
func named(folder, text string) []string {
	files, err := fs.Sub(scenes.Files, folder)
	if err != nil {
		panic(err) // the folder is no path
	}
	var out []string
	for _, m := range quotedText.FindAllStringSubmatch(text, -1) {
		switch fi, err := fs.Stat(files, m[1]); {
		case err != nil || m[1] == path.Base(m[1]) && !fi.IsDir():
		case fi.IsDir():
			if !strings.HasPrefix(m[0], `"./`) {
				continue // a word like "garden"
			}
			inside, _ := fs.Glob(files, m[1]+"/*")
			out = append(out, inside...)
		default:
			out = append(out, m[1])
		}
	}
	return out
}

func (o *initOptions) run(c *cobra.Command, args []string) error {
	all := examples()
	if o.list {
		if len(args) > 0 {
			return usageError{errors.New("--list takes no folder")}
		}
		w := c.OutOrStdout()
		var rows [][]string
		for _, e := range all {
			rows = append(rows, []string{page.Name.Of(e.name), e.about})
		}
		_, err := io.WriteString(w, page.Table(rows, page.Prose(w), page.Column{}, page.Column{Fit: page.Wrap}))
		return err
	}
	if o.from == "" {
		if err := o.choose(c, all); err != nil {
			return err
		}
	}
	var names []string
	for _, e := range all {
		if e.name == o.from {
			dir := "."
			if len(args) > 0 {
				dir = args[0]
			}
			return o.copy(c, e, dir)
		}
		names = append(names, e.name)
	}
	return fmt.Errorf("unknown scene %q: use one of %s", o.from, strings.Join(names, ", "))
}

// choose asks which example to begin with, where there is somebody to ask.
func (o *initOptions) choose(c *cobra.Command, all []example) error {
	in, ok := c.InOrStdin().(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) || !terminal(c.ErrOrStderr()) {
		return usageError{errors.New("pass --from to choose a scene, or --list to list them")}
	}
	var options []tui.Option
	for _, e := range all {
		options = append(options, tui.Option{Name: e.name, About: e.about})
	}
	var err error
	o.from, err = tui.Choose(c.Context(), in, c.ErrOrStderr(), "Begin with", options)
	if errors.Is(err, context.Canceled) {
		return exit{code: exitInterrupted}
	}
	return err
}

// copy writes an example's files below a folder: all of them, or none if one is there.
func (o *initOptions) copy(c *cobra.Command, e example, dir string) error {
	seen := map[string]bool{}
	var files []string
	for _, f := range e.files {
		if !seen[f] {
			seen[f] = true
			files = append(files, f)
		}
	}
	if !o.force {
		for _, f := range files {
			to := filepath.Join(dir, filepath.FromSlash(f))
			if _, err := os.Lstat(to); err == nil {
				return fmt.Errorf("%s is there already, and nothing was copied: --force replaces it", to)
			}
		}
	}
	for _, f := range files {
		to := filepath.Join(dir, filepath.FromSlash(f))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		in, err := scenes.Files.Open(path.Join(e.folder, f))
		if err != nil {
			return err
		}
		data, err := io.ReadAll(in)
		if err := errors.Join(err, in.Close(), writeNew(to, data, o.force)); err != nil {
			return err
		}
		fmt.Fprintln(c.OutOrStdout(), to)
	}
	return nil
}
