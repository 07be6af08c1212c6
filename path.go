package eligen

import "math"

// A Path is a line for something to move along, in fractions of the canvas.
type Path struct {
	Points []float64 `json:"points"` // x y x y …
}

// Length returns the path's length in pixels.
func (p *Path) Length(canvas Size) float64 {
	sum := 0.0
	for i := 0; i+3 < len(p.Points); i += 2 {
		sum += p.step(i, canvas)
	}
	return sum
}

func (p *Path) step(i int, canvas Size) float64 {
	return math.Hypot((p.Points[i+2]-p.Points[i])*float64(canvas.W), (p.Points[i+3]-p.Points[i+1])*float64(canvas.H))
}

// At returns the point at a share of the path's length. Beyond its ends the path
// continues straight, for an ease that overshoots.
func (p *Path) At(share float64, canvas Size) (x, y float64) {
	n := len(p.Points)
	want := share * p.Length(canvas)
	for i := 0; i+3 < n; i += 2 {
		d := p.step(i, canvas)
		if d == 0 {
			continue
		}
		if want <= d || i+5 >= n {
			t := want / d
			return p.Points[i] + (p.Points[i+2]-p.Points[i])*t, p.Points[i+1] + (p.Points[i+3]-p.Points[i+1])*t
		}
		want -= d
	}
	return p.Points[n-2], p.Points[n-1]
}

// pathSteps is how many straight lines a curve between two points is drawn with.
const pathSteps = 16

// CatmullRom returns a smooth path through points x y x y …, without the loops that the
// uniform form makes where points lie unevenly: the centripetal one (Yuksel et al. 2011).
func CatmullRom(points []float64) *Path {
	n := len(points) / 2
	at := func(i int) [2]float64 {
		switch { // ends are mirrored
		case i < 0:
			return [2]float64{2*points[0] - points[2], 2*points[1] - points[3]}
		case i >= n:
			return [2]float64{2*points[2*n-2] - points[2*n-4], 2*points[2*n-1] - points[2*n-3]}
		}
		return [2]float64{points[2*i], points[2*i+1]}
	}
	out := []float64{points[0], points[1]}
	for i := range n - 1 {
		p := [4][2]float64{at(i - 1), at(i), at(i + 1), at(i + 2)}
		var knot [4]float64
		for k := 1; k < 4; k++ {
			knot[k] = knot[k-1] + max(1e-9, math.Sqrt(math.Hypot(p[k][0]-p[k-1][0], p[k][1]-p[k-1][1])))
		}
		for s := 1; s <= pathSteps; s++ {
			t := knot[1] + (knot[2]-knot[1])*float64(s)/pathSteps
			for axis := range 2 {
				lerp := func(a, b, ta, tb float64) float64 { return a + (b-a)*(t-ta)/(tb-ta) }
				a1, a2, a3 := lerp(p[0][axis], p[1][axis], knot[0], knot[1]), lerp(p[1][axis], p[2][axis], knot[1], knot[2]), lerp(p[2][axis],
					p[3][axis], knot[2], knot[3])
				b1, b2 := lerp(a1, a2, knot[0], knot[2]), lerp(a2, a3, knot[1], knot[3])
				out = append(out, lerp(b1, b2, knot[1], knot[2]))
			}
		}
	}
	return &Path{Points: out}
}

// Orbit returns a path around (cx, cy), clockwise from an angle in degrees (0 is to the
// right), so many turns; negative turns go the other way.
func Orbit(cx, cy, rx, ry, from, turns float64) *Path {
	n := max(8, int(math.Ceil(128*math.Abs(turns))))
	p := &Path{}
	for i := range n + 1 {
		sin, cos := turn(from + 360*turns*float64(i)/float64(n))
		p.Points = append(p.Points, cx+rx*cos, cy+ry*sin)
	}
	return p
}
