package suites

import (
	"cmp"
	"fmt"
	"image"
	"maps"
	"slices"
	"strings"
)

// COCO-MIG (Zhou et al., MIGC, CVPR 2024), as eval_mig.py of LeyRio/MIG_Bench scores it: an instance is
// there if a detection of its class has an IoU of a half with its box, and is right if a fifth of it has
// the colour that its label begins with.

// migSide is the side of the pictures that are scored.
const migSide = 512

// A MIG is how COCO-MIG is scored. Zero values are the original's.
type MIG struct {
	IoU   float64 // that a detection must have; 0 is 0.5
	Score float64 // that a detection must exceed; 0 is 0.25
	// Picture returns the picture of an item.
	Picture func(id string) (image.Image, error)
}

type migInstance struct {
	found, right bool
	iou          float64
}

// Rate scores items. There is a figure for all, and one for each number of instances.
func (m MIG) Rate(items []Item, found map[string]Found) ([]Figure, error) {
	m.IoU, m.Score = cmp.Or(m.IoU, 0.5), cmp.Or(m.Score, 0.25)
	all, levels := &migSum{}, map[int]*migSum{}
	for _, it := range items {
		f, ok := found[it.ID]
		if !ok {
			return nil, missing(it.ID)
		}
		if len(it.Entities) == 0 {
			return nil, fmt.Errorf("item %s asks for no instance", it.ID)
		}
		list, err := m.item(it, f)
		if err != nil {
			return nil, fmt.Errorf("item %s: %w", it.ID, err)
		}
		n := len(list)
		if levels[n] == nil {
			levels[n] = &migSum{}
		}
		all.add(list)
		levels[n].add(list)
	}
	if all.pictures == 0 {
		return nil, fmt.Errorf("the suite has no items")
	}
	out := all.figures("")
	for _, n := range slices.Sorted(maps.Keys(levels)) {
		out = append(out, levels[n].figures(fmt.Sprintf(" L%d", n))...)
	}
	return out, nil
}

// item scores a picture.
func (m MIG) item(it Item, f Found) ([]migInstance, error) {
	var small *bgr
	var out []migInstance
	for _, e := range it.Entities {
		attr, label, ok := strings.Cut(e.Label, " ")
		ranges := migColors[attr]
		if !ok || ranges == nil {
			return nil, fmt.Errorf("the label %q does not begin with one of COCO-MIG's colours", e.Label)
		}
		in := migInstance{}
		best := m.best(f, label, e.Box.scaled(migSide, migSide), &in)
		in.found = best != nil && in.iou >= m.IoU
		if in.found {
			if small == nil {
				img, err := m.Picture(it.ID)
				if err != nil {
					return nil, err
				}
				small = smallBGR(img)
			}
			mask, err := migMask(best, e.Box, f)
			if err != nil {
				return nil, err
			}
			if in.right = small.share(mask, ranges) >= 0.2; !in.right {
				in.iou = 0
			}
		}
		out = append(out, in)
	}
	return out, nil
}

// best returns the detection of a class that overlaps a box the most, in pixels of 512×512, and notes
// the IoU; nil without a detection.
func (m MIG) best(f Found, label string, want Box, in *migInstance) *Detection {
	x, y := 1.0, 1.0
	if f.H != migSide {
		x, y = migSide/float64(f.W), migSide/float64(f.H)
	}
	var list []Detection
	for _, d := range f.Detections {
		if d.Label == label && d.Score > m.Score {
			d.Box = d.Box.scaled(x, y)
			list = append(list, d)
		}
	}
	var best *Detection
	for _, d := range suppressed(list, 0.8) {
		if iou := d.Box.iou(want); best == nil || iou > in.iou {
			in.iou, best = iou, &d
		}
	}
	return best
}

// suppressed returns detections, best first, without those that overlap a better one by more than a share.
func suppressed(list []Detection, most float64) (out []Detection) {
	slices.SortStableFunc(list, func(a, b Detection) int { return cmp.Compare(b.Score, a.Score) })
	for _, d := range list {
		if !slices.ContainsFunc(out, func(kept Detection) bool { return kept.Box.iou(d.Box) > most }) {
			out = append(out, d)
		}
	}
	return out
}

// migMask returns the pixels of an instance: its detection's mask, or else its box.
func migMask(d *Detection, box Box, f Found) (*image.Alpha, error) {
	if d.Mask != nil {
		if b := d.Mask.Rect; f.W != b.Dx() || f.H != b.Dy() {
			return nil, fmt.Errorf("a mask of %d×%d pixels in a picture of %d×%d", b.Dx(), b.Dy(), f.W, f.H)
		}
		return nearestMask(d.Mask), nil
	}
	out := image.NewAlpha(image.Rect(0, 0, migSide, migSide))
	b := box.scaled(migSide, migSide)
	for y := int(b[1]); y < min(int(b[3]), migSide); y++ {
		for x := int(b[0]); x < min(int(b[2]), migSide); x++ {
			out.Pix[y*out.Stride+x] = 255
		}
	}
	return out, nil
}

// nearestMask returns a mask at 512×512.
func nearestMask(m *image.Alpha) *image.Alpha {
	w, h := m.Rect.Dx(), m.Rect.Dy()
	if w == migSide && h == migSide {
		return m
	}
	out := image.NewAlpha(image.Rect(0, 0, migSide, migSide))
	for y := range migSide {
		for x := range migSide {
			out.Pix[y*out.Stride+x] = m.Pix[y*h/migSide*m.Stride+x*w/migSide]
		}
	}
	return out
}

// A migSum is the sums of a level.
type migSum struct {
	pictures, whole, instances, found, right int
	iou                                      float64
}

func (s *migSum) add(list []migInstance) {
	whole := true
	for _, in := range list {
		s.instances++
		s.iou += in.iou
		if in.found {
			s.found++
		}
		if in.right {
			s.right++
		}
		whole = whole && in.right
	}
	s.pictures++
	if whole {
		s.whole++
	}
}

func (s *migSum) figures(level string) []Figure {
	out := []Figure{
		mean("SR"+level, float64(s.whole), s.pictures),
		mean("I-SR"+level, float64(s.right), s.instances),
		mean("mIoU"+level, s.iou, s.instances),
	}
	if s.found > 0 {
		out = append(out, mean("colour of those found"+level, float64(s.right), s.found))
	}
	return out
}

// A hsvRange is from low to high in OpenCV's hue (half degrees), saturation and value.
type hsvRange struct{ low, high [3]uint8 }

func (r hsvRange) holds(p [3]uint8) bool {
	for i, v := range p {
		if v < r.low[i] || v > r.high[i] {
			return false
		}
	}
	return true
}

// migColors are COCO-MIG's colours.
var migColors = map[string][]hsvRange{
	"red":    {{[3]uint8{0, 43, 35}, [3]uint8{6, 255, 255}}, {[3]uint8{156, 43, 35}, [3]uint8{180, 255, 255}}},
	"blue":   {{[3]uint8{78, 43, 35}, [3]uint8{124, 255, 255}}},
	"green":  {{[3]uint8{35, 43, 35}, [3]uint8{77, 255, 255}}},
	"yellow": {{[3]uint8{20, 43, 35}, [3]uint8{34, 255, 255}}},
	"black":  {{[3]uint8{0, 0, 0}, [3]uint8{180, 255, 35}}},
	"white":  {{[3]uint8{0, 0, 221}, [3]uint8{180, 43, 255}}},
	"brown":  {{[3]uint8{6, 43, 35}, [3]uint8{25, 255, 255}}},
}
