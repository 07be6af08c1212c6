package planner

import (
	"slices"

	"github.com/eligen/eligen"
)

// maxOverlap is the intersection over union above which a pair is warned of: boxes
// that touch, or a hat on a head, stay below.
const maxOverlap = 0.2

// overlaps applies the render's rule for tokens and pixels that several regions
// cover.
func (jd *judge) overlaps(w *work) {
	jd.opacities(w)
	for _, e := range w.entities {
		if s, ok := e.At["occludes"]; ok && !stacked(w.render) {
			jd.warn(&s, noEffect, "occludes says what an entity lies above, and %s does not ask: it has overlap = %q. Set overlap = "+
				"\"over\" or \"layered\" there, or remove occludes.", w.render.Address, rule(w.render))
		}
		if s, ok := e.At["z"]; ok && !stacked(w.render) {
			jd.warn(&s, noEffect, "z says which of two entities is above the other, and %s does not ask: it has overlap = %q. Set overlap = "+
				"\"over\" or \"layered\" there, or remove z.", w.render.Address, rule(w.render))
		}
	}
	switch rule(w.render) {
	case "over", "layered":
		jd.stack(w)
	case "exclusive":
		jd.exclusive(w)
	default:
		if !w.moving { // a frame's warnings are not shown
			jd.blend(w)
		}
	}
}

func rule(r *eligen.Render) string {
	if r.Overlap == "" {
		return "blend"
	}
	return r.Overlap
}

// shownOverlaps is how many pairs a render's warnings name.
const shownOverlaps = 3

// blend applies the reference's rule: a token in two regions attends to both prompts.
// Pairs that share much are warned of: the worst few, and how many there are.
func (jd *judge) blend(w *work) {
	areas := make([]*area, len(w.entities))
	for i, e := range w.entities {
		areas[i] = areaOf(e.tokens, w.spec.Geometry.Grid(w.size).W)
	}
	var worst []pair
	all := 0
	overlapping(areas, jd.goOn, func(p pair) {
		all++
		if len(worst) > shownOverlaps && worst[shownOverlaps].before(p) < 0 {
			return
		}
		at, _ := slices.BinarySearchFunc(worst, p, pair.before)
		worst = slices.Insert(worst, at, p)
		worst = worst[:min(len(worst), shownOverlaps+1)]
	})
	more := 0
	if all > len(worst) { // a last one is named, rather than counted
		worst = worst[:shownOverlaps]
		more = all - shownOverlaps
	}
	for _, p := range worst {
		x, y := w.entities[p.i], w.entities[p.j]
		jd.warn(regionAt(y.Entity), "Regions overlap",
			"%s and %s share %d of %d image tokens (intersection over union %.2f). What they share is drawn from both prompts at once.",
			x.Address, y.Address, p.both, p.either, p.share())
	}
	if more > 0 {
		jd.warn(w.render.Where("entities"), "Regions overlap", "%d more pairs of entities of %s overlap by more than %.2f. These are the "+
			"worst %d. If the later is meant to hide the earlier, set overlap = \"over\".",
			more, w.render.Address, maxOverlap, shownOverlaps)
	}
}

// stack gives each token to the entity with the highest z, of equals to the later one, before attention is
// built. What lies below one that is not opaque keeps the token, and is seen through it.
func (jd *judge) stack(w *work) {
	order := jd.order(w)
	owner := map[int32]int{} // of what is hidden
	through := map[int32]float64{}
	for _, i := range order {
		jd.goOn()
		e := &w.entities[i]
		var kept []int32
		var seen []float32
		covered := map[int]bool{}
		opacity, clear := 1.0, true
		if rule(w.render) == "layered" {
			opacity = e.opacity()
		}
		if opacity == 0 {
			e.tokens = nil
			continue
		}
		for _, t := range e.tokens {
			if by, taken := owner[t]; taken {
				covered[by] = true
				continue
			}
			let, half := through[t]
			if !half {
				let = 1
			}
			kept, seen, clear = append(kept, t), append(seen, float32(let)), clear && let == 1
			if through[t] = let * (1 - opacity); through[t] == 0 {
				owner[t] = i
			}
		}
		if len(kept) == 0 && len(e.tokens) > 0 && w.render.Clip == nil { // in a clip, it comes out again
			var names string
			for _, j := range order {
				if covered[j] {
					if names != "" {
						names += " and "
					}
					names += w.entities[j].Address
				}
			}
			jd.diags.Errorf(regionAt(e.Entity), "Region is covered", "All %d image tokens of %s belong to %s, which lies above it in %s (overlap "+
				"= %q: what occludes it, else the higher z, of equals the later). Raise its z, or move one of them.",
				len(e.tokens), e.Address, names, w.render.Address, rule(w.render))
			continue
		}
		if len(kept) < len(e.tokens) && len(kept) < jd.options.MinTokens {
			jd.warn(regionAt(e.Entity), "Region is almost covered",
				"Of the %d image tokens of %s, %d are left to it in %s; with fewer than %d, an entity is rarely recognisable.",
				len(e.tokens), e.Address, len(kept), w.render.Address, jd.options.MinTokens)
		}
		if e.tokens = kept; !clear {
			e.seen = seen
		}
	}
}

// exclusive refuses regions that share a pixel.
func (jd *judge) exclusive(w *work) {
	if !w.sizeOK() || w.render.Clip != nil && !w.moving { // where a clip's entities are, its frames say
		return
	}
	owner := make([]int32, w.size.W*w.size.H) // entity + 1
	for i, e := range w.entities {
		jd.goOn()
		if e.tokens == nil {
			continue // it has no region, which was said
		}
		shared := map[int32]int{}
		for y, spans := range e.region.Rows(w.size, w.size) {
			for _, span := range spans {
				row := owner[y*w.size.W+span[0] : y*w.size.W+span[1]]
				for x, by := range row {
					if by != 0 {
						shared[by]++
					} else {
						row[x] = int32(i + 1)
					}
				}
			}
		}
		for j := range i {
			if n := shared[int32(j+1)]; n > 0 {
				other := w.entities[j]
				jd.diags.Errorf(regionAt(e.Entity), "Regions overlap",
					"%s and %s share %d pixels, and %s has overlap = \"exclusive\". Move one of them apart, or choose overlap = \"over\" or \"blend\".",
					e.Address, other.Address, n, w.render.Address).Note(*regionAt(other.Entity), "%s is here", other.Address)
			}
		}
	}
}
