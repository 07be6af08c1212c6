package studio

import (
	"strconv"
	"strings"

	"github.com/eligen/eligen"
)

// outline returns the edges of a region's pixels as an SVG path.
func outline(r eligen.Region, canvas eligen.Size) string {
	mask := r.Mask(canvas)
	in := func(x, y int) bool { return x >= 0 && y >= 0 && x < canvas.W && y < canvas.H && mask[y*canvas.W+x] }
	var b strings.Builder
	move := func(x, y int, to byte, end int) {
		b.WriteByte('M')
		b.WriteString(strconv.Itoa(x))
		b.WriteByte(' ')
		b.WriteString(strconv.Itoa(y))
		b.WriteByte(to)
		b.WriteString(strconv.Itoa(end))
	}
	for y := 0; y <= canvas.H; y++ {
		from := -1
		for x := 0; x <= canvas.W; x++ {
			edge := x < canvas.W && in(x, y) != in(x, y-1)
			switch {
			case edge && from < 0:
				from = x
			case !edge && from >= 0:
				move(from, y, 'H', x)
				from = -1
			}
		}
	}
	for x := 0; x <= canvas.W; x++ {
		from := -1
		for y := 0; y <= canvas.H; y++ {
			edge := y < canvas.H && in(x, y) != in(x-1, y)
			switch {
			case edge && from < 0:
				from = y
			case !edge && from >= 0:
				move(x, from, 'V', y)
				from = -1
			}
		}
	}
	return b.String()
}
