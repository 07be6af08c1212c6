package mcp

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/app"
	"github.com/eligen/eligen/internal/files"
)

// A folder is all that clients read and write. Their paths are slash-separated, from it.
type folder struct {
	path string // absolute, links followed
	root *os.Root
}

func openFolder(name string) (*folder, error) {
	abs, err := filepath.Abs(name)
	if err == nil {
		abs, err = filepath.EvalSymlinks(abs)
	}
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(abs)
	if err != nil {
		return nil, err
	}
	return &folder{abs, root}, nil
}

// longestPath is how many bytes a client's path has at most.
const longestPath = 512

// local checks a client's path by its letters: below the folder, and no hidden file.
func local(name string) (string, error) {
	if len(name) > longestPath {
		return "", fmt.Errorf("the path has %d bytes; one of a file has at most %d", len(name), longestPath)
	}
	clean := path.Clean(filepath.ToSlash(name))
	if name == "" || strings.ContainsRune(name, 0) || !filepath.IsLocal(filepath.FromSlash(clean)) || clean == "." {
		return "", fmt.Errorf("%q is no path below the folder. Pass one from the folder, such as scenes/rain.hcl", name)
	}
	if clean[0] == '~' {
		return "", fmt.Errorf("%q begins with ~, which means no home here. Pass a path from the folder", name)
	}
	for part := range strings.SplitSeq(clean, "/") {
		if strings.HasPrefix(part, ".") {
			return "", fmt.Errorf("%q is hidden. Hidden files are neither read nor written", name)
		}
	}
	return clean, nil
}

// abs returns the path of a client's file, which need not be there, for operations that open it themselves:
// no link on its way leads out of the folder.
func (f *folder) abs(name string) (string, error) {
	clean, err := local(name)
	if err != nil {
		return "", err
	}
	for at := clean; at != "."; at = path.Dir(at) {
		_, err := f.root.Lstat(filepath.FromSlash(at))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		// What is there is followed, and has to be there in the folder.
		if _, err := f.root.Stat(filepath.FromSlash(at)); err != nil {
			return "", fmt.Errorf("%s can't be used: %w", name, plain(err))
		}
		break
	}
	return filepath.Join(f.path, filepath.FromSlash(clean)), nil
}

// plain leaves out of an error the path of the folder.
func plain(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// read reads a client's file.
func (f *folder) read(name string, limit int64) ([]byte, error) {
	clean, err := local(name)
	if err != nil {
		return nil, err
	}
	file, err := files.OpenIn(f.root, filepath.FromSlash(clean))
	if err != nil {
		return nil, f.missing(clean, err)
	}
	defer file.Close()
	return files.ReadAll(file, clean, limit)
}

// missing says why a client's file can't be read, and of a scene that isn't there, which ones are.
func (f *folder) missing(name string, err error) error {
	if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s can't be read: %w", name, plain(err))
	}
	if known := f.scenes(); strings.HasSuffix(name, ".hcl") && len(known) > 0 {
		return app.Unknown("scene", name, "file", known)
	}
	return fmt.Errorf("there is no file %s", name)
}

// errThere says that a file is there, and is another one than the client knows.
var errThere = errors.New("is there, and its text isn't the one of that version. Read it with read_scene, and pass its version")

// write writes a client's file, atomically. One that is there is replaced only where its content has the
// version that the client knows.
func (f *folder) write(name string, data []byte, version string) error {
	at, err := f.abs(name)
	if err != nil {
		return err
	}
	old, err := f.read(name, maxFile)
	switch _, stat := f.root.Lstat(filepath.FromSlash(path.Clean(name))); {
	case errors.Is(stat, fs.ErrNotExist):
	case err != nil:
		return err
	case versionOf(old) != version && versionOf(old) != versionOf(data):
		return fmt.Errorf("%s %w", name, errThere)
	}
	if err := f.mkdir(path.Dir(name)); err != nil {
		return err
	}
	if err := files.WriteBytes(at, data); err != nil {
		return fmt.Errorf("%s can't be written: %w", name, plain(err))
	}
	return nil
}

// mkdir makes a client's folder.
func (f *folder) mkdir(name string) error {
	if err := f.root.MkdirAll(filepath.FromSlash(path.Clean(name)), 0o755); err != nil {
		return fmt.Errorf("the folder %s can't be made: %w", name, plain(err))
	}
	return nil
}

// versionOf names a content.
func versionOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:8])
}

// name returns a path as clients know it.
func (f *folder) name(abs string) string {
	rel, err := filepath.Rel(f.path, abs)
	if err != nil || !filepath.IsLocal(rel) {
		return filepath.Base(abs)
	}
	return filepath.ToSlash(rel)
}

// The most of a folder that is listed.
const (
	mostListed = 500
	deepest    = 6
)

// list lists files with an ending, by name, and no hidden ones.
func (f *folder) list(wanted func(name string) bool) []string {
	var out []string
	_ = fs.WalkDir(f.root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil || len(out) == mostListed:
			return fs.SkipDir
		case d.IsDir() && (name != "." && d.Name()[0] == '.' || strings.Count(name, "/") >= deepest || d.Name() == "node_modules"):
			return fs.SkipDir
		case d.Type().IsRegular() && d.Name()[0] != '.' && wanted(name):
			out = append(out, name)
		}
		return nil
	})
	slices.Sort(out)
	return out
}

// scenes lists the scenes' files.
func (f *folder) scenes() []string {
	return f.list(func(name string) bool { return strings.HasSuffix(name, ".hcl") && !app.IsLock(name) })
}

// told returns diagnostics with files as clients know them.
func (f *folder) told(ds eligen.Diagnostics) []eligen.Diagnostic {
	out := make([]eligen.Diagnostic, 0, len(ds))
	words := f.words()
	for _, d := range ds {
		d.Detail = words.Replace(d.Detail)
		d.Source = f.place(d.Source)
		d.Notes = slices.Clone(d.Notes)
		for i := range d.Notes {
			d.Notes[i].Text, d.Notes[i].Source = words.Replace(d.Notes[i].Text), f.place(d.Notes[i].Source)
		}
		out = append(out, d)
	}
	return out
}

func (f *folder) place(s *eligen.Source) *eligen.Source {
	if s == nil {
		return nil
	}
	out := *s
	if filepath.IsAbs(out.File) {
		out.File = f.name(out.File)
	}
	return &out
}

// words takes the folder's own path out of messages.
func (f *folder) words() *strings.Replacer {
	return strings.NewReplacer(f.path+string(filepath.Separator), "", filepath.ToSlash(f.path)+"/", "", f.path, "the folder")
}
