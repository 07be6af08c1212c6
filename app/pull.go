package app

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/dsl"
	"github.com/eligen/eligen/hub"
	"github.com/eligen/eligen/internal/words"
	"github.com/eligen/eligen/model/weights"
)

// A PullRequest says of which scene to fetch the weights.
type PullRequest struct {
	PlanRequest
	// Newest takes the newest revision of each branch, in place of the one that the lock pins.
	Newest   bool
	Progress func(repo string, p hub.Progress) // may be nil
}

// A PulledRepo is a repository whose files are on this machine now.
type PulledRepo struct {
	Repo     string // as the scene calls it
	Revision string // commit
	Was      string // commit that the lock pinned before, where it is another one
	Fetched  int    // files that were not there before
	Bytes    int64  // of them
}

// PullScene downloads the weights of repositories that a request's renders use and that this machine lacks, and pins their
// revisions and digests in the lock next to the scene. What the lock pins and the cache has is not asked for. It returns
// warnings; what can't be fetched is an error of type eligen.Diagnostics, at the scene's line, in an IntegrityError where a
// download is not what the hub says.
func (a *App) PullScene(ctx context.Context, r PullRequest) ([]PulledRepo, eligen.Diagnostics, error) {
	if err := a.begin(); err != nil {
		return nil, nil, err
	}
	defer a.running.Done()
	scene, warnings, err := a.chosen(ctx, r.PlanRequest)
	if err != nil || a.sources == nil {
		return nil, warnings, err
	}
	folder := filepath.Dir(scene.Path)
	lock, ds := dsl.LoadLock(folder)
	if err := ds.Err(); err != nil {
		return nil, warnings, err
	}
	settings, err := a.sources.settings()
	if err != nil {
		return nil, warnings, err
	}
	p := puller{request: r, sources: a.sources, settings: settings, client: &hub.Client{Settings: settings}, lock: lock}
	err = p.all(ctx, scene)
	if len(p.pins) > 0 {
		// What is fetched is pinned even where something else failed, or was interrupted.
		err = errors.Join(err, dsl.UpdateLock(context.WithoutCancel(ctx), folder, func(l *eligen.Lock) {
			for _, pin := range p.pins {
				addPin(l, pin)
			}
		}))
	}
	return p.pulled, warnings, err
}

// A puller fetches the repositories of a scene.
type puller struct {
	request  PullRequest
	sources  *sources
	settings hub.Settings
	client   *hub.Client
	lock     *eligen.Lock
	pins     []eligen.LockedRepo // that the lock is to have
	pulled   []PulledRepo
}

// A need is all that a scene wants of one repository.
type need struct {
	repo eligen.Repo // without a file
	uses []use
}

// A use is one source of a scene in a repository.
type use struct {
	sourced
	repo eligen.Repo
}

func needs(scene *eligen.Scene) (list []*need) {
	eachSource(scene, func(s sourced) string {
		r, ok := eligen.ParseRepo(s.source)
		if !ok {
			return s.source
		}
		i := slices.IndexFunc(list, func(n *need) bool { return n.repo.Whole() == r.Whole() })
		if i < 0 {
			i, list = len(list), append(list, &need{repo: eligen.Repo{Hub: r.Hub, ID: r.ID, Revision: r.Revision}})
		}
		if !slices.ContainsFunc(list[i].uses, func(u use) bool { return u.source == s.source && u.part == s.part }) {
			list[i].uses = append(list[i].uses, use{s, r})
		}
		return s.source
	})
	return list
}

// all fetches every repository that can be fetched.
func (p *puller) all(ctx context.Context, scene *eligen.Scene) error {
	var ds eligen.Diagnostics
	damaged := false
	for _, n := range needs(scene) {
		err := p.one(ctx, n)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil {
			continue
		}
		var digest *hub.DigestError
		damaged = damaged || errors.As(err, &digest)
		ds.Errorf(n.uses[0].at, "Weights are missing", "%s", asDetail(err))
	}
	if damaged {
		return &IntegrityError{ds}
	}
	return ds.Err()
}

