package main

import (
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/page"
)

// keysOptions are the flags of `eligen keys`.
type keysOptions struct {
	sceneOptions
	format string
	frames string
}

func newKeys() *cobra.Command {
	var o keysOptions
	c := &cobra.Command{
		Use:   "keys SCENE",
		Short: "Print the values of a scene's timelines, frame by frame",
		Long: `Print the values of a scene's timelines, frame by frame: where each region is, how strong, as eligen apply will render it. No model is needed.

Boxes are given by their centre and size, other shapes by the box around them, in fractions of the canvas.`,
		Example: "eligen keys scenes/bounce.hcl\neligen keys scenes/bounce.hcl --format csv > bounce.csv\neligen keys scenes/bounce.hcl --format spark",
		Args:    cobra.ExactArgs(1),
		RunE:    o.run,
	}
	o.flags(c)
	c.Flags().StringVar(&o.format, "format", "table", "`FORMAT` is table, csv, json, or spark: a line for each value")
	c.Flags().StringVar(&o.frames, "frames", "", "only these `FRAMES`, as 0-7,20")
	choices(c, "format", "table", "csv", "json", "spark")
	return c
}

func (o *keysOptions) run(c *cobra.Command, args []string) error {
	frames, err := readFrames(o.frames)
	if err != nil {
		return err
	}
	scene, err := o.load(c, args[0])
	if err != nil {
		return err
	}
	clips := slices.DeleteFunc(scene.Renders, func(r eligen.Render) bool { return r.Clip == nil })
	if _, err := frames.check(clips); err != nil {
		return err
	}
	var tables []keyTable
	for _, r := range clips {
		t, err := keys(r, frames.only())
		if err != nil {
			return err
		}
		if len(t.Frames) > 0 { // else it is shorter than another, which has them
			tables = append(tables, t)
		}
	}
	if len(clips) == 0 {
		return fmt.Errorf("%s has no render with a timeline", args[0])
	}
	w := c.OutOrStdout()
	switch o.format {
	case "table":
		for i, t := range tables {
			if i > 0 {
				fmt.Fprintln(w)
			}
			t.table(w)
		}
		return nil
	case "spark":
		for _, t := range tables {
			t.spark(w)
		}
		return nil
	case "csv":
		out := csv.NewWriter(w)
		for _, t := range tables {
			t.csv(out)
		}
		out.Flush()
		return out.Error()
	case "json":
		return page.JSON(w, tables)
	}
	return fmt.Errorf("there is no format %q; there are table, csv, json and spark", o.format)
}

// A keyTable is the values of one clip.
type keyTable struct {
	Render  string       `json:"render"`
	FPS     float64      `json:"fps"`
	Columns []string     `json:"columns"` // of a row of Values
	Frames  []int        `json:"frames"`
	Values  [][]*float64 `json:"values"` // a row a frame; null where a region covers nothing
}

// keys works a clip out. The canvas is the render's, or a square where that is the
// model's own size.
func keys(r eligen.Render, only func(int) bool) (keyTable, error) {
	canvas := r.Size
	if canvas == (eligen.Size{}) {
		canvas = eligen.Size{W: 1024, H: 1024}
	}
	line := r.Clip.Timeline
	t := keyTable{Render: r.Address, FPS: line.FPS}
	moves := map[string]bool{}
	for _, tr := range line.Tracks {
		moves[tr.Target.Block] = true
		if tr.Target.Attribute == "strength" {
			moves[tr.Target.String()] = true
		}
	}
	for n := range line.Frames {
		if only != nil && !only(n) {
			continue
		}
		f, err := line.At(n, r.Entities, canvas)
		if err != nil {
			return t, err
		}
		var columns []string
		var row []*float64
		add := func(name string, v float64) {
			columns, row = append(columns, name), append(row, &v)
		}
		for _, e := range f.Entities {
			if !moves[e.Address] {
				continue
			}
			x0, y0, x1, y1, ok := e.Region.Bounds(canvas)
			if b := e.Region; b.Kind == "box" && !b.Pixels {
				b := b.Numbers
				add(e.Address+".cx", (b[0]+b[2])/2)
				add(e.Address+".cy", (b[1]+b[3])/2)
				add(e.Address+".w", b[2]-b[0])
				add(e.Address+".h", b[3]-b[1])
			} else {
				w, h := float64(canvas.W), float64(canvas.H)
				add(e.Address+".cx", float64(x0+x1)/2/w)
				add(e.Address+".cy", float64(y0+y1)/2/h)
				add(e.Address+".w", float64(x1-x0)/w)
				add(e.Address+".h", float64(y1-y0)/h)
				if !ok {
					for i := range 4 {
						row[len(row)-1-i] = nil
					}
				}
			}
			if moves[e.Address+".strength"] {
				add(e.Address+".strength", e.Strength)
			}
		}
		for _, tr := range line.Tracks {
			switch name := tr.Target.String(); tr.Target.Attribute {
			case "scale":
				add(name, f.Scales[tr.Target.Block])
			case "guidance":
				add(name, *f.Guidance)
			case "cfg":
				add(name, *f.CFG)
			}
		}
		t.Columns = columns
		t.Frames, t.Values = append(t.Frames, n), append(t.Values, row)
	}
	return t, nil
}

