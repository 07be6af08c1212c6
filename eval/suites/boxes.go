package suites

import (
	"errors"
	"strings"
)

// Boxes compares each entity's box with the detection of its words that overlaps it the most: the mean IoU, the
// share of entities with an IoU of a half, and of pictures in which all have. It is no benchmark's rule.
func Boxes(items []Item, found map[string]Found) ([]Figure, error) {
	sum, hit, n, whole := 0.0, 0, 0, 0
	for _, it := range items {
		f, ok := found[it.ID]
		if !ok {
			return nil, missing(it.ID)
		}
		if f.W == 0 {
			return nil, errors.New("the pictures' sizes are not known: pass the file with COCO's images")
		}
		all := true
		for _, e := range it.Entities {
			best, want := 0.0, e.Box.scaled(float64(f.W), float64(f.H))
			for _, d := range f.Detections {
				if strings.EqualFold(d.Label, e.Label) {
					best = max(best, d.Box.iou(want))
				}
			}
			n++
			sum += best
			if best >= 0.5 {
				hit++
			} else {
				all = false
			}
		}
		if all {
			whole++
		}
	}
	if n == 0 {
		return nil, errors.New("there are no entities to score")
	}
	return []Figure{mean("mIoU", sum, n), mean("IoU ≥ 0.5", float64(hit), n), mean("pictures", float64(whole), len(items))}, nil
}
