package dsl

import (
	"errors"
	"fmt"
	"image"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/pixels"
)

// ReadPicture reads a picture's file as a scene does, with its limits: turned, and in
// sRGB.
func ReadPicture(path string) (image.Image, error) {
	f, err := pixels.Read(path, "")
	if err != nil {
		return nil, err
	}
	img, err := f.Picture()
	if err != nil {
		return nil, fmt.Errorf("%s is %w", path, err)
	}
	return img, nil
}

// ReadSource reads the text of a scene's file, with its limits. The diagnostics say why it
// can't be read.
func ReadSource(path string) (src []byte, ds eligen.Diagnostics) {
	path = spelledPath(path)
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		ds.Errorf(nil, "Scene not found", "There is no file %s.%s", path, didYouMean(path, scenesNear(path)))
	case err != nil:
		ds.Errorf(nil, "Scene can't be read", "%v.", err)
	case info.IsDir():
		such := ""
		if files, _ := filepath.Glob(filepath.Join(path, "*.hcl")); len(files) > 0 {
			such = ", such as " + files[0]
		}
		ds.Errorf(nil, "Not a scene",
			"%s is a folder. A scene is one file: name it%s. A folder can be a module, which a scene takes in by a module block.", path, such)
	case !info.Mode().IsRegular():
		ds.Errorf(nil, "Scene can't be read", "%s is not a regular file.", path)
	case info.Size() > maxFile:
		ds = tooLarge(path, info.Size())
	}
	if ds.HasErrors() {
		return nil, ds
	}
	if src, err = readAtMost(path, maxFile); err != nil {
		ds.Errorf(nil, "Scene can't be read", "%v.", err)
	}
	return src, ds
}

// scenesNear lists the scenes next to a path, as far as their folder can be read, each by a
// path that begins as this one does.
func scenesNear(path string) (paths []string) {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return nil
	}
	begin := strings.TrimSuffix(path, filepath.Base(path))
	for _, e := range entries {
		if isScene(e.Name()) {
			paths = append(paths, begin+e.Name())
		}
	}
	return paths
}

func readAtMost(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	src, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(src)) > limit {
		err = fmt.Errorf("%s has more than %d bytes", path, limit)
	}
	return src, err
}
