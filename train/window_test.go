package train

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// A window is cut out of all channels at one place, and lies at an entity where
// there is one.
func TestWindow(t *testing.T) {
	const W, H = 6, 5
	latents := make([]float32, 2*(2*H)*(2*W)) // two channels, four latents a token
	for i := range latents {
		latents[i] = float32(i)
	}
	w := window{W: W, H: H, x: 2, y: 1, w: 3, h: 2}
	var want []float32
	for c := range 2 {
		for y := 2; y < 6; y++ {
			for x := 4; x < 10; x++ {
				want = append(want, float32((c*2*H+y)*2*W+x))
			}
		}
	}
	if got := w.cut(latents, 2); !slices.Equal(got, want) {
		t.Errorf("cut %v\nwant %v", got, want)
	}
	members := make([]float32, MaxEntities*W*H)
	for e := range MaxEntities {
		members[e*W*H+4*W+5] = 1 // the last token, bottom right
	}
	rng := rand.New(rand.NewPCG(1, 1))
	for range 200 {
		w.look(rng, members)
		if w.x < 0 || w.y < 0 || w.x+w.w > W || w.y+w.h > H {
			t.Fatalf("the window leaves the picture: %+v", w)
		}
		if sum(w.cut(members, 1)) != MaxEntities {
			t.Fatalf("%+v does not show the entity", w)
		}
	}
	if order := largest([]float32{0, 0, 1, 0, 1, 1, 0, 0}, 2); !slices.Equal(order, []int{2, 1, 0, 3}) {
		t.Errorf("by size: %v", order)
	}
}

func sum(x []float32) (s float32) {
	for _, v := range x {
		s += v
	}
	return s
}
