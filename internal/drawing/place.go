package drawing

import "image"

// A Spot is the place of an entity's label.
type Spot struct {
	Entity int
	Size   int // which of the sizes that were offered
	At     image.Rectangle
}

// Place finds room for labels on a grid of w×h: pixels, or cells of a terminal. sizes
// returns the forms of an entity's label, the best first. A label stands on its own visible
// region, in a corner or in the middle; else next to it, where it hides nothing; else in a
// smaller form; else wherever no other label is, on its region or next to it. Small regions
// choose first. An entity has no label if its region is off the canvas or if there is no
// room.
func (l *Layout) Place(w, h int, sizes func(entity int) []image.Point) []Spot {
	masks := l.Masks(l.Entities, w, h)
	p := placement{canvas: image.Rect(0, 0, w, h), owner: make([]int, w*h)}
	for k := range p.owner {
		p.owner[k] = -1
	}
	areas := make([]int, len(masks))
	for _, i := range l.Order() {
		for k, on := range masks[i] {
			if on {
				p.owner[k] = i
				areas[i]++
			}
		}
	}
	for _, m := range masks {
		p.bounds = append(p.bounds, extent(m, w, h))
	}
	for _, i := range bySize(areas, l.Selected) {
		if areas[i] == 0 {
			continue
		}
		if s, ok := p.spot(i, masks[i], sizes(i)); ok {
			p.spots = append(p.spots, s)
		}
	}
	return p.spots
}

// bySize returns the selected entity, and then the others, the smallest first.
func bySize(areas []int, selected int) []int {
	var out []int
	for i := range areas {
		at := len(out)
		for at > 0 && i != selected && out[at-1] != selected && areas[out[at-1]] > areas[i] {
			at--
		}
		if i == selected {
			at = 0
		}
		out = append(out, 0)
		copy(out[at+1:], out[at:])
		out[at] = i
	}
	return out
}

// A placement places labels one after the other.
type placement struct {
	canvas image.Rectangle
	owner  []int             // of each cell, the entity that is seen there; -1: none
	bounds []image.Rectangle // of the regions
	spots  []Spot
}

func (p *placement) spot(i int, mask []bool, sizes []image.Point) (Spot, bool) {
	b := p.bounds[i]
	for n, size := range sizes {
		for _, at := range p.inside(b, mask, size) {
			if p.free(at) && 10*p.seen(i, at) >= 7*at.Dx()*at.Dy() {
				return Spot{i, n, at}, true
			}
		}
		for _, at := range beside(b, size) {
			if p.free(at) && !p.hides(i, at) {
				return Spot{i, n, at}, true
			}
		}
	}
	for n := max(0, len(sizes)-2); n < len(sizes); n++ { // it will hide something: as little as possible
		for _, at := range p.inside(b, mask, sizes[n]) {
			if p.free(at) {
				return Spot{i, n, at}, true
			}
		}
	}
	if len(sizes) == 0 {
		return Spot{}, false
	}
	n := len(sizes) - 1
	size := sizes[n]
	for y := b.Min.Y - size.Y; y <= b.Max.Y; y += max(1, size.Y/2) {
		for x := b.Min.X - size.X; x <= b.Max.X; x += max(1, size.X/2) {
			if at := box(x, y, size); p.free(at) {
				return Spot{i, n, at}, true
			}
		}
	}
	return Spot{}, false
}

func box(x, y int, size image.Point) image.Rectangle {
	return image.Rectangle{image.Pt(x, y), image.Pt(x, y).Add(size)}
}

// inside returns the corners of a region's bounds, and the middle of its longest run on
// the row through its middle.
func (p *placement) inside(b image.Rectangle, mask []bool, size image.Point) []image.Rectangle {
	out := []image.Rectangle{
		box(b.Min.X, b.Min.Y, size), box(b.Max.X-size.X, b.Min.Y, size),
		box(b.Min.X, b.Max.Y-size.Y, size), box(b.Max.X-size.X, b.Max.Y-size.Y, size),
	}
	w := p.canvas.Dx()
	y := middle(mask, w)
	from, to := longest(mask[y*w : (y+1)*w])
	return append(out, box((from+to-size.X)/2, y-size.Y/2, size))
}

// middle returns the mean row of the cells that are on.
func middle(mask []bool, w int) int {
	n, sum := 0, 0
	for k, on := range mask {
		if on {
			n, sum = n+1, sum+k/w
		}
	}
	return sum / max(1, n)
}

// longest returns the longest run of cells that are on.
func longest(row []bool) (from, to int) {
	start := -1
	for i := 0; i <= len(row); i++ {
		if i < len(row) && row[i] {
			if start < 0 {
				start = i
			}
			continue
		}
		if start >= 0 && i-start > to-from {
			from, to = start, i
		}
		start = -1
	}
	return from, to
}

// beside returns places along the outside of a region's bounds.
func beside(b image.Rectangle, size image.Point) []image.Rectangle {
	return []image.Rectangle{
		box(b.Min.X, b.Min.Y-size.Y, size), box(b.Min.X, b.Max.Y, size),
		box(b.Max.X-size.X, b.Min.Y-size.Y, size), box(b.Max.X-size.X, b.Max.Y, size),
		box(b.Max.X, b.Min.Y, size), box(b.Min.X-size.X, b.Min.Y, size),
	}
}

// free reports whether a place is on the canvas and no label's.
func (p *placement) free(at image.Rectangle) bool {
	if !at.In(p.canvas) {
		return false
	}
	for _, s := range p.spots {
		if at.Overlaps(s.At) {
			return false
		}
	}
	return true
}

// seen returns how many cells of a place show an entity.
func (p *placement) seen(i int, at image.Rectangle) int {
	n := 0
	for y := at.Min.Y; y < at.Max.Y; y++ {
		for x := at.Min.X; x < at.Max.X; x++ {
			if p.owner[y*p.canvas.Dx()+x] == i {
				n++
			}
		}
	}
	return n
}

// hides reports whether a place covers the visible part of a region smaller than the
// entity's own: a larger one shows elsewhere, too.
func (p *placement) hides(i int, at image.Rectangle) bool {
	own := p.bounds[i].Dx() * p.bounds[i].Dy()
	for y := at.Min.Y; y < at.Max.Y; y++ {
		for x := at.Min.X; x < at.Max.X; x++ {
			if o := p.owner[y*p.canvas.Dx()+x]; o >= 0 && p.bounds[o].Dx()*p.bounds[o].Dy() <= 4*own {
				return true
			}
		}
	}
	return false
}
