package eligen

import (
	"math"
	"slices"
	"testing"
)

var square = Size{W: 100, H: 100}

func box(at, frame float64) Key {
	return Key{Frame: frame, Value: Value{Region: Box(at, at, at+0.2, at+0.2)}}
}

// A key's ease belongs to the way from it; outside the keys the value holds, or
// goes on as asked.
func TestTrackBetweenAndBeyondKeys(t *testing.T) {
	tr := Track{Target: Target{"entity.a", "box"}, Keys: []Key{box(0, 2), box(0.4, 6)}}
	for _, c := range []struct {
		extrapolate string
		ease        string
		frame, left float64
	}{
		{"", "linear", 0, 0}, {"", "linear", 2, 0}, {"", "linear", 4, 0.2}, {"", "linear", 5, 0.3}, {"", "linear", 6, 0.4},
		{"", "linear", 9, 0.4},
		{"", "quad-in", 4, 0.1}, {"", "hold", 5.9, 0}, {"", "hold", 6, 0.4},
		{"loop", "linear", 7, 0.1}, {"loop", "linear", 1, 0.3}, {"mirror", "linear", 7, 0.3}, {"mirror", "linear", 1, 0.1},
		{"mirror", "linear", 11, 0.1},
		{"continue", "linear", 7, 0.5}, {"continue", "linear", 1, -0.1},
	} {
		tr.Extrapolate, tr.Keys[0].Ease.Kind = c.extrapolate, c.ease
		if got := tr.At(c.frame, 12, square).Region.Numbers[0]; math.Abs(got-c.left) > 1e-9 {
			t.Errorf("%s, %s: frame %v is at %v, want %v", c.extrapolate, c.ease, c.frame, got, c.left)
		}
	}
}

// The speed along a path is even in pixels, whatever the shape of the canvas.
func TestPathByLength(t *testing.T) {
	p := Path{Points: []float64{0, 0, 0.5, 0, 0.5, 0, 0.5, 1}}
	if x, y := p.At(0.5, Size{200, 100}); x != 0.5 || y != 0 {
		t.Errorf("half way is at %v, %v", x, y)
	}
	if x, y := p.At(0.75, square); x != 0.5 || math.Abs(y-0.625) > 1e-12 {
		t.Errorf("three quarters are at %v, %v", x, y)
	}
	if x, y := p.At(1.1, Size{200, 100}); x != 0.5 || y < 1.1 {
		t.Errorf("beyond the end it goes on straight, not to %v, %v", x, y)
	}
	o := Orbit(0.5, 0.5, 0.2, 0.2, 0, 1)
	if got := o.Length(square); math.Abs(got-40*math.Pi) > 0.1 {
		t.Errorf("an orbit of radius 20 has length %v", got)
	}
	if x, y := o.At(0.25, square); math.Abs(x-0.5) > 1e-3 || math.Abs(y-0.7) > 1e-3 {
		t.Errorf("a quarter of an orbit from the right, clockwise, is below: %v, %v", x, y)
	}
	points := []float64{0, 0, 0.1, 0.5, 0.9, 0.6, 1, 0}
	c := CatmullRom(points)
	for i := 0; i < len(points); i += 2 {
		if at := i / 2 * pathSteps * 2; math.Hypot(c.Points[at]-points[i], c.Points[at+1]-points[i+1]) > 1e-12 {
			t.Errorf("the curve misses point %d", i/2)
		}
	}
}

