package eligen

import (
	"cmp"
	"math"
	"slices"
	"sort"
)

// A Span is cells of a row, from column Span[0] up to, not including, Span[1].
type Span [2]int

// A scan is where the columns and rows of a grid look at the canvas, in pixels.
type scan struct {
	canvas, grid Size
	x, y         []float64 // x ascends
	cells        bool      // they are the grid's own: mask pictures are then looked at by NEAREST
}

// unit returns what a region's numbers are multiples of, in pixels.
func (r Region) unit(canvas Size) (sx, sy float64) {
	if r.Pixels {
		return 1, 1
	}
	return float64(canvas.W), float64(canvas.H)
}

// Nearest computes PIL's NEAREST: the source index of cell i when n cells show src
// pixels.
func Nearest(i, n, src int) int {
	return min(src-1, (2*i+1)*src/(2*n))
}

// turn returns the sine and cosine of an angle in degrees, exact where a right angle is.
func turn(degrees float64) (sin, cos float64) {
	switch d := math.Mod(math.Mod(degrees, 360)+360, 360); d {
	case 0:
		return 0, 1
	case 90:
		return 1, 0
	case 180:
		return 0, -1
	case 270:
		return -1, 0
	default:
		return math.Sincos(d * math.Pi / 180)
	}
}

func nothing(int) []Span { return nil }

// rows returns what finds the spans of a row. Its result is valid until the next call.
func (s *scan) rows(r Region) func(j int) []Span {
	n := r.Numbers
	sx, sy := r.unit(s.canvas)
	switch r.Kind {
	case "union":
		return s.union(r.Parts)
	case "intersect":
		return s.intersect(r.Parts)
	case "subtract":
		return s.subtract(r.Parts)
	case "invert":
		return s.invert(r.Parts)
	case "image":
		return s.image(r)
	case "box":
		return s.box(r)
	case "ellipse":
		return s.ellipse(r)
	case "polygon":
		return s.outlines([]Region{r}, evenOdd)
	case "path":
		return s.outlines(r.Parts, nonzero)
	case "rotate":
		return s.points(r)
	case "translate":
		if len(n) == 2 {
			return s.moved(r, func(x float64) float64 { return x - n[0]*sx }, func(y float64) float64 { return y - n[1]*sy })
		}
	case "scale":
		if len(n) == 4 {
			return s.moved(r, func(x float64) float64 { return (x-n[2]*sx)/n[0] + n[2]*sx },
				func(y float64) float64 { return (y-n[3]*sy)/n[1] + n[3]*sy })
		}
	case "mirror":
		same := func(v float64) float64 { return v }
		if len(n) == 2 && n[0] == 0 {
			return s.moved(r, func(x float64) float64 { return 2*n[1]*sx - x }, same)
		}
		if len(n) == 2 {
			return s.moved(r, same, func(y float64) float64 { return 2*n[1]*sy - y })
		}
	}
	return nothing
}

// box scans the same columns in some of the rows.
func (s *scan) box(r Region) func(int) []Span {
	n := r.Numbers
	if len(n) != 4 || slices.ContainsFunc(n, math.IsNaN) {
		return nothing
	}
	sx, sy := r.unit(s.canvas)
	out := []Span{{from(s.x, n[0]*sx), from(s.x, n[2]*sx)}}
	if out[0][0] >= out[0][1] {
		return nothing
	}
	return func(j int) []Span {
		if y := s.y[j]; y >= n[1]*sy && y < n[3]*sy {
			return out
		}
		return nil
	}
}

// from returns the first column that is at v or right of it.
func from(x []float64, v float64) int { return sort.SearchFloat64s(x, v) }

