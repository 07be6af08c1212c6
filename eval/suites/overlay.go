package suites

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// OverLayBench (Li et al., NeurIPS 2025), as calculate_overlap_iou of mlpc-ucsd/OverLayBench scores boxes:
// those of a class are matched greedily, and pairs that overlap are compared in what they share.

// An Overlaid is a picture of OverLayBench: entities, their boxes in pixels of 1024×1024, and the pairs of
// them that are to overlap, by their numbers.
type Overlaid struct {
	ID       string
	Entities []Entity
	Pairs    [][2]int
}

// OverLay scores pictures: the mean IoU of all boxes, and that of what pairs share. side is that of the
// pictures that boxes were detected in.
func OverLay(items []Overlaid, side int, found map[string]Found) ([]Figure, error) {
	iou, shared := 0.0, 0.0
	for _, it := range items {
		if len(it.Entities) == 0 || len(it.Pairs) == 0 {
			return nil, fmt.Errorf("picture %s has no pair of entities that overlap", it.ID)
		}
		got, sum := it.matched(found[it.ID], side) // a picture without detections is one in which nothing was found
		iou += sum / float64(len(it.Entities))
		pairs := 0.0
		for _, p := range it.Pairs {
			if min(p[0], p[1]) < 0 || max(p[0], p[1]) >= len(it.Entities) {
				return nil, fmt.Errorf("picture %s has no pair of entities %d and %d", it.ID, p[0], p[1])
			}
			a, b := it.Entities[p[0]].Box, it.Entities[p[1]].Box
			pairs += pairIoU(a.overlap(b), got[p[0]].overlap(got[p[1]]))
		}
		shared += pairs / float64(len(it.Pairs))
	}
	if len(items) == 0 {
		return nil, errors.New("there are no pictures to score")
	}
	return []Figure{mean("mIoU", iou, len(items)), mean("O-mIoU", shared, len(items))}, nil
}

// matched returns the detection of each entity, a box of nothing where there is none, and the sum of the IoUs.
func (it Overlaid) matched(f Found, side int) (out []Box, sum float64) {
	out = make([]Box, len(it.Entities))
	type match struct {
		iou        float64
		want, have int
	}
	var boxes []Box
	var list []match
	for k, d := range f.Detections {
		by := 1024 / float64(side)
		b := Box{}
		for i, v := range d.Box {
			b[i] = float64(int(v * by))
		}
		boxes = append(boxes, b)
		for i, e := range it.Entities {
			if e.Label == d.Label {
				list = append(list, match{pairIoU(e.Box, b), i, k})
			}
		}
	}
	slices.SortStableFunc(list, func(a, b match) int {
		return cmp.Or(cmp.Compare(b.iou, a.iou), cmp.Compare(a.want, b.want), cmp.Compare(a.have, b.have))
	})
	done, used := map[int]bool{}, map[int]bool{}
	for _, m := range list {
		if !done[m.want] && !used[m.have] {
			done[m.want], used[m.have] = true, true
			out[m.want] = boxes[m.have]
			sum += m.iou
		}
	}
	return out, sum
}

// pairIoU is the original's: boxes that are turned inside out have areas too.
func pairIoU(a, b Box) float64 {
	o := a.overlap(b)
	both := max(0, o[2]-o[0]) * max(0, o[3]-o[1])
	if union := a.area() + b.area() - both; union > 0 {
		return both / union
	}
	return 0
}
