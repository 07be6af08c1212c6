package hub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/eligen/eligen"
)

// mostFiles is how many files a repository may have: a listing is held in memory.
const mostFiles = 200_000

// Info asks a hub for a repository's files at a revision: a branch, a tag or a commit; "" is the main
// branch. A listing that the cache has of the commit is not asked for again. Where no request may be sent,
// all is from the cache, or an *OfflineError.
func (c *Client) Info(ctx context.Context, r Repo, revision string) (*Info, error) {
	if revision == "" {
		revision = r.Source.mainBranch()
	}
	if err := checkRevision(revision); err != nil {
		return nil, err
	}
	if c.Offline {
		return c.cachedInfo(r, revision)
	}
	var i *Info
	var err error
	if r.Source == ModelScope {
		i, err = c.modelScopeInfo(ctx, r, revision)
	} else {
		i, err = c.huggingFaceInfo(ctx, r, revision)
	}
	if err != nil {
		return nil, c.explain(err, r, revision, "")
	}
	slices.SortFunc(i.Files, byName)
	for n, f := range i.Files {
		if err := checkFile(f); err != nil {
			return nil, fmt.Errorf("%s: %w", r, err)
		}
		if n > 0 && strings.EqualFold(i.Files[n-1].Name, f.Name) && i.Files[n-1].Name == f.Name {
			return nil, fmt.Errorf("%s lists the file %s twice", r, f.Name)
		}
	}
	return i, nil
}

// cachedInfo returns what the cache knows.
func (c *Client) cachedInfo(r Repo, revision string) (*Info, error) {
	cache := c.cacheOf(r)
	commit := cache.commit(revision)
	list := cache.listing(commit)
	if commit == "" || list == nil {
		return nil, &OfflineError{Repo: r, Revision: revision, Command: pullCommand(r, revision)}
	}
	return &Info{Repo: r, Revision: revision, Commit: commit, Files: list, Page: c.page(r), Cached: true}, nil
}

// pullCommand returns the command that fetches a repository.
func pullCommand(r Repo, revision string) string {
	s := "eligen models pull " + r.String()
	if revision != r.Source.mainBranch() {
		s += " --revision " + revision
	}
	return s
}

// page returns the address of a repository's page.
func (c *Client) page(r Repo) string {
	if r.Source == ModelScope {
		return c.ModelScopeEndpoint + "/models/" + r.Name
	}
	return c.Endpoint + "/" + r.Name
}

// gated is false, or a word that says who decides.
type gated bool

func (g *gated) UnmarshalJSON(data []byte) error {
	*g = string(data) != "false" && string(data) != "null"
	return nil
}

// license reads a card's licence: a name, or a list of them.
type license string

func (l *license) UnmarshalJSON(data []byte) error {
	var one string
	var several []string
	if json.Unmarshal(data, &one) == nil {
		*l = license(plain(one))
	} else if json.Unmarshal(data, &several) == nil {
		*l = license(plain(strings.Join(several, ", ")))
	}
	return nil
}

// huggingFaceInfo asks Hugging Face which commit a revision is, and for its files.
func (c *Client) huggingFaceInfo(ctx context.Context, r Repo, revision string) (*Info, error) {
	cache := c.cacheOf(r)
	if commitOf.MatchString(revision) {
		if list := cache.listing(revision); list != nil { // a commit never changes
			return &Info{Repo: r, Revision: revision, Commit: revision, Files: list, Page: c.page(r), Cached: true}, nil
		}
	}
	api := c.Endpoint + "/api/models/" + r.Name
	body, _, err := c.get(ctx, call{url: api + "/revision/" + url.PathEscape(revision)}, 64<<20)
	if err != nil {
		return nil, err
	}
	var doc struct {
		SHA   string `json:"sha"`
		Gated gated  `json:"gated"`
		Card  struct {
			License license `json:"license"`
			Name    license `json:"license_name"`
		} `json:"cardData"`
	}
	if err := json.Unmarshal(body, &doc); err != nil || !commitOf.MatchString(doc.SHA) {
		return nil, fmt.Errorf("%s answered with something else than a hub does. If HF_ENDPOINT is set, it must be a hub's address", host(api))
	}
	i := &Info{Repo: r, Revision: revision, Commit: doc.SHA, Gated: bool(doc.Gated), License: string(doc.Card.License), Page: c.page(r)}
	if doc.Card.Name != "" && (i.License == "" || i.License == "other") {
		i.License = string(doc.Card.Name)
	}
	if i.Files = cache.listing(i.Commit); i.Files == nil {
		i.Files, err = c.huggingFaceTree(ctx, api+"/tree/"+i.Commit+"?recursive=true&expand=false")
	}
	return i, err
}

