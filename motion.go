package eligen

import (
	"fmt"
	"math"
	"slices"
)

// At returns the track's value at a frame of a timeline of so many. A track that follows
// has none of its own.
func (t *Track) At(frame float64, frames int, canvas Size) Value {
	if t.Path != nil {
		x, y := t.Path.At(t.Ease.At(frame/float64(max(1, frames-1))), canvas)
		return Value{Numbers: []float64{x, y}}
	}
	first, last := t.Keys[0], t.Keys[len(t.Keys)-1]
	if span := last.Frame - first.Frame; span > 0 && (frame < first.Frame || frame > last.Frame) {
		switch t.Extrapolate {
		case "loop":
			frame = first.Frame + wrap(frame-first.Frame, span)
		case "mirror":
			if d := wrap(frame-first.Frame, 2*span); d > span {
				frame = last.Frame - (d - span)
			} else {
				frame = first.Frame + d
			}
		case "continue":
			a, b := first, t.Keys[1]
			if frame > last.Frame {
				a, b = t.Keys[len(t.Keys)-2], last
			}
			return between(a.Value, b.Value, (frame-a.Frame)/(b.Frame-a.Frame), canvas)
		}
	}
	for i, k := range t.Keys {
		if frame < k.Frame {
			if i == 0 {
				return first.Value
			}
			a := t.Keys[i-1]
			return between(a.Value, k.Value, a.Ease.At((frame-a.Frame)/(k.Frame-a.Frame)), canvas)
		}
	}
	return last.Value
}

func wrap(x, n float64) float64 { return math.Mod(math.Mod(x, n)+n, n) }

// between returns the value at t on the way from a, 0, to b, 1.
func between(a, b Value, t float64, canvas Size) Value {
	if a.Numbers != nil {
		return Value{Numbers: mix(a.Numbers, b.Numbers, t)}
	}
	return Value{Region: Between(a.Region, b.Region, t, canvas)}
}

// A Frame is what a timeline makes of a render at one of its frames.
type Frame struct {
	Entities []Entity
	Scales   map[string]float64 // of adapters, by address
	Guidance *float64
	CFG      *float64
}

// At returns the frame, given the entities as the scene has them. An entity without a
// track is as it was.
func (t *Timeline) At(frame int, entities []Entity, canvas Size) (Frame, error) {
	f := Frame{Entities: slices.Clone(entities), Scales: map[string]float64{}}
	index := map[string]int{}
	for i, e := range entities {
		index[e.Address] = i
	}
	value := func(tr *Track) Value { return tr.At(float64(frame), t.Frames, canvas) }
	// Shapes before places: a centre moves the shape of its frame.
	var places []*Track
	for i := range t.Tracks {
		tr := &t.Tracks[i]
		e, ok := index[tr.Target.Block]
		switch {
		case tr.Target.Attribute == "center":
			if ok {
				places = append(places, tr)
			}
		case ok && tr.Target.Attribute == "strength":
			f.Entities[e].Strength = max(0, value(tr).Numbers[0])
		case ok && tr.Target.Attribute == "opacity":
			opacity := min(max(0, value(tr).Numbers[0]), 1)
			f.Entities[e].Opacity = &opacity
		case ok:
			f.Entities[e].Region = value(tr).Region
		case tr.Target.Attribute == "scale":
			f.Scales[tr.Target.Block] = value(tr).Numbers[0]
		case tr.Target.Block == "sampler":
			x := value(tr).Numbers[0]
			if tr.Target.Attribute == "cfg" {
				f.CFG = &x
			} else {
				f.Guidance = &x
			}
		}
	}
	err := f.place(places, value, entities, index, canvas)
	return f, err
}

// place moves a frame's entities to the centres that tracks give them, each after the one
// that it follows. entities are those of the scene; index finds an address among them.
func (f *Frame) place(tracks []*Track, value func(*Track) Value, entities []Entity, index map[string]int, canvas Size) error {
	placed := map[string]bool{}
	for _, tr := range tracks {
		placed[tr.Target.Block] = false
	}
	for range tracks {
		for _, tr := range tracks {
			at, waits := placed[tr.Follow]
			if placed[tr.Target.Block] || waits && !at {
				continue
			}
			own := index[tr.Target.Block]
			var to []float64
			if tr.Follow == "" {
				to = value(tr).Numbers
			} else {
				leader, ok := index[tr.Follow]
				if !ok {
					return fmt.Errorf("%s follows %s, which is not in the render", tr.Target.Block, tr.Follow)
				}
				x, y := f.Entities[leader].Region.Center(canvas)
				oldX, oldY := entities[leader].Region.Center(canvas)
				ownX, ownY := entities[own].Region.Center(canvas)
				to = []float64{x + ownX - oldX, y + ownY - oldY}
			}
			e := &f.Entities[own]
			e.Region = e.Region.CenterAt(to[0], to[1], canvas)
			placed[tr.Target.Block] = true
		}
	}
	for _, tr := range tracks {
		if !placed[tr.Target.Block] {
			return fmt.Errorf("%s and %s follow one another", tr.Target.Block, tr.Follow)
		}
	}
	return nil
}
