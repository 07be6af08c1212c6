package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"slices"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/eligen/eligen/app"
	"github.com/eligen/eligen/app/lab"
	"github.com/eligen/eligen/internal/page"
	"github.com/eligen/eligen/train"
)

// trainOptions are the flags of `eligen train`.
type trainOptions struct {
	sceneOptions
	backend string
	recipe  string
	out     string
	model   string
	sprites string
	format  string
	memory  string
	devices int
	smoke   bool
	json    bool
}

func newTrain() *cobra.Command {
	var o trainOptions
	c := &cobra.Command{
		Use:   "train RECIPE",
		Short: "Train a model or a LoRA by a recipe",
		Long: `Train a model, or EliGen's LoRA, by a recipe.

A training keeps a checkpoint, its log (log.jsonl) and sheets of samples in a folder. Run the same command
again, and it resumes from the checkpoint: after an interrupt (ctrl+c), a crash, or on another day. Its folder
"model" is a whole model with the weights trained so far; scenes and other recipes can start from it. With
--format, a LoRA is also written in another format, for other programs; "eligen models convert" does that later.

A running training pauses at a signal SIGUSR1, and resumes at the next.`,
		Example: `eligen train recipes/autoencoder.hcl
eligen train recipes/base.hcl --model ~/.cache/eligen/training/autoencoder/model
# a minute's worth, to see that it works
eligen train recipes/eligen.hcl --smoke`,
		Args:              exactly(1),
		ValidArgsFunction: complete("hcl"),
		RunE:              withApp(o.run),
	}
	o.flags(c)
	f := c.Flags()
	backendFlag(f, &o.backend)
	f.StringVar(&o.recipe, "recipe", "", "the recipe `NAME` of the file (default its only one)")
	f.StringVar(&o.out, "out", "", "the training's `FOLDER` (default training/NAME in eligen's cache)")
	f.StringVar(&o.model, "model", "", "start from the model in this `FOLDER` (default the recipe's)")
	f.StringVar(&o.sprites, "sprites", "", "the `FOLDER` of sprites (default where dataset fetch puts them)")
	f.StringVar(&o.format, "format", "", "also write the LoRA as `FORMAT`: native (DiffSynth-Studio), kohya or diffusers")
	f.StringVar(&o.memory, "memory", "", "limit a training of another model than nano to `SIZE`, as 16GiB, or any (default the machine's)")
	f.IntVar(&o.devices, "devices", 1, "compute a step's pictures on `N` devices at once: graphics cards, or processes")
	f.BoolVar(&o.smoke, "smoke", false, "run a few steps on small pictures; fail if the loss does not fall")
	f.BoolVar(&o.json, "json", false, "print the log instead of progress")
	return c
}

func (o *trainOptions) run(c *cobra.Command, a *app.App, args []string) (err error) {
	t, err := o.plan(c, a, args[0])
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.Close()) }()
	shown := newTrainProgress(c.ErrOrStderr(), c.OutOrStdout(), o.json)
	pause, stop := pauses()
	defer stop()
	waitFor(c.Context()) // a step of training is kept as a whole
	files, err := t.Run(c.Context(), shown.add, pause)
	shown.end()
	if err != nil {
		return err
	}
	if o.smoke {
		return fallen(c.OutOrStdout(), shown.first, shown.last)
	}
	for _, f := range files {
		fmt.Fprintln(c.OutOrStdout(), f)
	}
	return nil
}

// plan opens what a training needs, and says where it runs and what it takes.
func (o *trainOptions) plan(c *cobra.Command, a *app.App, path string) (*lab.Training, error) {
	if o.smoke && o.format != "" {
		return nil, errors.New("--smoke keeps nothing to write in another --format: pass one of the two")
	}
	if o.smoke && o.out != "" {
		return nil, errors.New("--smoke keeps nothing, so --out would be empty: pass one of the two")
	}
	scene, warnings, err := a.Open(c.Context(), o.input(path))
	warned(c, warnings)
	if err != nil {
		return nil, err
	}
	memory, err := readMemory(o.memory)
	if err != nil {
		return nil, err
	}
	if o.devices < 1 {
		return nil, usageError{fmt.Errorf("--devices %d: a training needs one", o.devices)}
	}
	t, err := newLab().Plan(scene, lab.TrainRequest{
		Recipe: o.recipe, Folder: o.out, Model: o.model, Sprites: o.sprites, Format: o.format, Backend: o.backend, Smoke: o.smoke,
		App: a, Memory: memory, Devices: o.devices, Device: devices(o.backend, o.devices),
	})
	if err != nil {
		return nil, err
	}
	warned(c, t.Warnings())
	fmt.Fprintf(c.ErrOrStderr(), "recipe %s on %s, in %s\n", t.Recipe.Name, t.Device, t.Folder)
	return t, nil
}