// ellipse looks for both edges from the middle column, away from which nothing comes
// nearer again.
func (s *scan) ellipse(r Region) func(int) []Span {
	n := r.Numbers
	if len(n) != 4 || n[2] <= 0 || n[3] <= 0 || len(s.x) == 0 {
		return nothing
	}
	sx, sy := r.unit(s.canvas)
	dx := make([]float64, len(s.x)) // squared
	middle := 0
	for i, x := range s.x {
		d := (x - n[0]*sx) / (n[2] * sx)
		if dx[i] = d * d; dx[i] < dx[middle] {
			middle = i
		}
	}
	out := make([]Span, 1)
	return func(j int) []Span {
		d := (s.y[j] - n[1]*sy) / (n[3] * sy)
		dy := d * d
		if !(dx[middle]+dy < 1) {
			return nil
		}
		left := sort.Search(middle, func(i int) bool { return dx[i]+dy < 1 })
		right := middle + sort.Search(len(dx)-middle, func(i int) bool { return !(dx[middle+i]+dy < 1) })
		out[0] = Span{left, right}
		return out
	}
}

// image looks at the mask's pixels.
func (s *scan) image(r Region) func(int) []Span {
	b := r.Bitmap
	if b == nil {
		return nothing
	}
	columns, rows := make([]int, len(s.x)), make([]int, len(s.y))
	for i := range columns {
		columns[i], _ = s.pixel(r, i, 0)
	}
	for j := range rows {
		_, rows[j] = s.pixel(r, 0, j)
	}
	var out []Span
	last := -1 // the mask's row that out is of
	return func(j int) []Span {
		if rows[j] == last {
			return out
		}
		out = out[:0]
		if last = rows[j]; last < 0 || last >= b.H {
			return out
		}
		for i, x := range columns {
			if b.On(x, last) {
				out = put(out, i, i+1)
			}
		}
		return out
	}
}

// pixel returns the mask's pixel that a cell looks at, as bitmapCell and bitmapAt do.
func (s *scan) pixel(r Region, i, j int) (x, y int) {
	if s.cells {
		return r.bitmapCell(i, j, s.grid, s.canvas)
	}
	return r.bitmapAt(s.x[i], s.y[j], s.canvas)
}

// A crossing is where an outline crosses a row: the columns left of it have it on
// their right, going up or down.
type crossing struct{ column, way int }

// Which points are inside outlines, by what crosses the row right of them.
func evenOdd(crossings, _ int) bool { return crossings%2 == 1 }

func nonzero(_, winding int) bool { return winding != 0 }

// A scanned is a polygon and what of it its rows have in common.
type scanned struct {
	n, x      []float64 // x: the columns, in the polygon's unit
	low, high float64
	unit      float64 // of y
}

// scanned prepares a polygon to be scanned.
func (s *scan) scanned(r Region) scanned {
	p := scanned{n: r.Numbers, x: s.x}
	var sx float64
	if sx, p.unit = r.unit(s.canvas); sx != 1 {
		p.x = make([]float64, len(s.x))
		for i := range p.x {
			p.x[i] = s.x[i] / sx
		}
	}
	for i := 1; i < len(p.n); i += 2 {
		if i == 1 || p.n[i] < p.low {
			p.low = p.n[i]
		}
		if i == 1 || p.n[i] > p.high {
			p.high = p.n[i]
		}
	}
	return p
}

// crossings appends where the polygon crosses the row at y, in its unit.
func (p *scanned) crossings(out []crossing, y float64) []crossing {
	if y < p.low || y >= p.high {
		return out // it has no edge that begins above and ends below
	}
	n := p.n
	for i, k := 0, len(n)-2; i+1 < len(n); i, k = i+2, i {
		if (n[i+1] > y) == (n[k+1] > y) {
			continue
		}
		c := crossing{from(p.x, crossingAt(n, i, k, y)), 1}
		if n[i+1] < n[k+1] {
			c.way = -1
		}
		out = append(out, c)
	}
	return out
}