// one fetches what is missing of a repository, and pins it.
func (p *puller) one(ctx context.Context, n *need) error {
	pin := p.lock.Pin(n.repo.Whole())
	revision := n.repo.Revision
	if pin != nil && !n.repo.Fixed() && !p.request.Newest {
		revision = pin.Revision
	}
	if pin != nil && revision == pin.Revision && p.whole(n, *pin) {
		p.pulled = append(p.pulled, PulledRepo{Repo: n.repo.Whole(), Revision: pin.Revision})
		return nil
	}
	info, err := p.client.Info(ctx, hubRepo(n.repo), revision)
	if err != nil {
		return err
	}
	files, err := p.files(n, info)
	if err != nil {
		return err
	}
	got, err := p.client.Pull(ctx, hub.Pull{Info: info, Files: files}, func(at hub.Progress) {
		if p.request.Progress != nil {
			p.request.Progress(n.repo.Whole(), at)
		}
	})
	if err != nil {
		return err
	}
	out := PulledRepo{Repo: n.repo.Whole(), Revision: info.Commit, Fetched: len(got.Fetched), Bytes: got.Network}
	if pin != nil && pin.Revision != info.Commit {
		out.Was = pin.Revision
	}
	p.pulled = append(p.pulled, out)
	return p.pin(n, info, got)
}

// whole reports whether the cache has all that a scene needs of a pinned repository.
func (p *puller) whole(n *need, pin eligen.LockedRepo) bool {
	for _, u := range n.uses {
		r := u.repo
		r.Revision = pin.Revision
		if _, err := p.sources.repo(r, u.part); err != nil {
			return false
		}
	}
	return true
}

// files returns the files of a repository that a scene needs.
func (p *puller) files(n *need, info *hub.Info) (list []string, err error) {
	names := info.Names()
	for _, u := range n.uses {
		c, err := p.sources.choose(u.repo, u.part, names)
		if err != nil {
			return nil, err
		}
		for _, f := range c.files {
			if !slices.Contains(list, f) {
				list = append(list, f)
			}
		}
	}
	return list, nil
}

// pin notes what was fetched for the lock.
func (p *puller) pin(n *need, info *hub.Info, got hub.Pulled) error {
	now := eligen.LockedRepo{Repo: n.repo.Whole(), Revision: info.Commit}
	for name, path := range got.Paths {
		f, err := lockedFile(info, name, path)
		if err != nil {
			return err
		}
		now.Files = append(now.Files, f)
	}
	p.pins = append(p.pins, now)
	addPin(p.lock, now)
	return nil
}

// addPin puts a repository into a lock. Files that other scenes use of the same commit stay in it.
func addPin(l *eligen.Lock, now eligen.LockedRepo) {
	old := l.Pin(now.Repo)
	if old == nil {
		l.Weights = append(l.Weights, now)
		return
	}
	if old.Revision == now.Revision {
		now.Files = slices.Clone(now.Files)
		for _, f := range old.Files {
			if !slices.ContainsFunc(now.Files, func(n eligen.LockedFile) bool { return n.Name == f.Name }) {
				now.Files = append(now.Files, f)
			}
		}
	}
	*old = now
}

// lockedFile returns a file as a lock has it: by the digest that the hub says, or, where it says none, that of what came.
func lockedFile(info *hub.Info, name, path string) (eligen.LockedFile, error) {
	out := eligen.LockedFile{Name: name}
	f, ok := info.File(name)
	if ok {
		out.SHA256, out.Size = f.SHA256, f.Size
	}
	if out.SHA256 != "" {
		return out, nil
	}
	var err error
	out.SHA256, err = weights.Digest(path)
	return out, err
}

// asDetail returns an error as the detail of a diagnostic.
func asDetail(err error) string {
	s := words.Capital(strings.TrimSpace(err.Error()))
	if s != "" && !strings.ContainsAny(s[len(s)-1:], ".!?") && !strings.Contains(s, "\n") {
		s += "."
	}
	return s
}
