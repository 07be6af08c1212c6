package hub

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/eligen/eligen"
)

// modelScopeFrom reads ModelScope's settings from the environment.
func modelScopeFrom(env func(string) string, home string, at func(string) string) (endpoint, cache, token string) {
	endpoint = first(strings.TrimSpace(env("MODELSCOPE_ENDPOINT")), strings.TrimSpace(env("MODELSCOPE_DOMAIN")), "https://modelscope.cn")
	if !strings.Contains(endpoint, "://") {
		endpoint = "https://" + endpoint
	}
	cache = at(first(env("MODELSCOPE_CACHE"), filepath.Join(home, ".cache", "modelscope")))
	return strings.TrimRight(endpoint, "/"), cache, clean(env("MODELSCOPE_API_TOKEN"))
}

// modelScopeCache returns the folder of a repository. Files lie in it under their names: there are no
// blobs. Folders that modelscope wrote until version 1.37 are used where they are.
func modelScopeCache(root string, r Repo) repoCache {
	name := "models/" + strings.ReplaceAll(r.Name, "/", "--")
	return repoCache{
		source: ModelScope, root: root, folder: filepath.Join(root, filepath.FromSlash(name)), flat: earlier(root, r),
	}
}

// earlier returns the folder in which older versions of modelscope keep a repository; "" where there is none.
func earlier(root string, r Repo) string {
	owner, name, _ := strings.Cut(r.Name, "/")
	for _, at := range []string{filepath.Join(root, "models"), filepath.Join(root, "hub", "models")} {
		at = filepath.Join(at, owner, strings.ReplaceAll(name, ".", "___"))
		if entries, err := os.ReadDir(at); err == nil && len(entries) > 0 {
			return at
		}
	}
	return ""
}

// earlierRepos lists the repositories that older versions of modelscope keep.
func earlierRepos(root string) (list []Repo) {
	for _, at := range []string{filepath.Join(root, "models"), filepath.Join(root, "hub", "models")} {
		owners, _ := os.ReadDir(at)
		for _, owner := range owners {
			names, _ := os.ReadDir(filepath.Join(at, owner.Name()))
			for _, name := range names {
				r, err := ParseRepo("modelscope:" + owner.Name() + "/" + strings.ReplaceAll(name.Name(), "___", "."))
				if err == nil && !strings.Contains(owner.Name(), "--") && earlier(root, r) != "" && !slices.Contains(list, r) {
					list = append(list, r)
				}
			}
		}
	}
	return list
}

// modelScopeLock returns the name of the lock of a file, below the cache's folder.
func modelScopeLock(r Repo, name string) string {
	key := strings.Join([]string{"modelscope-hub-download-lock-v2", "file", "model", r.Name, name}, "\x00")
	sum := sha256.Sum256([]byte(key))
	return filepath.Join(".lock", "file_"+hex.EncodeToString(sum[:])+".lock")
}

// modelScopeMost is where ModelScope cuts a listing off without a word.
const modelScopeMost = 1000

// modelScopeInfo asks ModelScope for a repository's files. It has no commits of its own for a branch:
// the revision is what names its snapshots.
func (c *Client) modelScopeInfo(ctx context.Context, r Repo, revision string) (*Info, error) {
	i := &Info{Repo: r, Revision: revision, Commit: revision, Page: c.page(r)}
	return i, c.modelScopeTree(ctx, i, "")
}

// modelScopeTree adds the files below a folder to a listing. Where a folder has too many, its folders are
// listed one by one.
func (c *Client) modelScopeTree(ctx context.Context, i *Info, root string) error {
	entries, err := c.modelScopeList(ctx, i, root, true)
	if err != nil {
		return err
	}
	if len(entries) < modelScopeMost {
		return i.add(entries)
	}
	if entries, err = c.modelScopeList(ctx, i, root, false); err != nil {
		return err
	}
	if len(entries) >= modelScopeMost {
		return fmt.Errorf("%s has %d files or more in one folder, and ModelScope lists no more than that. Name those that you need "+
			"at Hugging Face, or clone the repository with git", i.Repo, modelScopeMost)
	}
	if err := i.add(entries); err != nil {
		return err
	}
	for _, e := range entries {
		if e.Type == "tree" && e.Path != root {
			if err := c.modelScopeTree(ctx, i, e.Path); err != nil {
				return err
			}
		}
	}
	return nil
}

// A modelScopeEntry is a file or a folder of a listing.
type modelScopeEntry struct {
	Path   string
	Type   string
	Size   int64
	Sha256 string
}

// add adds the files among entries.
func (i *Info) add(entries []modelScopeEntry) error {
	for _, e := range entries {
		if e.Type == "tree" {
			continue
		}
		i.Files = append(i.Files, File{Name: e.Path, Size: e.Size, SHA256: eligen.Digest(strings.ToLower(e.Sha256))})
		if len(i.Files) > mostFiles {
			return fmt.Errorf("the repository has more than %d files", mostFiles)
		}
	}
	return nil
}

func (c *Client) modelScopeList(ctx context.Context, i *Info, root string, recursive bool) ([]modelScopeEntry, error) {
	query := url.Values{"Revision": {i.Revision}, "Recursive": {"False"}}
	if recursive {
		query.Set("Recursive", "True")
	}
	if root != "" {
		query.Set("Root", root)
	}
	at := c.ModelScopeEndpoint + "/api/v1/models/" + i.Repo.Name + "/repo/files?" + query.Encode()
	body, _, err := c.get(ctx, call{url: at, source: ModelScope}, 64<<20)
	if err != nil {
		return nil, err
	}
	var doc struct {
		Code    int
		Message string
		Data    struct{ Files []modelScopeEntry }
	}
	if err := json.Unmarshal(body, &doc); err != nil {
		return nil, fmt.Errorf("%s answered with something else than ModelScope does. If MODELSCOPE_ENDPOINT is set, it must be its "+
			"address", host(at))
	}
	if doc.Code != 0 && doc.Code != 200 {
		return nil, &refusal{host: host(at), status: doc.Code % 1000, message: plain(doc.Message)}
	}
	return doc.Data.Files, nil
}
