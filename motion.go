package eligen

import (
	"fmt"
	"math"
	"slices"
)

// A Timeline turns a render into a sequence of frames: what moves, and how. A
// frame depends on nothing but the scene and its number.
type Timeline struct {
	Name    string
	Address string // "timeline.leap"
	Frames  int
	FPS     float64
	Tracks  []Track
	Source  Source
}

// A Track moves one attribute: from key to key, along a path, or after another
// entity. It has exactly one of Keys, Path and Follow.
type Track struct {
	Target      Target
	Keys        []Key  // by ascending frame
	Extrapolate string // before the first key and after the last: "hold" (also ""), "loop", "mirror", "continue"
	Path        *Path  // for a center: where it goes, over the whole timeline
	Ease        Ease   // of Path
	Follow      string // for a center: the address of the entity whose centre it keeps its distance to
	Source      Source
}

// A Target is the attribute that a track moves.
type Target struct {
	Block     string // "entity.dog", "adapter.lora.eligen", "sampler"
	Attribute string // of an entity: box, mask, region, center, strength; of an adapter: scale; of the sampler: guidance, cfg
}

func (t Target) String() string { return t.Block + "." + t.Attribute }

// A Key is a value at a frame. Frames may lie between whole ones.
type Key struct {
	Frame  float64
	Value  Value
	Ease   Ease // on the way to the next key
	Source Source
}

// A Value is what a track gives its target: a region, or one number, or the two
// of a point.
type Value struct {
	Region  Region
	Numbers []float64
}

// At is the track's value at a frame of a timeline of so many. A track that
// follows has none of its own.
func (t *Track) At(frame float64, frames int, canvas Size) Value {
	if t.Path != nil {
		x, y := t.Path.At(t.Ease.At(frame/float64(max(1, frames-1))), canvas)
		return Value{Numbers: []float64{x, y}}
	}
	first, last := t.Keys[0], t.Keys[len(t.Keys)-1]
	if span := last.Frame - first.Frame; span > 0 && (frame < first.Frame || frame > last.Frame) {
		switch t.Extrapolate {
		case "loop":
			frame = first.Frame + wrap(frame-first.Frame, span)
		case "mirror":
			if d := wrap(frame-first.Frame, 2*span); d > span {
				frame = last.Frame - (d - span)
			} else {
				frame = first.Frame + d
			}
		case "continue":
			a, b := first, t.Keys[1]
			if frame > last.Frame {
				a, b = t.Keys[len(t.Keys)-2], last
			}
			return between(a.Value, b.Value, (frame-a.Frame)/(b.Frame-a.Frame), canvas)
		}
	}
	for i, k := range t.Keys {
		if frame < k.Frame {
			if i == 0 {
				return first.Value
			}
			a := t.Keys[i-1]
			return between(a.Value, k.Value, a.Ease.At((frame-a.Frame)/(k.Frame-a.Frame)), canvas)
		}
	}
	return last.Value
}

func wrap(x, n float64) float64 { return math.Mod(math.Mod(x, n)+n, n) }

// between is the value at t on the way from a, 0, to b, 1.
func between(a, b Value, t float64, canvas Size) Value {
	if a.Numbers != nil {
		return Value{Numbers: mix(a.Numbers, b.Numbers, t)}
	}
	return Value{Region: Between(a.Region, b.Region, t, canvas)}
}

func mix(a, b []float64, t float64) []float64 {
	out := make([]float64, len(a))
	for i := range a {
		out[i] = a[i] + (b[i]-a[i])*t
	}
	return out
}

// A Frame is what a timeline makes of a render at one of its frames.
type Frame struct {
	Entities []Entity
	Scales   map[string]float64 // of adapters, by address
	Guidance *float64
	CFG      *float64
}

