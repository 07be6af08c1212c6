package app

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/files"
)

// weightsBelow refuses the weights that a scene names by paths that lead out of a folder. What lies in it
// may be a link: whoever writes scenes can't make one.
func weightsBelow(s *eligen.Scene, folder string) (ds eligen.Diagnostics) {
	check := func(path, argument string, at *eligen.Source) {
		if !isPath(path) {
			return
		}
		full, err := filepath.Abs(path)
		if err == nil {
			full, err = filepath.Rel(folder, full)
		}
		if err == nil && filepath.IsLocal(full) && path[0] != '~' {
			return
		}
		ds.Errorf(at, "Weights outside the folder", "%s is %q, which is not below the folder that scenes may read from. "+
			"Move the weights there, or name a repository or a file of ComfyUI's.", argument, path)
	}
	for i := range s.Renders {
		r := &s.Renders[i]
		check(r.Model.Path, "source", r.Model.Where("source"))
		for part, path := range r.Model.Parts {
			check(path, part, r.Model.Where(part))
		}
		for j := range r.Adapters {
			check(r.Adapters[j].Path, "source", r.Adapters[j].Where("source"))
			check(r.Adapters[j].Encoder, "encoder", r.Adapters[j].Where("encoder"))
		}
	}
	return ds
}

// isPath reports whether a source is a path, and no repository, file of ComfyUI's, or name of a family's own.
func isPath(source string) bool {
	return source != "" && (source[0] == '.' || source[0] == '~' || filepath.IsAbs(source))
}

// readBelow reads a regular file of at most so many bytes below a folder, and follows no link out of it.
func readBelow(folder, path string, limit int64) ([]byte, error) {
	rel, err := filepath.Rel(folder, path)
	if err != nil || !filepath.IsLocal(rel) {
		return nil, fmt.Errorf("%s is not below the folder that files may be read from", eligen.Printable(path))
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	f, err := files.OpenIn(root, rel)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return files.ReadAll(f, path, limit)
}