func cell(v *float64) string {
	if v == nil {
		return "–"
	}
	return fmt.Sprintf("%.4f", *v)
}

func (t keyTable) table(w io.Writer) {
	fmt.Fprintf(w, "%s, %g frames a second\n", page.Name.Of(t.Render), t.FPS)
	for i, span := range t.spans(page.Columns(w)) {
		if i > 0 {
			fmt.Fprintln(w)
		}
		t.part(w, span[0], span[1])
	}
}

// spans divides the columns into as many tables as a terminal's width makes needed.
func (t keyTable) spans(width int) [][2]int {
	const before = len("frame  seconds")
	var out [][2]int
	from, used := 0, before
	for i, name := range t.Columns {
		need := 2 + max(page.Width(name), len("0.0000"))
		if width > 0 && i > from && used+need > width {
			out = append(out, [2]int{from, i})
			from, used = i, before
		}
		used += need
	}
	return append(out, [2]int{from, len(t.Columns)})
}

// part prints some of the columns.
func (t keyTable) part(w io.Writer, from, to int) {
	rows := [][]string{{"frame", "seconds"}}
	columns := []page.Column{{Right: true}, {Right: true}}
	for _, name := range t.Columns[from:to] {
		rows[0] = append(rows[0], name)
		columns = append(columns, page.Column{Right: true})
	}
	for i, h := range rows[0] {
		rows[0][i] = page.Quiet.Of(h)
	}
	for i, n := range t.Frames {
		row := []string{fmt.Sprint(n), fmt.Sprintf("%.3f", float64(n)/t.FPS)}
		for _, v := range t.Values[i][from:to] {
			row = append(row, cell(v))
		}
		rows = append(rows, row)
	}
	fmt.Fprint(w, page.Table(rows, 0, columns...))
}

func (t keyTable) csv(out *csv.Writer) {
	_ = out.Write(append([]string{"render", "frame", "seconds"}, t.Columns...)) // Error says what went wrong
	for i, n := range t.Frames {
		row := []string{t.Render, fmt.Sprint(n), fmt.Sprintf("%.6f", float64(n)/t.FPS)}
		for _, v := range t.Values[i] {
			if v == nil {
				row = append(row, "")
			} else {
				row = append(row, fmt.Sprintf("%.6f", *v))
			}
		}
		_ = out.Write(row)
	}
}

// spark draws each value as a line of bars, between its least and its greatest.
func (t keyTable) spark(w io.Writer) {
	bars := []rune("▁▂▃▄▅▆▇█")
	if lang := os.Getenv("LC_ALL") + os.Getenv("LC_CTYPE") + os.Getenv("LANG"); lang != "" && !strings.Contains(strings.ToUpper(lang), "UTF") {
		bars = []rune("_.-=+*#@")
	}
	fmt.Fprintf(w, "%s, %g frames a second\n", page.Name.Of(t.Render), t.FPS)
	var rows [][]string
	for k, name := range t.Columns {
		low, high := math.Inf(1), math.Inf(-1)
		for _, row := range t.Values {
			if row[k] != nil {
				low, high = min(low, *row[k]), max(high, *row[k])
			}
		}
		if high-low < 1e-9 {
			continue // it stands still
		}
		var line []rune
		for _, row := range t.Values {
			if row[k] == nil {
				line = append(line, ' ')
				continue
			}
			line = append(line, bars[int((*row[k]-low)/(high-low)*float64(len(bars)-1)+0.5)])
		}
		rows = append(rows, []string{name, page.Name.Of(string(line)), fmt.Sprintf("%.3f … %.3f", low, high)})
	}
	fmt.Fprint(w, page.Table(rows, page.Columns(w), page.Column{Fit: page.CutLeft}))
}
