package tui

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"image"
	"image/png"
	"slices"
	"strings"

	"github.com/charmbracelet/x/ansi"
	"github.com/charmbracelet/x/ansi/kitty"

	"github.com/eligen/eligen/internal/drawing"
)

// Pixels of a cell where the terminal draws: about those of a common font, and no more than
// needed.
const (
	cellWidth  = 8
	cellHeight = 16
)

// mostCells is how many rows or columns placeholders can count: the number of diacritics.
const mostCells = 297

// The numbers of the two pictures that take turns. They are above those of the sixteen
// named colours, which might be written in another way.
const (
	onePicture   = 42
	otherPicture = 43
)

// transmit returns the sequences that give the terminal a picture under a number below
// 256, to be shown where placeholders of that number stand.
func transmit(id int, img image.Image, columns, rows int) (string, error) {
	var data bytes.Buffer // kitty.EncodeGraphics compresses harder: a quarter of the speed for the same size
	if err := (&png.Encoder{CompressionLevel: png.BestSpeed}).Encode(&data, img); err != nil {
		return "", err
	}
	text := make([]byte, base64.StdEncoding.EncodedLen(data.Len()))
	base64.StdEncoding.Encode(text, data.Bytes())
	first := kitty.Options{
		Action: kitty.TransmitAndPut, Transmission: kitty.Direct, Format: kitty.PNG, VirtualPlacement: true,
		Quiet: noAnswers, ID: id, Columns: columns, Rows: rows,
	}
	options := first.Options()
	var b strings.Builder
	for chunk := range slices.Chunk(text, kitty.MaxChunkSize) {
		more := 1
		if text = text[len(chunk):]; len(text) == 0 {
			more = 0
		}
		b.WriteString(ansi.KittyGraphics(chunk, append(options, fmt.Sprintf("m=%d", more))...))
		options = []string{fmt.Sprintf("q=%d", noAnswers)}
	}
	return b.String(), nil
}

// forget returns the sequences that take back what transmit gave.
func forget(ids ...int) string {
	var b strings.Builder
	for _, id := range ids {
		o := kitty.Options{Action: kitty.Delete, Delete: kitty.DeleteID, DeleteResources: true, Quiet: noAnswers, ID: id}
		b.WriteString(ansi.KittyGraphics(nil, o.Options()...))
	}
	return b.String()
}

// noAnswers asks the terminal for none: they would arrive as keys.
const noAnswers = 2

// inPlaceholders draws the canvas by the terminal's pictures: a cell's colour names the
// picture, its diacritics the row and the column. Labels are text between them.
func (c *canvas) inPlaceholders(columns, rows int) []string {
	lines := make([]string, rows)
	if c.id == 0 {
		return lines // the terminal has no picture yet
	}
	text := c.text(columns, rows)
	for y := range rows {
		var b strings.Builder
		fmt.Fprintf(&b, "\x1b[38;5;%dm", c.id)
		for x := range columns {
			if g := text[y*columns+x]; g.used {
				bg := drawing.Colour(g.of)
				fg := drawing.InkOn(bg)
				fmt.Fprintf(&b, "\x1b[38;2;%d;%d;%d;48;2;%d;%d;%dm%s\x1b[49;38;5;%dm", fg.R, fg.G, fg.B, bg.R, bg.G, bg.B, g.text, c.id)
				continue
			}
			b.WriteRune(kitty.Placeholder)
			b.WriteRune(kitty.Diacritic(y))
			b.WriteRune(kitty.Diacritic(x))
		}
		b.WriteString("\x1b[m")
		lines[y] = b.String()
	}
	return lines
}
