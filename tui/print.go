package tui

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"image"
	"image/png"
	"strings"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/colorprofile"
	"github.com/charmbracelet/x/ansi/kitty"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/drawing"
)

// What is drawn here stays among the lines of the terminal, as text does.

// tallest is how many lines a picture has at most, so that the text above stays in sight.
const tallest = 24

// shortest is how many lines a picture has at least, so that others fit next to it.
const shortest = 10

// few reports whether a terminal has 256 colours and no more.
func few(env func(string) string) bool {
	var known []string
	for _, name := range []string{"TERM", "COLORTERM", "TERM_PROGRAM", "WT_SESSION", "ConEmuANSI", "STY", "TMUX"} {
		if v := env(name); v != "" {
			known = append(known, name+"="+v)
		}
	}
	return colorprofile.Env(known) < colorprofile.TrueColor
}

// rows returns how many lines a picture may have.
func (l Look) rows() int {
	if l.Height <= 0 {
		return tallest
	}
	return max(4, min(tallest, l.Height-4))
}

// Pictures draws as many pictures side by side as there is room for, and a line with the
// number of the others, more of them elsewhere. Without colour, they are shades of grey in
// characters.
func Pictures(pictures []image.Image, more int, look Look) string {
	if len(pictures) == 0 {
		return ""
	}
	all := make([]*canvas, len(pictures))
	for i, p := range pictures {
		b := p.Bounds()
		all[i] = &canvas{size: eligen.Size{W: b.Dx(), H: b.Dy()}, picture: shrunk(p, largest), selected: -1, ink: look.Ink, few: look.Few}
	}
	// So high that all fit beside one another, if something is to be seen then.
	rows := look.rows()
	shown, columns := beside(all, rows, look)
	for rows > shortest && len(shown) < len(all) {
		rows--
		shown, columns = beside(all, rows, look)
	}
	if len(shown) == 1 {
		_, rows = shown[0].grid(max(1, look.Width), rows)
	}
	out := row(shown, columns, rows, look)
	if rest := len(pictures) - len(shown) + more; rest > 0 {
		out += paint(look, theme.quiet, fmt.Sprintf("… and %d more", rest)) + "\n"
	}
	return out
}

// beside returns as many of the canvases as fit next to each other, and their widths.
func beside(all []*canvas, rows int, look Look) (shown []*canvas, columns []int) {
	width := 0
	for _, c := range all {
		n, _ := c.grid(max(1, look.Width), rows)
		if len(shown) > 0 && width+1+n > look.Width {
			break
		}
		shown, columns = append(shown, c), append(columns, n)
		width += n + 1
	}
	return shown, columns
}

// row draws canvases of some widths side by side.
func row(shown []*canvas, columns []int, rows int, look Look) string {
	if look.Ink == Kitty {
		return direct(shown, columns, rows)
	}
	lines := make([]string, rows)
	for i, c := range shown {
		for y, l := range c.View(columns[i], rows) {
			if i > 0 {
				lines[y] += " "
			}
			lines[y] += l
		}
	}
	return strings.Join(lines, "\n") + "\n"
}

// direct has the terminal draw pictures in place, without placeholders: those would need
// numbers that no earlier command used.
func direct(shown []*canvas, columns []int, rows int) string {
	height := rows * cellHeight * 2
	gap := cellWidth * 2
	width := 0
	for i := range shown {
		width += columns[i]*cellWidth*2 + gap
	}
	all := image.NewNRGBA(image.Rect(0, 0, width-gap, height))
	x, cells := 0, -1
	for i, c := range shown {
		w, h := columns[i]*cellWidth*2, height
		if _, r := c.grid(columns[i], rows); r < rows {
			h = r * cellHeight * 2
		}
		img := c.image(w, h, drawing.Width(min(w, h)))
		if c.regions {
			c.layout().Labels(img)
		}
		for y := range h {
			copy(all.Pix[all.PixOffset(x, y):][:4*w], img.Pix[img.PixOffset(0, y):][:4*w])
		}
		x, cells = x+w+gap, cells+columns[i]+1
	}
	var data bytes.Buffer
	if png.Encode(&data, all) != nil {
		return ""
	}
	text := base64.StdEncoding.EncodeToString(data.Bytes())
	var b strings.Builder
	// No answers (q=2): nobody reads them.
	head := fmt.Sprintf("a=T,q=2,f=100,t=d,c=%d,r=%d,", cells, rows)
	for text != "" {
		chunk := text[:min(len(text), kitty.MaxChunkSize)]
		text = text[len(chunk):]
		more := 0
		if text != "" {
			more = 1
		}
		fmt.Fprintf(&b, "\x1b_G%sm=%d;%s\x1b\\", head, more, chunk)
		head = "q=2,"
	}
	return b.String() + "\n"
}

// Sketch draws a layout, a clip's at four frames, and lists the entities by their letters.
func Sketch(l Layout, look Look) string {
	t := &renderView{Layout: l, moved: map[int][]eligen.Entity{}}
	frames := []int{0}
	if n := t.count(); n > 1 {
		frames = nil
		for i := range min(4, n) {
			frames = append(frames, i*(n-1)/(min(4, n)-1))
		}
	}
	each := max(8, (look.Width+1)/len(frames)-1)
	var shown []*canvas
	var columns []int
	rows := 0
	for _, f := range frames {
		c := &canvas{size: l.Size, entities: t.at(f), selected: -1, regions: true, ink: look.Ink, few: look.Few}
		n, m := c.grid(each, look.rows())
		rows = max(rows, m)
		shown, columns = append(shown, c), append(columns, n)
	}
	out := row(shown, columns, rows, look)
	if len(frames) > 1 {
		line := ""
		for i, f := range frames {
			text := cut(fmt.Sprintf("frame %d", f), columns[i])
			line += text + strings.Repeat(" ", columns[i]+1-lipgloss.Width(text))
		}
		out += paint(look, theme.quiet, strings.TrimRight(line, " ")) + "\n"
	}
	names := 0
	for _, e := range l.Entities {
		names = max(names, min(look.Width/3, lipgloss.Width(shortName(e.Address))))
	}
	for i, e := range l.Entities {
		name := cut(shortName(e.Address), names)
		text := name + strings.Repeat(" ", names-lipgloss.Width(name)) + "  " + flat(e.Prompt)
		out += paint(look, inColour(drawing.Colour(i)), string(drawing.Letter(i))) + " " + cut(text, look.Width-2) + "\n"
	}
	if look.ASCII {
		out = ascii(out)
	}
	return out
}
