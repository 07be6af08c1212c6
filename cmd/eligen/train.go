package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/app"
	"github.com/eligen/eligen/dataset"
	"github.com/eligen/eligen/internal/annotated"
	"github.com/eligen/eligen/internal/files"
	"github.com/eligen/eligen/internal/page"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/backend"
	"github.com/eligen/eligen/model/family/nano"
	"github.com/eligen/eligen/model/weights"
	"github.com/eligen/eligen/train"
	"github.com/eligen/eligen/train/judge"
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
	smoke   bool
	json    bool
}

func newTrain() *cobra.Command {
	var o trainOptions
	c := &cobra.Command{
		Use:   "train RECIPE",
		Short: "Train a model, or EliGen's LoRA, by a recipe",
		Long: `Train a model, or EliGen's LoRA, by a recipe.

A training keeps its checkpoint, its log (log.jsonl) and sheets of samples in a folder, and goes on from the checkpoint when the same command is given again: after an interrupt (ctrl-c), a crash, or on another day. The folder "model" in it is a whole model with what was trained so far in its place; scenes and other recipes can start from it. A LoRA that is trained can be written in another format beside it, for other programs, by --format; later, by eligen models convert.

A running training pauses, and goes on again, at each signal SIGUSR1.`,
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
	f.StringVar(&o.backend, "backend", "", "train on `BACKEND`: go, xla:cpu or xla:cuda (default GOMLX_BACKEND, or the installed one, or go)")
	f.StringVar(&o.recipe, "recipe", "", "the recipe `NAME` of the file (default: its only one)")
	f.StringVar(&o.out, "out", "", "the training's `FOLDER` (default training/NAME in eligen's cache)")
	f.StringVar(&o.model, "model", "", "start from the model in this `FOLDER` (default: the one that the recipe names)")
	f.StringVar(&o.sprites, "sprites", "", "the `FOLDER` of sprites (default: where dataset fetch put them)")
	f.StringVar(&o.format, "format", "", "write the LoRA as `FORMAT` too, for other programs: native (DiffSynth-Studio), kohya or diffusers")
	f.BoolVar(&o.smoke, "smoke", false, "a few steps of the recipe on small pictures; fails if the loss does not fall")
	f.BoolVar(&o.json, "json", false, "print the log's lines instead of a progress line")
	return c
}

func (o *trainOptions) run(c *cobra.Command, a *app.App, args []string) (err error) {
	scene, warnings, err := a.Open(c.Context(), o.input(args[0]))
	warned(c, warnings)
	if err != nil {
		return err
	}
	r, err := o.choose(scene)
	if err != nil {
		return err
	}
	lora := loraFiles[r.Kind]
	if o.format != "" {
		switch {
		case !slices.Contains(weights.LoRAFormats, o.format):
			return fmt.Errorf("--format %s is no format of LoRAs; there are %s", o.format, strings.Join(weights.LoRAFormats, ", "))
		case lora == "":
			return fmt.Errorf("--format is for LoRAs, and recipe %q trains none", r.Name)
		case o.smoke:
			return errors.New("--smoke keeps nothing, so there is nothing to write in another --format: give one of the two")
		}
	}
	if o.smoke {
		if o.out != "" {
			return errors.New("--smoke keeps nothing, so --out would be empty: give one of the two")
		}
		r = train.Smoke(r)
	}
	start := o.model
	if start == "" {
		start = r.Model.Path
	}
	trainee, err := train.OpenTrainee(start, dataset.Words())
	if err != nil {
		return err
	}
	dir := o.out
	if dir == "" {
		if dir, err = cacheDir("training", strings.ReplaceAll(r.Name, " ", "-")); err != nil {
			return err
		}
	}
	if o.smoke {
		if dir, err = os.MkdirTemp("", "eligen-smoke-"); err != nil {
			return err
		}
		defer os.RemoveAll(dir)
	}
	backend, info, err := backend.Open(o.backend)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.ErrOrStderr(), "recipe %s on %s, in %s\n", r.Name, info.Name, dir)
	samples, panels, err := o.samples(&r)
	if err != nil {
		return err
	}
	free, ok, err := files.Claim(dir)
	if err != nil {
		return err
	}
	if !ok {
		return fmt.Errorf("another training is at work in %s. Two in one folder would overwrite each other's checkpoints: wait until it is done, stop it (it writes a checkpoint first), or give another --out", dir)
	}
	defer func() { err = errors.Join(err, free()) }()
	from, err := trainee.Start()
	if err != nil {
		return err
	}
	if o.smoke && from.Autoencoder == nil && !slices.Contains([]string{"autoencoder", "judge", "style"}, r.Kind) {
		return errors.New("this build has no embedded weights to smoke-test the recipe on")
	}
	if o.smoke { // what is trained well already would not get better in a minute
		maps.DeleteFunc(from.Model, func(name string, _ tensor.Tensor) bool {
			return r.Kind == "in-context" && strings.HasPrefix(name, "in-context.") ||
				r.Kind == "ip" && strings.HasPrefix(name, "ip.") || r.Kind == "vision" && strings.HasPrefix(name, "vision.")
		})
	}
	shown := newTrainProgress(c.ErrOrStderr(), c.OutOrStdout(), o.json)
	pause, stop := pauses()
	defer stop()
	classes, label := classNames(r.Classes), func(_ annotated.Sample, e annotated.Entity) string { return e.Class }
	if r.Kind == "style" {
		classes, label = dataset.StyleNames(), func(s annotated.Sample, _ annotated.Entity) string { return s.Style }
	}
	fresh := from.Model == nil // no transformer depends on the latents yet
	job := train.Job{
		Recipe: r, Backend: backend, Dir: dir, Samples: samples, Panels: panels, Start: from, Report: shown.add, Pause: pause,
		Export: func(w map[string]tensor.Tensor) error {
			var q *train.Quality
			if r.Kind == "autoencoder" && fresh {
				held, err := samples(r.Size, true)
				if err != nil {
					return err
				}
				measured, err := train.Measure(backend, from.VAE, w, held, 8, "")
				if err != nil {
					return err
				}
				q = &measured
			}
			if err := trainee.Take(r.Kind, w, q, classes); err != nil {
				return err
			}
			if r.Kind == "base" {
				teach(&trainee.Manifest, r, fresh)
			}
			if err := trainee.Write(filepath.Join(dir, "model")); err != nil || o.format == "" {
				return err
			}
			_, err := weights.ConvertLoRA(filepath.Join(dir, "model", lora), converted(dir, lora, o.format), o.format, true)
			return err
		},
	}
	waitFor(c.Context()) // a step of training is kept as a whole
	if r.Kind == "judge" || r.Kind == "style" {
		err = o.judge(c.Context(), job, classes, label)
	} else {
		err = train.Do(c.Context(), job)
	}
	shown.end()
	if err != nil {
		return err
	}
	if o.smoke {
		if !(shown.last < shown.first) {
			return exit{exitCheck, fmt.Errorf("the loss did not fall: %.4f at first, %.4f at last", shown.first, shown.last)}
		}
		fmt.Fprintf(c.OutOrStdout(), "loss %.4f → %.4f\n", shown.first, shown.last)
		return nil
	}
	fmt.Fprintln(c.OutOrStdout(), filepath.Join(dir, "model"))
	if o.format != "" {
		fmt.Fprintln(c.OutOrStdout(), converted(dir, lora, o.format))
	}
	return nil
}

