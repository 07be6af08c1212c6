package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/hub"
	"github.com/eligen/eligen/internal/words"
)

// A RepoRequest says which files of a repository to fetch.
type RepoRequest struct {
	Repo     string   // "owner/name", "modelscope:owner/name", or the address of its page
	Revision string   // a branch, a tag or a commit; "" is the main branch
	Files    []string // names, or patterns with *; none are those that a model needs
	To       string   // a folder to put them into; "" is the hub's cache
	Check    bool     // hold files that are there to their digests
	Dry      bool     // fetch nothing, and say what would be

	// Chosen, which may be nil, hears what will be fetched before it is; then Progress how far it is.
	Chosen   func(RepoResult)
	Progress func(hub.Progress)
}

// A RepoResult says where the files of a repository are.
type RepoResult struct {
	Repo     string
	Revision string // that was asked for
	Commit   string
	Family   string // of models, where the files are one; else ""
	License  string
	Gated    bool
	Page     string
	Folder   string // that holds all files by their names
	Source   string // path that a scene names: the folder, one in it, or the one file of weights
	Files    []RepoFile
	Bytes    int64 // of all files
	Missing  int64 // of those that were not there before
	Network  int64 // that came over the network
}

// A RepoFile is a file of a RepoResult.
type RepoFile struct {
	Name    string
	Path    string
	Size    int64
	SHA256  eligen.Digest // "" where the hub says none
	Fetched bool          // it wasn't there before
}

// PullRepo fetches files of a repository that a hub publishes, those that this machine lacks. What goes wrong
// with the hub is an error of package hub; a file that arrives damaged is an *IntegrityError, and one that
// must be chosen a *ChoiceError.
func (a *App) PullRepo(ctx context.Context, q RepoRequest) (RepoResult, error) {
	if err := a.begin(); err != nil {
		return RepoResult{}, err
	}
	defer a.running.Done()
	client, err := a.hubClient()
	if err != nil {
		return RepoResult{}, err
	}
	r, named, err := repoNamed(q.Repo)
	if err != nil {
		return RepoResult{}, err
	}
	q.Revision = cmp.Or(q.Revision, named.Revision)
	if named.File != "" {
		q.Files = append(slices.Clone(q.Files), named.File)
	}
	info, err := client.Info(ctx, r, q.Revision)
	if err != nil {
		return RepoResult{}, err
	}
	family, chosen, err := a.filesOf(info, q.Files)
	if err != nil {
		return RepoResult{}, err
	}
	names := chosen.files
	p := hub.Pull{Info: info, Files: names, To: q.To, Check: q.Check, Plan: true}
	planned, err := client.Pull(ctx, p, nil)
	out := repoResult(info, family, names, planned)
	out.Source = filepath.Join(out.Folder, filepath.FromSlash(chosen.open))
	if err != nil || q.Dry {
		return out, integrity(err)
	}
	if q.Chosen != nil {
		q.Chosen(out)
	}
	p.Plan = false
	made, err := client.Pull(ctx, p, q.Progress)
	var offline *hub.OfflineError
	if errors.As(err, &offline) {
		for _, f := range q.Files {
			offline.Command += " --file '" + f + "'"
		}
	}
	out.Network = made.Network
	return out, integrity(err)
}

// repoNamed reads what a person calls a repository: as scenes do, with a revision and a file, or as hub.ParseRepo does.
func repoNamed(s string) (hub.Repo, eligen.Repo, error) {
	named, ok := eligen.ParseRepo(s)
	if ok {
		s = eligen.Repo{Hub: named.Hub, ID: named.ID}.String()
	}
	r, err := hub.ParseRepo(s)
	if err != nil {
		return r, named, &InputError{Field: "repository", Problem: err.Error()}
	}
	return r, named, nil
}

// integrity makes a damaged download an *IntegrityError.
func integrity(err error) error {
	var digest *hub.DigestError
	if errors.As(err, &digest) {
		return &IntegrityError{err}
	}
	return err
}

