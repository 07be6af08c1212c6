package hub

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/files"
)

// A Cached is a repository in a hub's cache.
type Cached struct {
	Repo      Repo
	Folder    string
	Revisions []CachedRevision
	Bytes     int64     // of all contents, each counted once
	Partial   int64     // of downloads that have not ended
	Used      time.Time // when a content was fetched last
}

// A CachedRevision is a snapshot of a repository.
type CachedRevision struct {
	Commit string
	Refs   []string // branches and tags that are this commit
	Files  []string
	Bytes  int64 // of its files
}

// Cached lists what the caches of the hubs hold of models, by name.
func (s Settings) Cached() (list []Cached, err error) {
	for _, at := range []struct {
		source   Source
		dir, pre string
	}{{HuggingFace, s.Cache, "models--"}, {ModelScope, filepath.Join(s.ModelScopeCache, "models"), ""}} {
		entries, err := os.ReadDir(at.dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for _, e := range entries {
			name, ok := strings.CutPrefix(e.Name(), at.pre)
			owner, rest, two := strings.Cut(name, "--")
			r, err := ParseRepo(Repo{at.source, owner + "/" + rest}.String())
			if !ok || !two || err != nil {
				continue
			}
			c := s.cached(r)
			if len(c.Revisions) > 0 || c.Bytes > 0 || c.Partial > 0 {
				list = append(list, c)
			}
		}
	}
	for _, r := range earlierRepos(s.ModelScopeCache) {
		if !slices.ContainsFunc(list, func(c Cached) bool { return c.Repo == r }) {
			list = append(list, s.cached(r))
		}
	}
	slices.SortFunc(list, func(a, b Cached) int { return strings.Compare(a.Repo.String(), b.Repo.String()) })
	return list, nil
}

// cached describes a repository in its cache.
func (s Settings) cached(r Repo) Cached {
	cache := s.cacheOf(r)
	c := Cached{Repo: r, Folder: cache.folder}
	refs := map[string][]string{}
	for _, ref := range namesIn(filepath.Join(cache.folder, "refs")) {
		if commit := cache.commit(ref); commit != "" {
			refs[commit] = append(refs[commit], ref)
		}
	}
	for _, commit := range cache.commits() {
		v := CachedRevision{Commit: commit, Refs: refs[commit], Files: namesIn(cache.snapshot(commit))}
		for _, n := range v.Files {
			at := filepath.Join(cache.snapshot(v.Commit), filepath.FromSlash(n))
			fi, err := os.Stat(at)
			if err != nil {
				continue
			}
			switch own, err := os.Lstat(at); {
			case strings.HasSuffix(n, partialEnd):
				c.Partial += fi.Size()
				continue
			case err == nil && own.Mode().IsRegular(): // a copy, or a file of ModelScope's
				c.add(fi)
			}
			v.Bytes += fi.Size()
		}
		v.Files = slices.DeleteFunc(v.Files, func(n string) bool { return strings.HasSuffix(n, partialEnd) })
		c.Revisions = append(c.Revisions, v)
	}
	blobs, _ := os.ReadDir(cache.blobs())
	for _, e := range blobs {
		fi, err := os.Stat(filepath.Join(cache.blobs(), e.Name()))
		switch {
		case err != nil || !fi.Mode().IsRegular():
		case strings.HasSuffix(e.Name(), partialEnd):
			c.Partial += fi.Size()
		default:
			c.add(fi)
		}
	}
	return c
}

// commits lists what the cache has files of.
func (c repoCache) commits() (list []string) {
	entries, _ := os.ReadDir(filepath.Join(c.folder, "snapshots"))
	for _, e := range entries {
		list = append(list, e.Name())
	}
	if main := c.source.mainBranch(); c.flat != "" && !slices.Contains(list, main) {
		list = append(list, main)
	}
	return list
}

// partialEnd ends the names of files that are not whole.
const partialEnd = ".incomplete"

func (c *Cached) add(fi fs.FileInfo) {
	c.Bytes += fi.Size()
	if fi.ModTime().After(c.Used) {
		c.Used = fi.ModTime()
	}
}

// ErrNotCached says that a cache has nothing of a repository, or of a revision of it.
var ErrNotCached = errors.New("it isn't in the cache")

// Remove removes a repository from its hub's cache, or one revision of it and the contents that no other
// revision has. It returns the bytes that it freed.
func (s Settings) Remove(r Repo, revision string) (freed int64, err error) {
	cache := s.cacheOf(r)
	before := s.cached(r)
	if len(before.Revisions) == 0 && before.Bytes == 0 && before.Partial == 0 {
		return 0, ErrNotCached
	}
	if _, err := os.Lstat(cache.folder); cache.flat != "" && errors.Is(err, fs.ErrNotExist) {
		if revision != "" && revision != cache.source.mainBranch() {
			return 0, ErrNotCached
		}
		return before.Bytes + before.Partial, os.RemoveAll(cache.flat)
	}
	if fi, err := os.Lstat(cache.folder); err != nil || !fi.IsDir() {
		return 0, errors.Join(err, fmt.Errorf("%s is a link to a folder elsewhere: remove that one by yourself", cache.folder))
	}
	if err := cache.idle(); err != nil {
		return 0, err
	}
	if revision != "" {
		if err := checkRevision(revision); err != nil {
			return 0, err
		}
		commit := cache.commit(revision)
		i := slices.IndexFunc(before.Revisions, func(v CachedRevision) bool { return v.Commit == commit })
		if i < 0 {
			return 0, ErrNotCached
		}
		if len(before.Revisions) > 1 {
			err = cache.removeRevision(before.Revisions[i])
			after := s.cached(r)
			return before.Bytes - after.Bytes, err
		}
	}
	shared := cache.sharedBlobs()
	if err := os.RemoveAll(cache.folder); err != nil {
		return 0, err
	}
	if cache.flat != "" {
		if err := os.RemoveAll(cache.flat); err != nil {
			return 0, err
		}
	}
	cache.sweep(shared)
	if cache.locks != "" {
		_ = os.RemoveAll(cache.locks) // empty files that nobody holds
	}
	return before.Bytes + before.Partial, nil
}

// idle returns an error where a process is fetching files of the repository.
func (c repoCache) idle() error {
	entries, _ := os.ReadDir(c.locks)
	if c.locks == "" || len(entries) == 0 {
		return nil
	}
	folder, err := files.OpenDir(c.locks)
	if err != nil {
		return err
	}
	defer folder.Close()
	for _, e := range entries {
		l, err := folder.Lock(e.Name(), false)
		if errors.Is(err, files.ErrLocked) {
			return errors.New("another process is fetching files of it. Run the same command when it has ended")
		}
		if err == nil {
			_ = l.Unlock()
		}
	}
	return nil
}

// removeRevision removes a snapshot, what names it, and the blobs that no other snapshot links to.
func (c repoCache) removeRevision(v CachedRevision) error {
	err := os.RemoveAll(c.snapshot(v.Commit))
	for _, ref := range v.Refs {
		err = errors.Join(err, os.Remove(filepath.Join(c.folder, "refs", filepath.FromSlash(ref))))
	}
	err = errors.Join(err, os.RemoveAll(filepath.Join(c.folder, ".no_exist", v.Commit)))
	if e := os.Remove(filepath.Join(c.folder, "trees", v.Commit+".json")); !errors.Is(e, fs.ErrNotExist) {
		err = errors.Join(err, e)
	}
	if c.source != HuggingFace || err != nil {
		return err
	}
	kept := map[string]bool{}
	root := filepath.Join(c.folder, "snapshots")
	err = filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.Type()&fs.ModeSymlink != 0 {
			to, err := os.Readlink(p)
			if err != nil {
				return err
			}
			kept[filepath.Base(to)] = true
		}
		return err
	})
	if err != nil {
		return err // nothing is removed that might be in use
	}
	shared := c.sharedBlobs()
	blobs, err := os.ReadDir(c.blobs())
	for _, e := range blobs {
		if !kept[e.Name()] && !strings.HasSuffix(e.Name(), partialEnd) {
			err = errors.Join(err, os.Remove(filepath.Join(c.blobs(), e.Name())))
		}
	}
	c.sweep(shared)
	return err
}

