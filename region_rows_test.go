package eligen

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// covers defines a region point by point, which Rows must agree with to the bit: plans'
// digests are made over the tokens. cells are looked at where they are the grid's, so
// that masks are read by NEAREST; else the point (x, y).
func covers(r Region, i, j int, x, y float64, cells bool, grid, canvas Size) bool {
	n, sx, sy := r.Numbers, float64(canvas.W), float64(canvas.H)
	if r.Pixels {
		sx, sy = 1, 1
	}
	part := func(p Region) bool { return covers(p, i, j, x, y, cells, grid, canvas) }
	from := func(x, y float64) bool { return covers(r.Parts[0], i, j, x, y, false, grid, canvas) }
	switch r.Kind {
	case "union":
		return slices.ContainsFunc(r.Parts, part)
	case "intersect":
		return len(r.Parts) > 0 && !slices.ContainsFunc(r.Parts, func(p Region) bool { return !part(p) })
	case "subtract":
		return len(r.Parts) > 0 && part(r.Parts[0]) && !slices.ContainsFunc(r.Parts[1:], part)
	case "invert":
		return !part(r.Parts[0])
	case "image":
		if cells {
			return r.Bitmap.On(r.bitmapCell(i, j, grid, canvas))
		}
		return r.Bitmap.On(r.bitmapAt(x, y, canvas))
	case "box":
		return x >= n[0]*sx && x < n[2]*sx && y >= n[1]*sy && y < n[3]*sy
	case "ellipse":
		dx, dy := (x-n[0]*sx)/(n[2]*sx), (y-n[1]*sy)/(n[3]*sy)
		return n[2] > 0 && n[3] > 0 && dx*dx+dy*dy < 1
	case "polygon":
		return polygonContains(n, x/sx, y/sy)
	case "path":
		wind := 0
		for _, p := range r.Parts {
			px, py := sx, sy
			if p.Pixels {
				px, py = 1, 1
			}
			wind += winding(p.Numbers, x/px, y/py)
		}
		return wind != 0
	case "translate":
		return from(x-n[0]*sx, y-n[1]*sy)
	case "scale":
		return from((x-n[2]*sx)/n[0]+n[2]*sx, (y-n[3]*sy)/n[1]+n[3]*sy)
	case "mirror":
		if n[0] == 0 {
			return from(2*n[1]*sx-x, y)
		}
		return from(x, 2*n[1]*sy-y)
	case "rotate":
		sin, cos := turn(n[0])
		dx, dy := x-n[1]*sx, y-n[2]*sy
		return from(n[1]*sx+cos*dx+sin*dy, n[2]*sy-sin*dx+cos*dy)
	}
	return false
}

// polygonContains applies the even-odd rule; edges are half-open, so that polygons that
// share an edge share no pixel.
func polygonContains(n []float64, x, y float64) bool {
	in := false
	for i, j := 0, len(n)-2; i+1 < len(n); i, j = i+2, i {
		xi, yi, xj, yj := n[i], n[i+1], n[j], n[j+1]
		if (yi > y) != (yj > y) && x < (xj-xi)*(y-yi)/(yj-yi)+xi {
			in = !in
		}
	}
	return in
}

// winding counts how often a polygon goes around a point.
func winding(n []float64, x, y float64) int {
	out := 0
	for i, j := 0, len(n)-2; i+1 < len(n); i, j = i+2, i {
		xi, yi, xj, yj := n[i], n[i+1], n[j], n[j+1]
		if (yi > y) == (yj > y) || x >= (xj-xi)*(y-yi)/(yj-yi)+xi {
			continue
		}
		if yi > yj {
			out++
		} else {
			out--
		}
	}
	return out
}

func agree(t *testing.T, name string, r Region, grid, canvas Size) {
	t.Helper()
	got := r.Sample(grid, canvas)
	for j := range grid.H {
		for i := range grid.W {
			x, y := float64(Nearest(i, grid.W, canvas.W))+0.5, float64(Nearest(j, grid.H, canvas.H))+0.5
			if want := covers(r, i, j, x, y, true, grid, canvas); got[j*grid.W+i] != want {
				t.Fatalf("%s: cell (%d, %d) of %v on %v is %v, point by point %v\n%+v", name, i, j, grid, canvas, got[j*grid.W+i], want, r)
			}
		}
	}
}

