package hub

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/eligen/eligen/internal/files"
)

// huggingface_hub 2.4 keeps contents that it fetched from Xet storage once for all repositories, in
// <cache>/blobs/<xx>/<Xet hash>. A repository's blob is then a link to that, and the file <Xet hash>.refs lists
// the blobs that are. Such blobs are read as any other. When they are removed, so is the content that nobody
// refers to any more.

// sharedBlobs returns the shared contents that blobs of the repository are links to.
func (c repoCache) sharedBlobs() (list []string) {
	if c.source != HuggingFace {
		return nil
	}
	entries, _ := os.ReadDir(c.blobs())
	store := filepath.Join(c.root, "blobs")
	for _, e := range entries {
		at := filepath.Join(c.blobs(), e.Name())
		to, err := os.Readlink(at)
		if err != nil {
			continue
		}
		if !filepath.IsAbs(to) {
			to = filepath.Join(c.blobs(), to)
		}
		name := filepath.Base(to)
		if sha256Of.MatchString(name) && to == filepath.Join(store, name[:2], name) {
			list = append(list, to)
		}
	}
	return list
}

// sweep removes shared contents that no blob is a link to any more. Where anything is in doubt, they stay, and
// huggingface_hub's own tools find them.
func (c repoCache) sweep(list []string) {
	if mark, err := files.Read(filepath.Join(c.root, "blobs", ".huggingface-shared-blobs"), 16); err != nil || string(mark) != "1\n" {
		return
	}
	for _, at := range list {
		_ = c.sweepOne(at)
	}
}

func (c repoCache) sweepOne(at string) error {
	folder, err := files.OpenDir(filepath.Dir(at))
	if err != nil {
		return err
	}
	defer folder.Close()
	name := filepath.Base(at)
	l, err := folder.Lock(name+".lock", true)
	if err != nil {
		return err
	}
	defer func() { _ = l.Unlock() }()
	data, err := folder.Read(name+".refs", 16<<20)
	if err != nil {
		return err
	}
	refers := func(blob string) bool {
		blob = filepath.FromSlash(strings.TrimSuffix(blob, "\r"))
		if blob == "" || !filepath.IsLocal(blob) {
			return false
		}
		fi, err := os.Lstat(filepath.Join(c.root, blob))
		if err != nil || fi.Mode().Type() != os.ModeSymlink {
			return err != nil && !errors.Is(err, os.ErrNotExist)
		}
		to, err := os.Readlink(filepath.Join(c.root, blob))
		if err != nil {
			return true
		}
		if !filepath.IsAbs(to) {
			to = filepath.Join(c.root, filepath.Dir(blob), to)
		}
		return to == at
	}
	if slices.ContainsFunc(strings.Split(string(data), "\n"), refers) {
		return nil
	}
	return errors.Join(folder.Remove(name), folder.Remove(name+".refs"))
}
