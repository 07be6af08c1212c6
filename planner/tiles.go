package planner

import (
	"github.com/eligen/eligen"
)

// tiles plans what the autoencoder works in.
func (jd *judge) tiles(w *work) {
	r := w.render
	if r.VAE == nil || !r.VAE.Tiled {
		return
	}
	where := func(name string) *eligen.Source {
		if _, ok := r.At[name]; ok {
			return r.Where(name)
		}
		return &r.VAE.Source
	}
	t := eligen.Tiling{Tile: r.VAE.Tile, Stride: r.VAE.Stride}
	if t.Tile == 0 {
		t.Tile = eligen.DefaultTile
	}
	if t.Stride == 0 {
		t.Stride = max(1, min(eligen.DefaultStride, t.Tile/2))
	}
	canvas, factor := w.canvas(), w.spec.Geometry.Factor
	switch {
	case t.Tile < 1:
		jd.diags.Errorf(where("vae.tile"), outOfRange, "A tile of %d latents has no side; choose a number from 1.", t.Tile)
	case t.Stride < 1:
		jd.diags.Errorf(where("vae.stride"), outOfRange, "A stride of %d latents goes nowhere; choose a number from 1.", t.Stride)
	case t.Stride > t.Tile:
		jd.diags.Errorf(where("vae.stride"), outOfRange,
			"Tiles of %d latents that begin every %d leave gaps. The stride must be at most the tile; half of it blends well.", t.Tile, t.Stride)
	case canvas.W/factor <= t.Tile && canvas.H/factor <= t.Tile:
		jd.diags.Warnf(where("vae.tiled"), noEffect, "One tile of %d latents, %d pixels, covers all of the %d×%d pixels of %s. Choose a "+
			"smaller tile, or leave vae out.", t.Tile, factor*t.Tile, canvas.W, canvas.H, r.Address)
	default:
		if t.Stride == t.Tile {
			jd.diags.Warnf(where("vae.stride"), "Tiles don't overlap",
				"Tiles of %d latents that begin every %d lie edge to edge, and their seams show. Half a tile blends well.", t.Tile, t.Stride)
		}
		w.tiles = &t
	}
}

// leastTile is the smallest tile that is chosen for a render that leaves it open: a
// smaller one sees too little of a picture.
const leastTile = 32

// fittingTiles has a render that leaves it open decoded as it was recorded, else whole
// where there is memory for it, else in the largest tiles that there is memory for.
func (jd *judge) fittingTiles(w *work) {
	r, limit := w.render, jd.options.Memory
	if jd.options.Recorded != nil {
		if tiles, ok := jd.options.Recorded(r.Address); ok {
			w.tiles = tiles
			return
		}
	}
	whole := coding(w)
	if limit <= 0 || whole <= limit || !w.sizeOK() {
		return
	}
	canvas, factor := w.canvas(), w.spec.Geometry.Factor
	for t := eligen.DefaultTile; t >= leastTile; t /= 2 {
		if canvas.W <= factor*t && canvas.H <= factor*t {
			continue // one tile is the whole picture
		}
		w.tiles = &eligen.Tiling{Tile: t, Stride: t / 2}
		if coding(w) > limit {
			continue
		}
		jd.diags.Warnf(&r.Source, "Decoded in tiles", "%s takes about %s where the autoencoder works on its %d×%d pixels at once, and there "+
			"are %s, by %s. It works in tiles of %d pixels instead: seams may show, and a machine with more memory makes a slightly different "+
			"picture. "+
			"Write vae { tiled = true } to have tiles everywhere, or vae { tiled = false } to have an error where the picture doesn't fit.",
			r.Address, bytesText(whole), canvas.W, canvas.H, bytesText(limit), jd.memoryFrom(), factor*t)
		return
	}
	w.tiles = nil
}
