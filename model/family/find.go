package family

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/eligen/eligen/model/weights"
)

// A Part is a part of a model that FindParts looks for.
type Part struct {
	What  string   // for people: "T5 text encoder"
	Name  string   // in a scene: "t5"; that of the transformer is "transformer"
	Kind  string   // of its checkpoint
	At    *string  // where it is
	Names []string // that it has where people didn't rename it; without a dot, a folder
}

// FindParts finds the parts of a model as users have them: path is the folder of a repository, a
// folder of single files, or the transformer's own file, beside which the other parts lie. A part
// is, first, the file that named gives for its name; then, what the transformer's own file holds
// itself; then, the file of a usual name, or the only file with such a network whatever it is
// called; then, one of the folders that beside (or nil) returns for it. Every part that isn't there
// is named, with the names that were looked for.
func FindParts(path string, parts []Part, named map[string]string, beside func(part string) []string) error {
	fi, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return weights.NotThere(path)
	}
	if err != nil {
		return err
	}
	dir := path
	for _, p := range parts {
		if !fi.IsDir() && p.Name == "transformer" {
			*p.At, dir = path, filepath.Dir(path)
		}
		if at := named[p.Name]; at != "" {
			*p.At = at
		}
	}
	if !fi.IsDir() && slices.ContainsFunc(parts, func(p Part) bool { return *p.At == "" }) {
		kinds, err := weights.Kinds(path)
		if err != nil { // opening it will say that, unless there is nothing to open it with
			if missing := search(dir, parts, beside); missing != nil {
				return fmt.Errorf("%w\n%w", err, missing)
			}
			return nil
		}
		for _, p := range parts {
			if *p.At == "" && slices.Contains(kinds, p.Kind) {
				*p.At = path
			}
		}
	}
	return search(dir, parts, beside)
}

// FolderSettings lists the files next to weights that say how they are read, where the parts are
// folders: the sizes of each part, and its indexes.
func FolderSettings(parts ...string) (list []string) {
	for _, part := range parts {
		if weights.IsFolder(part) {
			list = append(list, filepath.Join(part, "config.json"))
			for _, base := range []string{"diffusion_pytorch_model", "model"} {
				for _, end := range []string{".safetensors.index.json", ".safetensors.index.fp16.json", ".bin.index.json"} {
					list = append(list, filepath.Join(part, base+end))
				}
			}
		}
	}
	return list
}

// search looks for the parts that are not known yet.
func search(dir string, parts []Part, beside func(part string) []string) error {
	in, err := openFolder(dir)
	if err != nil {
		return err
	}
	var missing []string
	var unclear error
	for _, p := range parts {
		if *p.At != "" {
			continue
		}
		at, err := in.find(p)
		if at == "" && err == nil && beside != nil {
			at, err = findIn(beside(p.Name), p)
		}
		*p.At = at
		switch {
		case err != nil && unclear == nil:
			unclear = err
		case at == "" && err == nil:
			missing = append(missing, fmt.Sprintf("the %s (%s)", p.What, strings.Join(p.Names, ", ")))
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("%s lacks %s%s", dir, strings.Join(missing, ", "), in.unread())
	}
	return unclear
}

// findIn looks for a part in folders, those that aren't there left out.
func findIn(dirs []string, p Part) (string, error) {
	for _, dir := range dirs {
		in, err := openFolder(dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return "", err
		}
		if at, err := in.find(p); at != "" || err != nil {
			return at, err
		}
	}
	return "", nil
}

// A folder is searched for files, by their names and by what they hold.
type folder struct {
	dir     string
	entries []os.DirEntry
	held    map[string][]string // kinds of networks, by file; nil: no file was read
	broken  []error             // of files that look like weights and hold none that can be used
}

func openFolder(dir string) (*folder, error) {
	entries, err := os.ReadDir(dir)
	return &folder{dir: dir, entries: entries}, err
}

// find returns the file or folder of a part, or "".
func (f *folder) find(p Part) (string, error) {
	for _, pattern := range p.Names {
		var found []string
		for _, e := range f.entries {
			if ok, _ := filepath.Match(pattern, strings.ToLower(e.Name())); ok {
				found = append(found, filepath.Join(f.dir, e.Name()))
			}
		}
		if len(found) > 1 {
			if real := f.with(p.Kind, true); len(real) > 0 { // a LoRA may be called like a model
				found = slices.DeleteFunc(found, func(file string) bool { return !slices.Contains(real, file) })
			}
		}
		if at, err := f.one(found, p); at != "" || err != nil {
			return at, err
		}
	}
	if at, err := f.one(f.with(p.Kind, true), p); at != "" || err != nil {
		return at, err
	}
	return f.one(f.with(p.Kind, false), p)
}

// one returns the only one of files, and refuses to guess between several.
func (f *folder) one(files []string, p Part) (string, error) {
	switch slices.Sort(files); len(files) {
	case 0:
		return "", nil
	case 1:
		return files[0], nil
	}
	how := fmt.Sprintf("name it in the scene's model block, or leave one file in the folder:\n\n    %s = %q", p.Name, files[0])
	if p.Name == "transformer" {
		how = "name the transformer's file itself, or leave one file in the folder"
	}
	return files[0], fmt.Errorf("%s and %s are both there, and nothing says which is meant: %s", files[0], filepath.Base(files[1]), how)
}

// mostRead is the number of files of a folder that are looked into.
const mostRead = 256

// with returns the files that hold a network of a kind: alone, or with others.
func (f *folder) with(kind string, alone bool) (files []string) {
	if f.held == nil {
		f.held = map[string][]string{}
		for _, e := range f.entries {
			if e.IsDir() || !weights.IsWeightFile(e.Name()) || len(f.held) >= mostRead {
				continue
			}
			path := filepath.Join(f.dir, e.Name())
			kinds, err := weights.Kinds(path)
			if err != nil {
				f.broken = append(f.broken, err)
			}
			f.held[path] = kinds
		}
	}
	for file, kinds := range f.held {
		if slices.Contains(kinds, kind) && alone == (len(kinds) == 1) {
			files = append(files, file)
		}
	}
	return files
}

// unread says which files look like weights and hold none that can be used.
func (f *folder) unread() string {
	var b strings.Builder
	for i, err := range f.broken {
		if i == 5 {
			fmt.Fprintf(&b, "\nand %d more files that can't be used", len(f.broken)-i)
			break
		}
		fmt.Fprintf(&b, "\n%v", err)
	}
	return b.String()
}
