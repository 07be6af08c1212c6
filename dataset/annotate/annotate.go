// Package annotate has a vision-language model name the things in pictures and say where they are, as
// EliGen's own training set was made. It asks, checks and keeps the answers; who is asked is the caller's.
package annotate

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"strings"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/pixels"
)

// An Annotator asks about pictures.
type Annotator struct {
	// Ask sends a question about a PNG. An error that is a [Silent] is the picture's; others end the work.
	Ask   func(ctx context.Context, question string, picture []byte) (text string, in, out int64, err error)
	Log   *Log
	Model string // whose answers they are: another model is asked again
	Boxes string // one of Forms; "" is found out by Calibrate
	Most  int    // entities of a picture
	Check bool   // ask of each thing's crop whether it is one

	Asked, Kept int   // questions that were sent, and that were answered before
	In, Out     int64 // tokens of those that were sent

	form form
}

// A Silent is the error of a question that the model doesn't answer: it refuses, or was cut off.
type Silent struct{ Err error }

func (e Silent) Error() string { return e.Err.Error() }

// An Annotation is what came of a picture.
type Annotation struct {
	Prompt   string
	Entities []Entity
	Dropped  []string // things that were named and can't be entities, and why
}

// Questions.
const (
	describe = "Describe this picture in one sentence, as it would be said to a painter: what is in it, where, and how it is drawn. " +
		"Answer with the sentence only."
	list = "List the things in this picture: at most %d, each once, the clearest first; no background, and no parts of things. " +
		"Answer with JSON only: a list of {\"label\": a short description of the thing, \"bbox_2d\": [x1, y1, x2, y2]}."
	again = " Your last answer could not be used: %s."
	isIt  = "Is this %s? Answer with yes or no only."
)

// ask returns a question's answer: the kept one, or the model's, which is kept before it is used.
func (a *Annotator) ask(ctx context.Context, kind, name, question string, img *image.NRGBA) (string, error) {
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		return "", err
	}
	pix := fmt.Appendf(nil, "%s\n%s\n%d %d\n", a.Model, question, img.Rect.Dx(), img.Rect.Dy())
	key := string(eligen.DigestOf(append(pix, img.Pix...)))
	kept, ok := a.Log.get(key)
	if ok {
		a.Kept++
	} else {
		a.Asked++
		kept = Answer{Key: key, Kind: kind, Picture: name, Question: question}
		var err error
		kept.Text, kept.In, kept.Out, err = a.Ask(ctx, question, b.Bytes())
		if silent, is := err.(Silent); is { //nolint:errorlint // it is of this package, and not wrapped
			kept.Problem, err = silent.Error(), nil
		}
		if err != nil {
			return "", err
		}
		a.In += kept.In
		a.Out += kept.Out
		if err := a.Log.put(kept); err != nil {
			return "", err
		}
	}
	if kept.Problem != "" {
		return "", Silent{fmt.Errorf("%s", kept.Problem)}
	}
	return kept.Text, nil
}

// marks are the rectangles of Calibrate's picture, in pixels. No two conventions read them alike.
var marks = []struct {
	name   string
	colour color.NRGBA
	at     image.Rectangle
}{
	{"red", color.NRGBA{220, 30, 30, 255}, image.Rect(40, 30, 180, 120)},
	{"blue", color.NRGBA{30, 60, 220, 255}, image.Rect(420, 60, 600, 160)},
	{"green", color.NRGBA{20, 160, 60, 255}, image.Rect(250, 230, 330, 370)},
}

// canvas is the size of that picture: multiples of 28, which models that count in patches leave as they are.
var canvas = image.Rect(0, 0, 644, 392)

// Calibrate finds out how the model writes boxes, by a picture whose boxes are known, and returns the form.
// A form that was set is taken. Where no form fits, or two do, it is an error.
func (a *Annotator) Calibrate(ctx context.Context) (string, error) {
	if a.Boxes != "" {
		var err error
		a.form, err = formOf(a.Boxes)
		return a.Boxes, err
	}
	img := image.NewNRGBA(canvas)
	draw.Draw(img, canvas, image.White, image.Point{}, draw.Src)
	for _, m := range marks {
		draw.Draw(img, m.at, image.NewUniform(m.colour), image.Point{}, draw.Src)
	}
	text, err := a.ask(ctx, "calibrate", "", fmt.Sprintf(list, 3), img)
	if err != nil {
		return "", err
	}
	found, err := things(text)
	if err != nil {
		return "", fmt.Errorf("the model was shown three coloured rectangles, and its answer can't be used: %w", err)
	}
	best, next := -1.0, -1.0
	for _, f := range forms {
		switch fit := fits(found, f); {
		case fit > best:
			best, next, a.form = fit, best, f
		case fit > next:
			next = fit
		}
	}
	if best < 0.7 || best-next < 0.2 {
		return "", fmt.Errorf("the model was shown three coloured rectangles, and its boxes fit no form well: the best is %s with an "+
			"IoU of %.2f, the next has %.2f. Pass --boxes if you know how it writes them, or take another model", a.form.name, best, max(next, 0))
	}
	return a.form.name, nil
}

