// Package clip is the stages that put decoded pictures, one a frame, together into
// one file that moves. Each format is an Op of its own; their inputs are the frames
// in order, as PNG of one size. Clips are opaque: transparent frames lie on a background.
//
// A frame is decoded when its turn comes and then forgotten. Where a file is written
// in one go, its bytes are too; WebP, whose head says how long it is, is held until
// its last frame is there.
package clip

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image"
	"math"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/pixels"
)

// Resolved is a clip with nothing left open: all that is needed to render it again.
// Every clip carries it, as JSON: each format has a place for it, and no file needs
// another one.
type Resolved struct {
	Format     int             `json:"format"` // of this struct: 1
	Version    string          `json:"version"`
	Render     string          `json:"render"` // address
	Size       eligen.Size     `json:"size"`
	FPS        float64         `json:"fps"`
	Frames     int             `json:"frames"`
	Loop       int             `json:"loop"`                                   // how often it is played; 0 is without end
	Background string          `json:"background,omitempty" recipe:"omitzero"` // colour behind transparent frames, "#rrggbb"
	Timeline   json.RawMessage `json:"timeline,omitempty"`                     // what moves
	First      json.RawMessage `json:"first,omitempty"`                        // frame 0, as a still says it
}

// Bounds of fps. A frame's time must fit into 16 bits in milliseconds.
const (
	minFPS = 0.1
	maxFPS = 1000
)

// check says why no format can hold the clip.
func (r Resolved) check() error {
	switch {
	case r.Frames < 1:
		return fmt.Errorf("a clip of %d frames: it needs at least one", r.Frames)
	case !(r.FPS >= minFPS && r.FPS <= maxFPS):
		return fmt.Errorf("fps is %v; it must be from %v to %v", r.FPS, minFPS, maxFPS)
	case r.Loop < 0 || r.Loop > math.MaxUint16:
		return fmt.Errorf("a clip can't be played %d times; 0 plays it without end, %d is the most", r.Loop, math.MaxUint16)
	case r.Size.W < 1 || r.Size.H < 1:
		return fmt.Errorf("a clip of %d×%d pixels", r.Size.W, r.Size.H)
	}
	return nil
}

// at returns when frame i begins, in parts of a second. Rounding the beginning, and not
// the time between two frames, keeps a long clip from drifting.
func (r Resolved) at(i, parts int) int {
	return int(math.Round(float64(i) * float64(parts) / r.FPS))
}

// lasts returns how long frame i is seen, in parts of a second.
func (r Resolved) lasts(i, parts int) int { return r.at(i+1, parts) - r.at(i, parts) }

// each decodes the frames in order and gives them to do, which may keep one for as
// long as it likes.
func (r Resolved) each(ctx context.Context, c *eligen.Call, do func(i int, img *image.NRGBA) error) error {
	if len(c.Inputs) != r.Frames {
		return fmt.Errorf("%d pictures for a clip of %d frames. This is a bug in eligen", len(c.Inputs), r.Frames)
	}
	background, err := pixels.ParseColour(r.Background)
	if err != nil {
		return err
	}
	for i, in := range c.Inputs {
		if err := ctx.Err(); err != nil {
			return err
		}
		data, err := in.Read()
		if err != nil {
			return err
		}
		img, err := pixels.Decode(data)
		if err != nil {
			return fmt.Errorf("frame %d can't be read: %w", i, err)
		}
		if b := img.Rect; b.Dx() != r.Size.W || b.Dy() != r.Size.H {
			return fmt.Errorf("frame %d has %d×%d pixels instead of %d×%d: the frames of a clip have one size", i, b.Dx(), b.Dy(),
				r.Size.W, r.Size.H)
		}
		img = pixels.Over(img, background)
		if err := do(i, img); err != nil {
			return fmt.Errorf("frame %d: %w", i, err)
		}
	}
	return nil
}

// changed returns the smallest rectangle that holds every change from prev to img; all of
// img without a prev. It is never empty, since a frame in which nothing moves is a frame
// too.
func changed(prev, img *image.NRGBA) image.Rectangle {
	if prev == nil {
		return img.Rect
	}
	r := image.Rectangle{}
	for y := range img.Rect.Dy() {
		row, old := img.Pix[y*img.Stride:][:4*img.Rect.Dx()], prev.Pix[y*prev.Stride:][:4*img.Rect.Dx()]
		if bytes.Equal(row, old) {
			continue
		}
		from, to := 0, len(row)
		for row[from] == old[from] {
			from++
		}
		for row[to-1] == old[to-1] {
			to--
		}
		r = r.Union(image.Rect(from/4, y, (to+3)/4, y+1))
	}
	if r.Empty() {
		return image.Rect(0, 0, 1, 1)
	}
	return r
}

// ResolvedOf returns the record in the clip that a stage writes, and false for stages that
// write none.
func ResolvedOf(op eligen.Op) (Resolved, bool) {
	switch op := op.(type) {
	case GIF:
		return op.Resolved, true
	case APNG:
		return op.Resolved, true
	case WebP:
		return op.Resolved, true
	case Video:
		return op.Resolved, true
	}
	return Resolved{}, false
}