// teach notes what a training of the base shows. Pictures of a folder may show anything,
// and so may a model that was trained before it was noted.
func teach(m *nano.Manifest, r eligen.Recipe, fresh bool) {
	if r.Dataset != "" && r.Dataset != "composed" {
		m.Taught = nil
		return
	}
	if m.Taught == nil && fresh {
		m.Taught = &nano.Taught{}
	}
	if m.Taught != nil {
		m.Taught.Add(classNames(r.Classes), dataset.WordsOf(r.Classes, r.Styles))
	}
}

// loraFiles are those of a model's files that a training of a LoRA writes.
var loraFiles = map[string]string{"eligen": nano.EliGenFile, "in-context": nano.InContextFile}

// converted is where a training writes its LoRA in another format.
func converted(dir, lora, format string) string {
	return filepath.Join(dir, strings.TrimSuffix(lora, ".safetensors")+"-"+format+".safetensors")
}

// judge trains one of evaluation's classifiers.
func (o *trainOptions) judge(ctx context.Context, j train.Job, classes []string, label func(annotated.Sample, annotated.Entity) string) error {
	samples, err := j.Samples(j.Recipe.Size, false)
	if err != nil {
		return err
	}
	t := judge.Task(classes, label, j.Recipe, samples)
	return train.Run(ctx, t, train.Options{Recipe: j.Recipe, Backend: j.Backend, Dir: j.Dir, Report: j.Report, Pause: j.Pause, Export: j.Export})
}

