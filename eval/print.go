package eval

import (
	"fmt"
	"strings"
)

// String returns the report as tables for people.
func (r Report) String() string {
	var b strings.Builder
	table(&b, "", []string{"placement", "identity", "binding", "locality"}, r.Rows)
	if r.PSNR > 0 {
		fmt.Fprintf(&b, "\nautoencoder        %.2f dB PSNR\n", r.PSNR)
	}
	if len(r.Overlap) > 0 {
		b.WriteString("\nTwo entities whose boxes overlap: the share of the common pixels that the first has, and how often each is still " +
			"known.\n\n")
		table(&b, "overlap", []string{"common pixels", "first", "second"}, r.Overlap)
	}
	if len(r.Motion) > 0 {
		fmt.Fprintf(&b, "\nAn entity that moves, over %d frames: the mean change of a pixel in no region and none of their tokens from one "+
			"frame to the next (levels of 255), and placement and identity in every frame.\n\n", clipFrames)
		table(&b, "frames", []string{"change outside", "placement", "identity"}, r.Motion)
	}
	if len(r.Inpaint) > 0 {
		b.WriteString("\nAn object painted into a picture that lacks it: how often it is known, and the share of the pixels outside its " +
			"region that are not as they were.\n\n")
		table(&b, "inpainting", []string{"identity", "changed outside"}, r.Inpaint)
	}
	if len(r.Style) > 0 {
		b.WriteString("\nStyles, asked for by another picture alone: the share of entities that a classifier says to be in the asked style, " +
			"and how often they are known.\n\n")
		table(&b, "style", []string{"style", "identity"}, r.Style)
		if r.StyleAccuracy > 0 {
			fmt.Fprintf(&b, "\nvision tower       style accuracy %.3f on held-out pictures\n", r.StyleAccuracy)
		}
	}
	if len(r.Transfer) > 0 {
		b.WriteString("\nAn object carried over from another picture, in colours that no prompt tells: how often it is known, and how often " +
			"its colour is the source's rather than one of its five turns by 60° (by chance 0.17).\n\n")
		table(&b, "transfer", []string{"class", "hue"}, r.Transfer)
	}
	return b.String()
}

func table(b *strings.Builder, corner string, names []string, rows []Row) {
	line := func(first string, cell func(name string) string) {
		fmt.Fprintf(b, "%-18s", first)
		for i, n := range names {
			if i < len(names)-1 {
				fmt.Fprintf(b, "  %-20s", cell(n))
			} else {
				fmt.Fprintf(b, "  %s\n", cell(n))
			}
		}
	}
	line(corner, func(name string) string { return name })
	for _, row := range rows {
		line(row.Mode, func(name string) string {
			for _, m := range row.Metrics {
				if m.Name == name && m.N > 0 {
					return fmt.Sprintf("%.3f [%.2f, %.2f]", m.Value, m.Low, m.High)
				}
			}
			return "–"
		})
	}
}
