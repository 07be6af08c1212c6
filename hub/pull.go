package hub

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// A Pull asks for files of a repository.
type Pull struct {
	Info  *Info
	Files []string // names; none are all
	To    string   // a folder to put them into; "" is the hub's cache
	Check bool     // hold files that are there to their digests, and not to their sizes alone
	Plan  bool     // fetch nothing: say which files would be
}

// Pulled says where the files of a Pull lie.
type Pulled struct {
	Folder  string            // that holds them all, by their names
	Paths   map[string]string // of each
	Fetched []File            // that were not there before
	Network int64             // bytes that came over the network
}

// Pull fetches files, those that aren't there yet. progress, which may be nil, is called a few times a
// second, from several goroutines but one at a time. Files that are whole stay where another one fails, and
// so do the bytes of those that aren't: the next call resumes there.
func (c *Client) Pull(ctx context.Context, p Pull, progress func(Progress)) (Pulled, error) {
	d := &puller{c: c, asked: p, cache: c.cacheOf(p.Info.Repo)}
	chosen, err := p.choose(d.cache)
	if err != nil {
		return Pulled{}, err
	}
	if p.To == "" && d.cache.root == "" {
		return Pulled{}, fmt.Errorf("no cache folder is set: set %s, or name a folder with --to", p.Info.Repo.Source.words().cache)
	}
	d.folder = d.cache.snapshot(p.Info.Commit)
	if p.To != "" {
		d.folder = filepath.Clean(p.To)
	}
	made := Pulled{Folder: d.folder, Paths: map[string]string{}}
	for _, f := range chosen {
		made.Paths[f.Name] = filepath.Join(d.folder, filepath.FromSlash(f.Name))
		there, err := d.there(f)
		if err != nil {
			return made, err
		}
		if !there {
			made.Fetched = append(made.Fetched, f)
		}
	}
	if p.Plan {
		return made, nil
	}
	if len(made.Fetched) > 0 && c.Offline {
		return made, &OfflineError{p.Info.Repo, p.Info.Revision, made.Fetched, pullCommand(p.Info.Repo, p.Info.Revision)}
	}
	if err := d.space(made.Fetched); err != nil {
		return made, err
	}
	if err := d.name(chosen); err != nil {
		return made, err
	}
	d.meter = newMeter(progress, made.Fetched)
	err = d.all(ctx, made.Fetched)
	made.Network = d.meter.network()
	if err == nil {
		err = d.note()
		if len(made.Fetched) == 0 {
			err = nil // the cache may be a shared one, that can't be written
		}
	}
	return made, err
}

// choose returns the files that are asked for.
func (p Pull) choose(cache repoCache) ([]File, error) {
	if len(p.Files) == 0 {
		return p.Info.Files, nil
	}
	var list []File
	missing := &NotFoundError{Repo: p.Info.Repo, Revision: p.Info.Revision}
	for _, name := range p.Files {
		f, ok := p.Info.File(name)
		if !ok {
			missing.Files = append(missing.Files, name)
			continue
		}
		if !slices.ContainsFunc(list, func(g File) bool { return g.Name == f.Name }) {
			list = append(list, f)
		}
	}
	if len(missing.Files) > 0 {
		if p.To == "" && !p.Info.Cached {
			for _, name := range missing.Files {
				_ = cache.keepMissing(p.Info.Commit, name) // spares others a request, and nothing depends on it
			}
		}
		missing.Near = p.Info.Near(missing.Files[0])
		return nil, missing
	}
	return list, nil
}

// Near returns the names of some files that a wrong name may mean: those that end as it does, or have its
// extension.
func (i *Info) Near(name string) (names []string) {
	base := strings.ToLower(name[strings.LastIndex(name, "/")+1:])
	for _, same := range []func(File) bool{
		func(f File) bool { return strings.HasSuffix(strings.ToLower(f.Name), base) },
		func(f File) bool { return path.Ext(f.Name) == path.Ext(name) },
	} {
		for _, f := range i.Files {
			if same(f) && len(names) < 5 {
				names = append(names, f.Name)
			}
		}
		if len(names) > 0 {
			return names
		}
	}
	return nil
}

// A puller is a Pull at work.
type puller struct {
	c      *Client
	asked  Pull
	cache  repoCache
	folder string
	meter  *meter
}

// there reports whether a file is in its place. In Hugging Face's cache, the place of a content bears its
// digest, so that its size tells whether it is whole; elsewhere the content must tell.
func (d *puller) there(f File) (bool, error) {
	at := filepath.Join(d.folder, filepath.FromSlash(f.Name))
	ours := d.asked.To == "" && d.asked.Info.Repo.Source == HuggingFace
	if !whole(at, f) && ours {
		at = d.cache.blob(f) // which lacks its name in the snapshot
	}
	if !whole(at, f) {
		return false, nil
	}
	if ours && !d.asked.Check {
		return true, nil
	}
	_, ok, err := f.check(at)
	return ok, err
}

// whole reports whether there is a regular file of the right size.
func whole(path string, f File) bool {
	fi, err := os.Stat(path)
	return err == nil && fi.Mode().IsRegular() && fi.Size() == f.Size
}

