package hub

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/files"
)

// Located says which files of a repository are in the cache. Nothing was asked of a hub.
type Located struct {
	Commit  string            // that the revision is; "" where the cache doesn't know it
	Folder  string            // the snapshot's, "" where there is none
	Paths   map[string]string // where the files lie that were asked for and are there
	Missing []string          // of the files that were asked for, in their order
	Names   []string          // all files that the snapshot holds, sorted
	Listing []File            // all files of the repository at the commit; nil where the cache has no listing
}

// Locate looks for files of a repository in its hub's cache. revision is a branch, a tag or a commit; ""
// is the main branch.
func (s Settings) Locate(r Repo, revision string, names ...string) (Located, error) {
	if revision == "" {
		revision = r.Source.mainBranch()
	}
	if err := checkRevision(revision); err != nil {
		return Located{}, err
	}
	for _, n := range names {
		if err := checkName(n); err != nil {
			return Located{}, err
		}
	}
	c := s.cacheOf(r)
	l := Located{Commit: c.commit(revision), Paths: map[string]string{}}
	if l.Commit == "" {
		l.Missing = slices.Clone(names)
		return l, nil
	}
	l.Listing = c.listing(l.Commit)
	folder := c.snapshot(l.Commit)
	if fi, err := os.Stat(folder); err == nil && fi.IsDir() {
		l.Folder, l.Names = folder, namesIn(folder)
	}
	for _, n := range names {
		at := filepath.Join(folder, filepath.FromSlash(n))
		if fi, err := os.Stat(at); err != nil || !fi.Mode().IsRegular() || l.wrongSize(n, fi.Size()) {
			l.Missing = append(l.Missing, n)
			continue
		}
		l.Paths[n] = at
	}
	return l, nil
}

// wrongSize reports whether the listing gives a file another size: one that another program left half
// written.
func (l Located) wrongSize(name string, size int64) bool {
	i, ok := slices.BinarySearchFunc(l.Listing, name, func(f File, n string) int { return strings.Compare(f.Name, n) })
	return ok && l.Listing[i].Size != size
}

// mainBranch returns what a hub calls the revision that nobody names.
func (s Source) mainBranch() string {
	if s == ModelScope {
		return "master"
	}
	return "main"
}

// namesIn returns the names of the regular files below a folder, links to them among them.
func namesIn(folder string) (names []string) {
	_ = filepath.WalkDir(folder, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil
		}
		if fi, err := os.Stat(p); err != nil || !fi.Mode().IsRegular() {
			return nil
		}
		if rel, err := filepath.Rel(folder, p); err == nil {
			names = append(names, filepath.ToSlash(rel))
		}
		return nil
	})
	slices.Sort(names)
	return names
}

// A repoCache is the folder of one repository in a hub's cache.
type repoCache struct {
	source Source
	root   string // the hub's cache folder
	folder string // the repository's
	locks  string
	flat   string // the folder of the one snapshot that an older modelscope keeps; else ""

	noLinks bool // snapshots hold files, and not links to blobs
}

var errNoLinks = errors.New("HF_HUB_DISABLE_SYMLINKS forbids links")

// cacheOf returns the folder of a repository, which may not exist.
func (s Settings) cacheOf(r Repo) repoCache {
	if r.Source == ModelScope {
		return modelScopeCache(s.ModelScopeCache, r)
	}
	name := "models--" + strings.ReplaceAll(r.Name, "/", "--")
	return repoCache{
		source: r.Source, root: s.Cache, folder: filepath.Join(s.Cache, name), locks: filepath.Join(s.Cache, ".locks", name), noLinks: s.NoLinks,
	}
}

// commit returns the commit that a revision is, as the cache knows; "" where it doesn't.
func (c repoCache) commit(revision string) string {
	if c.source == ModelScope { // its snapshots are named by revision
		if fi, err := os.Stat(c.snapshot(revision)); err != nil || !fi.IsDir() {
			return ""
		}
		return revision
	}
	if commitOf.MatchString(revision) {
		return revision
	}
	data, err := files.Read(filepath.Join(c.folder, "refs", filepath.FromSlash(revision)), 1<<10)
	if commit := strings.TrimSpace(string(data)); err == nil && commitOf.MatchString(commit) {
		return commit
	}
	return c.short(revision)
}

// short returns the one commit in the cache that begins so; "" where there is none, or several.
func (c repoCache) short(revision string) (found string) {
	if len(revision) < 7 || strings.Trim(revision, "0123456789abcdef") != "" {
		return ""
	}
	entries, _ := os.ReadDir(filepath.Join(c.folder, "snapshots"))
	for _, e := range entries {
		if commitOf.MatchString(e.Name()) && strings.HasPrefix(e.Name(), revision) {
			if found != "" {
				return ""
			}
			found = e.Name()
		}
	}
	return found
}

// snapshot returns the folder of a commit's files. An older modelscope's holds those of the main branch, unless
// a newer one has fetched it, too.
func (c repoCache) snapshot(commit string) string {
	own := filepath.Join(c.folder, "snapshots", filepath.FromSlash(commit))
	if c.flat != "" && commit == c.source.mainBranch() {
		if _, err := os.Stat(own); err != nil {
			return c.flat
		}
	}
	return own
}

