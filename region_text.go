package eligen

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// String writes a region as a scene does: "xywh(0.2, 0.2, 0.5, 0.5)".
func (r Region) String() string { return r.Text(nil) }

// Text writes a region as String does, with mask pictures as image writes them; nil
// writes their size and digest, since a region doesn't know its file.
func (r Region) Text(image func(Region) string) string {
	if image == nil {
		image = func(r Region) string {
			if r.Bitmap == nil {
				return "image()"
			}
			return fmt.Sprintf("image(%d×%d, %s)", r.Bitmap.W, r.Bitmap.H, r.Bitmap.Digest.Short())
		}
	}
	return r.text(image, false)
}

func (r Region) text(image func(Region) string, inPixels bool) string {
	if r.Pixels && !inPixels {
		return "px(" + r.text(image, true) + ")"
	}
	var args []string
	for _, p := range r.Parts {
		args = append(args, p.text(image, inPixels))
	}
	name, n := r.Kind, r.Numbers
	switch r.Kind {
	case "":
		return "nowhere"
	case "image":
		return image(r)
	case "box":
		name, n = "xywh", []float64{n[0], n[1], n[2] - n[0], n[3] - n[1]}
	case "polygon":
		var points []string
		for i := 0; i+1 < len(n); i += 2 {
			points = append(points, "["+numberText(n[i])+", "+numberText(n[i+1])+"]")
		}
		return "polygon([" + strings.Join(points, ", ") + "])"
	case "path":
		var b strings.Builder
		for _, ring := range r.Parts {
			for i := 0; i+1 < len(ring.Numbers); i += 2 {
				b.WriteString(map[bool]string{true: "M ", false: "L "}[i == 0] + numberText(ring.Numbers[i]) + " " + numberText(ring.Numbers[i+1]) +
					" ")
			}
			b.WriteString("Z ")
		}
		return "svg(\"" + strings.TrimSpace(b.String()) + "\")"
	case "scale", "rotate": // around the middle, which follows from the part
		n = n[:len(n)-2]
	case "mirror":
		return "mirror(" + args[0] + map[bool]string{true: `, "x")`, false: `, "y")`}[n[0] == 0]
	}
	for _, f := range n {
		args = append(args, numberText(f))
	}
	return name + "(" + strings.Join(args, ", ") + ")"
}

// numberText writes a number in as few digits as a canvas tells apart: the planner rounds
// to 2⁻²⁰, so that 0.2 has become 0.19999981.
func numberText(f float64) string {
	for digits := range 7 {
		s := strconv.FormatFloat(f, 'f', digits, 64)
		if g, err := strconv.ParseFloat(s, 64); err == nil && math.Abs(g-f) <= 1e-6 {
			if g == 0 {
				return "0"
			}
			return s
		}
	}
	return strconv.FormatFloat(f, 'g', -1, 64)
}
