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
		summary, hint = "Stage is not deterministic", " The store keeps the first result. This is a bug in eligen, unless the engine runs on a GPU."
	case errors.Is(err, syscall.ENOSPC):
		summary, hint = "Disk is full", " Nothing was half-written. Make room and run the command again: what is finished stays finished."
	case errors.Is(err, syscall.EROFS):
		summary, hint = "Read-only file system", " Results need a folder that can be written: set ELIGEN_CACHE_DIR to one, and --out for the pictures."
	case errors.Is(err, fs.ErrPermission):
		summary, hint = "No permission to write", " Results need a folder that can be written: set ELIGEN_CACHE_DIR to one, and --out for the pictures."
	}
	return eligen.Problem(eligen.Error, at, summary, sentence(err)+hint)
}

// sentence returns an error as a sentence.
func sentence(err error) string {
	s := err.Error()
	if s == "" || s[len(s)-1] == '.' || s[len(s)-1] == '\n' {
		return s
	}
	return s + "."
}
