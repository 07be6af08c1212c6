package planner

import (
	"fmt"
	"strings"

	"github.com/eligen/eligen"
)

// about writes how long something takes, if anything is known of it.
func about(seconds float64, sure bool) string {
	switch {
	case seconds == 0:
		return ""
	case sure:
		return ", about " + duration(seconds)
	}
	return ", at least " + duration(seconds)
}

// counted writes a number of objects in words.
func counted(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

// estimates writes what a render asks of the machine, in lines.
func estimates(r eligen.PlannedRender) []string {
	if r.Image == 0 {
		return nil
	}
	line := fmt.Sprintf("sequence %d: %d image tokens, %d of the prompt", r.Sequence(), r.Image, r.Prompt)
	if n := len(r.Regions); n > 0 {
		line += fmt.Sprintf(", %d × %d of entities", n, r.Entities/n)
	}
	lines := []string{line}
	line = ""
	if r.Total > 0 {
		line = fmt.Sprintf("step %s, attention %s", operations(r.Total), operations(r.Attention))
	}
	if r.Memory > 0 {
		if line != "" {
			line += "; "
		}
		line += fmt.Sprintf("memory at the peak about %s", bytesText(r.Memory))
	}
	if line != "" {
		lines = append(lines, line)
	}
	if r.Stored != "" && r.Transformer >= gigabyte {
		lines = append(lines, holds(r))
	}
	return lines
}

// gigabyte is the size of weights from which on a plan says what is held.
const gigabyte = 1 << 30

// holds says what a render holds in memory, and what passes through.
func holds(r eligen.PlannedRender) string {
	s := fmt.Sprintf("holds %s of %s weights; before, %s for prompts", bytesText(r.Transformer), r.Stored, bytesText(r.Text))
	if r.StepReads > 0 {
		s += fmt.Sprintf("; reads %s from disk in each step", bytesText(r.StepReads))
	}
	if r.PromptReads > 0 {
		s += fmt.Sprintf("; reads %s for each prompt", bytesText(r.PromptReads))
	}
	return s
}

// duration writes a number of seconds for people.
func duration(seconds float64) string {
	switch {
	case seconds < 0.095:
		return "0.1 s"
	case seconds < 9.95:
		return fmt.Sprintf("%.1f s", seconds)
	case seconds < 59.5:
		return fmt.Sprintf("%.0f s", seconds)
	case seconds < 3570:
		return fmt.Sprintf("%.0f min", seconds/60)
	}
	return fmt.Sprintf("%.1f h", seconds/3600)
}

func what(op eligen.Op) string {
	if s, ok := op.(fmt.Stringer); ok {
		return s.String()
	}
	return ""
}

func quote(s string, n int) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(short(strings.Join(strings.Fields(s), " "), n)) + `"`
}

// short cuts a text to n characters.
func short(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}
