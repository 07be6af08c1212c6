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
	d := eligen.Diagnostic{Severity: eligen.Error, Summary: "Stage failed", Detail: sentence(err), Source: at}
	switch {
	case errors.Is(err, ErrNotDeterministic):
		d.Summary = "Stage is not deterministic"
		d.Detail += " The store keeps the first result. This is a bug in eligen, unless the engine runs on a GPU."
	case errors.Is(err, syscall.ENOSPC):
		d.Summary = "Disk is full"
		d.Detail += " Nothing was half-written. Make room and run the command again: what is finished stays finished."
	case errors.Is(err, syscall.EROFS):
		d.Summary = "Read-only file system"
		d.Detail += " Results need a folder that can be written: set ELIGEN_CACHE_DIR to one, and --out for the pictures."
	case errors.Is(err, fs.ErrPermission):
		d.Summary = "No permission to write"
		d.Detail += " Results need a folder that can be written: set ELIGEN_CACHE_DIR to one, and --out for the pictures."
	}
	return d
}

// sentence returns an error as a sentence.
func sentence(err error) string {
	s := err.Error()
	if s == "" || s[len(s)-1] == '.' || s[len(s)-1] == '\n' {
		return s
	}
	return s + "."
}