// At is the frame, given the entities as the scene has them. An entity without
// a track is as it was.
func (t *Timeline) At(frame int, entities []Entity, canvas Size) (Frame, error) {
	f := Frame{Entities: slices.Clone(entities), Scales: map[string]float64{}}
	index := map[string]int{}
	for i, e := range entities {
		index[e.Address] = i
	}
	value := func(tr *Track) Value { return tr.At(float64(frame), t.Frames, canvas) }
	// Shapes before places: a centre moves the shape of its frame.
	var places []*Track
	for i := range t.Tracks {
		tr := &t.Tracks[i]
		e, ok := index[tr.Target.Block]
		switch {
		case tr.Target.Attribute == "center":
			if ok {
				places = append(places, tr)
			}
		case ok && tr.Target.Attribute == "strength":
			f.Entities[e].Strength = max(0, value(tr).Numbers[0])
		case ok:
			f.Entities[e].Region = value(tr).Region
		case tr.Target.Attribute == "scale":
			f.Scales[tr.Target.Block] = value(tr).Numbers[0]
		case tr.Target.Block == "sampler":
			x := value(tr).Numbers[0]
			if tr.Target.Attribute == "cfg" {
				f.CFG = &x
			} else {
				f.Guidance = &x
			}
		}
	}
	// An entity is placed after the one that it follows.
	placed := map[string]bool{}
	for _, tr := range places {
		placed[tr.Target.Block] = false
	}
	for range places {
		for _, tr := range places {
			at, waits := placed[tr.Follow]
			if placed[tr.Target.Block] || waits && !at {
				continue
			}
			e := &f.Entities[index[tr.Target.Block]]
			var to []float64
			if tr.Follow == "" {
				to = value(tr).Numbers
			} else {
				leader, ok := index[tr.Follow]
				if !ok {
					return f, fmt.Errorf("%s follows %s, which is not in the render", tr.Target.Block, tr.Follow)
				}
				own, oldX, oldY := entities[index[tr.Target.Block]].Region, 0.0, 0.0
				x, y := f.Entities[leader].Region.Center(canvas)
				oldX, oldY = entities[leader].Region.Center(canvas)
				ownX, ownY := own.Center(canvas)
				to = []float64{x + ownX - oldX, y + ownY - oldY}
			}
			e.Region = e.Region.CenterAt(to[0], to[1], canvas)
			placed[tr.Target.Block] = true
		}
	}
	for _, tr := range places {
		if !placed[tr.Target.Block] {
			return f, fmt.Errorf("%s and %s follow one another", tr.Target.Block, tr.Follow)
		}
	}
	return f, nil
}

// Center is the middle of the box around a region, in fractions of the canvas.
func (r Region) Center(canvas Size) (x, y float64) {
	if x0, y0, x1, y1, ok := r.extent(canvas); ok {
		return (x0 + x1) / 2, (y0 + y1) / 2
	}
	x0, y0, x1, y1, ok := r.Bounds(canvas)
	if !ok {
		return 0.5, 0.5
	}
	return float64(x0+x1) / 2 / float64(canvas.W), float64(y0+y1) / 2 / float64(canvas.H)
}

// CenterAt is the region moved so that its Center is at (x, y).
func (r Region) CenterAt(x, y float64, canvas Size) Region {
	cx, cy := r.Center(canvas)
	return r.Moved(x-cx, y-cy, canvas)
}

// Moved is the region moved by fractions of the canvas.
func (r Region) Moved(dx, dy float64, canvas Size) Region {
	if dx == 0 && dy == 0 {
		return r
	}
	px, py := dx, dy
	if r.Pixels {
		px, py = dx*float64(canvas.W), dy*float64(canvas.H)
	}
	n := slices.Clone(r.Numbers)
	switch r.Kind {
	case "ellipse":
		n[0], n[1] = n[0]+px, n[1]+py
	case "box", "polygon":
		for i := range n {
			n[i] += []float64{px, py}[i%2]
		}
	default:
		return Region{Kind: "translate", Numbers: []float64{dx, dy}, Parts: []Region{r}}
	}
	r.Numbers = n
	return r
}

// extent is the box around shapes whose numbers tell it, in fractions of the canvas.
func (r Region) extent(canvas Size) (x0, y0, x1, y1 float64, ok bool) {
	n := r.fractions(canvas).Numbers
	switch {
	case r.Kind == "box" && len(n) == 4:
		return n[0], n[1], n[2], n[3], true
	case r.Kind == "ellipse" && len(n) == 4:
		return n[0] - n[2], n[1] - n[3], n[0] + n[2], n[1] + n[3], true
	case r.Kind == "polygon" && len(n) >= 2:
		x0, y0, x1, y1 = n[0], n[1], n[0], n[1]
		for i := 0; i+1 < len(n); i += 2 {
			x0, y0, x1, y1 = min(x0, n[i]), min(y0, n[i+1]), max(x1, n[i]), max(y1, n[i+1])
		}
		return x0, y0, x1, y1, true
	}
	return 0, 0, 0, 0, false
}

