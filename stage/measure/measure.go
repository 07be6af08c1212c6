// Package measure is the stage that measures finished pictures, for the checks of
// a scene.
package measure

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/pixels"
)

// Op measures its first input, a decoded picture, as it is seen: where it is transparent,
// over white. It writes a [Result] as JSON.
type Op struct {
	// Metric is "placement", "locality" or "psnr".
	//
	// For locality, the second input is the same picture without the prompt of the
	// entity. For psnr, it is the picture to compare with, unless Picture is set.
	Metric  string
	Regions []eligen.Region // of all entities; of placement and locality
	Entity  int             // which of them is measured
	Picture eligen.Digest   // of a file's bytes
	Path    string          `recipe:"-"` // where to look for it
}

// A Result is what Op writes.
type Result struct {
	Value float64 `json:"value"`
}

// Kind returns the stage's name and version.
func (Op) Kind() string { return "measure/2" }

// String describes the stage, for people.
func (o Op) String() string { return o.Metric }

// Run measures.
func (o Op) Run(_ context.Context, c *eligen.Call) error {
	var pictures []*image.NRGBA
	for _, in := range c.Inputs {
		data, err := in.Read()
		if err != nil {
			return err
		}
		img, err := pixels.Decode(data)
		if err != nil {
			return fmt.Errorf("a picture that was made can't be read: %w", err)
		}
		pictures = append(pictures, seen(img))
	}
	if o.Picture != "" {
		img, err := o.read(pictures[0].Rect.Size())
		if err != nil {
			return err
		}
		pictures = append(pictures, img)
	}
	var r Result
	switch o.Metric {
	case "placement":
		size := eligen.Size{W: pictures[0].Rect.Dx(), H: pictures[0].Rect.Dy()}
		var boxes []image.Rectangle
		for _, region := range o.Regions {
			x0, y0, x1, y1, _ := region.Bounds(size)
			boxes = append(boxes, image.Rect(x0, y0, x1, y1))
		}
		r.Value = Placement(pictures[0], boxes)[o.Entity]
	case "locality":
		value, ok := Locality(pictures[0], pictures[1], o.Regions, o.Entity)
		if !ok {
			return errors.New(
				"locality can't be measured: without the entity's prompt the picture is the same, or its regions cover all of it")
		}
		r.Value = value
	case "psnr":
		if pictures[0].Rect.Size() != pictures[1].Rect.Size() {
			return fmt.Errorf("pictures of %v and %v pixels can't be compared", pictures[0].Rect.Size(), pictures[1].Rect.Size())
		}
		r.Value = PSNR(pictures[0], pictures[1])
	default:
		return fmt.Errorf("there is no metric %q. This is a bug in eligen", o.Metric)
	}
	return json.NewEncoder(c.Out).Encode(r)
}

// read reads the picture to compare with.
func (o Op) read(size image.Point) (*image.NRGBA, error) {
	f, err := pixels.Read(o.Path, o.Picture)
	if err != nil {
		return nil, err
	}
	if f.Size.W != size.X || f.Size.H != size.Y {
		return nil, fmt.Errorf("%s has %d×%d pixels, the render %d×%d; they must be equal to be compared", o.Path, f.Size.W,
			f.Size.H, size.X, size.Y)
	}
	img, err := f.Picture()
	if err != nil {
		return nil, fmt.Errorf("%s is %w", o.Path, err)
	}
	return seen(img), nil
}

func seen(img *image.NRGBA) *image.NRGBA {
	return pixels.Over(img, pixels.White)
}