func (c repoCache) blobs() string { return filepath.Join(c.folder, "blobs") }

// blob returns where a file's content lies.
func (c repoCache) blob(f File) string { return filepath.Join(c.blobs(), f.digest()) }

// tree is a listing, as huggingface_hub keeps it in trees/<commit>.json.
type tree struct {
	Version int                  `json:"format_version"`
	Files   map[string]treeEntry `json:"files"`
}

type treeEntry struct {
	Size   int64  `json:"size"`
	Blob   string `json:"blob_id"`
	SHA256 string `json:"lfs_sha256,omitempty"`
	LFS    int64  `json:"lfs_size,omitempty"`
	Xet    string `json:"xet_hash,omitempty"`
}

// listing returns the files of a commit as the cache lists them; nil where it doesn't.
func (c repoCache) listing(commit string) []File {
	data, err := files.Read(filepath.Join(c.folder, "trees", commit+".json"), 256<<20)
	if err != nil {
		return nil
	}
	var t tree
	if json.Unmarshal(data, &t) != nil || t.Version != 1 {
		return nil // damaged, or of a later version: the hub is asked again
	}
	list := make([]File, 0, len(t.Files))
	for name, e := range t.Files {
		f := File{Name: name, Size: e.Size, SHA256: eligen.Digest(e.SHA256), SHA1: e.Blob, Xet: e.Xet}
		if f.SHA256 != "" {
			f.Size = e.LFS
		}
		if checkFile(f) != nil {
			return nil
		}
		list = append(list, f)
	}
	slices.SortFunc(list, byName)
	return list
}

func byName(a, b File) int { return strings.Compare(a.Name, b.Name) }

// keepListing writes a listing for later, and for huggingface_hub.
func (c repoCache) keepListing(commit string, list []File) error {
	at := path.Join("trees", commit+".json")
	if c.source == ModelScope {
		return nil // its listing is of a branch, and changes
	}
	if _, err := os.Stat(filepath.Join(c.folder, at)); err == nil {
		return nil
	}
	t := tree{1, make(map[string]treeEntry, len(list))}
	for _, f := range list {
		e := treeEntry{Size: f.Size, Blob: f.SHA1, SHA256: string(f.SHA256), Xet: f.Xet}
		if f.SHA256 != "" {
			e.LFS = f.Size
		}
		t.Files[f.Name] = e
	}
	data, err := json.MarshalIndent(t, "", " ")
	if err != nil {
		return err
	}
	return c.put(at, data)
}

// keepRef writes which commit a branch or a tag is.
func (c repoCache) keepRef(revision, commit string) error {
	if revision == commit || c.source == ModelScope {
		return nil
	}
	at := path.Join("refs", revision)
	if data, err := files.Read(filepath.Join(c.folder, filepath.FromSlash(at)), 1<<10); err == nil && string(data) == commit {
		return nil
	}
	return c.put(at, []byte(commit))
}

// keepMissing notes that a commit has no file of a name, so that nobody asks again.
func (c repoCache) keepMissing(commit, name string) error {
	if c.source == ModelScope || !commitOf.MatchString(commit) || checkName(name) != nil {
		return nil
	}
	return c.put(path.Join(".no_exist", commit, name), nil)
}

// put writes a small file below the repository's folder.
func (c repoCache) put(name string, data []byte) error {
	if err := os.MkdirAll(c.folder, 0o755); err != nil {
		return err
	}
	folder, err := files.OpenDir(c.folder)
	if err != nil {
		return err
	}
	defer folder.Close()
	return folder.Put(filepath.FromSlash(name), data)
}

// link gives a blob its name in a snapshot: by a relative link. Where links can't be made, or aren't wanted, the blob
// moves there if it is fresh, so that no other snapshot has it, and else it is copied.
func (c repoCache) link(commit string, f File, fresh bool) error {
	dir := c.snapshot(commit)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	folder, err := files.OpenDir(dir)
	if err != nil {
		return err
	}
	defer folder.Close()
	at := filepath.FromSlash(f.Name)
	if !whole(c.blob(f), f) && whole(filepath.Join(dir, at), f) {
		return nil // another process has moved the blob there
	}
	if err := folder.MkdirAll(filepath.Dir(at)); err != nil {
		return err
	}
	up := strings.Repeat("../", strings.Count(f.Name, "/")+strings.Count(filepath.ToSlash(commit), "/")+2)
	target := filepath.FromSlash(up + "blobs/" + f.digest())
	if have, err := os.Readlink(filepath.Join(dir, at)); err == nil && have == target {
		return nil
	}
	if err := folder.Remove(at); err != nil && !files.Missing(err) {
		return err
	}
	err = errNoLinks
	if !c.noLinks {
		err = folder.Symlink(target, at)
	}
	if err == nil || errors.Is(err, fs.ErrExist) { // another process was faster
		return nil
	}
	if fresh && os.Rename(c.blob(f), filepath.Join(dir, at)) == nil {
		return nil
	}
	in, opening := files.Open(c.blob(f))
	if opening != nil {
		return fmt.Errorf("%w, and no link could be made: %w", opening, err)
	}
	defer in.Close()
	return copyInto(folder, at, in)
}