// fractions is a box, ellipse or polygon in fractions of the canvas.
func (r Region) fractions(canvas Size) Region {
	if !r.Pixels {
		return r
	}
	n := slices.Clone(r.Numbers)
	for i := range n {
		n[i] /= []float64{float64(canvas.W), float64(canvas.H)}[i%2]
	}
	r.Numbers, r.Pixels = n, false
	return r
}

// Between is the region at t on the way from a, 0, to b, 1; t may lie outside.
// Shapes of one construction move number by number; outlines that differ are
// resampled, and everything else goes by its signed distance.
func Between(a, b Region, t float64, canvas Size) Region {
	if t == 0 {
		return a
	}
	if t == 1 {
		return b
	}
	if r, ok := alike(a, b, t, canvas); ok {
		return r
	}
	if p, ok := a.polygon(canvas); ok {
		if q, ok := b.polygon(canvas); ok {
			p, q = resample(p, outlinePoints, canvas), resample(q, outlinePoints, canvas)
			return Region{Kind: "polygon", Numbers: mix(p, aligned(p, q), t)}
		}
	}
	da, db := a.signedDistance(canvas), b.signedDistance(canvas)
	return Region{Kind: "image", Fit: "stretch", Bitmap: NewBitmap(canvas.W, canvas.H, func(x, y int) bool {
		i := y*canvas.W + x
		return da[i]+(db[i]-da[i])*t < 0
	})}
}

// alike mixes two regions that were made in the same way.
func alike(a, b Region, t float64, canvas Size) (Region, bool) {
	if a.Kind != b.Kind || a.Fit != b.Fit || len(a.Numbers) != len(b.Numbers) || len(a.Parts) != len(b.Parts) {
		return a, false
	}
	switch a.Kind {
	case "image":
		return a, a.Bitmap != nil && b.Bitmap != nil && a.Bitmap.Digest == b.Bitmap.Digest
	case "mirror":
		if a.Numbers[0] != b.Numbers[0] {
			return a, false
		}
	case "box", "ellipse", "polygon":
		if a.Pixels != b.Pixels {
			a, b = a.fractions(canvas), b.fractions(canvas)
		}
	}
	out := a
	out.Numbers = mix(a.Numbers, b.Numbers, t)
	out.Parts = make([]Region, len(a.Parts))
	for i := range a.Parts {
		p, ok := alike(a.Parts[i], b.Parts[i], t, canvas)
		if !ok {
			return a, false
		}
		out.Parts[i] = p
	}
	if len(out.Parts) == 0 {
		out.Parts = nil
	}
	switch out.Kind { // a curve that overshoots may turn a shape inside out
	case "box":
		for i := range 2 {
			if out.Numbers[i] > out.Numbers[i+2] {
				m := (out.Numbers[i] + out.Numbers[i+2]) / 2
				out.Numbers[i], out.Numbers[i+2] = m, m
			}
		}
	case "ellipse":
		out.Numbers[2], out.Numbers[3] = max(0, out.Numbers[2]), max(0, out.Numbers[3])
	}
	return out, true
}

// outlinePoints is how many points an outline is resampled to, to become another.
const outlinePoints = 128

// polygon is the outline of a shape that has one, in fractions of the canvas.
func (r Region) polygon(canvas Size) ([]float64, bool) {
	n := r.fractions(canvas).Numbers
	switch r.Kind {
	case "box":
		return []float64{n[0], n[1], n[2], n[1], n[2], n[3], n[0], n[3]}, true
	case "ellipse":
		var out []float64
		for i := range outlinePoints {
			sin, cos := math.Sincos(2 * math.Pi * float64(i) / outlinePoints)
			out = append(out, n[0]+n[2]*cos, n[1]+n[3]*sin)
		}
		return out, true
	case "polygon":
		return n, len(n) >= 6
	case "path":
		if len(r.Parts) == 1 {
			return r.Parts[0].polygon(canvas)
		}
	}
	return nil, false
}