// nextPage finds the address of the next page in a header Link.
var nextPage = regexp.MustCompile(`<([^>]+)>\s*;[^,]*\brel="?next"?`)

// huggingFaceTree reads all pages of a listing.
func (c *Client) huggingFaceTree(ctx context.Context, at string) (list []File, err error) {
	for seen := map[string]bool{}; at != ""; {
		if seen[at] {
			return nil, fmt.Errorf("%s lists the same page of files for ever", host(at))
		}
		seen[at] = true
		body, header, err := c.get(ctx, call{url: at}, 64<<20)
		if err != nil {
			return nil, err
		}
		var page []struct {
			Type string `json:"type"`
			Path string `json:"path"`
			Size int64  `json:"size"`
			OID  string `json:"oid"`
			Xet  string `json:"xetHash"`
			LFS  *struct {
				OID  string `json:"oid"`
				Size int64  `json:"size"`
			} `json:"lfs"`
		}
		if err := json.Unmarshal(body, &page); err != nil {
			return nil, fmt.Errorf("%s answered with something else than a list of files: %w", host(at), err)
		}
		for _, e := range page {
			if e.Type != "file" {
				continue
			}
			f := File{Name: e.Path, Size: e.Size, SHA1: e.OID, Xet: e.Xet}
			if e.LFS != nil {
				f.SHA256, f.Size = eligen.Digest(e.LFS.OID), e.LFS.Size
			}
			if list = append(list, f); len(list) > mostFiles {
				return nil, fmt.Errorf("the repository has more than %d files", mostFiles)
			}
		}
		next := ""
		if m := nextPage.FindStringSubmatch(strings.Join(header.Values("Link"), ", ")); m != nil {
			if next, err = resolveLink(at, m[1]); err != nil {
				return nil, err
			}
		}
		at = next
	}
	if list == nil {
		list = []File{}
	}
	return list, nil
}

// resolveLink returns the address of a link, which must stay on the same server.
func resolveLink(at, link string) (string, error) {
	u, err := url.Parse(at)
	if err != nil {
		return "", err
	}
	to, err := u.Parse(link)
	if err != nil || !sameOrigin(to.String(), at) {
		return "", fmt.Errorf("%s continues its list of files on another server", u.Host)
	}
	return to.String(), nil
}

// explain turns a hub's refusal into what a person can do about it.
func (c *Client) explain(err error, r Repo, revision, file string) error {
	var no *refusal
	if !errors.As(err, &no) || no.host != host(c.endpoint(r.Source)) {
		return err
	}
	token, from := c.Token != "", c.TokenFrom
	if r.Source == ModelScope {
		token, from = c.ModelScopeToken != "", r.Source.words().token
	}
	switch {
	case no.code == "RevisionNotFound":
		return &NotFoundError{Repo: r, Revision: revision}
	case no.code == "EntryNotFound" && file != "":
		return &NotFoundError{Repo: r, Revision: revision, Files: []string{file}}
	case no.status == http.StatusUnauthorized && token && strings.Contains(no.message, "Invalid credentials"):
		return fmt.Errorf("the hub knows no token such as that in %s: it may have been deleted, or cut when it was copied. "+
			"Make another one at %s", from, r.Source.words().tokens)
	case no.status == http.StatusUnauthorized, no.status == http.StatusForbidden, no.status == http.StatusNotFound:
		gated := no.code == "GatedRepo" || no.status == http.StatusForbidden && strings.Contains(strings.ToLower(no.message), "gated")
		return &AccessError{Repo: r, Page: c.page(r), Gated: gated, Token: token, From: from, Message: no.message}
	}
	return err
}
