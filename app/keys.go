package app

import (
	"context"
	"errors"
	"slices"

	"github.com/eligen/eligen"
)

// A KeyTable is the values of a clip, frame by frame.
type KeyTable struct {
	Render  string       `json:"render"`
	FPS     float64      `json:"fps"`
	Columns []string     `json:"columns"` // of a row of Values
	Frames  []int        `json:"frames"`
	Values  [][]*float64 `json:"values"` // a row a frame; null where a region covers nothing
}

// Keys returns the values of a scene's timelines, as a plan takes them; of some frames, or of all where
// none is named. It returns warnings too.
func (a *App) Keys(ctx context.Context, in Input, frames []Span) ([]KeyTable, eligen.Diagnostics, error) {
	scene, warnings, err := a.Open(ctx, in)
	if err != nil {
		return nil, warnings, err
	}
	clips := slices.DeleteFunc(scene.Renders, func(r eligen.Render) bool { return r.Clip == nil })
	if _, err := spans(frames).check(clips); err != nil {
		return nil, warnings, err
	}
	if len(clips) == 0 {
		return nil, warnings, errors.New(in.Path + " has no render with a timeline")
	}
	var out []KeyTable
	for _, r := range clips {
		t, err := keysOf(r, spans(frames).only())
		if err != nil {
			return nil, warnings, err
		}
		if len(t.Frames) > 0 { // else it is shorter than another, which has them
			out = append(out, t)
		}
	}
	return out, warnings, nil
}

// keysOf works a clip out. The canvas is the render's, or a square where that is the model's own size.
func keysOf(r eligen.Render, only func(int) bool) (KeyTable, error) {
	canvas := r.Size
	if canvas == (eligen.Size{}) {
		canvas = eligen.Size{W: 1024, H: 1024}
	}
	line := r.Clip.Timeline
	t := KeyTable{Render: r.Address, FPS: line.FPS}
	moves := map[string]bool{}
	for _, tr := range line.Tracks {
		moves[tr.Target.Block] = true
		if tr.Target.Attribute == "strength" {
			moves[tr.Target.String()] = true
		}
	}
	for n := range line.Frames {
		if only != nil && !only(n) {
			continue
		}
		f, err := line.At(n, r.Entities, canvas)
		if err != nil {
			return t, err
		}
		var row keyRow
		for _, e := range f.Entities {
			if moves[e.Address] {
				row.entity(e, canvas, moves[e.Address+".strength"])
			}
		}
		row.tracks(line.Tracks, f)
		t.Columns = row.columns
		t.Frames, t.Values = append(t.Frames, n), append(t.Values, row.values)
	}
	return t, nil
}

// A keyRow is the values of a frame.
type keyRow struct {
	columns []string
	values  []*float64
}

func (r *keyRow) add(name string, v float64) {
	r.columns, r.values = append(r.columns, name), append(r.values, &v)
}

// entity adds where an entity is: a box by its centre and size, another shape by the box around it, in
// fractions of the canvas.
func (r *keyRow) entity(e eligen.Entity, canvas eligen.Size, strength bool) {
	if b := e.Region; b.Kind == "box" && !b.Pixels {
		b := b.Numbers
		r.add(e.Address+".cx", (b[0]+b[2])/2)
		r.add(e.Address+".cy", (b[1]+b[3])/2)
		r.add(e.Address+".w", b[2]-b[0])
		r.add(e.Address+".h", b[3]-b[1])
	} else {
		x0, y0, x1, y1, ok := e.Region.Bounds(canvas)
		w, h := float64(canvas.W), float64(canvas.H)
		r.add(e.Address+".cx", float64(x0+x1)/2/w)
		r.add(e.Address+".cy", float64(y0+y1)/2/h)
		r.add(e.Address+".w", float64(x1-x0)/w)
		r.add(e.Address+".h", float64(y1-y0)/h)
		if !ok {
			clear(r.values[len(r.values)-4:])
		}
	}
	if strength {
		r.add(e.Address+".strength", e.Strength)
	}
}

// tracks adds what moves besides entities.
func (r *keyRow) tracks(tracks []eligen.Track, f eligen.Frame) {
	for _, tr := range tracks {
		switch name := tr.Target.String(); tr.Target.Attribute {
		case "scale":
			r.add(name, f.Scales[tr.Target.Block])
		case "guidance":
			r.add(name, *f.Guidance)
		case "cfg":
			r.add(name, *f.CFG)
		}
	}
}