// fits returns the mean IoU of the rectangles, read by a form.
func fits(found []thing, as form) float64 {
	sum, w, h := 0.0, float64(canvas.Dx()), float64(canvas.Dy())
	for _, m := range marks {
		want := Box{float64(m.at.Min.X) / w, float64(m.at.Min.Y) / h, float64(m.at.Max.X) / w, float64(m.at.Max.Y) / h}
		best := 0.0
		for _, t := range found {
			if strings.Contains(strings.ToLower(t.label), m.name) {
				best = max(best, as.read(t.box, w, h).iou(want))
			}
		}
		sum += best
	}
	return sum / float64(len(marks))
}

// Annotate asks about a picture. caption is its prompt; "" is asked for. A [Silent] is of this picture alone.
func (a *Annotator) Annotate(ctx context.Context, name, caption string, img *image.NRGBA) (Annotation, error) {
	out := Annotation{Prompt: tidy(caption)}
	shown := sized(img)
	if out.Prompt == "" {
		text, err := a.ask(ctx, "caption", name, describe, shown)
		if err != nil {
			return out, err
		}
		if out.Prompt = tidy(text); out.Prompt == "" || len(out.Prompt) > 4<<10 {
			return out, Silent{fmt.Errorf("the model's caption has %d bytes", len(out.Prompt))}
		}
	}
	question := fmt.Sprintf(list, a.Most)
	for try := 0; ; try++ {
		text, err := a.ask(ctx, "list", name, question, shown)
		if err != nil {
			return out, err
		}
		found, wrong := things(text)
		if wrong == nil {
			var dropped []string
			out.Entities, dropped = checked(found, a.form, shown.Rect.Dx(), shown.Rect.Dy(), a.Most)
			out.Dropped = append(out.Dropped, dropped...)
			if len(out.Entities) > 0 || len(found) == 0 {
				break
			}
			wrong = fmt.Errorf("none of its boxes can be used; %s", dropped[0])
		}
		if try == 1 {
			return out, Silent{fmt.Errorf("the model's answer was still of no use after one correction: %w", wrong)}
		}
		question += fmt.Sprintf(again, wrong)
	}
	if a.Check {
		return out, a.verify(ctx, name, img, &out)
	}
	return out, nil
}

// verify asks of each entity's crop whether it is what it is said to be.
func (a *Annotator) verify(ctx context.Context, name string, img *image.NRGBA, out *Annotation) error {
	var kept []Entity
	for _, e := range out.Entities {
		text, err := a.ask(ctx, "check", name, fmt.Sprintf(isIt, e.Prompt), sized(crop(img, e.Box)))
		if _, silent := err.(Silent); err != nil && !silent { //nolint:errorlint // it is of this package, and not wrapped
			return err
		}
		switch is, ok := yes(text); {
		case is:
			kept = append(kept, e)
		case ok:
			out.Dropped = append(out.Dropped, fmt.Sprintf("“%s”: of its crop the model says no", short(e.Prompt)))
		default:
			out.Dropped = append(out.Dropped, fmt.Sprintf("“%s”: of its crop the model says neither yes nor no", short(e.Prompt)))
		}
	}
	out.Entities = kept
	return nil
}

// crop returns a box of a picture, and a tenth around it.
func crop(img *image.NRGBA, b Box) *image.NRGBA {
	w, h := float64(img.Rect.Dx()), float64(img.Rect.Dy())
	x, y := 0.1*(b[2]-b[0]), 0.1*(b[3]-b[1])
	r := image.Rect(int((b[0]-x)*w), int((b[1]-y)*h), int((b[2]+x)*w+0.5), int((b[3]+y)*h+0.5)).Intersect(img.Rect)
	out := image.NewNRGBA(image.Rect(0, 0, r.Dx(), r.Dy()))
	draw.Draw(out, out.Rect, img, r.Min, draw.Src)
	return out
}

// sized returns a picture as it is sent: its sides multiples of 28, at least 112 and at most 1008 pixels, so that
// models which count pixels count those of the picture that they see.
func sized(img *image.NRGBA) *image.NRGBA {
	const patch, least, most = 28, 112, 1008
	w, h := float64(img.Rect.Dx()), float64(img.Rect.Dy())
	by := min(1, most/max(w, h))
	by = max(by, least/min(w, h))
	side := func(v float64) int { return max(patch, min(int(v*by/patch+0.5)*patch, most*2)) }
	to := eligen.Size{W: side(w), H: side(h)}
	from := eligen.Size{W: img.Rect.Dx(), H: img.Rect.Dy()}
	if to == from {
		return img
	}
	out := image.NewNRGBA(image.Rect(0, 0, to.W, to.H))
	copy(out.Pix, pixels.Resample(img.Pix, 4, from, to, pixels.Bilinear))
	return out
}
