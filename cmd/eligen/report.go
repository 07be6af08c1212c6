package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/app"
	"github.com/eligen/eligen/internal/files"
	"github.com/eligen/eligen/internal/page"
)

// writeReport writes a run's report: in words of several scenes, and as JSON to the file of --report. The error is
// the exit code where scenes were left out.
func (o *applyOptions) writeReport(c *cobra.Command, p *app.Plan, r *app.Report) error {
	if r == nil {
		return nil
	}
	if len(p.Scenes) > 0 && !o.json && o.progress != "none" {
		printReport(c.ErrOrStderr(), r)
	}
	if o.report != "" {
		err := files.WriteFile(o.report, func(w io.Writer) error {
			e := json.NewEncoder(w)
			e.SetIndent("", "  ")
			return e.Encode(r)
		})
		if err != nil {
			return err
		}
	}
	if len(p.Left) > 0 {
		return exit{code: exitError}
	}
	return nil
}

// mostFailed is how many failures a report in words has.
const mostFailed = 20

// printReport writes a report of several scenes in words.
func printReport(w io.Writer, r *app.Report) {
	states := map[string]int{}
	for _, s := range r.Scenes {
		states[s.State]++
	}
	fmt.Fprintf(w, "\n%s: %s.\n", counted(len(r.Scenes), "scene"), listed(states, "made", "cached", "failed", "unfinished"))
	fmt.Fprintf(w, "%s: %s. %s in place.\n", counted(r.Stages.Made+r.Stages.Cached+r.Stages.Failed+r.Stages.Skipped, "stage"),
		listed(map[string]int{"made": r.Stages.Made, "cached": r.Stages.Cached, "failed": r.Stages.Failed, "not made": r.Stages.Skipped},
			"made", "cached", "failed", "not made"), counted(r.Files, "file"))
	if len(r.Workers) > 0 {
		var each []string
		for _, m := range r.Workers {
			each = append(each, fmt.Sprintf("%s %s (%s)", m.Worker, hours(m.Hours), counted(m.Stages, "stage")))
		}
		fmt.Fprintf(w, "%s of machines' time: %s.\n", hours(r.Hours), strings.Join(each, ", "))
	}
	n := 0
	for _, s := range r.Scenes {
		for _, d := range s.Problems {
			if n++; n <= mostFailed {
				fmt.Fprintf(w, "%s %s: %s\n", page.Failed.Of("failed"), eligen.Printable(s.Scene), reason(d))
			}
		}
	}
	if n > mostFailed {
		fmt.Fprintf(w, "… and %d more; --report writes them all.\n", n-mostFailed)
	}
}

// reason returns a problem in a line.
func reason(d eligen.Diagnostic) string {
	line, _, _ := strings.Cut(d.Detail, "\n")
	if d.Source != nil && d.Source.Line > 0 {
		return fmt.Sprintf("%s, line %d: %s", d.Summary, d.Source.Line, line)
	}
	return d.Summary + ": " + line
}

// listed returns the counts that are not 0: "3 made, 1 failed".
func listed(counts map[string]int, words ...string) string {
	var parts []string
	for _, word := range words {
		if n := counts[word]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, word))
		}
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}

// hours returns a time in words: hours, or seconds where it is short.
func hours(h float64) string {
	if h < 0.1 {
		return fmt.Sprintf("%.1f s", h*3600)
	}
	return fmt.Sprintf("%.1f h", h)
}