// A Checked says of a repository which of its files are not what their digests say.
type Checked struct {
	Repo    Repo
	Files   int
	Bytes   int64
	Damaged []Damaged
}

// A Damaged is a file that is not what it should be.
type Damaged struct {
	Path      string
	Files     []string // names in the repository that are this content
	Want, Got string   // digests; Got is "" where the content is missing
}

// Check reads the files of a repository in its cache, and holds each to its digest. What Hugging Face's
// cache holds bears its digest as its name; of ModelScope's the hub must be asked.
func (c *Client) Check(ctx context.Context, r Repo, progress func(Progress)) (Checked, error) {
	out := Checked{Repo: r}
	list, err := c.checkable(ctx, r)
	if err != nil {
		return out, err
	}
	if len(list) == 0 {
		return out, ErrNotCached
	}
	sizes := make([]File, len(list))
	for i, f := range list {
		sizes[i] = File{Name: f.names[0], Size: f.Size}
	}
	m := newMeter(progress, sizes)
	for i, f := range list {
		if err := context.Cause(ctx); err != nil {
			return out, err
		}
		got, ok, err := f.check(f.path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return out, err
		}
		out.Files, out.Bytes = out.Files+1, out.Bytes+f.Size
		if !ok {
			out.Damaged = append(out.Damaged, Damaged{Path: f.path, Files: f.names, Want: f.digest(), Got: got})
		}
		m.got(sizes[i].Name, f.Size)
	}
	return out, nil
}