// outlines scans polygons, and the inside of them all.
func (s *scan) outlines(polygons []Region, inside func(crossings, winding int) bool) func(int) []Span {
	var all []scanned
	for _, r := range polygons {
		all = append(all, s.scanned(r))
	}
	var crossings []crossing
	var out []Span
	return func(j int) []Span {
		crossings, out = crossings[:0], out[:0]
		for i := range all {
			crossings = all[i].crossings(crossings, s.y[j]/all[i].unit)
		}
		slices.SortFunc(crossings, func(a, b crossing) int { return cmp.Compare(a.column, b.column) })
		winding, start := 0, 0
		for _, c := range crossings {
			winding += c.way
		}
		for i, c := range crossings {
			if c.column > start && inside(len(crossings)-i, winding) {
				out = put(out, start, c.column)
			}
			winding, start = winding-c.way, c.column
		}
		return out
	}
}

// crossingAt returns where the edge between points k and i of an outline is at height y,
// which lies between theirs.
func crossingAt(n []float64, i, k int, y float64) float64 {
	return (n[k]-n[i])*(y-n[i+1])/(n[k+1]-n[i+1]) + n[i]
}

// moved looks at the only part of a region from other places.
func (s *scan) moved(r Region, x, y func(float64) float64) func(int) []Span {
	if len(r.Parts) != 1 {
		return nothing
	}
	inner := &scan{canvas: s.canvas, grid: s.grid, x: make([]float64, len(s.x)), y: make([]float64, len(s.y))}
	up, down := true, true // and not where one is no number
	for i := range s.x {
		inner.x[i] = x(s.x[i])
		if i > 0 {
			up, down = up && inner.x[i] >= inner.x[i-1], down && inner.x[i] <= inner.x[i-1]
		}
	}
	for j := range s.y {
		inner.y[j] = y(s.y[j])
	}
	switch {
	case up:
		return inner.rows(r.Parts[0])
	case down:
		slices.Reverse(inner.x)
		row := inner.rows(r.Parts[0])
		var out []Span
		return func(j int) []Span {
			out = out[:0]
			spans := row(j)
			for k := len(spans) - 1; k >= 0; k-- {
				out = append(out, Span{len(s.x) - spans[k][1], len(s.x) - spans[k][0]})
			}
			return out
		}
	}
	return s.points(r)
}

// points looks at a region cell by cell: what is turned has no rows.
func (s *scan) points(r Region) func(int) []Span {
	in := r.inside(s.canvas)
	var out []Span
	return func(j int) []Span {
		out = out[:0]
		for i, x := range s.x {
			if in(x, s.y[j]) {
				out = put(out, i, i+1)
			}
		}
		return out
	}
}

// put adds a span behind those of a row, and joins it to the last where they touch.
func put(out []Span, start, end int) []Span {
	if n := len(out); n > 0 && start <= out[n-1][1] {
		out[n-1][1] = max(out[n-1][1], end)
		return out
	}
	return append(out, Span{start, end})
}

func (s *scan) all(parts []Region) []func(int) []Span {
	out := make([]func(int) []Span, len(parts))
	for i, p := range parts {
		out[i] = s.rows(p)
	}
	return out
}

func (s *scan) union(parts []Region) func(int) []Span {
	rows := s.all(parts)
	var all, out []Span
	return func(j int) []Span {
		all, out = all[:0], out[:0]
		for _, row := range rows {
			all = append(all, row(j)...)
		}
		slices.SortFunc(all, func(a, b Span) int { return cmp.Compare(a[0], b[0]) })
		for _, x := range all {
			out = put(out, x[0], x[1])
		}
		return out
	}
}

func (s *scan) intersect(parts []Region) func(int) []Span {
	rows := s.all(parts)
	var out, both []Span
	return func(j int) []Span {
		out = out[:0]
		for i, row := range rows {
			if i == 0 {
				out = append(out, row(j)...)
				continue
			}
			if len(out) == 0 {
				break
			}
			both = shared(both[:0], out, row(j))
			out, both = both, out
		}
		return out
	}
}

func (s *scan) subtract(parts []Region) func(int) []Span {
	if len(parts) == 0 {
		return nothing
	}
	first, rest := s.rows(parts[0]), s.union(parts[1:])
	var others, out []Span
	return func(j int) []Span {
		out = out[:0]
		if spans := first(j); len(spans) > 0 {
			others = without(others[:0], rest(j), len(s.x))
			out = shared(out, spans, others)
		}
		return out
	}
}