// fallen prints how the loss of a smoke test fell; that it didn't is an error.
func fallen(w io.Writer, first, last float64) error {
	if !(last < first) {
		return exit{exitCheck, fmt.Errorf("the loss did not fall: %.4f at first, %.4f at last", first, last)}
	}
	_, err := fmt.Fprintf(w, "loss %.4f → %.4f\n", first, last)
	return err
}

// newLab returns where trainings and sprites are kept.
func newLab() lab.Lab {
	dir, err := cacheDir()
	if err != nil {
		dir = "" // a training without a folder of its own returns ErrNoFolder
	}
	return lab.Lab{Folder: dir}
}

// pauses turns signals into what train.Options.Pause takes.
func pauses() (<-chan struct{}, func()) {
	signals := make(chan os.Signal, 1)
	notifyPause(signals)
	out := make(chan struct{}, 1)
	go func() {
		for range signals {
			select {
			case out <- struct{}{}:
			default: // a signal is already waiting
			}
		}
	}()
	return out, func() { signal.Stop(signals); close(signals) }
}

// trainProgress shows a training: one line written over on a terminal, a line a
// report elsewhere and one when none has come for long, or the log's own lines.
type trainProgress struct {
	w, out      io.Writer
	json, live  bool
	first, last float64
	began       time.Time
	beganAt     int

	mu    sync.Mutex
	at    train.Status
	pulse *pulse // nil: on a terminal, or ended
}

func newTrainProgress(w, out io.Writer, json bool) *trainProgress {
	p := &trainProgress{w: w, out: out, json: json, live: terminal(w)}
	if !p.live && !json {
		p.pulse = beat(w, 15*time.Second, p.working)
	}
	return p
}

// working returns the line for a training that has reported nothing for a while.
func (p *trainProgress) working(silent time.Duration) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	since := silent.Round(time.Second)
	if p.at.Of == 0 {
		return fmt.Sprintf("no step yet: samples are made and graphs compiled, for %s", since)
	}
	return fmt.Sprintf("after step %d/%d, for %s", p.at.Step, p.at.Of, since)
}

func (p *trainProgress) add(s train.Status) {
	p.mu.Lock()
	p.at = s
	p.mu.Unlock()
	if s.Note == "" {
		if p.first == 0 {
			p.first = s.Loss
		}
		p.last = s.Loss
	}
	if p.json {
		line, _ := json.Marshal(s)
		fmt.Fprintln(p.out, string(line))
		return
	}
	line := fmt.Sprintf("step %d/%d", s.Step, s.Of)
	if s.Note != "" {
		line += "  " + s.Note
	} else {
		if p.began.IsZero() {
			p.began, p.beganAt = time.Now(), s.Step
		}
		line += fmt.Sprintf("  loss %.4f", s.Loss)
		for _, k := range slices.Sorted(maps.Keys(s.Measures)) {
			line += fmt.Sprintf("  %s %.4f", k, s.Measures[k])
		}
		line += fmt.Sprintf("  rate %.2g  %.1f pictures/s  %d seen", s.Rate, s.Speed, s.Pictures)
		if n := s.Step - p.beganAt; n > 0 {
			left := time.Duration(float64(time.Since(p.began)) / float64(n) * float64(s.Of-s.Step))
			line += "  " + left.Round(time.Second).String() + " left"
		}
	}
	if p.live && s.Note == "" {
		_ = page.Redraw(p.w, line) // a terminal that is gone stops no training
		return
	}
	if p.live {
		_ = page.Redraw(p.w, "")
	}
	if p.pulse != nil {
		p.pulse.print(line)
		return
	}
	fmt.Fprintln(p.w, line)
}

func (p *trainProgress) end() {
	switch {
	case p.pulse != nil:
		p.pulse.stop()
		p.pulse = nil
	case p.live && !p.json:
		fmt.Fprintln(p.w)
	}
}
