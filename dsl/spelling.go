package dsl

import (
	"os"
	"path"
	"path/filepath"
	"slices"

	"golang.org/x/text/unicode/norm"
)

// spelled returns a path, with slashes, as the file system spells it, as far as it
// exists. An é may be one character or an e with an accent (Unicode's NFC and NFD). HCL
// makes it one, and many a file's name has two, so that a scene could not name the file.
// list lists a folder.
func spelled(name string, list func(dir string) []string) string {
	if norm.NFC.IsNormalString(name) && norm.NFD.IsNormalString(name) {
		return name // the one form is the other
	}
	dir, base := path.Split(path.Clean(name))
	if dir = path.Clean(dir); dir != "." && dir != "/" {
		dir = spelled(dir, list)
	}
	names := list(dir)
	if !slices.Contains(names, base) {
		slices.Sort(names)
		for _, n := range names {
			if norm.NFC.String(n) == norm.NFC.String(base) {
				base = n
				break
			}
		}
	}
	return path.Join(dir, base)
}

// spelledIn spells a path below a folder as spelled does.
func spelledIn(root *os.Root, name string) string {
	return spelled(name, func(dir string) []string {
		return names(root.Stat, root.Open, filepath.FromSlash(dir))
	})
}

// spelledPath spells a path of the operating system as spelled does.
func spelledPath(name string) string {
	found := spelled(filepath.ToSlash(name), func(dir string) []string {
		return names(os.Stat, os.Open, filepath.FromSlash(dir))
	})
	if found = filepath.FromSlash(found); found == filepath.Clean(name) {
		return name // with its ./, if it has one
	}
	return found
}

// maxNames is how many names of a folder are looked at.
const maxNames = 100_000

func names(stat func(string) (os.FileInfo, error), open func(string) (*os.File, error), dir string) []string {
	// Stat first: opening a pipe would wait for a writer.
	if info, err := stat(dir); err != nil || !info.IsDir() {
		return nil
	}
	f, err := open(dir)
	if err != nil {
		return nil
	}
	defer f.Close()
	out, _ := f.Readdirnames(maxNames) // what can't be listed has no other spelling
	return out
}