func (s *scan) invert(parts []Region) func(int) []Span {
	if len(parts) != 1 {
		return nothing
	}
	row := s.rows(parts[0])
	var out []Span
	return func(j int) []Span {
		out = without(out[:0], row(j), len(s.x))
		return out
	}
}

// shared adds to out what is in both a and b.
func shared(out, a, b []Span) []Span {
	for i, j := 0, 0; i < len(a) && j < len(b); {
		if start, end := max(a[i][0], b[j][0]), min(a[i][1], b[j][1]); start < end {
			out = put(out, start, end)
		}
		if a[i][1] < b[j][1] {
			i++
		} else {
			j++
		}
	}
	return out
}

// without adds to out the columns of a row of so many that spans leave.
func without(out, spans []Span, columns int) []Span {
	start := 0
	for _, x := range spans {
		if x[0] > start {
			out = append(out, Span{start, x[0]})
		}
		start = x[1]
	}
	if start < columns {
		out = append(out, Span{start, columns})
	}
	return out
}

// inside returns what reports whether a point of the canvas, in pixels, is in the
// region.
func (r Region) inside(canvas Size) func(x, y float64) bool {
	sx, sy := r.unit(canvas)
	n := r.Numbers
	parts := make([]func(x, y float64) bool, len(r.Parts))
	if r.Kind != "path" {
		for i, p := range r.Parts {
			parts[i] = p.inside(canvas)
		}
	}
	one := func(numbers int) bool { return len(parts) == 1 && len(n) == numbers }
	switch {
	case r.Kind == "union":
		return func(x, y float64) bool {
			return slices.ContainsFunc(parts, func(in func(x, y float64) bool) bool { return in(x, y) })
		}
	case r.Kind == "intersect" && len(parts) > 0:
		return func(x, y float64) bool {
			return !slices.ContainsFunc(parts, func(in func(x, y float64) bool) bool { return !in(x, y) })
		}
	case r.Kind == "subtract" && len(parts) > 0:
		return func(x, y float64) bool {
			return parts[0](x, y) && !slices.ContainsFunc(parts[1:], func(in func(x, y float64) bool) bool { return in(x, y) })
		}
	case r.Kind == "invert" && len(parts) == 1:
		return func(x, y float64) bool { return !parts[0](x, y) }
	case r.Kind == "image" && r.Bitmap != nil:
		return func(x, y float64) bool { return r.Bitmap.On(r.bitmapAt(x, y, canvas)) }
	case r.Kind == "polygon":
		in := insideOf(n)
		return func(x, y float64) bool { crossings, _ := in(x/sx, y/sy); return evenOdd(crossings, 0) }
	case r.Kind == "path":
		return insidePath(r.Parts, canvas)
	case r.Kind == "translate" && one(2):
		return func(x, y float64) bool { return parts[0](x-n[0]*sx, y-n[1]*sy) }
	case r.Kind == "scale" && one(4):
		return func(x, y float64) bool { return parts[0]((x-n[2]*sx)/n[0]+n[2]*sx, (y-n[3]*sy)/n[1]+n[3]*sy) }
	case r.Kind == "mirror" && one(2) && n[0] == 0:
		return func(x, y float64) bool { return parts[0](2*n[1]*sx-x, y) }
	case r.Kind == "mirror" && one(2):
		return func(x, y float64) bool { return parts[0](x, 2*n[1]*sy-y) }
	case r.Kind == "rotate" && one(3):
		sin, cos := turn(n[0])
		return func(x, y float64) bool {
			dx, dy := x-n[1]*sx, y-n[2]*sy
			return parts[0](n[1]*sx+cos*dx+sin*dy, n[2]*sy-sin*dx+cos*dy)
		}
	case r.Kind == "box" && len(n) == 4:
		return func(x, y float64) bool { return x >= n[0]*sx && x < n[2]*sx && y >= n[1]*sy && y < n[3]*sy }
	case r.Kind == "ellipse" && len(n) == 4 && n[2] > 0 && n[3] > 0:
		return func(x, y float64) bool {
			dx, dy := (x-n[0]*sx)/(n[2]*sx), (y-n[1]*sy)/(n[3]*sy)
			return dx*dx+dy*dy < 1
		}
	}
	return func(x, y float64) bool { return false }
}

