package mcp

import (
	"bytes"
	"image"
	"image/jpeg"
	"image/png"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
	"golang.org/x/image/draw"

	"github.com/eligen/eligen/app"
)

// What clients are shown of a picture: they refuse answers of more than about a megabyte, and a model sees
// no more than so many pixels.
const (
	longestSide = 1024
	mostBytes   = 500_000
)

// picture returns a picture's file as what a client shows: as it is, or smaller.
func picture(data []byte) (*sdk.ImageContent, error) {
	img, err := app.DecodePicture(data)
	if err != nil {
		return nil, err
	}
	size := img.Bounds()
	if len(data) <= mostBytes && max(size.Dx(), size.Dy()) <= longestSide && bytes.HasPrefix(data, []byte("\x89PNG")) {
		return &sdk.ImageContent{Data: data, MIMEType: "image/png"}, nil
	}
	return shown(img)
}

// shown returns a picture as what a client shows.
func shown(img image.Image) (*sdk.ImageContent, error) {
	size := img.Bounds()
	if side := max(size.Dx(), size.Dy()); side > longestSide {
		to := image.NewNRGBA(image.Rect(0, 0, max(1, size.Dx()*longestSide/side), max(1, size.Dy()*longestSide/side)))
		draw.CatmullRom.Scale(to, to.Bounds(), img, size, draw.Src, nil)
		img = to
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		return nil, err
	}
	if b.Len() <= mostBytes {
		return &sdk.ImageContent{Data: b.Bytes(), MIMEType: "image/png"}, nil
	}
	b.Reset()
	if err := jpeg.Encode(&b, img, &jpeg.Options{Quality: 85}); err != nil {
		return nil, err
	}
	return &sdk.ImageContent{Data: b.Bytes(), MIMEType: "image/jpeg"}, nil
}

// larger returns a step's picture, a pixel a latent, as it can be seen.
func larger(img image.Image) image.Image {
	size := img.Bounds()
	by := max(1, 256/max(size.Dx(), size.Dy()))
	to := image.NewNRGBA(image.Rect(0, 0, size.Dx()*by, size.Dy()*by))
	draw.CatmullRom.Scale(to, to.Bounds(), img, size, draw.Src, nil)
	return to
}
