package dataset

import (
	"cmp"
	"image"
	"image/color"
	"image/draw"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/image/font"
	"golang.org/x/image/font/basicfont"
	"golang.org/x/image/math/fixed"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/annotated"
)

// Bins are how many bars a histogram has, and rows and columns the map of places.
const Bins = 10

// Stats is what a dataset holds.
type Stats struct {
	Pictures int             `json:"pictures"`
	Entities int             `json:"entities"`
	Words    []Counted       `json:"words"` // of entities without their article, the most frequent first
	PerImage map[int]int     `json:"entities_per_picture"`
	Sizes    [Bins]int       `json:"sizes"`    // of entities: the root of their share of the picture, in tenths
	Overlaps [Bins]int       `json:"overlaps"` // of pairs in a picture: the IoU of the boxes around them, in tenths
	Apart    int             `json:"apart"`    // pairs that don't overlap
	Places   [Bins][Bins]int `json:"places"`   // of entities' middles, row by row
}

// Counted is words, and how many entities have them.
type Counted struct {
	Words string `json:"words"`
	N     int    `json:"n"`
}

// StatsOf counts a dataset's samples.
func StatsOf(samples annotated.Samples, n int) (*Stats, error) {
	s := &Stats{Pictures: n, PerImage: map[int]int{}}
	words := map[string]int{}
	for i := range n {
		sample, err := samples(i)
		if err != nil {
			return nil, err
		}
		s.PerImage[len(sample.Entities)]++
		size := eligen.Size{W: sample.Image.Rect.Dx(), H: sample.Image.Rect.Dy()}
		var boxes [][4]float64
		for _, e := range sample.Entities {
			words[withoutArticle(e.Prompt)]++
			box, share := extent(e.Region, size)
			s.Entities++
			s.Sizes[bin(math.Sqrt(share))]++
			s.Places[bin((box[1]+box[3])/2)][bin((box[0]+box[2])/2)]++
			for _, other := range boxes {
				if iou := boxIoU(box, other); iou > 0 {
					s.Overlaps[bin(iou)]++
				} else {
					s.Apart++
				}
			}
			boxes = append(boxes, box)
		}
	}
	for w, k := range words {
		s.Words = append(s.Words, Counted{w, k})
	}
	slices.SortFunc(s.Words, func(a, b Counted) int { return cmp.Or(cmp.Compare(b.N, a.N), strings.Compare(a.Words, b.Words)) })
	return s, nil
}

func bin(v float64) int { return min(max(int(v*Bins), 0), Bins-1) }

func withoutArticle(s string) string {
	first, rest, ok := strings.Cut(strings.TrimSpace(s), " ")
	if ok && slices.Contains([]string{"a", "an", "the"}, strings.ToLower(first)) {
		return rest
	}
	return strings.TrimSpace(s)
}

// extent returns the box around a region, and its share of the picture.
func extent(r eligen.Region, size eligen.Size) (box [4]float64, share float64) {
	n, x0, y0, x1, y1 := 0, size.W, size.H, 0, 0
	for i, on := range r.Mask(size) {
		if x, y := i%size.W, i/size.W; on {
			n, x0, y0, x1, y1 = n+1, min(x0, x), min(y0, y), max(x1, x+1), max(y1, y+1)
		}
	}
	w, h := float64(size.W), float64(size.H)
	return [4]float64{float64(x0) / w, float64(y0) / h, float64(x1) / w, float64(y1) / h}, float64(n) / (w * h)
}

func boxIoU(a, b [4]float64) float64 {
	area := func(b [4]float64) float64 { return max(0, b[2]-b[0]) * max(0, b[3]-b[1]) }
	both := area([4]float64{max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])})
	return both / (area(a) + area(b) - both)
}

// Picture draws the histograms.
func (s *Stats) Picture() *image.NRGBA {
	const w, h, gap = 320, 200, 20
	img := image.NewNRGBA(image.Rect(0, 0, 2*w+3*gap, 2*h+3*gap))
	draw.Draw(img, img.Rect, image.White, image.Point{}, draw.Src)
	at := func(i int) image.Rectangle {
		x, y := gap+i%2*(w+gap), gap+i/2*(h+gap)
		return image.Rect(x, y, x+w, y+h)
	}
	var names []string
	var counts []int
	for _, c := range s.Words[:min(len(s.Words), Bins)] {
		names, counts = append(names, c.Words), append(counts, c.N)
	}
	bars(img, at(0), "entities by words", names, counts)
	tenths := []string{"0.0", "0.1", "0.2", "0.3", "0.4", "0.5", "0.6", "0.7", "0.8", "0.9"}
	bars(img, at(1), "size: root of the share", tenths, s.Sizes[:])
	bars(img, at(2), "overlap of pairs: IoU", tenths, s.Overlaps[:])
	s.places(img, at(3))
	return img
}

var barColour = color.NRGBA{60, 110, 180, 255}

// bars draws a histogram, a row a bar.
func bars(img *image.NRGBA, r image.Rectangle, title string, names []string, counts []int) {
	label(img, r.Min.X, r.Min.Y+10, title)
	most := 1
	for _, n := range counts {
		most = max(most, n)
	}
	const left, row = 110, 17
	for i, n := range counts {
		y := r.Min.Y + 16 + i*row
		name := []rune(names[i])
		label(img, r.Min.X, y+12, string(name[:min(len(name), 14)]))
		long := (r.Dx() - left - 44) * n / most
		draw.Draw(img, image.Rect(r.Min.X+left, y+2, r.Min.X+left+long, y+row-2), image.NewUniform(barColour), image.Point{}, draw.Src)
		label(img, r.Min.X+left+long+4, y+12, strconv.Itoa(n))
	}
}

// places draws where entities' middles are.
func (s *Stats) places(img *image.NRGBA, r image.Rectangle) {
	label(img, r.Min.X, r.Min.Y+10, "middles of entities")
	most := 1
	for _, row := range s.Places {
		most = max(most, slices.Max(row[:]))
	}
	const cell = 17
	for y, row := range s.Places {
		for x, n := range row {
			shade := uint8(245 - 215*n/most)
			at := image.Rect(r.Min.X+x*cell, r.Min.Y+16+y*cell, r.Min.X+(x+1)*cell-1, r.Min.Y+16+(y+1)*cell-1)
			draw.Draw(img, at, image.NewUniform(color.NRGBA{shade, shade, 245, 255}), image.Point{}, draw.Src)
		}
	}
}

func label(img *image.NRGBA, x, y int, text string) {
	d := font.Drawer{Dst: img, Src: image.Black, Face: basicfont.Face7x13, Dot: fixed.P(x, y)}
	d.DrawString(text)
}

// Counts returns how many pictures have each number of entities, the smallest first.
func (s *Stats) Counts() (entities, pictures []int) {
	for _, n := range slices.Sorted(maps.Keys(s.PerImage)) {
		entities, pictures = append(entities, n), append(pictures, s.PerImage[n])
	}
	return entities, pictures
}
