package hub

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/eligen/eligen/hub/hubtest"
)

// Of two revisions, one can be removed: with it go the contents that the other one lacks, and what names it.
func TestRemoveRevision(t *testing.T) {
	m := model()
	_, c := start(t, m)
	old := m.Commit
	if _, err := pull(t, c); err != nil {
		t.Fatal(err)
	}
	changed, kept := m.Files["flux1-tiny.safetensors"], m.Files["vae/config.json"]
	m.Files["flux1-tiny.safetensors"], m.Files["text_encoder/copy.safetensors"] = noise(8, 400), nil
	m.Commit = strings.Repeat("98765432", 5)
	got, err := pull(t, c)
	if err != nil {
		t.Fatal(err)
	}
	r := Repo{Name: m.Name}
	for _, wrong := range []string{"v2", strings.Repeat("ab", 20)} {
		if _, err := c.Remove(r, wrong); !errors.Is(err, ErrNotCached) {
			t.Errorf("revision %s: %v", wrong, err)
		}
	}
	if freed, err := c.Remove(r, old[:12]); err != nil || freed != int64(len(changed)) {
		t.Errorf("%d bytes were freed, want %d; %v", freed, len(changed), err)
	}
	cache := c.cacheOf(r)
	for at, there := range map[string]bool{
		cache.snapshot(old): false, filepath.Join(cache.folder, "trees", old+".json"): false, cache.snapshot(m.Commit): true,
		filepath.Join(cache.blobs(), hubtest.SHA256(changed)): false, filepath.Join(cache.blobs(), hubtest.SHA1(kept)): true,
	} {
		if _, err := os.Stat(at); (err == nil) != there {
			t.Errorf("%s: %v", at, err)
		}
	}
	holds(t, m, got.Paths)
	if freed, err := c.Remove(r, "main"); err != nil || freed == 0 {
		t.Errorf("%d bytes were freed, %v", freed, err)
	}
	if left, _ := os.ReadDir(c.Cache); len(left) != 2 { // CACHEDIR.TAG and .locks
		t.Errorf("%v is left", left)
	}
	if _, err := c.Remove(r, ""); !errors.Is(err, ErrNotCached) {
		t.Errorf("again: %v", err)
	}
}

// A content that is gone, or was cut, is missing; Check names each file of it, and the next pull fetches it.
func TestLostContents(t *testing.T) {
	m := model()
	_, c := start(t, m)
	got, err := pull(t, c)
	if err != nil {
		t.Fatal(err)
	}
	blob := func(name string) string {
		return filepath.Join(c.cacheOf(Repo{Name: m.Name}).blobs(), hubtest.SHA256(m.Files[name]))
	}
	lost, cut := "flux1-tiny.safetensors", "text_encoder/model.safetensors"
	if err := errors.Join(os.Remove(blob(lost)), os.Truncate(blob(cut), 10)); err != nil {
		t.Fatal(err)
	}
	checked, err := c.Check(t.Context(), Repo{Name: m.Name}, nil)
	if err != nil || len(checked.Damaged) != 2 {
		t.Fatalf("%+v, %v", checked, err)
	}
	for _, d := range checked.Damaged {
		if gone := slices.Contains(d.Files, lost); gone != (d.Got == "") || gone && len(d.Files) != 2 {
			t.Errorf("%+v", d)
		}
	}
	l, err := c.Locate(Repo{Name: m.Name}, "", m.Names()...)
	if want := []string{lost, "text_encoder/copy.safetensors", cut}; err != nil || !slices.Equal(l.Missing, want) {
		t.Errorf("%v is missing, want %v; %v", l.Missing, want, err)
	}
	if got, err = pull(t, c); err != nil || got.Network != 5000+999 {
		t.Errorf("%d bytes, %v", got.Network, err)
	}
	holds(t, m, got.Paths)
}

// A model that somebody is fetching is not removed.
func TestRemoveWhileFetching(t *testing.T) {
	m := model()
	_, c := start(t, m)
	if _, err := pull(t, c, "vae/config.json"); err != nil {
		t.Fatal(err)
	}
	i, err := c.Info(t.Context(), Repo{Name: m.Name}, "")
	if err != nil {
		t.Fatal(err)
	}
	tried := false
	_, err = c.Pull(t.Context(), Pull{Info: i, Files: []string{"flux1-tiny.safetensors"}}, func(Progress) {
		if _, err := c.Remove(i.Repo, ""); err == nil || !strings.Contains(err.Error(), "another process is fetching") {
			t.Errorf("it is removed: %v", err)
		}
		tried = true
	})
	if err != nil || !tried {
		t.Error(err)
	}
}
