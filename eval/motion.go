package eval

import (
	"context"
	"fmt"
	"image"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/annotated"
)

// clipFrames is how many frames a measured clip has.
const clipFrames = 6

// Motions are the rows of the table of moving entities: the ways to hold frames together.
var Motions = []string{"noise of its own", "shared noise", "warm start", "locked background"}

// Moving returns a sample's layout as a clip, in which the first entity goes aside.
func Moving(s annotated.Sample, size eligen.Size, seed uint64, motion string) eligen.Render {
	r := Render(s, Mode{Mask: true, Adapter: true}, size, seed)
	from := r.Entities[0].Region
	dx := 0.25
	if x, _ := from.Center(size); x > 0.5 {
		dx = -dx
	}
	to := from.Moved(dx, 0, size)
	r.Clip = &eligen.Clip{Timeline: eligen.Timeline{Name: "aside", Address: "timeline.aside", Frames: clipFrames, FPS: 8,
		Tracks: []eligen.Track{{
			Target: eligen.Target{Block: r.Entities[0].Address, Attribute: "box"},
			Keys:   []eligen.Key{{Value: eligen.Value{Region: from}}, {Frame: clipFrames - 1, Value: eligen.Value{Region: to}}},
		}}}}
	switch motion {
	case "warm start":
		r.Clip.Warm = &eligen.WarmStart{Strength: 0.6}
	case "locked background":
		r.Clip.Lock = true
	}
	return r
}

// motion renders layouts as clips, and measures from frame to frame.
func motion(ctx context.Context, o Options, tick func()) ([]Row, error) {
	var rows []Row
	for _, kind := range Motions {
		var change, placement, identity []float64
		for i := range o.Clips {
			s, err := o.Samples(i)
			if err != nil {
				return nil, err
			}
			if len(s.Entities) == 0 {
				continue
			}
			r := Moving(s, o.Size, uint64(i), kind)
			frames := make([]eligen.Frame, clipFrames)
			for n := range frames {
				if frames[n], err = r.Clip.Timeline.At(n, r.Entities, o.Size); err != nil {
					return nil, err
				}
			}
			var pictures []*image.NRGBA
			if kind == Motions[0] {
				for n, f := range frames {
					one := r
					one.Clip, one.Entities, one.Seed = nil, f.Entities, r.Seed+1000*uint64(n)
					img, err := o.Draw(ctx, one)
					if err != nil {
						return nil, fmt.Errorf("clip %d, frame %d, %s: %w", i, n, kind, err)
					}
					pictures = append(pictures, img)
				}
			} else if pictures, err = o.DrawClip(ctx, r); err != nil {
				return nil, fmt.Errorf("clip %d, %s: %w", i, kind, err)
			}
			tick()
			if len(pictures) != clipFrames {
				return nil, fmt.Errorf("clip %d has %d frames, not %d", i, len(pictures), clipFrames)
			}
			for n, img := range pictures {
				var boxes []image.Rectangle
				for _, e := range frames[n].Entities {
					boxes = append(boxes, pixels(e.Region, img))
				}
				placement = append(placement, o.Placement(img, boxes)...)
				for k, b := range boxes {
					class, _, err := o.Classify(img, b)
					if err != nil {
						return nil, err
					}
					identity = append(identity, truth(class == s.Entities[k].Class))
				}
				if n > 0 {
					change = append(change, outside(pictures[n-1], img, o.Size, o.Geometry, frames[0], frames[n-1], frames[n]))
				}
			}
		}
		rows = append(rows, Row{kind, []Metric{metric("change outside", "", change), metric("placement", "", placement),
			metric("identity", "", identity)}})
	}
	return rows, nil
}

// outside returns the mean change of a pixel in no region of the frames, and in none of
// their image tokens, in levels of 255.
func outside(a, b *image.NRGBA, size eligen.Size, g eligen.Geometry, frames ...eligen.Frame) float64 {
	covered := make([]bool, size.W*size.H)
	token, columns := g.Token(), g.Grid(size).W
	for _, f := range frames {
		for _, e := range f.Entities {
			for i, on := range e.Region.Mask(size) {
				covered[i] = covered[i] || on
			}
			for _, t := range e.Region.Tokens(size, g) {
				x0, y0 := int(t)%columns*token, int(t)/columns*token
				for y := y0; y < y0+token; y++ {
					for x := x0; x < x0+token; x++ {
						covered[y*size.W+x] = true
					}
				}
			}
		}
	}
	sum, n := 0.0, 0
	for i, c := range covered {
		if c {
			continue
		}
		for k := 4 * i; k < 4*i+3; k++ {
			d := int(a.Pix[k]) - int(b.Pix[k])
			sum += float64(max(d, -d))
			n++
		}
	}
	if n == 0 {
		return 0
	}
	return sum / float64(n)
}
