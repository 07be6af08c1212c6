package app

import (
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/comfy"
	"github.com/eligen/eligen/hub"
	"github.com/eligen/eligen/internal/words"
)

// sources finds weights on this machine: in the caches of hubs, in ComfyUI's folders, and in the
// user's own folder. It sends no request.
type sources struct {
	env    func(string) (string, bool)
	wanted func(names []string) []string // files that a model of a family needs

	settings func() (hub.Settings, error)
	machine  func() (*comfy.Machine, error)

	mu   sync.Mutex
	pins map[string]eligen.LockedRepo // of repositories, by what a scene calls them: what is known of their files
}

var _ eligen.Sources = (*sources)(nil)

// newSources returns what finds weights by the environment. It looks for nothing yet.
func newSources(env func(string) (string, bool), wanted func(names []string) []string) *sources {
	return &sources{
		env: env, wanted: wanted, pins: map[string]eligen.LockedRepo{},
		settings: sync.OnceValues(func() (hub.Settings, error) {
			return hub.SettingsFrom(func(name string) string {
				v, _ := env(name)
				return v
			})
		}),
		machine: sync.OnceValues(func() (*comfy.Machine, error) { return comfy.Find(env) }),
	}
}

// Find returns the path of weights for a part; see [eligen.Sources].
func (s *sources) Find(source, part string) (string, error) {
	if name, ok := strings.CutPrefix(source, eligen.ComfyUI); ok {
		m, err := s.machine()
		if err != nil {
			return "", err
		}
		p, err := m.Path(part, name)
		if err != nil {
			return "", &eligen.MissingWeights{Source: source, Message: err.Error()}
		}
		return p, nil
	}
	if rest, ok := strings.CutPrefix(source, "~/"); ok {
		home, err := s.home()
		return filepath.Join(home, filepath.FromSlash(rest)), err
	}
	if r, ok := eligen.ParseRepo(source); ok {
		return s.repo(r, part)
	}
	return source, nil
}

// path returns where a source's weights are, or "" where they are not on this machine.
func (s *sources) path(source, part string) string {
	if s == nil || source == "" || source == eligen.InContext {
		return source
	}
	p, err := s.Find(source, part)
	if err != nil {
		return ""
	}
	return p
}

func (s *sources) home() (string, error) {
	for _, name := range []string{"HOME", "USERPROFILE"} {
		if home, _ := s.env(name); home != "" {
			return home, nil
		}
	}
	return "", errors.New("the path begins with ~/, and the variable HOME isn't set")
}

// Beside returns the folders of ComfyUI's in which a part of the model at a path may lie.
func (s *sources) Beside(path, part string) []string {
	m, err := s.machine()
	if err != nil {
		m = nil // a file that can't be read is reported where a scene names ComfyUI
	}
	return m.Beside(path, part)
}

// hubRepo returns a repository as package hub knows it.
func hubRepo(r eligen.Repo) hub.Repo { return hub.Repo{Source: hub.Source(r.Hub), Name: r.ID} }

// repo returns the path of a repository's weights in its hub's cache.
func (s *sources) repo(r eligen.Repo, part string) (string, error) {
	settings, err := s.settings()
	if err != nil {
		return "", err
	}
	at, err := settings.Locate(hubRepo(r), r.Revision)
	if err != nil {
		return "", err
	}
	names := at.Names
	if at.Listing != nil {
		names = namesOf(at.Listing)
	}
	if at.Folder == "" {
		return "", s.missing(r, at, nil)
	}
	want, err := s.choose(r, part, names)
	if err != nil {
		return "", err
	}
	if at, err = settings.Locate(hubRepo(r), r.Revision, want.files...); err != nil {
		return "", err
	}
	if len(at.Missing) > 0 {
		return "", s.missing(r, at, at.Missing)
	}
	return filepath.Join(at.Folder, filepath.FromSlash(want.open)), nil
}

func namesOf(list []hub.File) (names []string) {
	for _, f := range list {
		names = append(names, f.Name)
	}
	return names
}

// A choice is what is needed of a repository.
type choice struct {
	files []string // to be there
	open  string   // file or folder that holds the weights; "" is the repository's folder
}

// choose chooses the files of a repository that a part needs.
func (s *sources) choose(r eligen.Repo, part string, names []string) (choice, error) {
	if r.File != "" {
		return chooseNamed(r, names)
	}
	if part == eligen.PartModel {
		if files := s.wanted(names); len(files) > 0 {
			return choice{files: files}, nil
		}
	}
	c, several := chooseWhole(names, part)
	switch {
	case len(several) > 0:
		return choice{}, fmt.Errorf("%s holds %d files of weights. Name the one that you want: file = \"%s\"%s", r, len(several), several[0],
			list(several))
	case len(c.files) == 0:
		return choice{}, fmt.Errorf("%s holds no weights in its own folder. Name a file of it: file = \"…\"%s", r, list(weightsAmong(names)))
	}
	return c, nil
}

// chooseWhole returns the weights in a repository's own folder, with the settings that belong to them: an adapter's, a
// network's, the index of its shards. Where several files are there and nothing joins them, it returns those.
func chooseWhole(names []string, part string) (c choice, several []string) {
	top := inFolder(names, "")
	weights := weightsAmong(top)
	settings := slices.DeleteFunc(slices.Clone(top), func(n string) bool {
		return n != "adapter_config.json" && n != "config.json" && !strings.HasSuffix(n, ".safetensors.index.json")
	})
	switch {
	case len(weights) == 0:
		return choice{}, nil
	case slices.Contains(settings, "adapter_config.json"), slices.Contains(settings, "config.json") && part != eligen.PartModel,
		len(settings) > 0 && len(weights) > 1:
		return choice{files: slices.Concat(weights, settings)}, nil
	case len(weights) == 1:
		return choice{files: weights, open: weights[0]}, nil
	}
	return choice{}, weights
}

