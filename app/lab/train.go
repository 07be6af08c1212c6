package lab

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/app"
	"github.com/eligen/eligen/dataset"
	"github.com/eligen/eligen/internal/annotated"
	"github.com/eligen/eligen/internal/files"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/backend"
	"github.com/eligen/eligen/model/family/nano"
	"github.com/eligen/eligen/model/weights"
	"github.com/eligen/eligen/train"
	"github.com/eligen/eligen/train/judge"
)

// A TrainRequest says how to run a recipe of a scene file.
type TrainRequest struct {
	Recipe  string // its name; "" is the file's only one
	Folder  string // of the training; "" is one below the lab's, by the recipe's name
	Model   string // folder of the model to start from; "" is what the recipe names
	Sprites string // folder; "" is the fetched one
	Format  string // that a LoRA is written in too; "" is none
	Backend string // "" is the default
	Smoke   bool   // a few steps on small pictures, of which nothing is kept; Folder and Format are ""

	App    *app.App // whose engine a model other than nano is trained by
	Memory int64    // bytes that such a training may take; 0 is the machine's, app.NoLimit is none

	// Devices is how many devices compute a step's pictures; 0 is one. Device returns the process of each but the first, which
	// calls ServeDevice with as many bytes of memory.
	Devices int
	Device  func(ctx context.Context, k int, memory int64) *exec.Cmd
}

// A Training is one that can be run. Close it when it is no longer used.
type Training struct {
	Recipe eligen.Recipe
	Device string // that it runs on
	Folder string

	request TrainRequest
	large   *large // of a model other than nano; else nil
	trainee *train.Trainee
	job     train.Job
	fresh   bool // no transformer depends on the latents yet
	classes []string
	label   func(annotated.Sample, annotated.Entity) string
	close   []func() error

	warnings eligen.Diagnostics
}

// Warnings are what doesn't keep the training from running, and must be said.
func (t *Training) Warnings() eligen.Diagnostics { return t.warnings }

// Plan opens what a training needs, and claims its folder.
func (l Lab) Plan(scene *eligen.Scene, r TrainRequest) (t *Training, err error) {
	t = &Training{request: r}
	defer func() {
		if err != nil {
			err = errors.Join(err, t.Close())
			t = nil
		}
	}()
	if t.Recipe, err = choose(scene, r.Recipe); err != nil {
		return t, err
	}
	if err = t.checkFormat(); err != nil {
		return t, err
	}
	if r.Smoke {
		t.Recipe = train.Smoke(t.Recipe)
	}
	if t.Recipe.Model.Family != "nano" {
		if err = t.place(l); err != nil {
			return t, err
		}
		return t, t.planLarge(l)
	}
	if r.Devices > 1 {
		return t, fmt.Errorf("--devices is for models that are trained picture by picture; nano's steps are one graph on one device, as "+
			"recipe %q has it: leave the flag out", t.Recipe.Name)
	}
	start := r.Model
	if start == "" {
		start = t.Recipe.Model.Path
	}
	if t.trainee, err = train.OpenTrainee(start, dataset.Words()); err != nil {
		return t, err
	}
	if err = t.place(l); err != nil {
		return t, err
	}
	return t, t.open(l)
}

// checkFormat refuses a format that the recipe's result can't be written in.
func (t *Training) checkFormat() error {
	f := t.request.Format
	switch {
	case f == "":
		return nil
	case !slices.Contains(weights.LoRAFormats, f):
		return app.Unknown("format", f, "format of LoRAs", weights.LoRAFormats)
	case loraFiles[t.Recipe.Kind] == "":
		return &app.InputError{Field: "format", Value: f, Problem: fmt.Sprintf("it is for LoRAs, and recipe %q trains none", t.Recipe.Name)}
	}
	return nil
}

// place chooses the training's folder.
func (t *Training) place(l Lab) (err error) {
	switch {
	case t.request.Smoke:
		if t.Folder, err = os.MkdirTemp("", "eligen-smoke-"); err == nil {
			t.close = append(t.close, func() error { return os.RemoveAll(t.Folder) })
		}
	case t.request.Folder != "":
		t.Folder = t.request.Folder
	case l.Folder == "":
		err = app.ErrNoFolder
	default:
		t.Folder = filepath.Join(l.Folder, "training", strings.ReplaceAll(t.Recipe.Name, " ", "-"))
	}
	return err
}

// open opens backend, pictures and the weights to start from.
func (t *Training) open(l Lab) error {
	device, info, err := backend.Open(t.request.Backend)
	if err != nil {
		return err
	}
	t.Device = info.Name
	samples, panels, err := l.samples(&t.Recipe, t.request.Sprites)
	if err != nil {
		return err
	}
	free, ok, err := files.Claim(t.Folder)
	if err != nil {
		return err
	}
	if !ok {
		return errBusy(t.Folder)
	}
	t.close = append(t.close, free)
	from, err := t.trainee.Start()
	if err != nil {
		return err
	}
	if t.request.Smoke {
		if from.Autoencoder == nil && !slices.Contains([]string{"autoencoder", "judge", "style"}, t.Recipe.Kind) {
			return errors.New("this build has no embedded weights to smoke-test the recipe on")
		}
		forget(from.Model, t.Recipe.Kind)
	}
	t.fresh = from.Model == nil
	t.classes, t.label = classNames(t.Recipe.Classes), func(_ annotated.Sample, e annotated.Entity) string { return e.Class }
	if t.Recipe.Kind == "style" {
		t.classes, t.label = dataset.StyleNames(), func(s annotated.Sample, _ annotated.Entity) string { return s.Style }
	}
	t.job = train.Job{Recipe: t.Recipe, Backend: device, Dir: t.Folder, Samples: samples, Panels: panels, Start: from, Export: t.export}
	return nil
}

