package planner

import (
	"fmt"

	"github.com/eligen/eligen"
)

// MaxPixels is the largest canvas: 16 megapixels.
const MaxPixels = 16 << 20

// size checks a render's size. What a model's sides are multiples of is for its family to
// say, so that nothing but this judges sizes.
func (jd *judge) size(w *work) {
	r := w.render
	w.size = r.Size
	if w.size == (eligen.Size{}) {
		w.size = w.spec.Native
	}
	at := r.Where("size")
	if r.Broken["size"] {
		w.size = eligen.Size{}
		return
	}
	m := w.spec.Geometry.Token()
	for i, side := range []struct {
		name string
		n    int
	}{{"width", w.size.W}, {"height", w.size.H}} {
		if side.n > 0 && side.n%m == 0 {
			continue
		}
		near, low := fmt.Sprintf("is %d", m), side.n/m*m
		if low > 0 {
			near = fmt.Sprintf("are %d and %d", low, low+m)
		}
		at := at
		if s, ok := r.At[fmt.Sprintf("size[%d]", i)]; ok {
			at = &s
		}
		jd.uses(jd.diags.Errorf(at, "Invalid size", "The %s must be a multiple of %d pixels for this model; the nearest to %d %s.", side.name, m,
			side.n, near), r.Uses["size"])
	}
	jd.known(w)
	if int64(w.size.W)*int64(w.size.H) > MaxPixels || w.size.W > MaxPixels || w.size.H > MaxPixels {
		jd.uses(jd.diags.Errorf(at, "Invalid size", "A picture of %d×%d has more than 16 megapixels, which is the limit.", w.size.W, w.size.H),
			r.Uses["size"])
	} else if c := w.canvas(); int64(c.W)*int64(c.H) > MaxPixels {
		jd.uses(jd.diags.Errorf(at, "Invalid size", "A transfer works on two panels side by side, and two of %d×%d have more than 16 "+
			"megapixels, which is the limit.", w.size.W, w.size.H), r.Uses["size"])
	}
}

// uses adds what an argument's value comes from to a problem with it.
func (jd *judge) uses(d *eligen.Diagnostic, notes []eligen.Note) {
	d.Notes = append(d.Notes, notes...)
}

// sizeOK reports whether the size is one that regions can be laid on.
func (w *work) sizeOK() bool {
	m, s := w.spec.Geometry.Token(), w.size
	return s.W >= m && s.H >= m && s.W%m == 0 && s.H%m == 0 && w.canvas().W <= MaxPixels/s.H
}
