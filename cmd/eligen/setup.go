package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/eligen/eligen/app"
	"github.com/eligen/eligen/hub"
	"github.com/eligen/eligen/internal/page"
	"github.com/eligen/eligen/internal/words"
	"github.com/eligen/eligen/model/backend"
)

// setupOptions are the flags of `eligen setup`.
type setupOptions struct {
	scene  string
	memory string
	card   string
	yes    bool
	json   bool
}

func newSetup() *cobra.Command {
	var o setupOptions
	c := &cobra.Command{
		Use:   "setup [KIT]",
		Short: "Show which weights fit here, and get them",
		Long: `Show which weights fit this machine, and set them up.

Without a KIT, setup looks at the machine and says which published weights draw on it: how much they take on the
disk, and in memory for a picture of 1024×1024 with two entities. It sends nothing and changes nothing.

With a KIT, it installs the fastest backend, writes a scene that names the weights, and downloads them after a yes;
--yes doesn't ask. What is there already isn't fetched again, and an interrupted download resumes.`,
		Example: `eligen setup
eligen setup flux-dev-fp8
# without a question, for another file
eligen setup flux-dev-q4 --yes`,
		Args: cobra.MaximumNArgs(1),
		RunE: withApp(o.run),
	}
	c.Flags().StringVar(&o.scene, "scene", "shelf.hcl", "write the scene to `FILE`")
	c.Flags().StringVar(&o.memory, "memory", "", "say what fits in `SIZE`, such as 12GiB (default this machine's memory)")
	c.Flags().StringVar(&o.card, "card", "", "say what fits a graphics card that isn't here: `CARD`, such as rtx4090")
	c.Flags().BoolVar(&o.yes, "yes", false, "don't ask")
	c.Flags().BoolVar(&o.json, "json", false, "print JSON")
	return c
}

func (o *setupOptions) run(c *cobra.Command, a *app.App, args []string) error {
	q := app.SetupRequest{Card: o.card}
	if o.memory != "" {
		n, err := readMemory(o.memory)
		if err != nil {
			return err
		}
		q.Memory = n
	}
	s, err := a.Setup(c.Context(), q)
	if err != nil {
		return err
	}
	if len(args) == 0 {
		if o.json {
			return page.JSON(c.OutOrStdout(), s)
		}
		return printSetup(c.OutOrStdout(), s)
	}
	kit, err := app.FindKit(args[0])
	if err != nil {
		return err
	}
	return o.setUp(c, a, s, kit)
}

// mostFound is how many of the models that are here already are listed.
const mostFound = 8

// printSetup prints a machine and what draws on it, on one screen.
func printSetup(w io.Writer, s app.Setup) error {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-11s %s\n", name, fmt.Sprintf(format, args...))
	}
	line("memory", "%s, by %s; %s", orUnknown(s.Memory), s.MemoryFrom, counted(s.Processors, "processor"))
	line("disk", "%s free for weights in %s", orUnknown(s.Free), s.Cache)
	token := "none; licences that have to be accepted need one: hf auth login, or HF_TOKEN"
	if s.Token {
		token = "there is one"
	}
	line("hub token", "%s", token)
	var ready, missing []string
	for _, x := range s.Backends {
		if x.Ready {
			ready = append(ready, x.Name)
		} else {
			missing = append(missing, x.Name)
		}
	}
	if len(missing) == 0 {
		missing = []string{"none"}
	}
	line("backends", "%s ready; not installed: %s", strings.Join(ready, ", "), strings.Join(missing, ", "))
	for i, f := range s.Found {
		name := ""
		if i == 0 {
			name = "here"
		}
		if i == mostFound {
			line(name, "and %d more models", len(s.Found)-i)
			break
		}
		line(name, "source = \"%s\"  %s", f.Source, page.Quiet.Of(f.What))
	}
	fmt.Fprintf(&b, "\nFor 1024×1024 with two entities on %s:\n\n", s.Backend)
	rows := [][]string{{"", "kit", "download", "memory", ""}, {" ", page.Name.Of("nano"), "none", "", "embedded; draws at once"}}
	for _, k := range s.Kits {
		mark, memory, what := " ", words.Bytes(k.Peak), k.Title+", "+k.Terms
		switch {
		case !k.Fits:
			memory = page.Removed.Of("too little")
		case k.Reads > 0:
			what += "; reads " + words.Bytes(k.Reads) + " in each step"
		case k.Suits:
			mark = page.Added.Of("*")
		}
		if s.Free > 0 && k.Download > s.Free {
			what += "; " + page.Removed.Of("more than the disk has free")
		}
		rows = append(rows, []string{mark, page.Name.Of(k.Name), words.Bytes(k.Download), memory, what})
	}
	b.WriteString(page.Table(rows, page.Columns(w),
		page.Column{Tight: true}, page.Column{}, page.Column{}, page.Column{}, page.Column{Fit: page.Wrap}))
	b.WriteString("\n* holds all it needs in memory. Set one up with: " + page.Name.Of("eligen setup KIT") + "\n")
	_, err := io.WriteString(w, b.String())
	return err
}