// tokensAgree holds Tokens to its definition: a token is on when one of its latents is.
func tokensAgree(t *testing.T, r Region, canvas Size) {
	t.Helper()
	for _, g := range []Geometry{DefaultGeometry, {Channels: 4, Factor: 4, Patch: 1}, {Channels: 8, Factor: 4, Patch: 3}} {
		latent, latents, grid := r.LatentMask(canvas, g), g.Latents(canvas), g.Grid(canvas)
		var want []int32
		for token := range grid.W * grid.H {
			x, y := g.Patch*(token%grid.W), g.Patch*(token/grid.W)
			on := false
			for i := range g.Patch * g.Patch {
				on = on || latent[(y+i/g.Patch)*latents.W+x+i%g.Patch]
			}
			if on {
				want = append(want, int32(token))
			}
		}
		if got := r.Tokens(canvas, g); !slices.Equal(got, want) {
			t.Fatalf("%+v: tokens of %+v on %v: %v, by its latents %v", g, r, canvas, got, want)
		}
	}
}

// grids are canvases at the sizes at which regions are looked at: as a mask, by
// latents, and through cells that are neither.
var grids = []struct{ grid, canvas Size }{
	{Size{32, 32}, Size{32, 32}}, {Size{48, 24}, Size{48, 24}}, {Size{16, 12}, Size{128, 96}}, {Size{37, 23}, Size{64, 48}},
}

// Outlines at their worst: edges and points where cells look, edges twice, lines that
// cross themselves.
func TestRowsOfAwkwardPolygons(t *testing.T) {
	px := func(n ...float64) Region { return Region{Kind: "polygon", Pixels: true, Numbers: n} }
	star := func(points, step int) Region {
		var n []float64
		for i := range points {
			sin, cos := math.Sincos(2 * math.Pi * float64(i*step) / float64(points))
			n = append(n, 0.5+0.45*sin, 0.5-0.45*cos)
		}
		return Region{Kind: "polygon", Numbers: n}
	}
	for name, r := range map[string]Region{
		"points where cells look":           px(4.5, 4.5, 20.5, 4.5, 20.5, 20.5, 4.5, 20.5),
		"a point on top where a cell looks": px(10.5, 2.5, 20, 20, 2, 20),
		"a point below where a cell looks":  px(2, 2, 20, 2, 10.5, 20.5),
		"horizontal edges where cells look": px(2, 4.5, 10, 4.5, 10, 8.5, 20, 8.5, 20, 12.5, 2, 12.5),
		"a step along one row":              px(2, 2, 12, 2, 12, 8.5, 16, 8.5, 8, 8.5, 8, 20, 2, 20),
		"no area":                           px(2, 2, 20, 20, 2, 2),
		"one line, there and back":          px(2.5, 2.5, 20.5, 20.5, 2.5, 2.5, 20.5, 20.5),
		"one point":                         px(4.5, 4.5, 4.5, 4.5, 4.5, 4.5),
		"the same edge twice":               px(2, 2, 20, 2, 20, 20, 2, 20, 2, 2, 20, 2, 20, 20, 2, 20),
		"a bow tie":                         px(2, 2, 30, 22, 30, 2, 2, 22),
		"a bow tie that crosses at a cell":  px(0, 0, 25, 25, 25, 0, 0, 25),
		"a star that crosses itself":        star(5, 2),
		"a star that crosses itself often":  star(101, 50),
		"beyond the canvas on all sides":    {Kind: "polygon", Numbers: []float64{-3, 0.5, 0.5, -4, 5, 0.5, 0.5, 6}},
		"left of the canvas":                {Kind: "polygon", Numbers: []float64{-3, 0, -1, 0, -1, 1}},
		"a comb, with points on every row":  px(0, 0, 2.5, 30.5, 5, 0.5, 7.5, 30.5, 10, 0.5, 12.5, 30.5, 15, 0),
		"far away":                          {Kind: "polygon", Numbers: []float64{-1e6, -1e6, 1e6, -1e6, 0.5, 1e6}},
		"two points are nothing":            px(1, 1, 20, 20),
		"no points are nothing":             px(),
	} {
		path := Region{Kind: "path", Parts: []Region{r, star(7, 3)}}
		for _, g := range grids {
			agree(t, name, r, g.grid, g.canvas)
			agree(t, name+", as a path with a star", path, g.grid, g.canvas)
			for _, degrees := range []float64{90, 180, 270, 30, 45, -17} {
				agree(t, name+", turned", Region{Kind: "rotate", Numbers: []float64{degrees, 0.5, 0.5}, Parts: []Region{r}}, g.grid, g.canvas)
				agree(t, name+", as a path, turned", Region{Kind: "rotate", Numbers: []float64{degrees, 0.5, 0.5}, Parts: []Region{path}}, g.grid,
					g.canvas)
			}
		}
	}
}