func errBusy(folder string) error {
	return fmt.Errorf("another training is at work in %s. Two in one folder would overwrite each other's checkpoints: wait "+
		"until it is done, stop it (it writes a checkpoint first), or choose another folder", folder)
}

// forget removes the weights that a smoke test trains: what is trained well already would not get
// better in a minute.
func forget(model map[string]tensor.Tensor, kind string) {
	if slices.Contains([]string{"in-context", "ip", "vision"}, kind) {
		maps.DeleteFunc(model, func(name string, _ tensor.Tensor) bool { return strings.HasPrefix(name, kind+".") })
	}
}

// Run trains, or resumes an earlier training in the folder, and returns the files that it
// has written. report takes each line of the log, and pause a signal to pause or go on.
func (t *Training) Run(ctx context.Context, report func(train.Status), pause <-chan struct{}) ([]string, error) {
	if t.large != nil {
		return t.written(), t.large.run(ctx, t, report, pause)
	}
	j := t.job
	j.Report, j.Pause = report, pause
	if j.Recipe.Kind != "judge" && j.Recipe.Kind != "style" {
		return t.written(), train.Do(ctx, j)
	}
	samples, err := j.Samples(j.Recipe.Size, false)
	if err != nil {
		return nil, err
	}
	task := judge.Task(t.classes, t.label, j.Recipe, samples)
	return t.written(), train.Run(ctx, task, train.Options{
		Recipe: j.Recipe, Backend: j.Backend, Dir: j.Dir, Report: j.Report, Pause: j.Pause, Export: j.Export,
	})
}

func (t *Training) written() []string {
	if t.large != nil {
		return append(t.loras(), filepath.Join(t.Folder, "README.md"))
	}
	out := []string{filepath.Join(t.Folder, "model")}
	if t.request.Format != "" {
		out = append(out, filepath.Join(t.Folder, "README.md"), t.converted())
	}
	return out
}

// Close lets go of the training's folder, and removes that of a smoke test.
func (t *Training) Close() error {
	var err error
	for _, f := range slices.Backward(t.close) {
		err = errors.Join(err, f())
	}
	t.close = nil
	return err
}

// export writes a whole model with the weights that are trained so far.
func (t *Training) export(trained map[string]tensor.Tensor) error {
	quality, err := t.quality(trained)
	if err != nil {
		return err
	}
	if err := t.trainee.Take(t.Recipe.Kind, trained, quality, t.classes); err != nil {
		return err
	}
	if t.Recipe.Kind == "base" {
		teach(&t.trainee.Manifest, t.Recipe, t.fresh)
	}
	folder := filepath.Join(t.Folder, "model")
	if err := t.trainee.Write(folder); err != nil || t.request.Format == "" {
		return err
	}
	_, err = weights.ConvertLoRA(filepath.Join(folder, loraFiles[t.Recipe.Kind]), t.converted(), weights.LoRAConversion{
		Format: t.request.Format, Force: true, Card: true, About: t.about(),
	})
	return err
}

// about says what a LoRA is, for the file in another format and its model card.
func (t *Training) about() weights.About {
	return weights.About{
		Title: t.Recipe.Name, Architecture: "eligen-" + t.trainee.Manifest.Name,
		Resolution:  fmt.Sprintf("%dx%d", t.Recipe.Size.W, t.Recipe.Size.H),
		Description: "A LoRA of the kind " + t.Recipe.Kind + ", trained by eligen's recipe " + t.Recipe.Name + ".",
	}
}

// quality measures an autoencoder that no transformer depends on yet; nil for all else.
func (t *Training) quality(trained map[string]tensor.Tensor) (*train.Quality, error) {
	if t.Recipe.Kind != "autoencoder" || !t.fresh {
		return nil, nil
	}
	held, err := t.job.Samples(t.Recipe.Size, true)
	if err != nil {
		return nil, err
	}
	measured, err := train.Measure(t.job.Backend, t.job.Start.VAE, trained, held, 8, "")
	return &measured, err
}

// loraFiles are those of a model's files that a training of a LoRA writes.
var loraFiles = map[string]string{"eligen": nano.EliGenFile, "in-context": nano.InContextFile}

// converted returns where the training writes its LoRA in another format.
func (t *Training) converted() string {
	return filepath.Join(t.Folder, strings.TrimSuffix(loraFiles[t.Recipe.Kind], ".safetensors")+"-"+t.request.Format+".safetensors")
}

// teach notes what a training of the base shows. Pictures of a folder may show anything, and so may a
// model that was trained before it was noted.
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

// choose returns the recipe of a name, "" being the only one.
func choose(s *eligen.Scene, name string) (eligen.Recipe, error) {
	var names []string
	for _, r := range s.Recipes {
		names = append(names, r.Name)
	}
	switch {
	case len(names) == 0:
		return eligen.Recipe{}, fmt.Errorf("%s has no recipe block", s.Path)
	case name == "" && len(names) == 1:
		return s.Recipes[0], nil
	case name == "":
		return eligen.Recipe{}, fmt.Errorf("%s has several recipes: say which with --recipe, one of %s", s.Path, strings.Join(names, ", "))
	}
	if i := slices.Index(names, name); i >= 0 {
		return s.Recipes[i], nil
	}
	return eligen.Recipe{}, fmt.Errorf("%s has no recipe %q; it has %s", s.Path, name, strings.Join(names, ", "))
}
