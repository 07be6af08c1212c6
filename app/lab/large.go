package lab

import (
	"context"
	"errors"
	"fmt"
	"image/png"
	"io"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/app"
	"github.com/eligen/eligen/dataset"
	"github.com/eligen/eligen/internal/annotated"
	"github.com/eligen/eligen/internal/files"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/internal/words"
	"github.com/eligen/eligen/model/backend"
	"github.com/eligen/eligen/model/engine"
	"github.com/eligen/eligen/model/weights"
	"github.com/eligen/eligen/train"
)

// large is a training of a LoRA for a model that may be larger than memory: block by block, through the engine that
// makes pictures, over weights in whatever form they are.
type large struct {
	teacher app.Teacher
	spec    eligen.Spec
	samples annotated.Samples
	n       int // that are trained on
	held    int // that are validated by, after those
	takes   engine.Learning
	cache   string // folder
	devices int
}

// share gives each of several devices its part of a memory that they have in common.
func (x *large) share(r TrainRequest) (err error) {
	if x.devices == 1 || x.teacher.Memory == 0 || x.teacher.Backend().CUDA() {
		return nil
	}
	x.teacher, err = r.App.Teacher(r.Backend, x.teacher.Memory/int64(x.devices), fmt.Sprintf("a part for each of %d devices", x.devices))
	return err
}

// planLarge opens what such a training needs, and says what it takes.
func (t *Training) planLarge(l Lab) (err error) {
	if err := t.checkLarge(); err != nil {
		return err
	}
	x := &large{cache: filepath.Join(l.Folder, "lessons"), devices: max(1, t.request.Devices)}
	if x.teacher, err = t.request.App.Teacher(t.request.Backend, t.request.Memory, "--memory"); err != nil {
		return err
	}
	if err := x.share(t.request); err != nil {
		return err
	}
	t.Device = x.teacher.Backend().Name
	if x.spec, err = x.teacher.Spec(t.Recipe.Model, nil); err != nil {
		return err
	}
	t.warnings = append(t.warnings, x.spec.Warnings...)
	if err := x.open(l, &t.Recipe, t.request.Sprites); err != nil {
		return err
	}
	if err := x.hold(t.Recipe); err != nil {
		return err
	}
	shape, err := x.largest(t.Recipe)
	if err != nil {
		return err
	}
	if x.takes, err = x.teacher.LearningBytes(x.spec.Transformer, t.Recipe.Rank, shape); err != nil {
		return err
	}
	if limit := x.teacher.Memory; limit > 0 && x.takes.All > limit {
		return fmt.Errorf("this training takes %s, and %s allows %s: weights that pass through block by block %s, a picture of %d tokens %s, "+
			"the LoRA with its optimizer %s. Smaller pictures (\"size\"), a lower rank or weights in fewer bits (dtype = \"int8\") take less",
			words.Bytes(x.takes.All), x.teacher.From, words.Bytes(limit), words.Bytes(x.takes.Plan.Held+x.takes.Plan.Passing), shape.Image,
			words.Bytes(x.takes.Lesson), words.Bytes(x.takes.Optimizer))
	}
	free, ok, err := files.Claim(t.Folder)
	if err != nil {
		return err
	}
	if !ok {
		return errBusy(t.Folder)
	}
	t.close = append(t.close, free)
	t.large = x
	return nil
}

// checkLarge refuses what holds for nano alone.
func (t *Training) checkLarge() error {
	switch {
	case t.request.App == nil:
		return errors.New("a training of this model needs the engines of an app. This is a bug in eligen")
	case t.request.Smoke:
		return fmt.Errorf("--smoke cuts recipes of nano down to a minute; recipe %q trains %s: leave --smoke out, and set fewer \"steps\"",
			t.Recipe.Name, t.Recipe.Model.Family)
	case t.request.Devices > max(1, t.Recipe.Batch):
		return fmt.Errorf("a step of recipe %q has %d pictures (\"batch\"), and --devices %d would leave devices without one",
			t.Recipe.Name, max(1, t.Recipe.Batch), t.request.Devices)
	case t.request.Model != "":
		return fmt.Errorf("--model is a folder of nano's; recipe %q names a model of the family %s: leave the flag out",
			t.Recipe.Name, t.Recipe.Model.Family)
	}
	return nil
}

