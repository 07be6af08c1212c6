// Package weights reads, checks and converts files of weights as users have them.
package weights

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/files"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/cache"
	"github.com/eligen/eligen/model/torch"
)

// A Checkpoint is one model's weights in files as users have them: a single
// safetensors file, or a folder of them with or without an index; or a single
// archive of PyTorch's. It reads no more than headers until a tensor is asked for.
type Checkpoint struct {
	Path     string
	Kind     string            // KindTransformer, …
	Format   string            // whose names the file uses: "bfl", "diffusers" or "hf"
	Metadata map[string]string // of a single file
	Files    []string          // in order of name
	Ignored  []string          // names that belong to no part of the model that runs

	shards  []*shard
	order   []tensor.Info
	entries map[string]entry
}

// A shard is the bytes of one file. They are read, not mapped: a mapped file's pages stay
// in the process's memory after they were copied, next to the copy.
type shard struct {
	read  io.ReaderAt
	close func() error
	file  *os.File    // nil where the bytes are in memory
	stamp cache.Stamp // of the file when it was opened
}

// ErrChanged is the error of a file that is no longer what it was when it was opened, and what
// its digest was taken of.
var ErrChanged = errors.New("the file has changed since it was first looked at: run the command again")

// readAt fills b from an offset on, with what the file held when it was opened.
func (s *shard) readAt(b []byte, offset int64) error {
	if _, err := s.read.ReadAt(b, offset); err != nil || s.file == nil {
		return err
	}
	// A file that hasn't changed by now had not when it was read.
	fi, err := s.file.Stat()
	if err == nil && !s.stamp.Same(fi) {
		err = ErrChanged
	}
	return err
}

// An entry is one tensor: segments of files, one after the other.
type entry struct {
	info     tensor.Info
	segments []segment
}

type segment struct {
	in     *shard
	offset int64 // bytes from the start of the file
	n      int   // elements
}

// Open opens a safetensors file, or a folder that holds one, or a
// folder of shards with its index. Close it when it is no longer read.
func Open(path string) (_ *Checkpoint, err error) {
	paths, index, err := checkpointFiles(path)
	if err != nil {
		return nil, err
	}
	c := &Checkpoint{Path: path, Files: paths}
	defer func() {
		if err != nil {
			c.Close()
		}
	}()
	held := map[string]string{} // tensor → file
	var all []entry
	for _, f := range paths {
		s, infos, meta, err := openShard(f)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f, err)
		}
		c.shards = append(c.shards, s)
		if len(paths) == 1 {
			c.Metadata = meta
		}
		for _, t := range infos {
			if other, ok := held[t.Name]; ok {
				return nil, fmt.Errorf("tensor %q is in %s and in %s", t.Name, filepath.Base(other), filepath.Base(f))
			}
			held[t.Name] = f
			all = append(all, entry{t, []segment{{s, t.Offset, Elements(t.Shape)}}})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(index)) {
		if f := held[name]; filepath.Base(f) != index[name] {
			return nil, fmt.Errorf("%s: the index says that tensor %q is in %s, but it isn't there", path, name, index[name])
		}
	}
	c.identify(all)
	return c, nil
}

// FromBytes returns a checkpoint of a safetensors file held in memory, such as
// an embedded one. path is for messages.
func FromBytes(path string, data []byte) (*Checkpoint, error) {
	infos, meta, err := tensor.ReadHeader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	s := &shard{read: bytes.NewReader(data)}
	c := &Checkpoint{Path: path, Metadata: meta, shards: []*shard{s}}
	var all []entry
	for _, t := range infos {
		all = append(all, entry{t, []segment{{s, t.Offset, Elements(t.Shape)}}})
	}
	c.identify(all)
	return c, nil
}

func openShard(path string) (*shard, []tensor.Info, map[string]string, error) {
	f, err := files.Open(path)
	if err != nil {
		return nil, nil, nil, err
	}
	fi, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, nil, nil, err
	}
	var infos []tensor.Info
	var meta map[string]string
	if isTorch(f) {
		infos, err = torch.Read(f, fi.Size())
	} else {
		infos, meta, err = tensor.ReadHeader(io.NewSectionReader(f, 0, fi.Size()), fi.Size())
	}
	if err != nil {
		f.Close()
		return nil, nil, nil, err
	}
	return &shard{read: f, close: f.Close, file: f, stamp: cache.StampOf(path, fi)}, infos, meta, nil
}

// Close lets go of the files. Nothing may be loaded after it.
func (c *Checkpoint) Close() error {
	var err error
	for _, s := range c.shards {
		if s.close != nil {
			err = errors.Join(err, s.close())
			s.close = nil
		}
	}
	c.entries, c.shards = nil, nil
	return err
}

// Elements returns how many numbers a tensor of a shape has.
func Elements(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// Part returns the tensors under a prefix, without it.
func (c *Checkpoint) Part(prefix string) *Checkpoint {
	p := &Checkpoint{Path: c.Path + " (" + strings.TrimSuffix(prefix, ".") + ")", entries: map[string]entry{}}
	for _, t := range c.order {
		if name, ok := strings.CutPrefix(t.Name, prefix); ok {
			e := c.entries[t.Name]
			e.info.Name = name
			p.entries[name] = e
			p.order = append(p.order, e.info)
		}
	}
	return p
}

// Current reports whether the files of a checkpoint's path are those that are open, as they were.
func (c *Checkpoint) Current() bool {
	return !slices.ContainsFunc(c.shards, func(s *shard) bool { return s.file != nil && !s.stamp.Current() })
}

// Digests returns the digest of every file of an open checkpoint: of what is read from it later.
func Digests(c *Checkpoint) ([]eligen.Digest, error) {
	var out []eligen.Digest
	for _, f := range c.Files {
		d, err := cache.Digest(f)
		if err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	if !c.Current() {
		return nil, fmt.Errorf("%s: %w", c.Path, ErrChanged)
	}
	return out, nil
}
