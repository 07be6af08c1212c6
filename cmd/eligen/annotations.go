package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/page"
)

// annotate repeats diagnostics as commands that GitHub Actions shows next to the
// lines of a pull request.
func annotate(w io.Writer, ds eligen.Diagnostics) {
	if os.Getenv("GITHUB_ACTIONS") != "true" {
		return
	}
	for _, d := range ds {
		page.Workflow(w, annotation(d))
	}
}

// annotation returns a diagnostic as a workflow command. Columns count from 1.
func annotation(d eligen.Diagnostic) string {
	command := "error"
	if d.Severity == eligen.Warning {
		command = "warning"
	}
	property := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
	var parts []string
	if s := d.Source; s != nil && s.File != "" {
		parts = append(parts, "file="+property.Replace(s.File))
		if s.Line > 0 {
			parts = append(parts, fmt.Sprintf("line=%d,col=%d,endColumn=%d", s.Line, s.Start+1, max(s.End, s.Start+1)))
		}
	}
	title, message := d.Summary, d.Detail
	if d.Code != "" {
		title += " [" + d.Code + "]"
	}
	for _, n := range d.Notes {
		message += fmt.Sprintf("\nNote: %s: %s", n.Text, n.Source)
	}
	parts = append(parts, "title="+property.Replace(title))
	message = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace(message)
	return "::" + command + " " + strings.Join(parts, ",") + "::" + message
}
