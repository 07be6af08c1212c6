package dsl

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/eligen/eligen"
)

// An overlay holds texts that Load reads in place of files, by their clean paths.
type overlay map[string][]byte

func overlayOf(unsaved map[string][]byte) overlay {
	o := overlay{}
	for path, text := range unsaved {
		o[filepath.Clean(path)] = text
	}
	return o
}

// read returns the text that stands in for the file at path. ok is false where none does.
func (o overlay) read(path, what string) (text []byte, ok bool, err error) {
	text, ok = o[filepath.Clean(path)]
	if len(text) > maxFile {
		return nil, true, fmt.Errorf("%s has %d bytes; %s has at most %d (%d MiB)", path, len(text), what, maxFile, maxFile>>20)
	}
	return text, ok, nil
}

// names lists the files that the overlay has directly in a folder.
func (o overlay) names(folder string) []string {
	var out []string
	for path := range o {
		if filepath.Dir(path) == filepath.Clean(folder) {
			out = append(out, filepath.Base(path))
		}
	}
	return out
}

// readText returns a text below the scene's folder, or the module's: from the overlay, else from the disk.
func (l *disk) readText(name, what string) (clean string, text []byte, err error) {
	if clean, err = localPath(name, l.whose()); err != nil {
		return "", nil, err
	}
	if text, ok, err := l.overlay.read(filepath.Join(l.dir, filepath.FromSlash(clean)), what); ok {
		return clean, text, err
	}
	return l.readLocal(name, what, maxFile)
}

// moduleFiles lists the scene files in the module's folder, by name, those of the overlay included.
func (l *disk) moduleFiles() ([]string, error) {
	entries, err := fs.ReadDir(l.root.FS(), ".")
	if err != nil {
		return nil, err
	}
	names := l.overlay.names(l.dir)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	names = slices.DeleteFunc(names, func(name string) bool { return !strings.HasSuffix(name, ".hcl") || name == eligen.LockName })
	slices.Sort(names)
	return slices.Compact(names), nil
}
