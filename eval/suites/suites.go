// Package suites scores detections in pictures as benchmarks of layouts do. Each rule is its authors',
// down to the width of its floating-point numbers, so that figures compare with published ones. A rule
// that needs what detections lack is an error, and no figure.
package suites

import (
	"fmt"
	"image"
)

// A Box is left, top, right and bottom, in pixels.
type Box [4]float64

func (b Box) area() float64 { return (b[2] - b[0]) * (b[3] - b[1]) }

// overlap returns the box in which both are; it may be turned inside out.
func (b Box) overlap(c Box) Box {
	return Box{max(b[0], c[0]), max(b[1], c[1]), min(b[2], c[2]), min(b[3], c[3])}
}

// iou returns the share of two boxes' union in which both are.
func (b Box) iou(c Box) float64 {
	o := b.overlap(c)
	both := max(0, o[2]-o[0]) * max(0, o[3]-o[1])
	union := b.area() + c.area() - both
	if union <= 0 {
		return 0
	}
	return both / union
}

func (b Box) scaled(x, y float64) Box { return Box{b[0] * x, b[1] * y, b[2] * x, b[3] * y} }

// A Detection is what a detector found in a picture.
type Detection struct {
	Label string
	Box   Box
	Score float64
	Color string       // that a classifier named; "" for none
	Mask  *image.Alpha // 255 is on; nil for none
}

// A Found is a picture's size and what was detected in it, in the detector's order.
type Found struct {
	W, H       int
	Detections []Detection
}

// An Entity is a thing that a suite asks for. Its box is in fractions of the canvas.
type Entity struct {
	Label string
	Box   Box
}

// An Item is a picture that a suite asks for.
type Item struct {
	ID       string // by which detections name it
	Prompt   string
	Entities []Entity
}

// A Figure is a figure of a suite by its name. N is how many it is of.
type Figure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	N     int     `json:"n"`
}

// mean returns a sum's share of n as a figure.
func mean(name string, sum float64, n int) Figure { return Figure{name, sum / float64(n), n} }

// missing returns the error of a picture without detections.
func missing(id string) error {
	return fmt.Errorf("picture %s has no detections and is not listed among the images: a detector that found nothing lists it there", id)
}
