package runtime

import (
	"errors"
	"io/fs"
	"syscall"

	"github.com/eligen/eligen"
)

// diagnose turns an error into a diagnostic for people, at the source to blame.
func diagnose(err error, at *eligen.Source) eligen.Diagnostic {
	if at.File == "" {
		at = nil
	}
	var ds eligen.Diagnostics
	if errors.As(err, &ds) && len(ds) == 1 {
		d := ds[0]
		if d.Source == nil {
			d.Source = at
		}
		return d
	}
	summary, hint := "Stage failed", ""
	switch {
	case errors.Is(err, ErrNotDeterministic):
		summary = "Stage is not deterministic"
		hint = " The store keeps the first result. This is a bug in eligen, unless the engine runs on a GPU."
	case errors.Is(err, syscall.ENOSPC):
		summary, hint = "Disk is full", " Nothing was half-written. Make room and run the command again: finished work is kept."
	case errors.Is(err, syscall.EROFS):
		summary, hint = "Read-only file system", writable
	case errors.Is(err, fs.ErrPermission):
		summary, hint = "No permission to write", writable
	}
	return eligen.Problem(eligen.Error, at, summary, sentence(err)+hint)
}

// writable is the hint where a folder can't be written.
const writable = " Set ELIGEN_CACHE_DIR to a folder that can be written, and --out for the pictures."

// sentence returns an error as a sentence.
func sentence(err error) string {
	s := err.Error()
	if s == "" || s[len(s)-1] == '.' || s[len(s)-1] == '\n' {
		return s
	}
	return s + "."
}