func classNames(n int) []string {
	var out []string
	for _, c := range dataset.Classes(n) {
		out = append(out, c.Name)
	}
	return out
}

// choose is the recipe that is meant.
func (o *trainOptions) choose(s *eligen.Scene) (eligen.Recipe, error) {
	var names []string
	for _, r := range s.Recipes {
		names = append(names, r.Name)
	}
	switch {
	case len(names) == 0:
		return eligen.Recipe{}, fmt.Errorf("%s has no recipe block", s.Path)
	case o.recipe == "" && len(names) == 1:
		return s.Recipes[0], nil
	case o.recipe == "":
		return eligen.Recipe{}, fmt.Errorf("%s has several recipes: say which with --recipe, one of %s", s.Path, strings.Join(names, ", "))
	}
	if i := slices.Index(names, o.recipe); i >= 0 {
		return s.Recipes[i], nil
	}
	return eligen.Recipe{}, fmt.Errorf("%s has no recipe %q; it has %s", s.Path, o.recipe, strings.Join(names, ", "))
}

// samples opens the recipe's dataset, and says in the recipe how many pictures a folder
// has. Only composed pictures come in panels.
func (o *trainOptions) samples(r *eligen.Recipe) (samples, panels func(size eligen.Size, held bool) (annotated.Samples, error), err error) {
	if r.Dataset != "" && r.Dataset != "composed" {
		if len(r.Styles) > 0 {
			return nil, nil, fmt.Errorf("recipe %q: \"styles\" says how composed pictures are drawn, and %s holds pictures that are there: leave one of the two out", r.Name, r.Dataset)
		}
		if r.Kind == "in-context" {
			return nil, nil, fmt.Errorf("recipe %q: an in-context LoRA is trained on composed pairs; a folder doesn't say what its pictures were before an object was painted", r.Name)
		}
		folder, err := dataset.Read(r.Dataset, eligen.Size{})
		if err != nil {
			return nil, nil, err
		}
		// More would be the same again.
		if r.Pictures == 0 || r.Pictures > folder.Len() {
			r.Pictures = folder.Len()
		}
		return func(size eligen.Size, held bool) (annotated.Samples, error) {
			f, err := folder.At(size)
			if err != nil {
				return nil, err
			}
			return f.Sample, nil
		}, nil, nil
	}
	sprites, err := openSprites(o.sprites, slices.Collect(maps.Keys(r.Styles))...)
	if err != nil {
		return nil, nil, err
	}
	composer := func(size eligen.Size, held bool, styles map[string]float64) (*dataset.Composer, error) {
		if size == (eligen.Size{}) {
			size = eligen.Size{W: 128, H: 128}
		}
		split := dataset.Train
		if held {
			split = dataset.Eval
		}
		return sprites.Composer(dataset.Options{Classes: r.Classes, Size: size, Seed: r.Seed, Split: split, Styles: styles})
	}
	panels = func(size eligen.Size, held bool) (annotated.Samples, error) {
		var styles map[string]float64
		if r.Kind == "in-context" {
			styles = r.Styles
		}
		c, err := composer(size, held, styles)
		if err != nil {
			return nil, err
		}
		return c.PairSample, nil
	}
	if r.Kind == "in-context" {
		return panels, nil, nil
	}
	return func(size eligen.Size, held bool) (annotated.Samples, error) {
		c, err := composer(size, held, r.Styles)
		if err != nil {
			return nil, err
		}
		return c.Sample, nil
	}, panels, nil
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

// working is the line of a training that has reported nothing for a while.
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
