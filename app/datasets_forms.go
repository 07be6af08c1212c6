package app

import (
	"fmt"
	"image"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/annotated"
	"github.com/eligen/eligen/internal/files"
	"github.com/eligen/eligen/internal/words"
)

func encodePNG(img image.Image) func(io.Writer) error {
	return func(w io.Writer) error { return png.Encode(w, img) }
}

// exportYOLO writes a file of boxes for each picture, and data.yaml with the entities' prompts as classes.
func exportYOLO(out string, sample annotated.Samples, n int) (file string, said []string, err error) {
	index, shapes := map[string]int{}, 0
	var classes []string
	if err := os.MkdirAll(filepath.Join(out, "labels"), 0o755); err != nil {
		return "", nil, err
	}
	for i := range n {
		s, err := sample(i)
		if err != nil {
			return "", nil, err
		}
		name, err := exportPicture(out, i, s)
		if err != nil {
			return "", nil, err
		}
		var lines strings.Builder
		size := eligen.Size{W: s.Image.Rect.Dx(), H: s.Image.Rect.Dy()}
		for _, e := range s.Entities {
			at, known := index[e.Prompt]
			if !known {
				at = len(classes)
				index[e.Prompt], classes = at, append(classes, e.Prompt)
			}
			if e.Region.Kind != "box" {
				shapes++
			}
			b := around(eligen.Entity{Region: e.Region}, size)
			for k := range b {
				b[k] = min(max(b[k], 0), 1)
			}
			fmt.Fprintf(&lines, "%d %.6f %.6f %.6f %.6f\n", at, (b[0]+b[2])/2, (b[1]+b[3])/2, b[2]-b[0], b[3]-b[1])
		}
		if err := files.WriteBytes(filepath.Join(out, "labels", name+".txt"), []byte(lines.String())); err != nil {
			return "", nil, err
		}
	}
	var b strings.Builder
	b.WriteString("path: .\ntrain: images\nval: images\nnames:\n")
	for i, c := range classes {
		fmt.Fprintf(&b, "  %d: %s\n", i, strconv.Quote(c))
	}
	said = append(said, besides)
	if shapes > 0 {
		said = append(said, words.Count(shapes, "entity is no box: the form has the box around it",
			"entities are no boxes: the form has the boxes around them"))
	}
	file = filepath.Join(out, "data.yaml")
	return file, said, files.WriteBytes(file, []byte(b.String()))
}
