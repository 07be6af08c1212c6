package train_test

import (
	"fmt"
	"image"
	"image/color"
	"image/draw"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/annotated"
)

// patches returns a 32×32 sample: one square of some colour on another.
func patches(i int) annotated.Sample {
	img := image.NewNRGBA(image.Rect(0, 0, 32, 32))
	c := func(k int) color.NRGBA { return color.NRGBA{uint8(37 * k), uint8(91 * k), uint8(53 * k), 255} }
	draw.Draw(img, img.Rect, image.NewUniform(c(i)), image.Point{}, draw.Src)
	draw.Draw(img, image.Rect(4, 4, 20, 20), image.NewUniform(c(i+3)), image.Point{}, draw.Src)
	return annotated.Sample{
		Name: fmt.Sprint(i), Image: img, Prompt: "a square", Background: "a colour",
		Entities: []annotated.Entity{{Class: "square", Prompt: "square", Region: eligen.Box(4.0/32, 4.0/32, 20.0/32, 20.0/32)}},
	}
}
