package hub

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What is read as a repository is written and read as the same one, and stays in its folder of the cache.
func FuzzParseRepo(f *testing.F) {
	for _, s := range []string{
		"black-forest-labs/FLUX.1-dev", "modelscope:DiffSynth-Studio/Eligen", "https://huggingface.co/a/b/tree/main", "hf://a/b", "a/../b",
		"a--b/c",
		"a/b/c", "../..", "modelscope:", "https://www.modelscope.cn/models/a/b",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := ParseRepo(s)
		if err != nil {
			return
		}
		if again, err := ParseRepo(r.String()); err != nil || again != r {
			t.Fatalf("%q is %+v, and then %+v, %v", s, r, again, err)
		}
		at := (Settings{Cache: "/hub", ModelScopeCache: "/ms"}).cacheOf(r).folder
		if root := map[Source]string{HuggingFace: "/hub", ModelScope: "/ms/models"}[r.Source]; filepath.Dir(at) != filepath.FromSlash(root) {
			t.Fatalf("%q lies in %s", s, at)
		}
	})
}

// A listing in the cache may be anything: what is read of it can be fetched safely.
func FuzzListing(f *testing.F) {
	digest := strings.Repeat("ab", 20)
	for _, s := range []string{
		`{"format_version": 1, "files": {"a/b.json": {"size": 3, "blob_id": "` + digest + `"}}}`,
		`{"format_version": 1, "files": {"../up": {"size": 3, "blob_id": "` + digest + `"}}}`,
		`{"format_version": 2, "files": {}}`, `{"files": null}`, `[`, ``,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c := repoCache{folder: t.TempDir()}
		at := filepath.Join(c.folder, "trees", digest+".json")
		if err := errors.Join(os.Mkdir(filepath.Dir(at), 0o755), os.WriteFile(at, data, 0o600)); err != nil {
			t.Fatal(err)
		}
		for _, file := range c.listing(digest) {
			if !filepath.IsLocal(filepath.FromSlash(file.Name)) || file.Size < 0 || file.digest() == "" {
				t.Fatalf("%+v", file)
			}
		}
	})
}
