package dsl

import (
	"fmt"
	"image"

	"github.com/eligen/eligen/internal/pixels"
)

// ReadPicture reads a picture's file as a scene does, with its limits: turned, and in
// sRGB.
func ReadPicture(path string) (image.Image, error) {
	f, err := pixels.Read(path, "")
	if err != nil {
		return nil, err
	}
	img, err := f.Picture()
	if err != nil {
		return nil, fmt.Errorf("%s is %w", path, err)
	}
	return img, nil
}
