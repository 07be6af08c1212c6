package hub

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eligen/eligen/hub/hubtest"
)

// pullFrom pulls all files of ModelScope's model.
func pullFrom(t *testing.T, c *Client) (Pulled, error) {
	t.Helper()
	i, err := c.Info(t.Context(), Repo{ModelScope, "lab/tiny"}, "")
	if err != nil {
		return Pulled{}, err
	}
	return c.Pull(t.Context(), Pull{Info: i}, nil)
}

// ModelScope's files lie in its cache under their names. Its token goes to it alone. A file that was changed is found by
// its digest, since a snapshot there is that of a branch.
func TestModelScope(t *testing.T) {
	m := model()
	m.Private = true
	s, c := start(t, m)
	c.ModelScopeToken = hubtest.Token
	got, err := pullFrom(t, c)
	if err != nil || len(got.Fetched) != len(m.Files) {
		t.Fatalf("%v, %v", got.Fetched, err)
	}
	holds(t, m, got.Paths)
	for _, q := range s.Requests() {
		if token := q.Authorization + q.Cookie; q.CDN && token != "" || !q.CDN && !strings.Contains(token, hubtest.Token) {
			t.Errorf("%+v", q)
		}
	}
	r := Repo{ModelScope, m.Name}
	l, err := c.Locate(r, "", m.Names()...)
	if err != nil || len(l.Missing) > 0 || l.Folder != filepath.Join(c.ModelScopeCache, "models", "lab--tiny", "snapshots", "master") {
		t.Errorf("%+v, %v", l, err)
	}
	if got, err = pullFrom(t, c); err != nil || len(got.Fetched) > 0 {
		t.Errorf("again: %v, %v", got.Fetched, err)
	}
	m.Files["vae/config.json"] = []byte(`{"in_channels": 4}`) // of the same size
	checked, err := c.Check(t.Context(), r, nil)
	if err != nil || len(checked.Damaged) != 1 || checked.Damaged[0].Files[0] != "vae/config.json" {
		t.Errorf("%+v, %v", checked, err)
	}
	if got, err = pullFrom(t, c); err != nil || len(got.Fetched) != 1 {
		t.Errorf("after a change: %v, %v", got.Fetched, err)
	}
	holds(t, m, got.Paths)
	c.ModelScopeToken = ""
	var access *AccessError
	if _, err := pullFrom(t, c); !errors.As(err, &access) || !strings.Contains(err.Error(), "MODELSCOPE_API_TOKEN") {
		t.Errorf("without a token: %v", err)
	}
	list, err := c.Cached()
	if err != nil || len(list) != 1 || list[0].Repo != r || len(list[0].Revisions[0].Files) != len(m.Files) {
		t.Errorf("%+v, %v", list, err)
	}
	if freed, err := c.Remove(r, ""); err != nil || freed != list[0].Bytes {
		t.Errorf("%d of %d bytes were freed, %v", freed, list[0].Bytes, err)
	}
}

// ModelScope cuts a listing off at a thousand entries, without a word.
func TestModelScopeListsFolders(t *testing.T) {
	m := model()
	for _, folder := range []string{"a/", "b/", "b/c/"} {
		for i := range 600 {
			m.Files[fmt.Sprintf("%s%03d", folder, i)] = nil
		}
	}
	s, c := start(t, m)
	i, err := c.Info(t.Context(), Repo{ModelScope, m.Name}, "")
	if err != nil {
		t.Fatal(err)
	}
	if len(i.Files) != len(m.Files) {
		t.Errorf("%d of %d files", len(i.Files), len(m.Files))
	}
	t.Logf("%d files by %d requests", len(i.Files), len(s.Requests()))
}

// The folder of an older modelscope is used as it lies.
func TestEarlierModelScope(t *testing.T) {
	m := model()
	m.Name = "lab/FLUX.1-tiny"
	s, c := start(t, m)
	r := Repo{ModelScope, m.Name}
	old := filepath.Join(c.ModelScopeCache, "hub", "models", "lab", "FLUX___1-tiny")
	for name, data := range m.Files {
		at := filepath.Join(old, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(at), 0o755), os.WriteFile(at, data, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	l, err := c.Locate(r, "", m.Names()...)
	if err != nil || len(l.Missing) > 0 || l.Folder != old {
		t.Errorf("%+v, %v", l, err)
	}
	i, err := c.Info(t.Context(), r, "")
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.Pull(t.Context(), Pull{Info: i}, nil)
	if n, _ := sent(s); err != nil || n > 0 {
		t.Errorf("%d bytes were fetched, %v", n, err)
	}
	holds(t, m, got.Paths)

	// It is listed, stands for the main branch alone, and goes only when it is asked for.
	list, err := c.Cached()
	if err != nil || len(list) != 1 || list[0].Repo != r || len(list[0].Revisions) != 1 || list[0].Revisions[0].Commit != "master" {
		t.Errorf("%+v, %v", list, err)
	}
	if l, err := c.Locate(r, "v1.0", m.Names()...); err != nil || l.Commit != "" || len(l.Paths) > 0 {
		t.Errorf("another revision: %+v, %v", l, err)
	}
	if _, err := c.Remove(r, "v1.0"); !errors.Is(err, ErrNotCached) {
		t.Errorf("another revision is removed: %v", err)
	}
	if _, err := os.Stat(old); err != nil {
		t.Fatal(err)
	}
	if freed, err := c.Remove(r, "master"); err != nil || freed == 0 {
		t.Errorf("%d, %v", freed, err)
	}
	if _, err := os.Stat(old); err == nil {
		t.Error("it stays")
	}
}

// What modelscope's own library has fetched is found, and the other way.
func TestModelScopeLibrary(t *testing.T) {
	m := model()

	s, c := start(t, m)
	run := python(t, s, c)
	if run(`
try: import modelscope_hub; print("there")
except ImportError: print("missing")`) != "there" {
		t.Skip("ELIGEN_PYTHON has no modelscope_hub")
	}
	theirs := func(more string) string {
		return run(`
from modelscope_hub import HubApi
print(HubApi().download_repo("lab/tiny", "model"` + more + `))`)
	}
	folder := theirs("")
	if n, _ := sent(s); n == 0 {
		t.Fatal("modelscope fetched nothing")
	}
	got, err := pullFrom(t, c)
	if n, _ := sent(s); n != 0 || err != nil || got.Folder != folder {
		t.Errorf("we fetched %d bytes again into %s, %v; theirs is %s", n, got.Folder, err, folder)
	}
	holds(t, m, got.Paths)
	if _, err := c.Remove(Repo{ModelScope, m.Name}, ""); err != nil {
		t.Fatal(err)
	}
	if got, err = pullFrom(t, c); err != nil {
		t.Fatal(err)
	}
	sent(s)
	for _, more := range []string{"", ", local_files_only=True"} {
		at := theirs(more)
		if n, _ := sent(s); n != 0 || at != got.Folder {
			t.Errorf("modelscope%s fetched %d bytes again into %s", more, n, at)
		}
	}
}
