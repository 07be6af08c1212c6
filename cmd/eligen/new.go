package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/eligen/eligen/app"
	"github.com/eligen/eligen/draft"
)

// newOptions are the flags of `eligen new`.
type newOptions struct {
	endpoint string
	model    string
	timeout  time.Duration
	refine   string
	out      string
	force    bool
}

func newNew() *cobra.Command {
	o := newOptions{}
	c := &cobra.Command{
		Use:   "new WORDS…",
		Short: "Write a scene from a description",
		Long: `Write a scene from a description in words: what is in the picture, and where.

Without --endpoint, rules read the words. They know the objects that the model nano was trained on, numbers, big
and small, backgrounds, and positions: left of, right of, above, below, on, in, in front of, behind, beside, in
the middle, at the top left. Unknown phrases are errors. Objects nano wasn't trained on stay, with a note.

With --endpoint, a language model reads them: any server with OpenAI's API, such as ollama or vLLM. Your words
go to this server and nowhere else. The key comes from ELIGEN_LLM_KEY, or else OPENAI_API_KEY. eligen checks the
answer, and asks for one correction if it is invalid.

--refine changes an existing scene; its comments and settings stay. The rules know: move X left, right, up or
down, or left of Y; make X bigger or smaller; remove X; add a Y left of X.

The scene goes to standard output, or to --out.`,
		Example: `eligen new "a cat on a tree, under the moon, in a meadow" > scene.hcl
eligen new --refine scene.hcl --out scene.hcl --force "move the cat to the left"
eligen new --endpoint http://localhost:11434/v1 --model qwen3 "a busy harbour at dawn"`,
		Args: some,
		RunE: withApp(o.run),
	}
	f := c.Flags()
	f.StringVar(&o.endpoint, "endpoint", "", "ask a language model at this `URL`, such as http://localhost:11434/v1")
	f.StringVar(&o.model, "model", "", "the `NAME` of the language model on its server")
	f.DurationVar(&o.timeout, "timeout", 2*time.Minute, "wait for the language model at most `TIME`")
	f.StringVar(&o.refine, "refine", "", "change this `SCENE`")
	f.StringVar(&o.out, "out", "", "write to this `FILE`")
	f.BoolVar(&o.force, "force", false, "let --out replace an existing file")
	return c
}

func (o *newOptions) run(c *cobra.Command, a *app.App, args []string) error {
	words := strings.Join(args, " ")
	switch {
	case o.model != "" && o.endpoint == "":
		return usageError{errors.New("--model needs --endpoint")}
	case o.force && o.out == "":
		return usageError{errors.New("--force needs --out")}
	case o.timeout <= 0:
		return usageError{fmt.Errorf("--timeout %s: pass more than 0", o.timeout)}
	}
	if o.out != "" && !o.force { // before anything is asked
		if _, err := os.Lstat(o.out); err == nil {
			return fmt.Errorf("%s is there already: --force replaces it", o.out)
		}
	}
	if o.refine != "" {
		out, warnings, err := a.Refine(c.Context(), app.RefineRequest{Input: app.Input{Path: o.refine}, Words: words, Model: o.languageModel()})
		warned(c, warnings)
		if err != nil {
			return err
		}
		return o.write(c, out)
	}
	name := ""
	if o.out != "" {
		name = strings.TrimSuffix(filepath.Base(o.out), ".hcl")
	}
	out, err := a.Draft(c.Context(), app.DraftRequest{Words: words, Name: name, Model: o.languageModel()})
	if err != nil {
		return err
	}
	return o.write(c, out)
}

// languageModel returns the language model to ask, or nil.
func (o *newOptions) languageModel() *draft.Model {
	if o.endpoint == "" {
		return nil
	}
	return &draft.Model{Endpoint: o.endpoint, Name: o.model, Key: languageKey(), Timeout: o.timeout}
}

// languageKey returns the key for a language model's server.
func languageKey() string {
	if key := os.Getenv("ELIGEN_LLM_KEY"); key != "" {
		return key
	}
	return os.Getenv("OPENAI_API_KEY")
}

// write writes the scene, and prints the notes.
func (o *newOptions) write(c *cobra.Command, made app.Drafted) error {
	if o.out == "" {
		if _, err := c.OutOrStdout().Write(made.Text); err != nil {
			return err
		}
	} else {
		if err := writeNew(o.out, made.Text, o.force); err != nil {
			return err
		}
		fmt.Fprintln(c.OutOrStdout(), o.out)
	}
	for _, n := range made.Notes {
		fmt.Fprintf(c.ErrOrStderr(), "Note: %s\n", n)
	}
	return nil
}

// writeNew makes a file, and replaces one only if asked to.
func writeNew(name string, data []byte, force bool) error {
	if old, err := os.ReadFile(name); err == nil && force {
		if bytes.Equal(old, data) {
			return nil
		}
		return rewrite(name, data)
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already: --force replaces it", name)
	}
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err := errors.Join(err, f.Close()); err != nil {
		os.Remove(name)
		return err
	}
	return nil
}
