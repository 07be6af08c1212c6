// Package hub gets models' files from the hubs that publish them: it speaks Hugging Face's protocol and
// ModelScope's, and keeps files where their own programs keep them, so that each finds what the other
// has fetched.
//
// Locate looks into the caches and sends no request. A Client's Info asks a hub for a repository's files,
// and its Pull fetches some of them: resumed where an earlier one ended, by several connections at a
// time, and kept under its name only where the digest is the hub's.
package hub

import (
	"fmt"
	"net/url"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/eligen/eligen"
)

// A Source is a hub.
type Source string

// The hubs.
const (
	HuggingFace Source = ""
	ModelScope  Source = "modelscope"
)

// hubWords are what messages name of a hub: variables, and addresses.
type hubWords struct{ token, tokens, endpoint, address, cache string }

func (s Source) words() hubWords {
	if s == ModelScope {
		return hubWords{"MODELSCOPE_API_TOKEN", "https://modelscope.cn/my/myaccesstoken", "MODELSCOPE_ENDPOINT", "https://modelscope.cn",
			"MODELSCOPE_CACHE"}
	}
	return hubWords{"HF_TOKEN", "https://huggingface.co/settings/tokens", "HF_ENDPOINT", "https://huggingface.co", "HF_HUB_CACHE"}
}

// A Repo names a repository of a model.
type Repo struct {
	Source Source
	Name   string // "owner/name"
}

// String returns the repository as ParseRepo reads it.
func (r Repo) String() string {
	if r.Source == HuggingFace {
		return r.Name
	}
	return string(r.Source) + ":" + r.Name
}

// nameOf is a valid owner or name. Two dashes in a row separate them in the cache's folders.
var nameOf = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,95}$`)

// ParseRepo reads "owner/name", "modelscope:owner/name", or the address of a repository's page.
func ParseRepo(s string) (Repo, error) {
	r := Repo{Name: s}
	if source, name, ok := strings.Cut(s, ":"); ok && !strings.Contains(source, "/") {
		switch strings.ToLower(source) {
		case "https", "http":
			return repoOfPage(s)
		case "modelscope", "ms":
			r = Repo{ModelScope, name}
		case "huggingface", "hf":
			r.Name = strings.TrimPrefix(name, "//")
		default:
			return Repo{}, fmt.Errorf("%q: unknown source of models; write OWNER/NAME for Hugging Face or modelscope:OWNER/NAME", s)
		}
	}
	owner, name, ok := strings.Cut(r.Name, "/")
	if !ok || !nameOf.MatchString(owner) || !nameOf.MatchString(name) || strings.Contains(r.Name, "--") || strings.Contains(r.Name, "..") {
		return Repo{}, fmt.Errorf("%q is no repository: write OWNER/NAME, such as black-forest-labs/FLUX.1-dev", s)
	}
	return r, nil
}

// repoOfPage reads the address of a page of a repository.
func repoOfPage(s string) (Repo, error) {
	u, err := url.Parse(s)
	if err != nil {
		return Repo{}, fmt.Errorf("%q is no address of a repository's page", s)
	}
	parts := strings.Split(strings.Trim(u.Path, "/"), "/")
	r := Repo{}
	if strings.HasPrefix(strings.TrimPrefix(u.Host, "www."), "modelscope.") {
		r.Source = ModelScope
		if parts[0] == "models" {
			parts = parts[1:]
		}
	}
	if len(parts) < 2 {
		return Repo{}, fmt.Errorf("%q is no address of a repository's page, which ends /OWNER/NAME", s)
	}
	r.Name = parts[0] + "/" + parts[1]
	return ParseRepo(r.String())
}

// A File is a file of a repository at one commit.
type File struct {
	Name   string // with slashes
	Size   int64
	SHA256 eligen.Digest // of the content, where it is stored outside git (LFS); ModelScope has it of every file
	SHA1   string        // git's name of the blob: that of the content where SHA256 is "", else of the pointer to it
	Xet    string        // its name in Hugging Face's Xet storage, "" where it isn't there
}

// digest returns the name of the content, which is the blob's in the cache, and the hub's ETag.
func (f File) digest() string {
	if f.SHA256 != "" {
		return string(f.SHA256)
	}
	return f.SHA1
}

// Info is a repository at one commit.
type Info struct {
	Repo     Repo
	Revision string // that was asked for
	Commit   string // that it is
	Files    []File // in order of names
	Gated    bool   // people must accept a licence on its page first
	License  string // as the page names it; "" where it doesn't, or where the listing is the cache's
	Page     string // address of its page
	Cached   bool   // read from the cache: the hub was not asked

	index map[string]int
}

// File returns the file of a name.
func (i *Info) File(name string) (File, bool) {
	if i.index == nil {
		i.index = make(map[string]int, len(i.Files))
		for n, f := range i.Files {
			i.index[f.Name] = n
		}
	}
	n, ok := i.index[name]
	if !ok {
		return File{}, false
	}
	return i.Files[n], true
}

// Names returns the names of all files.
func (i *Info) Names() []string {
	names := make([]string, len(i.Files))
	for n, f := range i.Files {
		names[n] = f.Name
	}
	return names
}

// drive begins a path on a disk of its own, on Windows.
var drive = regexp.MustCompile(`^[A-Za-z]:`)

// checkName returns an error for a file's name that would lead out of its folder, on this system or on
// another one that the folder is copied to, or that this system can't have.
func checkName(name string) error {
	bad := name == "" || len(name) > 1000 || path.Clean(name) != name || !filepath.IsLocal(filepath.FromSlash(name))
	for part := range strings.FieldsFuncSeq(name, func(r rune) bool { return r == '/' || r == '\\' }) {
		bad = bad || part == ".." || drive.MatchString(part)
	}
	for part := range strings.SplitSeq(name, "/") {
		bad = bad || len(part) > 255 || strings.HasPrefix(part, `\`)
	}
	for _, r := range name {
		bad = bad || r < ' ' || r == 0x7f
	}
	if bad {
		return fmt.Errorf("the repository has a file named %q, which is no safe path", name)
	}
	return nil
}

// commitOf is a whole commit.
var commitOf = regexp.MustCompile(`^[0-9a-f]{40}$`)

// checkRevision returns an error for a revision that git could not have.
func checkRevision(revision string) error {
	if err := checkName(revision); err != nil || strings.HasPrefix(revision, "-") || strings.ContainsAny(revision, " ~^:?*[\\") {
		return fmt.Errorf("%q is no revision: give a branch, a tag or a commit", revision)
	}
	return nil
}
