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

	"github.com/eligen/eligen/app"
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
		Short: "Print a timeline's values, frame by frame",
		Long: `Print the values of a scene's timelines, frame by frame: where each region is, and how strong, as apply will
render it. This needs no model.

Boxes are given by centre and size, other shapes by the box around them, in fractions of the canvas.`,
		Example: `eligen keys scenes/bounce.hcl
eligen keys scenes/bounce.hcl --format csv > bounce.csv
eligen keys scenes/bounce.hcl --format spark`,
		Args: cobra.ExactArgs(1),
		RunE: withApp(o.run),
	}
	o.flags(c)
	c.Flags().StringVar(&o.format, "format", "table", "print the values as `FORMAT`: table, csv, json, or spark (a line for each value)")
	c.Flags().StringVar(&o.frames, "frames", "", "only these `FRAMES`, such as 0-7,20")
	choices(c, "format", keyFormats...)
	return c
}

// keyFormats are what keys prints.
var keyFormats = []string{"table", "csv", "json", "spark"}

func (o *keysOptions) run(c *cobra.Command, a *app.App, args []string) error {
	if !slices.Contains(keyFormats, o.format) {
		return app.Unknown("format", o.format, "format", keyFormats)
	}
	frames, err := readFrames(o.frames)
	if err != nil {
		return err
	}
	list, warnings, err := a.Keys(c.Context(), o.input(args[0]), frames)
	warned(c, warnings)
	if err != nil {
		return err
	}
	var tables []keyTable
	for _, t := range list {
		tables = append(tables, keyTable(t))
	}
	return o.print(c.OutOrStdout(), tables)
}

// print prints tables in the format that was asked for.
func (o *keysOptions) print(w io.Writer, tables []keyTable) error {
	switch o.format {
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
	for i, t := range tables {
		if i > 0 {
			fmt.Fprintln(w)
		}
		t.table(w)
	}
	return nil
}

// A keyTable prints the values of a clip.
type keyTable app.KeyTable

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
