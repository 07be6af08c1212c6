package app

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// maxWatched is how many files are looked at: a scene in a large folder is not the reason to read all of
// it four times a second.
const maxWatched = 2000

// Stamps are the states of files, by their paths.
type Stamps map[string]string

// StampsOf returns the states of the files that a scene may read: those below its folder, and its
// variables.
func StampsOf(in Input) Stamps {
	out := Stamps{}
	add := func(file string) {
		if info, err := os.Stat(file); err == nil {
			out[file] = fmt.Sprint(info.Size(), info.ModTime().UnixNano())
		}
	}
	add(in.Path)
	for _, f := range in.VarFiles {
		add(f)
	}
	n := 0
	_ = filepath.WalkDir(filepath.Dir(in.Path), func(file string, d fs.DirEntry, err error) error {
		if n++; n > maxWatched {
			return fs.SkipAll
		}
		if err != nil {
			return nil // a folder that can't be read is none of the scene's
		}
		hidden := strings.HasPrefix(d.Name(), ".") && len(d.Name()) > 1 && d.Name() != ".."
		switch {
		case d.IsDir() && hidden:
			return fs.SkipDir
		case d.Type().IsRegular() && !hidden:
			add(file)
		}
		return nil
	})
	return out
}

// Differ reports whether a file has changed, come or gone. Files that are own don't count.
func (s Stamps) Differ(now Stamps, own func(file string) bool) bool {
	for file, state := range now {
		if s[file] != state && !own(file) {
			return true
		}
	}
	for file := range s {
		if _, ok := now[file]; !ok && !own(file) {
			return true
		}
	}
	return false
}
