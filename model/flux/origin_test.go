package flux

import (
	"testing"

	. "github.com/gomlx/gomlx/core/graph"

	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/nn"
)

// A window's image tokens are at the positions that they have in the whole
// picture.
func TestOriginIsThePlaceInThePicture(t *testing.T) {
	const rows, columns, h, w = 7, 9, 3, 4
	be := goBackend(t)
	at := [][2]int{{0, 0}, {4, 5}, {2, 1}}
	origin := tensor.New(len(at), 2)
	for i, o := range at {
		origin.Data[2*i], origin.Data[2*i+1] = float32(o[0]), float32(o[1])
	}
	n := tiny.HeadDim() / 2
	out := be.run(t, "rope", tensorMap{"origin": origin}, func(_ nn.Weights, in map[string]*Node) map[string]*Node {
		whole := rope(in["origin"].Graph(), tiny, rows, columns, nil)
		part := rope(in["origin"].Graph(), tiny, h, w, in["origin"])
		return map[string]*Node{"whole": Concatenate([]*Node{whole.cos, whole.sin}, -1), "part": Concatenate([]*Node{part.cos, part.sin}, -1)}
	})
	want := tensor.New(len(at), h*w, 2*n)
	for i, o := range at {
		for y := range h {
			for x := range w {
				from := ((o[0]+y)*columns + o[1] + x) * 2 * n
				copy(want.Data[((i*h+y)*w+x)*2*n:], out["whole"].Data[from:from+2*n])
			}
		}
	}
	if d := distance(t, out["part"], want); !(d <= 2e-6) {
		t.Errorf("angles differ by %g", d)
	}
}

// Windows that lie side by side keep their own places.
func TestOriginsOfWindowsSideBySide(t *testing.T) {
	const rows, columns, h, w = 7, 12, 3, 4
	be := goBackend(t)
	at := [][2][2]int{{{0, 0}, {1, 8}}, {{4, 1}, {2, 7}}}
	origin := tensor.New(len(at), 2, 2)
	for i, pair := range at {
		for p, o := range pair {
			origin.Data[4*i+2*p], origin.Data[4*i+2*p+1] = float32(o[0]), float32(o[1])
		}
	}
	n := tiny.HeadDim() / 2
	out := be.run(t, "rope", tensorMap{"origin": origin}, func(_ nn.Weights, in map[string]*Node) map[string]*Node {
		whole := rope(in["origin"].Graph(), tiny, rows, columns, nil)
		part := rope(in["origin"].Graph(), tiny, h, 2*w, in["origin"])
		return map[string]*Node{"whole": Concatenate([]*Node{whole.cos, whole.sin}, -1), "part": Concatenate([]*Node{part.cos, part.sin}, -1)}
	})
	want := tensor.New(len(at), h*2*w, 2*n)
	for i, pair := range at {
		for y := range h {
			for x := range 2 * w {
				o := pair[x/w]
				from := ((o[0]+y)*columns + o[1] + x%w) * 2 * n
				copy(want.Data[((i*h+y)*2*w+x)*2*n:], out["whole"].Data[from:from+2*n])
			}
		}
	}
	if d := distance(t, out["part"], want); !(d <= 2e-6) {
		t.Errorf("angles differ by %g", d)
	}
}
