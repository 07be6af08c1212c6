package dsl

import (
	"fmt"
	"image"
)

// ReadPicture reads a PNG, JPEG or WebP file, with the limits of pictures that a
// scene names.
func ReadPicture(path string) (image.Image, error) {
	data, err := readAtMost(path, maxPictureBytes)
	if err != nil {
		return nil, err
	}
	size, decode, err := pictureHeader(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	img, err := decodePicture(decode, data)
	if err == nil && img.Bounds().Size() != (image.Point{X: size.W, Y: size.H}) {
		err = fmt.Errorf("its header says %d×%d pixels, its content has %v", size.W, size.H, img.Bounds().Size())
	}
	if err != nil {
		return nil, fmt.Errorf("%s is damaged or cut off: %w", path, err)
	}
	return img, nil
}
