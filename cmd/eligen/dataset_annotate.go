package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/eligen/eligen/app"
	"github.com/eligen/eligen/draft"
	"github.com/eligen/eligen/internal/words"
)

// annotateOptions are the flags of `eligen dataset annotate`.
type annotateOptions struct {
	app.AnnotateRequest
	endpoint, model string
	timeout         time.Duration
	price           string
	unchecked       bool
}

func newDatasetAnnotate() *cobra.Command {
	var o annotateOptions
	c := &cobra.Command{
		Use:   "annotate FOLDER",
		Short: "Have a model name the things in your pictures",
		Long: `Have a vision-language model name the things in a folder's pictures and say where they are, and write a dataset
that train reads, with the layouts as a scene.

The model is any behind OpenAI's API: Qwen2.5-VL or Qwen3-VL of vLLM, Ollama and others. The pictures go to this
server and nowhere else. The key comes from ELIGEN_LLM_KEY, or else OPENAI_API_KEY. A caption is
NAME.txt next to a picture, or the prompt by which eligen made it; the model is asked for others.

First the model is shown three rectangles, which tells how it writes boxes. Boxes that lie beyond a picture, are too
small or twice the same are left out, and each entity's crop is shown again: is this a …? Every answer is kept in
answers.jsonl before it is used: a run that is interrupted asks no question twice.`,
		Example: `eligen dataset annotate photos --endpoint http://localhost:8000/v1 --model Qwen/Qwen2.5-VL-7B-Instruct --out data
eligen dataset stats data
eligen dataset sheet data --boxes`,
		Args: exactly(1),
		RunE: withApp(o.run),
	}
	f := c.Flags()
	f.StringVar(&o.endpoint, "endpoint", "", "the server's `URL`, which ends in /v1 mostly")
	f.StringVar(&o.model, "model", "", "the server's `NAME` of the model")
	f.StringVar(&o.Out, "out", "", "write the dataset to this `FOLDER`")
	f.StringVar(&o.Boxes, "boxes", "", "the model writes boxes in this `FORM`, such as xyxy/1000 or xyxy/px (default found out)")
	f.IntVar(&o.Most, "most", 8, "at most `N` entities of a picture")
	f.BoolVar(&o.unchecked, "unchecked", false, "don't ask of each entity's crop what it is")
	f.IntVar(&o.Limit, "limit", 0, "only the first `N` pictures")
	f.IntVar(&o.Rate, "rate", 0, "ask at most `N` questions a minute")
	f.IntVar(&o.Retries, "retries", 6, "ask a busy server `N` times again")
	f.DurationVar(&o.timeout, "timeout", 5*time.Minute, "give up a question after `DURATION`")
	f.StringVar(&o.price, "price", "", "print the cost, at `IN,OUT` for a million tokens")
	return c
}

// prices reads --price.
func (o *annotateOptions) prices() (in, out float64, err error) {
	if o.price == "" {
		return 0, 0, nil
	}
	a, b, ok := strings.Cut(o.price, ",")
	in, err = strconv.ParseFloat(a, 64)
	out, also := strconv.ParseFloat(b, 64)
	if !ok || err != nil || also != nil || !(in >= 0 && out >= 0 && in < 1e9 && out < 1e9) {
		return 0, 0, fmt.Errorf("--price %s: pass two numbers, such as 0.15,0.60", o.price)
	}
	return in, out, nil
}

func (o *annotateOptions) run(c *cobra.Command, a *app.App, args []string) error {
	in, out, err := o.prices()
	switch {
	case err != nil:
		return usageError{err}
	case o.endpoint == "" || o.Out == "":
		return usageError{errors.New("pass --endpoint, the server with the model, and --out, the dataset's folder")}
	case o.Most < 1 || o.Most > 40:
		return usageError{fmt.Errorf("--most %d: pass from 1 to 40", o.Most)}
	case o.Limit < 0 || o.Rate < 0 || o.Retries < 0:
		return usageError{errors.New("--limit, --rate and --retries are 0 or more")}
	}
	o.Folder, o.Check = args[0], !o.unchecked
	o.Model = draft.Model{Endpoint: o.endpoint, Name: o.model, Key: languageKey(), Timeout: o.timeout}
	o.Report = func(done, of int, name, about string) {
		fmt.Fprintf(c.ErrOrStderr(), "%d of %d  %s: %s\n", done, of, name, about)
	}
	made, err := a.Annotate(c.Context(), o.AnnotateRequest)
	if made != nil {
		tellAnnotated(c.ErrOrStderr(), made, in, out, o.price != "")
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(c.OutOrStdout(), "%s: %s with %s\n",
		filepath.ToSlash(o.Out), counted(made.Pictures, "picture"), words.Count(made.Entities, "entity", "entities"))
	return nil
}

// tellAnnotated prints what was left out, and what the answers cost.
func tellAnnotated(w io.Writer, made *app.Annotated, in, out float64, priced bool) {
	if made.Boxes != "" {
		fmt.Fprintf(w, "Boxes: %s.\n", made.Boxes)
	}
	for _, l := range made.Left {
		fmt.Fprintf(w, "Left out: %s.\n", strings.TrimSuffix(l, "."))
	}
	for _, d := range made.Dropped {
		fmt.Fprintf(w, "Dropped: %s.\n", d)
	}
	fmt.Fprintf(w, "Asked %s; %d were answered before. %d tokens in, %d out", counted(made.Asked, "question"), made.Kept, made.In, made.Out)
	if priced {
		fmt.Fprintf(w, "; cost %.4f", (float64(made.In)*in+float64(made.Out)*out)/1e6)
	}
	fmt.Fprintln(w, ".")
}
