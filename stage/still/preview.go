package still

import (
	"context"
	"fmt"
	"image"
	"image/color"
	"image/draw"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/drawing"
)

// Preview draws the regions of a render without a picture, as a PNG. It needs no
// inputs and no engine.
type Preview struct {
	Resolved Resolved
	Z        []float64 // of the entities: the higher are drawn above the lower. nil: as they are listed
}

// Kind returns the stage's name and version.
func (Preview) Kind() string { return "preview/1" }

// String describes the stage, for people.
func (Preview) String() string { return "PNG of the layout" }

// Run draws the layout.
func (o Preview) Run(_ context.Context, c *eligen.Call) error {
	size := shown(o.Resolved.Size, 512, 1024)
	l := layout(o.Resolved.Size, o.Resolved.Entities)
	raise(l, o.Z)
	img := l.Smoothed(size.W, size.H, drawing.Width(min(size.W, size.H)))
	l.Labels(img)
	about, err := o.Resolved.about(nil)
	if err != nil {
		return err
	}
	return writePNG(c.Out, img, nil, about...)
}

// raise sets the entities' z.
func raise(l *drawing.Layout, z []float64) {
	for i := range min(len(z), len(l.Entities)) {
		l.Entities[i].Z = z[i]
	}
}

// shown returns the size in which a layout is drawn: so large that the shorter side has
// least pixels, if the longer has at most most then.
func shown(canvas eligen.Size, least, most int) eligen.Size {
	short, long := max(1, min(canvas.W, canvas.H)), max(1, max(canvas.W, canvas.H))
	scale := min(float64(most)/float64(long), max(1, float64(least)/float64(short)))
	return eligen.Size{W: max(1, int(float64(canvas.W)*scale+0.5)), H: max(1, int(float64(canvas.H)*scale+0.5))}
}

// Storyboard draws frames of a clip without pictures, side by side in one PNG: the
// regions as they are then, and the ways that their middles go. It needs no inputs and
// no engine.
type Storyboard struct {
	Size   eligen.Size // of the clip
	Frames []BoardFrame
	Ways   []Way
	Z      []float64 // as a Preview's
	Shown  *Shown    // the file's record of itself
}

// BoardFrame is a frame of a [Storyboard].
type BoardFrame struct {
	Number   int
	Caption  string
	Entities []Entity
}

// Way is where the middle of an entity goes: x and y in fractions of the picture, of
// one frame after the other.
type Way struct {
	Entity int // its place among the entities of a frame
	Places []float64
}

// Kind returns the stage's name and version.
func (Storyboard) Kind() string { return "storyboard/1" }

// String describes the stage, for people.
func (o Storyboard) String() string { return fmt.Sprintf("PNG of %d frames' layouts", len(o.Frames)) }

// Run draws the frames.
func (o Storyboard) Run(_ context.Context, c *eligen.Call) error {
	if len(o.Frames) == 0 {
		return fmt.Errorf("a storyboard of no frames. This is a bug in eligen")
	}
	size := shown(o.Size, 320, 640)
	columns := Sheet{Size: size, Captions: make([]string, len(o.Frames))}.columns()
	rows := (len(o.Frames) + columns - 1) / columns
	const gap, caption = 12, 26
	board := image.NewNRGBA(image.Rect(0, 0, gap+columns*(size.W+gap), gap+rows*(size.H+caption+gap)))
	draw.Draw(board, board.Rect, image.NewUniform(color.NRGBA{0x0a, 0x0b, 0x0d, 255}), image.Point{}, draw.Src)
	face := drawing.Face(15)
	defer face.Close()
	for i, f := range o.Frames {
		l := layout(o.Size, f.Entities)
		raise(l, o.Z)
		line := drawing.Width(min(size.W, size.H))
		img := l.Smoothed(size.W, size.H, line)
		for _, w := range o.Ways {
			drawing.Way(img, w.Places, f.Number, drawing.Colour(w.Entity), line)
		}
		l.Labels(img)
		at := image.Pt(gap+i%columns*(size.W+gap), gap+i/columns*(size.H+caption+gap))
		drawing.Caption(board, face, f.Caption, at.Add(image.Pt(0, 2)))
		draw.Draw(board, img.Rect.Add(at.Add(image.Pt(0, caption))), img, image.Point{}, draw.Src)
	}
	return writeSheet(c.Out, board, nil, o.Shown)
}