// open opens the pictures. Without a size, those of a folder keep their own.
func (x *large) open(l Lab, r *eligen.Recipe, sprites string) error {
	if r.Dataset != "" && r.Dataset != "composed" {
		folder, err := dataset.Read(r.Dataset, r.Size)
		if err != nil {
			return err
		}
		x.samples, x.n = folder.Sample, folder.Len()
		if r.Pictures > 0 {
			x.n = min(x.n, r.Pictures)
		}
		return nil
	}
	if r.Size == (eligen.Size{}) {
		r.Size = x.spec.Native
	}
	bySize, _, err := l.samples(r, sprites)
	if err != nil {
		return err
	}
	if x.samples, err = bySize(r.Size, false); err != nil {
		return err
	}
	if x.n = r.Pictures; x.n == 0 {
		x.n = min(1024, max(1, r.Steps*max(1, r.Batch)))
	}
	return nil
}

// hold keeps the last pictures out of the training.
func (x *large) hold(r eligen.Recipe) error {
	x.held = r.Validation.Pictures
	if r.Dataset == "" || r.Dataset == "composed" {
		return nil // there are as many as are asked for
	}
	if x.n -= x.held; x.n < 1 {
		return fmt.Errorf("recipe %q keeps %d pictures out of the training, and %s has %d", r.Name, x.held, r.Dataset, x.n+x.held)
	}
	return nil
}

// largest returns the shape of the lesson that takes most: its picture's tokens and those of its prompts.
func (x *large) largest(r eligen.Recipe) (s engine.LessonShape, err error) {
	most := 0
	for i := range x.n + x.held {
		sample, err := x.samples(i)
		if err != nil {
			return s, err
		}
		size := eligen.Size{W: sample.Image.Rect.Dx(), H: sample.Image.Rect.Dy()}
		of := engine.LessonShape{Image: x.spec.Geometry.Tokens(size), Text: x.spec.TextTokens(sample.Prompt, x.spec.Prompt)}
		if r.Regions > 0 {
			for _, e := range sample.Entities {
				of.Text += x.spec.TextTokens(e.Prompt, x.spec.EntityPrompt)
			}
		}
		if n := of.Image + of.Text; n > most {
			most, s = n, of
		}
		if r.Dataset == "" || r.Dataset == "composed" {
			if i == 15 {
				break // composed pictures are alike
			}
		}
	}
	return s, nil
}

// said says what the training will take, for people.
func (x *large) said() string {
	said := fmt.Sprintf("takes %s of memory: weights %s", words.Bytes(x.takes.All), words.Bytes(x.takes.Plan.Held))
	if x.takes.Plan.Passing > 0 {
		said += fmt.Sprintf(" and %s that pass through (%s read from the files in each pass, two passes a picture)",
			words.Bytes(x.takes.Plan.Passing), words.Bytes(x.takes.Plan.Read))
	}
	if x.devices > 1 {
		said = fmt.Sprintf("on each of %d devices, ", x.devices) + said
	}
	return said + fmt.Sprintf(", a picture %s, a LoRA of %.1f million numbers with its optimizer %s", words.Bytes(x.takes.Lesson),
		float64(x.takes.Parameters)/1e6, words.Bytes(x.takes.Optimizer))
}

// run trains, or resumes.
func (x *large) run(ctx context.Context, t *Training, report func(train.Status), pause <-chan struct{}) (err error) {
	report(train.Status{Of: t.Recipe.Steps, Note: x.said(), PeakMemory: x.takes.All})
	lessons := train.Lessons{Engine: x.teacher, Spec: x.spec, Samples: x.samples, N: x.n, Held: x.held, Cache: x.cache,
		Report: func(note string) { report(train.Status{Of: t.Recipe.Steps, Note: note}) }}
	devices, err := x.start(t)
	defer func() {
		for _, d := range devices {
			err = errors.Join(err, d.Close())
		}
	}()
	if err != nil {
		return err
	}
	for _, d := range devices {
		lessons.Devices = append(lessons.Devices, d)
	}
	task, err := lessons.Task(ctx, t.Recipe)
	if err != nil {
		return err
	}
	if d := t.Recipe.Validation.Drawn; d > 0 {
		drawer, err := t.request.App.Drawer(t.request.Backend, "")
		if err != nil {
			return err
		}
		task.Sheet = func(_ map[string]tensor.Tensor, path string) error { return x.sheet(ctx, t, drawer, d, path) }
	}
	device, _, err := backend.Open("go") // the optimizer's: it is small, and the engine has its own
	if err != nil {
		return err
	}
	defer device.Finalize()
	return train.Run(ctx, task, train.Options{
		Recipe: t.Recipe, Backend: device, Dir: t.Folder, Report: report, Pause: pause, Export: func(map[string]tensor.Tensor) error {
			return t.exportLoRA()
		},
	})
}