// randomRegion makes shapes of shapes. Half of their numbers are where cells look, or
// between two.
func randomRegion(rng *rand.Rand, depth int) Region {
	at := func() float64 {
		if rng.IntN(2) == 0 {
			return float64(rng.IntN(140)-6) / 128
		}
		return 1.4*rng.Float64() - 0.2
	}
	list := func(n int) (out []float64) {
		for range n {
			out = append(out, at())
		}
		return out
	}
	ring := func() Region { return Region{Kind: "polygon", Numbers: list(2 * (3 + rng.IntN(40)))} }
	kinds := []string{"box", "ellipse", "polygon", "path", "image"}
	if depth > 0 {
		kinds = append(kinds, "union", "intersect", "subtract", "invert", "translate", "scale", "mirror", "rotate")
	}
	r := Region{Kind: kinds[rng.IntN(len(kinds))]}
	parts := func(n int) {
		for range n {
			r.Parts = append(r.Parts, randomRegion(rng, depth-1))
		}
	}
	switch r.Kind {
	case "box", "ellipse":
		r.Numbers = list(4)
	case "polygon":
		r = ring()
	case "path":
		for range 1 + rng.IntN(3) {
			r.Parts = append(r.Parts, ring())
		}
	case "image":
		r.Fit = []string{"", "stretch", "cover", "contain"}[rng.IntN(4)]
		r.Bitmap = NewBitmap(1+rng.IntN(60), 1+rng.IntN(60), func(x, y int) bool { return rng.IntN(4) > 0 })
	case "union", "intersect", "subtract":
		parts(1 + rng.IntN(4))
	case "invert":
		parts(1)
	case "translate":
		parts(1)
		r.Numbers = list(2)
	case "scale":
		parts(1)
		// A curve that overshoots may turn a shape inside out, or leave nothing of it.
		r.Numbers = append([]float64{[]float64{0.5, 2, 1.3, -1, 0, 1e-9}[rng.IntN(6)], []float64{0.5, 2, 0.7, -0.5, 0}[rng.IntN(5)]}, list(2)...)
	case "mirror":
		parts(1)
		r.Numbers = []float64{float64(rng.IntN(2)), at()}
	case "rotate":
		parts(1)
		r.Numbers = append([]float64{[]float64{0, 90, 180, 270, 33, 450, -45, 1e-7}[rng.IntN(8)]}, list(2)...)
	}
	return r
}

func TestRowsOfShapesOfShapes(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 1500 {
		r := randomRegion(rng, 4)
		g := grids[rng.IntN(len(grids))]
		agree(t, "random", r, g.grid, g.canvas)
		agree(t, "random, rounded", r.Round(), g.grid, g.canvas)
		for _, canvas := range []Size{{128, 64}, {72, 88}, {8, 40}} { // two that no model makes
			tokensAgree(t, r, canvas)
		}
	}
}

// FuzzRows looks for outlines whose rows are not their points.
func FuzzRows(f *testing.F) {
	f.Add([]byte("a triangle"), 0.0, false)
	f.Add([]byte{10, 10, 200, 10, 200, 200, 10, 200}, 90.0, true)
	f.Add([]byte{0, 0, 255, 255, 255, 0, 0, 255, 0, 0, 128, 128}, 30.0, false)
	f.Fuzz(func(t *testing.T, points []byte, degrees float64, path bool) {
		if len(points) > 400 || math.IsNaN(degrees) || math.IsInf(degrees, 0) {
			return
		}
		r := Region{Kind: "polygon", Pixels: true}
		for _, p := range points[:len(points)&^1] {
			r.Numbers = append(r.Numbers, float64(p)/4) // quarters of pixels: often where cells look
		}
		if path {
			r = Region{Kind: "path", Parts: []Region{r}}
		}
		if degrees != 0 {
			r = Region{Kind: "rotate", Numbers: []float64{degrees, 0.5, 0.5}, Parts: []Region{r}}
		}
		for _, g := range grids {
			agree(t, "outline", r, g.grid, g.canvas)
		}
	})
}

// Shapes with numbers that are none, or without parts, cover something or nothing, and
// end nothing else.
func TestRowsOfNonsense(t *testing.T) {
	for _, kind := range []string{"box", "ellipse", "polygon", "path", "image", "union", "intersect", "subtract", "invert", "translate",
		"scale", "mirror", "rotate", "grow", "unheard of"} {
		for _, n := range [][]float64{nil, {1}, {math.NaN(), 0, 1, 1}, {0, math.Inf(1), math.Inf(-1), 1, math.NaN(), 2},
			{math.Inf(1), math.Inf(1)}, {0, 0, 0}} {
			for _, parts := range [][]Region{nil, {{Kind: "box", Numbers: []float64{0, 0, 1, 1}}}, {{Kind: "polygon", Numbers: n}, {}}} {
				r := Region{Kind: kind, Numbers: n, Parts: parts}
				r.Sample(Size{8, 8}, Size{32, 32})
				r.Sample(Size{0, 8}, Size{32, 32})
				r.Sample(Size{8, 0}, Size{32, 32})
				Region{Kind: "rotate", Numbers: []float64{30, 0.5, 0.5}, Parts: []Region{r}}.Mask(Size{16, 16})
			}
		}
	}
}
