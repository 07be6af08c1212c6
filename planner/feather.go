package planner

import "slices"

// cover returns how much of each of an entity's tokens its region covers, where it has a feather: the mean over the token's
// pixels of how far inside the region each is, by the feather's width. nil is all of them, whole.
func (w *work) cover(e entity) []float32 {
	if !(e.Feather > 0) || e.hard || len(e.tokens) == 0 {
		return nil
	}
	depth, side := e.region.Depth(w.size), w.spec.Geometry.Token()
	columns := w.spec.Geometry.Grid(w.size).W
	out := make([]float32, len(e.tokens))
	for i, t := range e.tokens {
		x0, y0, sum, n := int(t)%columns*side, int(t)/columns*side, 0.0, 0
		for y := y0; y < min(y0+side, w.size.H); y++ {
			for x := x0; x < min(x0+side, w.size.W); x++ {
				sum += min(1, depth[y*w.size.W+x]/e.Feather)
				n++
			}
		}
		// The rule by which a token is in the region looks at points, and may take one that has no pixel in it.
		out[i] = float32(max(sum/float64(max(1, n)), 1.0/float64(2*side*side)))
	}
	if !slices.ContainsFunc(out, func(c float32) bool { return c != 1 }) {
		return nil
	}
	return out
}

// feathers refuses soft edges where a model has none.
func (jd *judge) feathers(w *work) {
	for _, e := range w.entities {
		switch at := e.Where("feather"); {
		case e.Feather == 0:
		case !(e.Feather > 0) || !finite(e.Feather):
			jd.once(at, outOfRange, "The feather of %s is %v; it must be a finite number of pixels, 0 or above.", e.Address, e.Feather)
		case !w.spec.Feathers:
			jd.once(at, notApplicable, "Models of the family %s take regions with hard edges only. Remove feather.", w.spec.Family)
		}
	}
}