// start starts the other devices.
func (x *large) start(t *Training) (out []*train.Device, err error) {
	for k := 1; k < x.devices; k++ {
		d, err := train.StartDevice(fmt.Sprintf("device %d", k), func(ctx context.Context) *exec.Cmd {
			return t.request.Device(ctx, k, x.teacher.Memory)
		}, t.Recipe.Model, x.spec.Transformer)
		if err != nil {
			return out, err
		}
		out = append(out, d)
	}
	return out, nil
}

// ServeDevice computes lessons for a training in another process, which speaks to it through r and w.
func ServeDevice(ctx context.Context, a *app.App, backend string, memory int64, r io.Reader, w io.Writer) error {
	return train.ServeDevice(ctx, r, w, func(m eligen.Model) (train.Learner, eligen.Digest, error) {
		teacher, err := a.Teacher(backend, memory, "--memory")
		if err != nil {
			return nil, "", err
		}
		spec, err := teacher.Spec(m, nil)
		return teacher, spec.Transformer, err
	})
}

// sheet draws the first pictures that are not trained on with the LoRA that was written last, beside the originals.
func (x *large) sheet(ctx context.Context, t *Training, drawer *app.Drawer, n int, path string) error {
	lora, err := filepath.Abs(t.loras()[0])
	if err != nil {
		return err
	}
	var shown []annotated.Sample
	for i := range n {
		s, err := x.samples(x.n + i)
		if err != nil {
			return err
		}
		r := eligen.Render{
			Name: "validation", Address: "render.validation", Model: t.Recipe.Model, Prompt: s.Prompt, Seed: uint64(i),
			Size:     eligen.Size{W: s.Image.Rect.Dx(), H: s.Image.Rect.Dy()},
			Adapters: []eligen.Adapter{{Kind: "lora", Name: t.Recipe.Name, Path: lora, Scale: 1, Alpha: "file"}},
			Outputs:  []eligen.Output{{Path: "validation.png"}},
		}
		if steps := t.Recipe.Validation.Steps; steps > 0 {
			r.Sampler.Steps = &steps
		}
		if t.Recipe.Regions > 0 {
			for k, e := range s.Entities {
				name := fmt.Sprintf("of_%d", k+1)
				r.Entities = append(r.Entities, eligen.Entity{
					Name: name, Address: "entity." + name, Prompt: e.Prompt, Region: e.Region, Strength: 1,
				})
			}
		}
		drawn, err := drawer.Draw(ctx, r)
		if err != nil {
			return err
		}
		was := s
		s.Image = drawn[0]
		shown = append(shown, was, s)
	}
	return files.WriteFile(path, func(w io.Writer) error { return png.Encode(w, dataset.Sheet(shown, 2, true)) })
}

// exportLoRA writes the LoRA, which is the training's file of weights, as scenes and other programs read it, with its card.
func (t *Training) exportLoRA() error {
	for i, path := range t.loras() {
		format := weights.LoRAFormats[0]
		if i > 0 {
			format = t.request.Format
		}
		if _, err := weights.ConvertLoRA(filepath.Join(t.Folder, train.WeightsFile), path, weights.LoRAConversion{
			Format: format, Force: true, Card: i == 0, About: t.aboutLoRA(),
		}); err != nil {
			return err
		}
	}
	return nil
}

// loras returns where the LoRA is written: in the native format, and in another one that is asked for.
func (t *Training) loras() []string {
	name := strings.ReplaceAll(t.Recipe.Name, " ", "-")
	out := []string{filepath.Join(t.Folder, name+".safetensors")}
	if f := t.request.Format; f != "" && f != weights.LoRAFormats[0] {
		out = append(out, filepath.Join(t.Folder, name+"-"+f+".safetensors"))
	}
	return out
}

func (t *Training) aboutLoRA() weights.About {
	a := weights.About{Title: t.Recipe.Name, Description: fmt.Sprintf("EliGen's LoRA, of rank %d, trained by eligen's recipe %s on %s.",
		t.Recipe.Rank, t.Recipe.Name, filepath.Base(t.Recipe.Dataset))}
	if s := t.Recipe.Size; s != (eligen.Size{}) {
		a.Resolution = fmt.Sprintf("%dx%d", s.W, s.H)
	}
	return a
}
