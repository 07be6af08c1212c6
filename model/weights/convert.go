package weights

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/eligen/eligen/internal/files"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/internal/words"
	"github.com/eligen/eligen/model/torch"
)

// Convert writes the tensors of one of PyTorch's archives as a safetensors file, in
// their dtypes, in order of name. Those in dictionaries are named by all keys, with
// dots between. Nothing in the archive is run. The file is written atomically, and replaces
// one that exists only with force.
//
// Errors that are of what the archive holds, and not of the file system, are
// [ErrUnreadable].
func Convert(in, out string, force bool) (err error) {
	if !strings.EqualFold(filepath.Ext(out), ".safetensors") {
		return fmt.Errorf("%s must end in .safetensors, the format that is written", out)
	}
	src, err := files.Open(in)
	if err != nil {
		return err
	}
	defer src.Close()
	fi, err := src.Stat()
	if err != nil {
		return err
	}
	unreadable := func(format string, args ...any) error {
		return fmt.Errorf("%s: %w", in, ErrUnreadable{fmt.Errorf(format, args...)})
	}
	if !fi.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file: name the archive itself", in)
	}
	if there, err := os.Stat(out); err == nil {
		switch {
		case os.SameFile(fi, there):
			return fmt.Errorf("%s is the file that is read: give the result another name", out)
		case !force:
			return fmt.Errorf("%s is there already, and nothing was converted: --force replaces it", out)
		}
	}
	sorted, head, err := archive(src, fi.Size())
	if err != nil {
		return unreadable("%w", err)
	}
	size := int64(len(head))
	for _, t := range sorted {
		size += t.Size
	}
	if err := hasRoom(out, size); err != nil {
		return err
	}
	return files.WriteFile(out, func(w io.Writer) error {
		if _, err := w.Write(head); err != nil {
			return err
		}
		for _, t := range sorted {
			if n, err := io.Copy(w, io.NewSectionReader(src, t.Offset, t.Size)); err != nil {
				return err
			} else if n < t.Size {
				return unreadable("it ended while tensor %q was copied", t.Name)
			}
		}
		return nil
	})
}

// archive reads which tensors an archive of so many bytes holds, by name, and makes the
// header of a safetensors file of them.
func archive(src io.ReaderAt, size int64) (sorted []tensor.Info, head []byte, err error) {
	if !isTorch(src) {
		if _, _, err := tensor.ReadHeader(io.NewSectionReader(src, 0, size), size); err == nil {
			return nil, nil, errors.New("is a safetensors file already")
		}
		return nil, nil, errors.New("is not an archive of PyTorch 1.6 or later. Older files, and other pickles, are programs that " +
			"would have to be run")
	}
	infos, err := torch.Read(src, size)
	if err != nil {
		return nil, nil, err
	}
	if len(infos) == 0 {
		return nil, nil, errors.New("it holds no tensors")
	}
	var total int64
	for _, t := range infos {
		if total += t.Size; total > maxShared*size {
			return nil, nil, fmt.Errorf("its tensors share their numbers so often that they would fill more than %d times its %s when "+
				"each is written out. "+
				"Save a file whose tensors have numbers of their own", maxShared, words.Bytes(size))
		}
	}
	sorted = byName(infos)
	head, err = tensor.Header(map[string]string{"format": "pt"}, sorted)
	return sorted, head, err
}

// maxShared bounds the size of an archive's tensors, in archives. PyTorch keeps
// numbers that several tensors share once, and safetensors can't.
const maxShared = 8

// hasRoom returns an error if a file of a size doesn't fit on the disk that it is written to.
func hasRoom(path string, size int64) error {
	dir := filepath.Dir(path)
	if free, known := freeSpace(dir); known && size > 0 && uint64(size) > free {
		return fmt.Errorf("%s needs %s, and %s has room for %s: free some, or write to another disk", path, words.Bytes(size), dir,
			words.Bytes(int64(free)))
	}
	return nil
}

// ErrUnreadable is of a file that holds what can't be read as weights.
type ErrUnreadable struct{ reason error }

func (e ErrUnreadable) Error() string { return e.reason.Error() }

func (e ErrUnreadable) Unwrap() error { return e.reason }

func byName(infos []tensor.Info) []tensor.Info {
	out := slices.Clone(infos)
	slices.SortFunc(out, func(a, b tensor.Info) int { return strings.Compare(a.Name, b.Name) })
	return out
}
