package app

import (
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/dataset"
	"github.com/eligen/eligen/dataset/annotate"
	"github.com/eligen/eligen/draft"
	"github.com/eligen/eligen/dsl"
	"github.com/eligen/eligen/internal/annotated"
	"github.com/eligen/eligen/internal/files"
	"github.com/eligen/eligen/internal/pixels"
	"github.com/eligen/eligen/internal/words"
	"github.com/eligen/eligen/layouts"
)

// An AnnotateRequest says which pictures to annotate, and whom to ask.
type AnnotateRequest struct {
	Folder  string // with pictures, and captions as NAME.txt next to them where they have some
	Out     string // folder of the dataset
	Model   draft.Model
	Boxes   string // one of annotate.Forms; "" is found out
	Most    int    // entities of a picture
	Check   bool   // ask of each entity's crop
	Limit   int    // pictures; 0 is all
	Rate    int    // questions a minute; 0 is no limit
	Retries int    // of a question that a busy server refuses
	// Report takes what has become of a picture. Nil: nobody listens.
	Report func(done, of int, name, about string)
}

// An Annotated is what came of a folder.
type Annotated struct {
	Boxes    string // the form of the model's boxes
	Pictures int    // in the dataset
	Entities int
	Left     []string // pictures without an entity, and why
	Dropped  []string // things that are no entities, and why
	Asked    int      // questions
	Kept     int      // questions that were answered in an earlier run
	In, Out  int64    // tokens of this run
}