// resample puts n points at equal distances along a closed outline, clockwise.
func resample(points []float64, n int, canvas Size) []float64 {
	closed := append(slices.Clone(points), points[0], points[1])
	area := 0.0
	for i := 0; i+3 < len(closed); i += 2 {
		area += closed[i]*closed[i+3] - closed[i+2]*closed[i+1]
	}
	if area < 0 {
		for i, j := 0, len(closed)-2; i < j; i, j = i+2, j-2 {
			closed[i], closed[i+1], closed[j], closed[j+1] = closed[j], closed[j+1], closed[i], closed[i+1]
		}
	}
	p := Path{Points: closed}
	out := make([]float64, 0, 2*n)
	for i := range n {
		x, y := p.At(float64(i)/float64(n), canvas)
		out = append(out, x, y)
	}
	return out
}

// aligned is q, turned so that its points lie nearest to p's; both about their
// own middle, so that the way between them is short wherever they are.
func aligned(p, q []float64) []float64 {
	n := len(p) / 2
	middle := func(v []float64) (x, y float64) {
		for i := 0; i < len(v); i += 2 {
			x, y = x+v[i]/float64(n), y+v[i+1]/float64(n)
		}
		return x, y
	}
	px, py := middle(p)
	qx, qy := middle(q)
	best, least := 0, math.Inf(1)
	for shift := range n {
		sum := 0.0
		for i := range n {
			j := (i + shift) % n
			dx, dy := p[2*i]-px-q[2*j]+qx, p[2*i+1]-py-q[2*j+1]+qy
			sum += dx*dx + dy*dy
		}
		if sum < least-1e-12 {
			best, least = shift, sum
		}
	}
	return append(slices.Clone(q[2*best:]), q[:2*best]...)
}

// signedDistance is how far each pixel of the canvas is from the region's edge,
// negative inside.
func (r Region) signedDistance(canvas Size) []float64 {
	mask := r.Mask(canvas)
	inside := make([]bool, len(mask))
	for i := range mask {
		inside[i] = !mask[i]
	}
	out, in := squaredDistances(mask, canvas.W, canvas.H), squaredDistances(inside, canvas.W, canvas.H)
	for i := range out {
		if mask[i] {
			out[i] = 0.5 - math.Sqrt(in[i])
		} else {
			out[i] = math.Sqrt(out[i]) - 0.5
		}
	}
	return out
}

// Depth is how far inside the region each pixel of the canvas is, in pixels: half a
// pixel at its edge, 0 outside.
func (r Region) Depth(canvas Size) []float64 {
	d := r.signedDistance(canvas)
	for i := range d {
		d[i] = max(0, -d[i])
	}
	return d
}

// A Path is a line for something to move along, in fractions of the canvas.
type Path struct {
	Points []float64 `json:"points"` // x y x y …
}

// Length is the path's length in pixels.
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

// At is the point at a share of the path's length. Beyond its ends it goes on
// straight, for an ease that overshoots.
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

// CatmullRom is a smooth path through points x y x y …, without the loops that
// the uniform form makes where points lie unevenly: the centripetal one (Yuksel et
// al. 2011).
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
				a1, a2, a3 := lerp(p[0][axis], p[1][axis], knot[0], knot[1]), lerp(p[1][axis], p[2][axis], knot[1], knot[2]), lerp(p[2][axis], p[3][axis], knot[2], knot[3])
				b1, b2 := lerp(a1, a2, knot[0], knot[2]), lerp(a2, a3, knot[1], knot[3])
				out = append(out, lerp(b1, b2, knot[1], knot[2]))
			}
		}
	}
	return &Path{Points: out}
}

// Orbit is a path around (cx, cy), clockwise from an angle in degrees (0 is to
// the right), so many turns; negative turns go the other way.
func Orbit(cx, cy, rx, ry, from, turns float64) *Path {
	n := max(8, int(math.Ceil(128*math.Abs(turns))))
	p := &Path{}
	for i := range n + 1 {
		sin, cos := turn(from + 360*turns*float64(i)/float64(n))
		p.Points = append(p.Points, cx+rx*cos, cy+ry*sin)
	}
	return p
}