// Morphs begin and end as they should, and are in between in between.
func TestBetween(t *testing.T) {
	small, big := Box(0.4, 0.4, 0.6, 0.6), Box(0.1, 0.1, 0.9, 0.9)
	disc := func(r float64) Region { return Region{Kind: "ellipse", Numbers: []float64{0.5, 0.5, r, r}} }
	star := Region{Kind: "polygon", Numbers: []float64{0.5, 0.1, 0.9, 0.9, 0.1, 0.4, 0.9, 0.4, 0.1, 0.9}}
	picture := func(r Region) Region {
		m := r.Mask(square)
		return Region{Kind: "image", Fit: "stretch", Bitmap: NewBitmap(100, 100, func(x, y int) bool { return m[y*100+x] })}
	}
	count := func(r Region) (n int) {
		for _, on := range r.Mask(square) {
			if on {
				n++
			}
		}
		return n
	}
	for name, pair := range map[string][2]Region{
		"boxes": {small, big}, "a box and pixels": {small, {Kind: "box", Pixels: true, Numbers: []float64{10, 10, 90, 90}}},
		"ellipses":             {disc(0.1), disc(0.4)},
		"a box becomes a disc": {small, disc(0.4)}, "a disc becomes a star": {disc(0.1), star}, "masks": {picture(small), picture(disc(0.4))},
		"a mask becomes a box": {picture(small), big}, "moved shapes": {small.Moved(0.1, 0, square), big.Moved(-0.1, 0, square)},
		"made of parts": {{Kind: "invert", Parts: []Region{big}}, {Kind: "invert", Parts: []Region{small}}},
	} {
		a, b := pair[0], pair[1]
		if !slices.Equal(Between(a, b, 0, square).Mask(square), a.Mask(square)) ||
			!slices.Equal(Between(a, b, 1, square).Mask(square), b.Mask(square)) {
			t.Errorf("%s: the ends are not the shapes themselves", name)
		}
		last := count(a)
		for _, x := range []float64{0.25, 0.5, 0.75, 1} {
			n := count(Between(a, b, x, square))
			if n < last {
				t.Errorf("%s: at %v it has %d pixels, before it had %d", name, x, n, last)
			}
			last = n
		}
	}
	if got := Between(small, Box(0.4, 0.4, 0.7, 0.7), -4, square).Numbers; got[0] > got[2] || got[1] > got[3] {
		t.Errorf("a curve that overshoots turns the box inside out: %v", got)
	}
}

// Entities go where tracks say; who follows keeps the distance; nothing else moves.
func TestTimelineAt(t *testing.T) {
	cat := Entity{Address: "entity.cat", Region: Box(0.1, 0.5, 0.3, 0.7), Strength: 1}
	hat := Entity{Address: "entity.hat", Region: Region{Kind: "ellipse", Numbers: []float64{0.2, 0.4, 0.1, 0.05}}, Strength: 1}
	mat := Entity{Address: "entity.mat", Region: Box(0, 0.8, 1, 1), Strength: 1}
	number := func(frame, x float64) Key { return Key{Frame: frame, Value: Value{Numbers: []float64{x}}} }
	line := Timeline{Frames: 5, FPS: 12, Tracks: []Track{
		{Target: Target{"entity.hat", "center"}, Follow: "entity.cat"},
		{Target: Target{"entity.cat", "center"}, Path: &Path{Points: []float64{0.2, 0.6, 0.8, 0.6}}},
		{Target: Target{"entity.cat", "strength"}, Keys: []Key{number(0, 1), number(4, 2)}},
		{Target: Target{"adapter.lora.eligen", "scale"}, Keys: []Key{number(0, 0), number(4, 1)}},
		{Target: Target{"sampler", "guidance"}, Keys: []Key{number(0, 3), number(4, 4)}},
	}}
	f, err := line.At(2, []Entity{cat, hat, mat}, square)
	if err != nil {
		t.Fatal(err)
	}
	near := func(got, want []float64) bool {
		return slices.EqualFunc(got, want, func(a, b float64) bool { return math.Abs(a-b) < 1e-9 })
	}
	if n := f.Entities[0].Region.Numbers; !near(n, []float64{0.4, 0.5, 0.6, 0.7}) || f.Entities[0].Strength != 1.5 {
		t.Errorf("the cat is in %v with strength %v", n, f.Entities[0].Strength)
	}
	if n := f.Entities[1].Region.Numbers; !near(n, []float64{0.5, 0.4, 0.1, 0.05}) {
		t.Errorf("the hat is at %v", n)
	}
	if n := f.Entities[2].Region.Numbers; !slices.Equal(n, mat.Region.Numbers) {
		t.Errorf("the mat has moved to %v", n)
	}
	if f.Scales["adapter.lora.eligen"] != 0.5 || *f.Guidance != 3.5 || f.CFG != nil {
		t.Errorf("scales %v, guidance %v, cfg %v", f.Scales, *f.Guidance, f.CFG)
	}
	if cat.Region.Numbers[0] != 0.1 {
		t.Error("the scene's own entity was changed")
	}
	line.Tracks = append(line.Tracks[:1], Track{Target: Target{"entity.cat", "center"}, Follow: "entity.hat"})
	if _, err := line.At(1, []Entity{cat, hat, mat}, square); err == nil {
		t.Error("two that follow one another are accepted")
	}
}