// chooseNamed returns the file that a scene names, with its shards where it is an index; or the folder.
func chooseNamed(r eligen.Repo, names []string) (choice, error) {
	if stem, index := strings.CutSuffix(r.File, ".safetensors.index.json"); index {
		files := []string{r.File}
		for _, n := range names {
			if strings.HasPrefix(n, stem+"-") && strings.HasSuffix(n, ".safetensors") {
				files = append(files, n)
			}
		}
		return choice{files, r.File}, nil
	}
	if slices.Contains(names, r.File) {
		return choice{[]string{r.File}, r.File}, nil
	}
	if below := inFolder(names, r.File+"/"); len(below) > 0 {
		files := weightsAmong(below)
		for _, n := range below {
			if path.Ext(n) == ".json" {
				files = append(files, n)
			}
		}
		return choice{files, r.File}, nil
	}
	return choice{[]string{r.File}, r.File}, nil // it is reported as missing
}

// inFolder returns the names right below a folder, "" being the repository's own.
func inFolder(names []string, folder string) (list []string) {
	for _, n := range names {
		if rest, ok := strings.CutPrefix(n, folder); ok && !strings.Contains(rest, "/") {
			list = append(list, n)
		}
	}
	return list
}

// weightsAmong returns the files of weights among names; where some are safetensors, those alone, since the others are the
// same weights in an older format.
func weightsAmong(names []string) (list []string) {
	with := func(extensions ...string) (found []string) {
		for _, n := range names {
			if slices.Contains(extensions, strings.ToLower(path.Ext(n))) {
				found = append(found, n)
			}
		}
		return found
	}
	if found := with(".safetensors", ".sft", ".gguf"); len(found) > 0 {
		return found
	}
	return with(".bin", ".pt", ".pth", ".ckpt")
}

// list returns names below a message, a few of them.
func list(names []string) string {
	const most = 12
	if len(names) == 0 {
		return ""
	}
	s := ". It has\n\n    " + strings.Join(names[:min(len(names), most)], "\n    ")
	if more := len(names) - most; more > 0 {
		s += fmt.Sprintf("\n    and %d more", more)
	}
	return s
}

// missing returns the error of a repository that lacks files, or all: what it would take, and the command that gets it.
func (s *sources) missing(r eligen.Repo, at hub.Located, files []string) error {
	size, known := s.size(r, at, files)
	var b strings.Builder
	what := r.Whole()
	if r.File != "" {
		what = r.File + " of " + what
	}
	fmt.Fprintf(&b, "%s isn't on this machine", what)
	if n := len(files); r.File == "" && n > 0 {
		fmt.Fprintf(&b, " whole: it lacks %s", strings.Join(files[:min(n, 3)], ", "))
		if n > 3 {
			fmt.Fprintf(&b, " and %d more files", n-3)
		}
	}
	if known {
		fmt.Fprintf(&b, " (%s)", words.Bytes(size))
	}
	b.WriteString(". Download it, or render with --pull:\n\n    " + pullCommand(r))
	if page := licensePage(r); page != "" {
		fmt.Fprintf(&b, "\n\nIt is gated: accept its license first, at %s", page)
	}
	return &eligen.MissingWeights{Source: r.String(), Message: b.String()}
}

// size returns how many bytes files of a repository have, or all that a model needs, where that is known without a request.
func (s *sources) size(r eligen.Repo, at hub.Located, files []string) (n int64, known bool) {
	s.mu.Lock()
	pin, pinned := s.pins[r.Whole()]
	s.mu.Unlock()
	of := map[string]int64{}
	for _, f := range at.Listing {
		of[f.Name] = f.Size
	}
	if at.Listing == nil && pinned {
		for _, f := range pin.Files {
			of[f.Name] = f.Size
		}
	}
	if len(files) == 0 && r.File != "" {
		files = []string{r.File}
	}
	if len(files) == 0 && pinned {
		for _, f := range pin.Files {
			files = append(files, f.Name)
		}
	}
	for _, f := range files {
		size, ok := of[f]
		if !ok {
			return 0, false
		}
		n += size
	}
	return n, len(files) > 0
}

// know remembers what a lock says of a repository's files.
func (s *sources) know(source string, pin eligen.LockedRepo) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pins[source] = pin
}

// pullCommand returns the command that downloads a repository.
func pullCommand(r eligen.Repo) string {
	c := "eligen models pull " + eligen.Repo{Hub: r.Hub, ID: r.ID}.String()
	if r.File != "" {
		c += " --file " + quoted(r.File)
	}
	if r.Revision != "" {
		c += " --revision " + quoted(r.Revision)
	}
	return c
}

// quoted returns a word as a shell reads it.
func quoted(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool {
		return r != '.' && r != '-' && r != '_' && r != '/' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	}) {
		return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
	}
	return s
}

// gated are the repositories that ask for a license to be accepted, as their pages and catalogues of them (Azure's, for
// FLUX.1 [schnell]) said in 2026-01. A hub's own answer decides.
var gated = []string{"black-forest-labs/FLUX.1-dev", "black-forest-labs/FLUX.1-schnell"}

// licensePage returns the address of the page on which a repository's license is accepted, "" where
// none is known to be asked for.
func licensePage(r eligen.Repo) string {
	if r.Hub == "" && slices.Contains(gated, r.ID) {
		return "https://huggingface.co/" + r.ID
	}
	return ""
}
