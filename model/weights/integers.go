package weights

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/files"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/cache"
	"github.com/eligen/eligen/model/rows"
)

// Integers returns a loader whose chosen matrices are held in a form; form "" changes nothing. They
// are made once, and kept in the cache folder under a digest that stands for the weights and the
// form. Where the disk has no room, or key is "", they are made anew each time.
func Integers(l Loader, form rows.Form, which func(name string) bool, key eligen.Digest) (Loader, error) {
	if form == "" {
		return l, nil
	}
	h := rows.Over(l, form, which)
	if key == "" {
		return h, nil
	}
	dir, err := cache.Dir()
	if err != nil {
		return nil, err
	}
	path := IntegersFile(dir, key)
	h.Prepare = func() error {
		err := openIntegers(path, h)
		if errors.Is(err, fs.ErrNotExist) && keepIntegers(path, h) {
			err = openIntegers(path, h)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s: %w. Remove this file: it is made anew", path, err)
		}
		return nil
	}
	return h, nil
}

// IntegersFile returns where a cache folder keeps the integers of a digest.
func IntegersFile(dir string, key eligen.Digest) string {
	return filepath.Join(dir, "integers", string(key)+".safetensors")
}

// integersFile is an open file of integers and their scales.
type integersFile struct {
	shard *shard
	list  []tensor.Info
	of    map[string]tensor.Info
}

func openIntegers(path string, h *rows.Held) error {
	s, head, err := openShard(path)
	if err != nil {
		return err
	}
	f := integersFile{s, head.infos, map[string]tensor.Info{}}
	for _, t := range head.infos {
		f.of[t.Name] = t
	}
	if err := h.Ready(f); err != nil {
		return errors.Join(err, s.close())
	}
	return nil
}

// Tensors lists the tensors.
func (f integersFile) Tensors() []tensor.Info { return f.list }

// Bytes fills dst with a tensor's bytes.
func (f integersFile) Bytes(name string, dst []byte) (bool, error) {
	t, ok := f.of[name]
	if !ok || int64(len(dst)) != t.Size {
		return false, fmt.Errorf("there are no %d bytes of %q", len(dst), name)
	}
	return true, f.shard.readAt(dst, t.Offset)
}

// Floats fills dst with numbers of a scale.
func (f integersFile) Floats(name string, from int, dst []float32) error {
	b := make([]byte, 4*len(dst))
	if err := f.shard.readAt(b, f.of[name].Offset+4*int64(from)); err != nil {
		return err
	}
	return tensor.Fill(dst, "F32", b)
}

// keepIntegers writes all integers, and reports whether there is a file of them now. A disk without
// room for it, or a folder that can't be written, is no error.
func keepIntegers(path string, h *rows.Held) bool {
	list := h.File()
	var size int64
	for _, t := range list {
		size += t.Size
	}
	if os.MkdirAll(filepath.Dir(path), 0o755) != nil || hasRoom(path, 2*size) != nil {
		return false // half of what is free stays free
	}
	head, err := tensor.Header(map[string]string{"eligen": "integers 1"}, list)
	if err != nil {
		return false
	}
	err = files.WriteFile(path, func(w io.Writer) error {
		if _, err := w.Write(head); err != nil {
			return err
		}
		return h.Write(w)
	})
	return err == nil
}
