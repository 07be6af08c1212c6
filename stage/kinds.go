// Package stage turns planned stages into data and back, for those who run them
// elsewhere. It knows every kind; its folders are one kind each, and know no other.
package stage

import (
	"reflect"
	"slices"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/stage/clip"
	"github.com/eligen/eligen/stage/composite"
	"github.com/eligen/eligen/stage/decode"
	"github.com/eligen/eligen/stage/denoise"
	"github.com/eligen/eligen/stage/encode"
	"github.com/eligen/eligen/stage/image"
	"github.com/eligen/eligen/stage/measure"
	"github.com/eligen/eligen/stage/noise"
	"github.com/eligen/eligen/stage/still"
)

// ops has one Op of each kind.
var ops = []eligen.Op{
	clip.APNG{}, clip.GIF{}, clip.Video{}, clip.WebP{},
	composite.Op{},
	decode.Op{},
	denoise.Op{},
	encode.Op{},
	image.Op{}, image.Latents{}, image.Panels{}, image.Picture{}, image.Prompt{}, image.Resize{}, image.Right{},
	measure.Op{},
	noise.Op{},
	still.Op{}, still.JPEG{}, still.WebP{}, still.Preview{}, still.Sheet{}, still.Storyboard{},
}

// kinds are the types of the ops, by kind.
var kinds = func() map[string]reflect.Type {
	m := map[string]reflect.Type{}
	for _, op := range ops {
		m[op.Kind()] = reflect.TypeOf(op)
	}
	return m
}()

// PictureOf returns the digest of the picture file that an Op reads, or "" if it reads
// none.
func PictureOf(op eligen.Op) eligen.Digest {
	switch op := op.(type) {
	case image.Op:
		return op.Picture
	case image.Picture:
		return op.Picture
	case image.Prompt:
		return op.Picture
	case measure.Op:
		return op.Picture
	}
	return ""
}

// PathOf returns where an Op looks for its picture file, or "".
func PathOf(op eligen.Op) string {
	switch op := op.(type) {
	case image.Op:
		return op.Path
	case image.Picture:
		return op.Path
	case image.Prompt:
		return op.Path
	case measure.Op:
		return op.Path
	}
	return ""
}

// WithPath returns an Op that reads its picture file at a path. The Op checks that the
// file is the one that its definition means. One that reads none is returned as it is.
func WithPath(op eligen.Op, path string) eligen.Op {
	switch op := op.(type) {
	case image.Op:
		op.Path = path
		return op
	case image.Picture:
		op.Path = path
		return op
	case image.Prompt:
		op.Path = path
		return op
	case measure.Op:
		op.Path = path
		return op
	}
	return op
}

// Ops returns an empty Op of every kind.
func Ops() []eligen.Op { return slices.Clone(ops) }

// WeightsOf returns the digests of the weights that an Op runs with: of networks, and of
// adapters.
func WeightsOf(op eligen.Op) (out []eligen.Digest) {
	adapters := func(list []eligen.AdapterWeights) {
		for _, a := range list {
			out = append(out, a.Digest)
		}
	}
	switch op := op.(type) {
	case encode.Op:
		out = append(out, op.Text)
		adapters(op.Adapters)
	case denoise.Op:
		out = append(out, op.Transformer)
		adapters(op.Adapters)
		if op.ImageAdapter != "" {
			out = append(out, op.ImageAdapter)
		}
	case decode.Op:
		out = append(out, op.Autoencoder)
	case image.Op:
		out = append(out, op.Autoencoder)
	case image.Latents:
		out = append(out, op.Autoencoder)
	case image.Prompt:
		out = append(out, op.Adapter)
	}
	return out
}

// StartsPrograms reports whether an Op starts programs of others, such as ffmpeg.
func StartsPrograms(op eligen.Op) bool {
	_, ok := op.(clip.Video)
	return ok
}