func repoResult(info *hub.Info, family string, names []string, p hub.Pulled) RepoResult {
	out := RepoResult{
		Repo: info.Repo.String(), Revision: info.Revision, Commit: info.Commit, Family: family, License: info.License, Gated: info.Gated,
		Page: info.Page, Folder: p.Folder,
	}
	for _, n := range names {
		f, _ := info.File(n)
		fetched := slices.ContainsFunc(p.Fetched, func(g hub.File) bool { return g.Name == n })
		out.Files = append(out.Files, RepoFile{n, p.Paths[n], f.Size, f.SHA256, fetched})
		out.Bytes += f.Size
		if fetched {
			out.Missing += f.Size
		}
	}
	return out
}

// hubClient returns a client of the hubs, by the environment.
func (a *App) hubClient() (*hub.Client, error) {
	if a.sources == nil {
		settings, err := hub.SettingsFrom(func(string) string { return "" })
		return &hub.Client{Settings: settings}, err
	}
	settings, err := a.sources.settings()
	return &hub.Client{Settings: settings}, err
}

// A ChoiceError says that a repository holds weights of several kinds, and nothing says which are wanted.
type ChoiceError struct {
	Repo  string
	Files []hub.File // of weights
}

func (e *ChoiceError) Error() string {
	if len(e.Files) == 0 {
		return e.Repo + " holds no weights that eligen reads: no safetensors, GGUF or PyTorch file. Name files with --file to fetch " +
			"them all the same"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s is no whole model of a family that eligen knows. Choose among its files with --file:\n", e.Repo)
	for _, f := range e.Files[:min(len(e.Files), 40)] {
		fmt.Fprintf(&b, "\n  %s  %s", f.Name, words.Bytes(f.Size))
	}
	if more := len(e.Files) - 40; more > 0 {
		fmt.Fprintf(&b, "\n  and %d more", more)
	}
	return b.String()
}

// filesOf returns the files of a repository that are asked for: those of the patterns, or those that a model
// needs, or the weights with what belongs to them, by the rule of scenes' sources.
func (a *App) filesOf(info *hub.Info, patterns []string) (family string, c choice, err error) {
	all := info.Names()
	if len(patterns) > 0 {
		c, err = matching(info, all, patterns)
		return "", c, err
	}
	if family, files := a.options.Families.Wanted(all); files != nil {
		return family, choice{files: files}, nil
	}
	c, several := chooseWhole(all, "")
	if len(c.files) == 0 && len(several) == 0 { // none is in the repository's own folder
		if several = weightsAmong(all); len(several) == 1 {
			c = choice{files: several, open: several[0]}
		}
	}
	if len(c.files) == 0 {
		return "", c, &ChoiceError{info.Repo.String(), filesNamed(info, several)}
	}
	for _, n := range all {
		if strings.HasPrefix(n, "LICENSE") && !strings.Contains(n, "/") {
			c.files = append(c.files, n)
		}
	}
	return "", c, nil
}

func filesNamed(info *hub.Info, names []string) (list []hub.File) {
	for _, n := range names {
		if f, ok := info.File(n); ok {
			list = append(list, f)
		}
	}
	return list
}

// matching returns the files that are named, or match a pattern, in the order of the listing. A pattern that
// ends with a slash is a folder. A name is understood as a scene's source is: a folder's weights and settings, an
// index with its shards.
func matching(info *hub.Info, all, patterns []string) (c choice, err error) {
	hit := map[string]bool{}
	missing := &hub.NotFoundError{Repo: info.Repo, Revision: info.Revision}
	for _, p := range patterns {
		found := false
		named, _ := chooseNamed(eligen.Repo{File: p}, all)
		for _, n := range all {
			ok, err := path.Match(p, n)
			if err != nil {
				return c, &InputError{Field: "file", Value: p, Problem: "no pattern: close the bracket, or escape it with \\"}
			}
			base, _ := path.Match(p, path.Base(n)) // *.json is that of all folders
			base = base && strings.ContainsAny(p, "*?[")
			if ok || base || slices.Contains(named.files, n) || strings.HasSuffix(p, "/") && strings.HasPrefix(n, p) {
				hit[n], found = true, true
			}
		}
		if !found {
			missing.Files = append(missing.Files, p)
		}
		if known := slices.ContainsFunc(named.files, func(n string) bool { return slices.Contains(all, n) }); known && len(patterns) == 1 {
			c.open = named.open
		}
	}
	if len(missing.Files) > 0 {
		missing.Near = info.Near(missing.Files[0])
		return choice{}, missing
	}
	for _, n := range all {
		if hit[n] {
			c.files = append(c.files, n)
		}
	}
	if weights := weightsAmong(c.files); c.open == "" && len(weights) == 1 {
		c.open = weights[0]
	}
	return c, nil
}

// CachedRepos lists the models in the hubs' caches.
func (a *App) CachedRepos() ([]hub.Cached, error) {
	client, err := a.hubClient()
	if err != nil {
		return nil, err
	}
	return client.Cached()
}

// RemoveRepo removes a repository from its hub's cache, or one revision of it, and returns the bytes that it
// freed.
func (a *App) RemoveRepo(repo, revision string) (freed int64, err error) {
	client, err := a.hubClient()
	if err != nil {
		return 0, err
	}
	r, named, err := repoNamed(repo)
	if err != nil {
		return 0, err
	}
	if named.File != "" {
		return 0, &InputError{Field: "repository", Value: repo, Problem: "files go with their revision: name OWNER/NAME, or OWNER/NAME@REVISION"}
	}
	revision = cmp.Or(revision, named.Revision)
	freed, err = client.Remove(r, revision)
	if errors.Is(err, hub.ErrNotCached) {
		return 0, a.notCached(client, r, revision)
	}
	return freed, err
}

// notCached names what the caches hold in place of a repository.
func (a *App) notCached(client *hub.Client, r hub.Repo, revision string) error {
	list, _ := client.Cached()
	var have []string
	for _, c := range list {
		if c.Repo == r {
			for _, v := range c.Revisions {
				have = append(have, strings.Join(append(v.Refs, v.Commit), " = "))
			}
			return &InputError{Field: "revision", Value: revision, Problem: "it isn't in the cache, which has " + strings.Join(have, ", ")}
		}
		have = append(have, c.Repo.String())
	}
	problem := "the caches hold no model"
	if len(have) > 0 {
		problem = "it isn't in the cache, which has " + strings.Join(have[:min(len(have), 10)], ", ")
	}
	return &InputError{Field: "repository", Value: r.String(), Problem: problem}
}

// CheckRepos reads the files of repositories in the hubs' caches, of all that are there where none is named,
// and holds each to its digest.
func (a *App) CheckRepos(ctx context.Context, repos []string, progress func(repo string, p hub.Progress)) (list []hub.Checked, err error) {
	if err := a.begin(); err != nil {
		return nil, err
	}
	defer a.running.Done()
	client, err := a.hubClient()
	if err != nil {
		return nil, err
	}
	var asked []hub.Repo
	for _, s := range repos {
		r, named, err := repoNamed(s)
		if err != nil {
			return nil, err
		}
		if named.Revision != "" || named.File != "" {
			return nil, &InputError{Field: "repository", Value: s, Problem: "all revisions are checked: name the repository alone"}
		}
		asked = append(asked, r)
	}
	if len(repos) == 0 {
		cached, err := client.Cached()
		if err != nil {
			return nil, err
		}
		for _, c := range cached {
			asked = append(asked, c.Repo)
		}
	}
	for _, r := range asked {
		checked, err := client.Check(ctx, r, func(p hub.Progress) {
			if progress != nil {
				progress(r.String(), p)
			}
		})
		if errors.Is(err, hub.ErrNotCached) {
			return list, a.notCached(client, r, "")
		}
		if err != nil {
			return list, fmt.Errorf("%s: %w", r, err)
		}
		list = append(list, checked)
	}
	return list, nil
}
