package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/dataset"
	"github.com/eligen/eligen/draft"
	"github.com/eligen/eligen/dsl"
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
		Short: "Make a scene from words",
		Long: `Make a scene from words: what is in the picture, and where.

Without --endpoint, rules do it. They know the things that the model nano was taught, numbers, big and small, backgrounds, and plain phrases of place: left of, right of, above, below, on, in, in front of, behind, beside, in the middle, at the top left. What they don't understand is an error; what nano was not taught is kept, and said.

With --endpoint, a language model does it: any server that speaks as OpenAI's does, as ollama and vLLM. The words go there, and nowhere else. A key is taken from ELIGEN_LLM_KEY, else OPENAI_API_KEY. What the model answers is checked, and sent back once if it is wrong.

--refine changes a scene that is there; comments and settings in it stay. The rules know: move X left, right, up or down, or left of Y; make X bigger or smaller; remove X; add a Y left of X.

The scene goes to standard output, or to --out.`,
		Example: `eligen new "a cat on a tree, under the moon, in a meadow" > scene.hcl
eligen new --refine scene.hcl --out scene.hcl --force "move the cat to the left"
eligen new --endpoint http://localhost:11434/v1 --model qwen3 "a busy harbour at dawn"`,
		Args: some,
		RunE: o.run,
	}
	f := c.Flags()
	f.StringVar(&o.endpoint, "endpoint", "", "ask a language model at this `URL`, as http://localhost:11434/v1")
	f.StringVar(&o.model, "model", "", "the language model's `NAME` on its server")
	f.DurationVar(&o.timeout, "timeout", 2*time.Minute, "let the language model take at most `TIME`")
	f.StringVar(&o.refine, "refine", "", "change this `SCENE`")
	f.StringVar(&o.out, "out", "", "write to this `FILE`")
	f.BoolVar(&o.force, "force", false, "let --out replace a file")
	return c
}

func (o *newOptions) run(c *cobra.Command, args []string) error {
	words := strings.Join(args, " ")
	switch {
	case o.model != "" && o.endpoint == "":
		return usageError{errors.New("--model is of a language model, and needs --endpoint")}
	case o.force && o.out == "":
		return usageError{errors.New("--force is about --out")}
	case o.timeout <= 0:
		return usageError{fmt.Errorf("--timeout %s is no time to answer in", o.timeout)}
	}
	if o.out != "" && !o.force { // before anything is asked
		if _, err := os.Lstat(o.out); err == nil {
			return fmt.Errorf("%s is there already: --force replaces it", o.out)
		}
	}
	if o.refine != "" {
		return o.change(c, words)
	}
	var d draft.Draft
	var notes []string
	var err error
	if o.endpoint == "" {
		d, notes, err = draft.Plan(words, vocabulary())
	} else {
		d, notes, err = o.languageModel().Plan(c.Context(), words, vocabulary())
	}
	if err != nil {
		return err
	}
	if o.out != "" {
		d.Called(strings.TrimSuffix(filepath.Base(o.out), ".hcl"))
	}
	text := d.HCL()
	// What would be made is read as any scene is, before anybody gets it.
	_, ds := reread(c.Context(), os.TempDir(), text)
	if err := c.Context().Err(); err != nil {
		return err
	}
	if ds.HasErrors() {
		return fmt.Errorf("the scene that was made is not valid, which is a mistake of eligen's: %w", ds.Err())
	}
	return o.write(c, text, notes)
}

// change is --refine.
func (o *newOptions) change(c *cobra.Command, words string) error {
	if strings.HasSuffix(strings.ToLower(o.refine), ".json") {
		return errors.New("scenes in JSON are not refined; write it as .hcl")
	}
	var vars sceneOptions
	scene, err := vars.load(c, o.refine)
	if err != nil {
		return err
	}
	src, err := os.ReadFile(o.refine)
	if err != nil {
		return err
	}
	before, err := draft.Of(scene, src)
	if err != nil {
		return err
	}
	var after draft.Draft
	var notes []string
	if o.endpoint == "" {
		after, notes, err = draft.Edit(before, words, vocabulary())
	} else {
		after, notes, err = o.languageModel().Refine(c.Context(), before, words, vocabulary())
	}
	if err != nil {
		return err
	}
	text, err := draft.Rewrite(src, before, after)
	if err != nil {
		return err
	}
	text, ds := dsl.Format(o.refine, text)
	if err := ds.Err(); err != nil {
		return fmt.Errorf("%s is written in a way that can't be changed by words: %w", o.refine, err)
	}
	// Lines were changed: whether they say what was meant is seen by reading them.
	got, ds := reread(c.Context(), filepath.Dir(o.refine), text)
	if err := c.Context().Err(); err != nil {
		return err
	}
	if err := ds.Err(); err != nil {
		return fmt.Errorf("the change does not fit the rest of %s: %w", o.refine, err)
	}
	if why := after.Same(got, text); why != "" {
		return fmt.Errorf("%s is written in a way that can't be changed by words (%s): change it by hand", o.refine, why)
	}
	return o.write(c, text, notes)
}

func (o *newOptions) languageModel() draft.Model {
	key := os.Getenv("ELIGEN_LLM_KEY")
	if key == "" {
		key = os.Getenv("OPENAI_API_KEY")
	}
	return draft.Model{Endpoint: o.endpoint, Name: o.model, Key: key, Timeout: o.timeout}
}

// reread reads a scene's text as a file in a folder, where what it names is.
func reread(ctx context.Context, dir string, text []byte) (*eligen.Scene, eligen.Diagnostics) {
	var ds eligen.Diagnostics
	f, err := os.CreateTemp(dir, ".new-*.hcl")
	if err != nil {
		ds.Errorf(nil, "No place for a file", "%v.", err)
		return nil, ds
	}
	defer os.Remove(f.Name())
	_, err = f.Write(text)
	if err := errors.Join(err, f.Close()); err != nil {
		ds.Errorf(nil, "No place for a file", "%v.", err)
		return nil, ds
	}
	return dsl.Load(ctx, f.Name(), dsl.Vars{Env: os.LookupEnv})
}

// write gives the scene out, and then what is to be said of it.
func (o *newOptions) write(c *cobra.Command, text []byte, notes []string) error {
	if o.out == "" {
		if _, err := c.OutOrStdout().Write(text); err != nil {
			return err
		}
	} else {
		if err := writeNew(o.out, text, o.force); err != nil {
			return err
		}
		fmt.Fprintln(c.OutOrStdout(), o.out)
	}
	for _, n := range notes {
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

// vocabulary is what nano was taught, by the pictures that it was trained on.
func vocabulary() draft.Vocabulary {
	v := draft.Vocabulary{Of: "nano", Words: dataset.MaxTokens}
	for _, c := range dataset.Classes(0) {
		v.Objects = append(v.Objects, draft.Object{Name: c.Name, Also: c.Also, Bare: c.Bare, Sky: c.Sky})
	}
	known := dataset.Backgrounds()
	places := known
	for _, a := range known {
		for _, b := range known {
			if g, err := dataset.BackgroundNamed(a.Name + " to " + b.Name); err == nil {
				places = append(places, g)
			}
		}
	}
	for _, b := range places {
		v.Backgrounds = append(v.Backgrounds, draft.Background{Name: b.Name, Phrase: b.Phrase, At: b.Place})
	}
	return v
}