func insidePath(polygons []Region, canvas Size) func(x, y float64) bool {
	in := make([]func(x, y float64) (int, int), len(polygons))
	for i, p := range polygons {
		in[i] = insideOf(p.Numbers)
	}
	return func(x, y float64) bool {
		wind := 0
		for i, p := range polygons {
			px, py := p.unit(canvas)
			_, w := in[i](x/px, y/py)
			wind += w
		}
		return nonzero(0, wind)
	}
}

// insideOf returns what counts the edges of an outline that are right of a point, and
// how often the outline winds around it. Edges are kept by height, so that a point
// looks at those near its own only.
func insideOf(n []float64) func(x, y float64) (crossings, winding int) {
	const most = 1024
	low, high := math.Inf(1), math.Inf(-1)
	for i := 1; i < len(n); i += 2 {
		low, high = min(low, n[i]), max(high, n[i])
	}
	bands := max(1, min(most, len(n)/2))
	scale := float64(bands) / (high - low)
	// band rises with y, so that an edge's points are in the bands between its ends'.
	band := func(y float64) int { return max(0, min(bands-1, int((y-low)*scale))) }
	if !(scale > 0) || math.IsInf(scale, 0) {
		band = func(float64) int { return 0 }
	}
	edges := make([][]int32, bands)
	for i, k := 0, len(n)-2; i+1 < len(n); i, k = i+2, i {
		for b := band(min(n[i+1], n[k+1])); b <= band(max(n[i+1], n[k+1])); b++ {
			edges[b] = append(edges[b], int32(i))
		}
	}
	return func(x, y float64) (crossings, winding int) {
		if !(y >= low && y < high) {
			return 0, 0
		}
		for _, e := range edges[band(y)] {
			i := int(e)
			k := i - 2
			if i == 0 {
				k = len(n) - 2
			}
			if (n[i+1] > y) == (n[k+1] > y) || !(x < crossingAt(n, i, k, y)) {
				continue
			}
			crossings++
			if n[i+1] > n[k+1] {
				winding++
			} else {
				winding--
			}
		}
		return crossings, winding
	}
}

// bitmapAt returns the mask's pixel that lies over a point of the canvas.
func (r Region) bitmapAt(x, y float64, canvas Size) (px, py int) {
	b := r.Bitmap
	sx, sy := float64(canvas.W)/float64(b.W), float64(canvas.H)/float64(b.H)
	switch r.Fit {
	case "cover":
		sx = max(sx, sy)
		sy = sx
	case "contain":
		sx = min(sx, sy)
		sy = sx
	}
	x -= (float64(canvas.W) - sx*float64(b.W)) / 2
	y -= (float64(canvas.H) - sy*float64(b.H)) / 2
	return int(math.Floor(x / sx)), int(math.Floor(y / sy))
}

// bitmapCell returns the mask's pixel that a cell of a grid looks at.
func (r Region) bitmapCell(i, j int, grid, canvas Size) (px, py int) {
	b := r.Bitmap
	if r.Fit == "" || r.Fit == "stretch" {
		return Nearest(i, grid.W, b.W), Nearest(j, grid.H, b.H)
	}
	sx, sy := float64(canvas.W)/float64(b.W), float64(canvas.H)/float64(b.H)
	s := max(sx, sy)
	if r.Fit == "contain" {
		s = min(sx, sy)
	}
	x := (float64(i)+0.5)*float64(canvas.W)/float64(grid.W) - (float64(canvas.W)-s*float64(b.W))/2
	y := (float64(j)+0.5)*float64(canvas.H)/float64(grid.H) - (float64(canvas.H)-s*float64(b.H))/2
	return int(math.Floor(x / s)), int(math.Floor(y / s))
}
