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
)

// A Checkpoint is one model's weights in files as users have them: a single file
// in the formats of safetensors, GGUF or PyTorch, or a folder of them with or without
// an index. It reads no more than headers until a tensor is asked for, and of
// quantised weights the few numbers that say how they are stored.
type Checkpoint struct {
	Path      string
	Kind      string            // KindTransformer, …
	Format    string            // whose names the file uses: "bfl", "diffusers", "hf" or "llama.cpp"
	Container string            // "safetensors", "gguf" or "torch"
	Foreign   string            // the model whose file it is, where eligen doesn't run it
	Metadata  map[string]string // of a single file
	Files     []string          // in order of name
	Ignored   []string          // names that belong to no part of the model that runs

	shards  []*shard
	whole   []entry // by the file's own names
	order   []tensor.Info
	entries map[string]entry
	parts   map[string]*Checkpoint // of a file with several networks
	part    bool                   // one of those: its shards are another's
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

// An entry is one tensor: segments of stored ones, one after the other.
type entry struct {
	info     tensor.Info
	segments []segment
}

// A segment is a part of a stored tensor: n elements from one on.
type segment struct {
	of       *stored
	first, n int
}

// Open opens a file of weights, or a folder that holds one, or a
// folder of shards with its index. What a file is its content says, never its name. Close it
// when it is no longer read.
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
	notes := map[string]settings{}
	for _, f := range paths {
		s, head, err := openShard(f)
		if errors.Is(err, errPickle) {
			return nil, fmt.Errorf("%s %w", f, err)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f, err)
		}
		c.shards = append(c.shards, s)
		if err := layerNotes(head.metadata, notes); err != nil {
			return nil, fmt.Errorf("%s: %w", f, err)
		}
		c.Container = head.container
		if len(paths) == 1 {
			c.Metadata = head.metadata
		}
		for _, t := range head.infos {
			if other, ok := held[t.Name]; ok {
				return nil, fmt.Errorf("tensor %q is in %s and in %s", t.Name, filepath.Base(other), filepath.Base(f))
			}
			held[t.Name] = f
			all = append(all, newEntry(s, t))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(index)) {
		if f := held[name]; filepath.Base(f) != index[name] {
			return nil, fmt.Errorf("%s: the index says that tensor %q is in %s, but it isn't there", path, name, index[name])
		}
	}
	return c, c.understand(all, notes)
}

func newEntry(s *shard, t tensor.Info) entry {
	return entry{t, []segment{{newStored(s, t), 0, Elements(t.Shape)}}}
}

// understand gives weights their scales, and finds out whose they are.
func (c *Checkpoint) understand(all []entry, notes map[string]settings) error {
	all, err := c.dequantise(all, notes)
	if err != nil {
		return fmt.Errorf("%s: the weights are quantised in a way that eligen doesn't read:\n  %w", c.Path, err)
	}
	c.whole = slices.Clone(all)
	c.identify(all)
	return nil
}

// FromBytes returns a checkpoint of a file held in memory, such as
// an embedded one. path is for messages.
func FromBytes(path string, data []byte) (*Checkpoint, error) {
	head, err := readHead(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	s := &shard{read: bytes.NewReader(data)}
	c := &Checkpoint{Path: path, Metadata: head.metadata, Container: head.container, shards: []*shard{s}}
	notes := map[string]settings{}
	if err := layerNotes(head.metadata, notes); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	var all []entry
	for _, t := range head.infos {
		all = append(all, newEntry(s, t))
	}
	return c, c.understand(all, notes)
}

func openShard(path string) (*shard, head, error) {
	f, err := files.Open(path)
	if err != nil {
		return nil, head{}, err
	}
	fi, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, head{}, err
	}
	h, err := readHead(f, fi.Size())
	if err != nil {
		f.Close()
		if h.container != containerGGUF && h.container != containerTorch {
			err = asNamed(path, err)
		}
		return nil, head{}, err
	}
	return &shard{read: f, close: f.Close, file: f, stamp: cache.StampOf(path, fi)}, h, nil
}

// Close lets go of the files. Nothing may be loaded after it.
func (c *Checkpoint) Close() error {
	if c.part {
		return nil
	}
	var err error
	for _, s := range c.shards {
		if s.close != nil {
			err = errors.Join(err, s.close())
			s.close = nil
		}
	}
	c.entries, c.whole, c.shards = nil, nil, nil
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

// Part returns the tensors under a prefix of the file's own names, without it.
func (c *Checkpoint) Part(prefix string) *Checkpoint {
	p := &Checkpoint{Path: c.Path + " (" + strings.TrimSuffix(prefix, ".") + ")", entries: map[string]entry{}}
	for _, e := range c.whole {
		if name, ok := strings.CutPrefix(e.info.Name, prefix); ok {
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

// Digest returns the SHA-256 of a file, which is read once and not again while it stays as it is.
func Digest(path string) (eligen.Digest, error) { return cache.Digest(path) }
