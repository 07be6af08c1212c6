package eval

import (
	"fmt"
	"strings"
)

// String is the report as a table for people.
func (r Report) String() string {
	var b strings.Builder
	names := []string{"placement", "identity", "binding", "locality"}
	fmt.Fprintf(&b, "%-18s", "")
	for _, n := range names {
		fmt.Fprintf(&b, "  %-20s", n)
	}
	b.WriteByte('\n')
	for _, row := range r.Rows {
		fmt.Fprintf(&b, "%-18s", row.Mode)
		for _, n := range names {
			cell := "–"
			for _, m := range row.Metrics {
				if m.Name == n && m.N > 0 {
					cell = fmt.Sprintf("%.3f [%.2f, %.2f]", m.Value, m.Low, m.High)
				}
			}
			fmt.Fprintf(&b, "  %-20s", cell)
		}
		b.WriteByte('\n')
	}
	if r.PSNR > 0 {
		fmt.Fprintf(&b, "\nautoencoder        %.2f dB PSNR\n", r.PSNR)
	}
	return b.String()
}