// A checkable is a content in a cache, and what it should be.
type checkable struct {
	File
	path  string
	names []string
}

func (c *Client) checkable(ctx context.Context, r Repo) (list []checkable, err error) {
	cache := c.cacheOf(r)
	for _, v := range c.cached(r).Revisions {
		var info *Info
		if r.Source == ModelScope {
			if info, err = c.Info(ctx, r, v.Commit); err != nil {
				return nil, err
			}
		} else {
			info = &Info{Files: cache.listing(v.Commit)}
		}
		names, err := snapshotNames(cache.snapshot(v.Commit))
		if err != nil {
			return nil, err
		}
		for _, n := range names {
			f, ok := cache.checkable(v.Commit, n, info)
			if !ok {
				continue
			}
			if i := slices.IndexFunc(list, func(g checkable) bool { return g.path == f.path }); i >= 0 {
				list[i].names = append(list[i].names, n)
				continue
			}
			list = append(list, f)
		}
	}
	return list, nil
}

// snapshotNames returns the names in a snapshot, those of broken links too.
func snapshotNames(folder string) (names []string, err error) {
	err = filepath.WalkDir(folder, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(p, partialEnd) {
			return err
		}
		rel, err := filepath.Rel(folder, p)
		names = append(names, filepath.ToSlash(rel))
		return err
	})
	return names, err
}

// checkable says what a name in a snapshot should be. ok is false where nothing says it.
func (c repoCache) checkable(commit, name string, info *Info) (checkable, bool) {
	at := filepath.Join(c.snapshot(commit), filepath.FromSlash(name))
	f := checkable{path: at, names: []string{name}}
	listed, ok := info.File(name)
	f.File = listed
	if to, err := os.Readlink(at); err == nil {
		digest := filepath.Base(to)
		f.path = filepath.Join(c.blobs(), digest)
		switch {
		case sha256Of.MatchString(digest):
			f.File = File{Name: name, Size: listed.Size}
			f.SHA256 = eligen.Digest(digest)
		case sha1Of.MatchString(digest):
			f.File = File{Name: name, Size: listed.Size, SHA1: digest}
		default:
			return f, false
		}
		ok = true
	}
	if fi, err := os.Stat(f.path); err == nil {
		f.Size = fi.Size() // git's digest of a blob is over its size, too
	}
	return f, ok
}
