package planner

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// The sweep finds the pairs that comparing each with each would, whatever the areas'
// shape, and counts what they share.
func TestOverlappingFindsEveryPair(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, columns := range []int{5, 64, 150} {
		for range 60 {
			var tokens [][]int32
			var areas []*area
			for range rng.IntN(30) {
				x0, y0 := rng.IntN(columns), rng.IntN(20)
				x1, y1 := x0+rng.IntN(columns-x0)+1, y0+rng.IntN(8)
				holes := rng.IntN(2) * rng.IntN(3)
				var list []int32
				for y := y0; y < y1; y++ {
					for x := x0; x < x1; x++ {
						if holes == 0 || rng.IntN(holes+1) == 0 {
							list = append(list, int32(y*columns+x))
						}
					}
				}
				tokens, areas = append(tokens, list), append(areas, areaOf(list, columns))
			}
			var want, got []pair
			for j, y := range tokens {
				for i, x := range tokens[:j] {
					both := 0
					for _, a := range x {
						if slices.Contains(y, a) {
							both++
						}
					}
					if either := len(x) + len(y) - both; float64(both) > maxOverlap*float64(either) {
						want = append(want, pair{i, j, both, either})
					}
				}
			}
			overlapping(areas, func() {}, func(p pair) { got = append(got, p) })
			slices.SortFunc(got, pair.before)
			slices.SortFunc(want, pair.before)
			if !slices.Equal(got, want) {
				t.Fatalf("%d columns: %v, want %v", columns, got, want)
			}
		}
	}
}

// Opening keeps what some full square covers.
func TestOpen(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for range 200 {
		w, h, s := rng.IntN(20), rng.IntN(20), 1+rng.IntN(4)
		mask := make([]bool, w*h)
		for i := range mask {
			mask[i] = rng.IntN(8) > 0
		}
		want := make([]bool, w*h)
		for y := 0; y+s <= h; y++ {
			for x := 0; x+s <= w; x++ {
				full := true
				for i := range s * s {
					full = full && mask[(y+i/s)*w+x+i%s]
				}
				for i := range s * s {
					want[(y+i/s)*w+x+i%s] = want[(y+i/s)*w+x+i%s] || full
				}
			}
		}
		if got := open(mask, w, h, s); !slices.Equal(got, want) {
			t.Fatalf("%d×%d, squares of %d: %v of %v, want %v", w, h, s, got, mask, want)
		}
	}
}