// Annotate has a model name the things in a folder's pictures. Every answer is kept in answers.jsonl in the
// dataset's folder before it is used: a run that is interrupted asks no question again.
func (a *App) Annotate(ctx context.Context, r AnnotateRequest) (*Annotated, error) {
	names, err := pictureFiles(r.Folder)
	if err != nil {
		return nil, err
	}
	if r.Limit > 0 {
		names = names[:min(len(names), r.Limit)]
	}
	if _, err := os.Stat(filepath.Join(r.Out, "metadata.json")); err == nil {
		return nil, fmt.Errorf("%s already holds a dataset; choose another folder, or remove its metadata.json", r.Out)
	}
	if err := os.MkdirAll(r.Out, 0o755); err != nil {
		return nil, err
	}
	log, err := annotate.OpenLog(filepath.Join(r.Out, "answers.jsonl"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	by := &annotate.Annotator{Log: log, Model: r.Model.Name, Boxes: r.Boxes, Most: r.Most, Check: r.Check, Ask: asker(r)}
	out := &Annotated{}
	count := func() { out.Asked, out.Kept, out.In, out.Out = by.Asked, by.Kept, by.In, by.Out }
	defer count()
	if out.Boxes, err = by.Calibrate(ctx); err != nil {
		return out, err
	}
	var made []annotation
	for i, name := range names {
		m, about, err := a.annotateOne(ctx, by, filepath.Join(r.Folder, name))
		if err != nil {
			return out, fmt.Errorf("%s: %w", name, err)
		}
		for _, d := range m.about.Dropped {
			out.Dropped = append(out.Dropped, name+": "+d)
		}
		if len(m.about.Entities) == 0 {
			out.Left = append(out.Left, name+": "+about)
		} else {
			made = append(made, m)
			out.Entities += len(m.about.Entities)
		}
		if r.Report != nil {
			r.Report(i+1, len(names), name, about)
		}
	}
	if out.Pictures = len(made); len(made) == 0 {
		return out, errors.New("no picture has an entity: there is no dataset")
	}
	return out, writeAnnotated(r.Out, made)
}

// An annotation is a picture's, and where it lies.
type annotation struct {
	path  string
	about annotate.Annotation
	size  eligen.Size
}

// pictureFiles lists a folder's pictures.
func pictureFiles(folder string) (names []string, err error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		ext := strings.ToLower(filepath.Ext(e.Name()))
		if e.Type().IsRegular() && slices.Contains([]string{".png", ".jpg", ".jpeg", ".webp"}, ext) {
			names = append(names, e.Name())
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("%s has no pictures: PNG, JPEG or WebP files", folder)
	}
	return names, nil
}

// annotateOne asks about a picture.
func (a *App) annotateOne(ctx context.Context, by *annotate.Annotator, path string) (m annotation, about string, err error) {
	img, err := openPicture(path)
	if err != nil { // the others may still be pictures
		return m, "can't be read: " + err.Error(), ctx.Err()
	}
	caption, err := captionOf(path)
	if err != nil {
		return m, "", err
	}
	m = annotation{path: path, size: eligen.Size{W: img.Rect.Dx(), H: img.Rect.Dy()}}
	m.about, err = by.Annotate(ctx, filepath.Base(path), caption, img)
	var silent annotate.Silent
	switch {
	case errors.As(err, &silent):
		m.about.Entities = nil
		return m, silent.Error(), nil
	case err != nil:
		return m, "", err
	case len(m.about.Entities) == 0:
		return m, "nothing in it can be an entity", nil
	}
	return m, words.Count(len(m.about.Entities), "entity", "entities"), nil
}

// captionOf returns the text next to a picture, or else the prompt by which eligen made it.
func captionOf(path string) (string, error) {
	text, err := files.Read(strings.TrimSuffix(path, filepath.Ext(path))+".txt", maxCaption)
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return string(text), err
	}
	f, err := files.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	r, err := RecordOf(f, path)
	if err != nil || r.Still == nil { // nobody's prompt that is known
		return "", nil
	}
	return r.Still.Prompt, nil
}

// maxCaption is the longest caption that is read, in bytes.
const maxCaption = 64 << 10

// openPicture reads a picture that people bring.
func openPicture(path string) (*image.NRGBA, error) {
	data, err := files.Read(path, layouts.MaxBytes)
	if err != nil {
		return nil, err
	}
	f, err := pixels.Open(data)
	if err != nil {
		return nil, err
	}
	img, err := f.Picture()
	if err != nil {
		return nil, err
	}
	return pixels.Over(img, color.NRGBA{255, 255, 255, 255}), nil
}

// asker asks a model, no faster than it may, and again where its server is busy.
func asker(r AnnotateRequest) func(ctx context.Context, question string, picture []byte) (string, int64, int64, error) {
	var last time.Time
	return func(ctx context.Context, question string, picture []byte) (string, int64, int64, error) {
		for try := 0; ; try++ {
			if r.Rate > 0 {
				if err := pause(ctx, time.Until(last.Add(time.Minute/time.Duration(r.Rate)))); err != nil {
					return "", 0, 0, err
				}
				last = time.Now()
			}
			reply, err := r.Model.Look(ctx, question, picture)
			var none draft.NoAnswer
			if errors.As(err, &none) {
				return "", 0, 0, annotate.Silent{Err: err}
			}
			after, busy := draft.Busy(err)
			if !busy || try >= r.Retries {
				return reply.Text, reply.In, reply.Out, err
			}
			if after < 0 {
				after = time.Second << min(try, 6)
			}
			if err := pause(ctx, after); err != nil {
				return "", 0, 0, err
			}
		}
	}
}

// pause waits, or until ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// writeAnnotated writes a dataset, and its pictures' layouts as a scene.
func writeAnnotated(dir string, made []annotation) error {
	if err := writeScenes(filepath.Join(dir, "scenes.hcl"), made); err != nil {
		return err
	}
	return dataset.Write(dir, func(i int) (annotated.Sample, error) {
		m := made[i]
		img, err := openPicture(m.path)
		if err != nil {
			return annotated.Sample{}, err
		}
		s := annotated.Sample{Name: sceneStem(m.path), Image: img, Prompt: m.about.Prompt}
		for _, e := range m.about.Entities {
			s.Entities = append(s.Entities, annotated.Entity{Prompt: e.Prompt, Region: eligen.Box(e.Box[0], e.Box[1], e.Box[2], e.Box[3])})
		}
		return s, nil
	}, len(made))
}

// writeScenes writes the layouts of pictures: a render each.
func writeScenes(path string, made []annotation) error {
	r := &layouts.Reading{File: filepath.Base(path), Format: "a model's answers", Verdict: layouts.Import,
		Convention: layouts.Convention{Order: "x0 y0 x1 y1", Unit: "fraction"}}
	for _, m := range made {
		s := layouts.Scene{Name: sceneStem(m.path), Prompt: &m.about.Prompt, Canvas: &layouts.Canvas{W: m.size.W, H: m.size.H, From: "picture"}}
		for _, e := range m.about.Entities {
			s.Entities = append(s.Entities, layouts.Boxed(e.Prompt, e.Box))
		}
		r.Scenes = append(r.Scenes, s)
	}
	w, err := layouts.Write(r, sceneStem(path), layouts.Answer{})
	if err != nil {
		return err
	}
	text, ds := dsl.Format(path, w.Text)
	if err := ds.Err(); err != nil {
		return fmt.Errorf("the scene that was made is not valid, which is a mistake of eligen's: %w", err)
	}
	return files.WriteBytes(path, text)
}