// name gives the blobs that are there their names in the snapshot.
func (d *puller) name(list []File) error {
	if d.asked.To != "" || d.asked.Info.Repo.Source != HuggingFace {
		return nil
	}
	for _, f := range list {
		if whole(filepath.Join(d.folder, filepath.FromSlash(f.Name)), f) || !whole(d.cache.blob(f), f) {
			continue
		}
		if err := d.cache.link(d.asked.Info.Commit, f, false); err != nil {
			return err
		}
	}
	return nil
}

// space returns an error where the disk has too little room.
func (d *puller) space(list []File) error {
	var need int64
	for _, f := range list {
		to := d.place(f)
		need += f.Size
		if fi, err := os.Stat(filepath.Join(to.dir, to.partial)); err == nil {
			need -= min(fi.Size(), f.Size)
		}
	}
	dir := d.folder
	for {
		if _, err := os.Stat(dir); err == nil || filepath.Dir(dir) == dir {
			break
		}
		dir = filepath.Dir(dir)
	}
	if free, ok := freeSpace(dir); ok && free < need {
		return &SpaceError{d.asked.Info.Repo.Source, dir, need, free}
	}
	return nil
}

// all fetches files: small ones some at a time, large ones one after the other, each by many connections.
func (d *puller) all(ctx context.Context, list []File) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	small := make(chan []File)
	var group sync.WaitGroup
	for range min(4, d.c.connections()) {
		group.Go(func() {
			for same := range small {
				if err := d.same(ctx, same); err != nil {
					cancel(err)
				}
			}
		})
	}
	var large [][]File
	for _, same := range byContent(list) {
		switch {
		case ctx.Err() != nil:
		case same[0].Size > 2*d.c.partSize():
			large = append(large, same)
		default:
			small <- same
		}
	}
	close(small)
	group.Wait()
	for _, same := range large {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if err := d.same(ctx, same); err != nil {
			return err
		}
	}
	return context.Cause(ctx)
}

// byContent returns the files of each content: that is fetched once.
func byContent(list []File) (all [][]File) {
	at := map[string]int{}
	for _, f := range list {
		i, ok := at[f.digest()]
		if !ok {
			i, all = len(all), append(all, nil)
			at[f.digest()] = i
		}
		all[i] = append(all[i], f)
	}
	return all
}

// same fetches files of one content.
func (d *puller) same(ctx context.Context, list []File) error {
	for _, f := range list {
		if err := d.one(ctx, f, len(list) == 1); err != nil {
			return err
		}
	}
	return nil
}

// one fetches a file, and gives it its name. alone says that no other file of the pull has its content.
func (d *puller) one(ctx context.Context, f File, alone bool) error {
	to := d.place(f)
	have := func() bool {
		at := filepath.Join(to.dir, to.final)
		if !whole(at, f) {
			at = filepath.Join(d.folder, filepath.FromSlash(f.Name)) // where there are no links
		}
		ok := whole(at, f)
		var err error
		if ok && (d.asked.Check || d.asked.To != "" || d.asked.Info.Repo.Source == ModelScope) {
			_, ok, err = f.check(at)
			ok = ok && err == nil
		}
		return ok
	}
	if err := d.replaceable(f); err != nil {
		return err
	}
	if err := d.c.fetch(ctx, d.asked.Info, f, to, d.meter, have); err != nil {
		return err
	}
	if d.asked.To != "" {
		return d.describe(f)
	}
	if d.asked.Info.Repo.Source == ModelScope {
		return nil
	}
	return d.cache.link(d.asked.Info.Commit, f, alone)
}

// place returns where a file is fetched to.
func (d *puller) place(f File) place {
	name := filepath.FromSlash(f.Name)
	switch {
	case d.asked.To != "":
		notes := filepath.Join(".cache", "huggingface", "download")
		return place{
			dir: d.folder, final: name, partial: filepath.Join(notes, name+"."+f.digest()+".incomplete"),
			lockDir: d.folder, lock: filepath.Join(notes, name+".lock"),
		}
	case d.asked.Info.Repo.Source == ModelScope:
		return place{
			dir: d.folder, final: name, partial: name + ".incomplete",
			lockDir: d.c.ModelScopeCache, lock: modelScopeLock(d.asked.Info.Repo, f.Name),
		}
	}
	return place{
		dir: d.cache.blobs(), final: f.digest(), partial: f.digest() + ".incomplete",
		lockDir: d.cache.locks, lock: f.digest() + ".lock",
	}
}

// note writes down what was learned of the repository.
func (d *puller) note() error {
	if d.asked.To != "" || d.asked.Info.Cached && d.c.Offline {
		return nil
	}
	if err := d.cache.keepListing(d.asked.Info.Commit, d.asked.Info.Files); err != nil {
		return err
	}
	if err := d.tag(); err != nil {
		return err
	}
	return d.cache.keepRef(d.asked.Info.Revision, d.asked.Info.Commit)
}

// tag marks Hugging Face's cache for backups, as caches are.
func (d *puller) tag() error {
	if d.asked.Info.Repo.Source != HuggingFace {
		return nil
	}
	const name, text = "CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc55\n# A cache of models, which can be fetched again.\n"
	f, err := os.OpenFile(filepath.Join(d.cache.root, name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err == nil {
		_, err = f.WriteString(text)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return fmt.Errorf("the cache can't be marked: %w", err)
	}
	return nil
}
