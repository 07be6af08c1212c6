package eligen

import "math"

// A Geometry says how a family of models cuts a picture: the autoencoder turns squares of
// pixels into latents, and the transformer takes squares of latents as image tokens.
type Geometry struct {
	Channels int `json:"channels"` // of a latent
	Factor   int `json:"factor"`   // pixels that a latent covers in each direction
	Patch    int `json:"patch"`    // latents that an image token covers in each direction
}

// DefaultGeometry is that of records and recipes that name none: all models had it when
// their format began.
var DefaultGeometry = Geometry{Channels: 16, Factor: 8, Patch: 2}

// Valid reports whether a picture can be cut so.
func (g Geometry) Valid() bool { return g.Channels > 0 && g.Factor > 0 && g.Patch > 0 }

// Token returns how many pixels an image token covers in each direction. The sides of
// pictures are multiples of it.
func (g Geometry) Token() int { return g.Factor * g.Patch }

// Latents returns the size of a picture in latents.
func (g Geometry) Latents(picture Size) Size {
	return Size{picture.W / g.Factor, picture.H / g.Factor}
}

// Grid returns the columns and rows of image tokens of a picture.
func (g Geometry) Grid(picture Size) Size {
	return Size{picture.W / g.Token(), picture.H / g.Token()}
}

// Tokens returns how many image tokens a picture has.
func (g Geometry) Tokens(picture Size) int {
	grid := g.Grid(picture)
	return grid.W * grid.H
}

// Shape returns the shape of a picture's latents: [channels, height, width].
func (g Geometry) Shape(picture Size) []int {
	l := g.Latents(picture)
	return []int{g.Channels, l.H, l.W}
}

// Size is measured in pixels.
type Size struct{ W, H int }

// Within returns the size that DiffSynth-Studio's trainer gives a picture: with no more
// than so many pixels, about the same proportions, and sides that are multiples of a
// number. A side that is shorter than the multiple becomes 0.
func (s Size) Within(pixels, multiple int) Size {
	w, h := float64(s.W), float64(s.H)
	if s.W*s.H > pixels {
		scale := math.Sqrt(w * h / float64(pixels))
		w, h = w/scale, h/scale
	}
	return Size{W: int(w) / multiple * multiple, H: int(h) / multiple * multiple}
}

// Bucket returns how many image tokens a region of n tokens is padded to, on a canvas of
// total tokens. An engine compiles a graph for each combination of buckets, so they come
// in coarse steps, of 16 up to 64 tokens, of 32 up to 256, of 128 up to 1024 and of 512
// beyond: a region that moves or grows a little keeps its graph, and no more than a third
// of a bucket above 32 is padding.
//
// It depends on the entity's own region only, so that an edit elsewhere in the scene
// changes nothing here.
func Bucket(n, total int) int {
	step := 512
	switch {
	case n <= 64:
		step = 16
	case n <= 256:
		step = 32
	case n <= 1024:
		step = 128
	}
	return max(n, min(total, (n+step-1)/step*step))
}