func orUnknown(n int64) string {
	if n == 0 {
		return "an unknown amount"
	}
	return words.Bytes(n)
}

// setUp sets a kit up, after a yes.
func (o *setupOptions) setUp(c *cobra.Command, a *app.App, s app.Setup, kit app.Kit) error {
	log := c.ErrOrStderr()
	var fit app.KitFit
	for _, k := range s.Kits {
		if k.Name == kit.Name {
			fit = k
		}
	}
	if !fit.Fits {
		return fmt.Errorf("%s doesn't fit: %s", kit.Name, fit.Problem)
	}
	fmt.Fprintf(log, "%s: about %s to download, %s of memory at the peak. Licence: %s\n",
		kit.Title, words.Bytes(fit.Download), words.Bytes(fit.Peak), kit.Terms)
	if kit.Page != "" {
		fmt.Fprintf(log, "Accept its licence first, on %s\n", kit.Page)
	}
	if !o.yes {
		ok, err := confirm(c.InOrStdin(), log, "Set it up? [y/N] ")
		if err != nil {
			return err
		}
		if !ok {
			return errors.New("nothing was changed; --yes sets it up without a question")
		}
	}
	if err := installFastest(c, s); err != nil {
		return err
	}
	progress, done := pullProgress(log)
	pulled, err := a.SetUp(c.Context(), app.KitRequest{Kit: kit, Scene: o.scene, Progress: func(_ string, p hub.Progress) { progress(p) }})
	done()
	if err != nil {
		return err
	}
	for _, p := range pulled {
		if p.Fetched == 0 {
			continue
		}
		fmt.Fprintf(log, "%s at %s: %s fetched\n", p.Repo, shortCommit(p.Revision), counted(p.Fetched, "file"))
	}
	fmt.Fprintf(log, "%s is written. Draw it with: %s\n", o.scene, page.Name.Of("eligen apply "+o.scene))
	_, err = fmt.Fprintln(c.OutOrStdout(), o.scene)
	return err
}

// installFastest installs XLA's backend where none is ready and this build can load it.
func installFastest(c *cobra.Command, s app.Setup) error {
	for _, x := range s.Backends {
		if x.Ready && x.Name != "go" || x.Chosen && x.Name != "go" {
			return nil
		}
	}
	if !cgoBuild || os.Getenv("GOMLX_BACKEND") != "" { // it can't, or another one was chosen
		return nil
	}
	log := c.ErrOrStderr()
	install := installOptions{}
	if _, _, err := install.installPlugin(c.Context(), "xla:cpu", log); err != nil {
		fmt.Fprintf(log, "The backend xla:cpu can't be installed, and go is used, which is slower: %v\n", err)
		return nil
	}
	return backend.SetDefault("xla:cpu")
}

// confirm asks a question that only y or yes answers with true. Where nobody can answer, it is an error.
func confirm(in io.Reader, out io.Writer, question string) (bool, error) {
	if f, ok := in.(*os.File); ok && page.Terminal(f) == nil {
		return false, errors.New("there is no terminal to ask on: say --yes to set it up")
	}
	fmt.Fprint(out, question)
	answer, err := bufio.NewReader(in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	answer = strings.ToLower(strings.TrimSpace(answer))
	return answer == "y" || answer == "yes", nil
}
