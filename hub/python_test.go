package hub

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/eligen/eligen/hub/hubtest"
)

// python returns what runs a program with huggingface_hub over the same hub and the same cache. ELIGEN_PYTHON names
// an interpreter that has the library.
func python(t *testing.T, s *hubtest.Server, c *Client) func(program string, more ...string) string {
	t.Helper()
	interpreter := os.Getenv("ELIGEN_PYTHON")
	if interpreter == "" {
		t.Skip("ELIGEN_PYTHON names no Python with huggingface_hub")
	}
	if out, err := exec.Command(interpreter, "-c", "import huggingface_hub").CombinedOutput(); err != nil {
		t.Skipf("%s has no huggingface_hub: %s", interpreter, bytes.TrimSpace(out))
	}
	return func(program string, more ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), interpreter, "-c", "import os, sys\nfrom huggingface_hub import *\n"+program)
		cmd.Env = append(os.Environ(), "HF_ENDPOINT="+s.URL, "HF_HOME="+filepath.Join(t.TempDir(), "home"), "HF_HUB_CACHE="+c.Cache,
			"HF_HUB_DISABLE_XET=1", "HF_HUB_DISABLE_TELEMETRY=1", "HF_HUB_DISABLE_PROGRESS_BARS=1", "HF_HUB_DISABLE_UPDATE_CHECK=1",
			"MODELSCOPE_ENDPOINT="+s.URL, "MODELSCOPE_CACHE="+c.ModelScopeCache, "HOME="+filepath.Join(c.Cache, "home"))
		cmd.Env = append(cmd.Env, more...)
		var errors bytes.Buffer
		cmd.Stderr = &errors
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s\n%v\n%s", program, err, errors.String())
		}
		return strings.TrimSpace(string(out))
	}
}

// sent returns how many bytes of files, and how many requests, a hub has served since the last call.
func sent(s *hubtest.Server) (bytes int64, requests int) {
	for _, q := range s.Requests() {
		bytes += q.Bytes
		requests++
	}
	return bytes, requests
}

// What huggingface_hub has fetched is found, with no request for bytes, and as it lies.
func TestPythonFetchesForUs(t *testing.T) {
	m := model()
	m.Xet = true
	s, c := start(t, m)
	run := python(t, s, c)
	folder := run(`print(snapshot_download("lab/tiny"))`)
	if n, _ := sent(s); n == 0 {
		t.Fatal("Python fetched nothing")
	}
	l, err := c.Locate(Repo{Name: m.Name}, "", m.Names()...)
	if err != nil || len(l.Missing) > 0 || l.Folder != folder || l.Commit != m.Commit || len(l.Listing) != len(m.Files) {
		t.Errorf("%+v, %v", l, err)
	}
	if n, requests := sent(s); n != 0 || requests != 0 {
		t.Errorf("to look for files took %d requests", requests)
	}
	got, err := pull(t, c)
	if err != nil || len(got.Fetched) > 0 || got.Folder != folder {
		t.Errorf("%+v, %v", got, err)
	}
	holds(t, m, got.Paths)
	if n, requests := sent(s); n != 0 || requests != 1 {
		t.Errorf("the pull took %d bytes and %d requests; one asks for the commit", n, requests)
	}
	list, err := c.Cached()
	if err != nil || len(list) != 1 || list[0].Revisions[0].Refs[0] != "main" || len(list[0].Revisions[0].Files) != len(m.Files) {
		t.Errorf("%+v, %v", list, err)
	}
	checked, err := c.Check(t.Context(), Repo{Name: m.Name}, nil)
	if err != nil || len(checked.Damaged) > 0 || checked.Files != len(m.Files)-1 {
		t.Errorf("%+v, %v", checked, err)
	}
	t.Logf("%d files of huggingface_hub's found, 0 bytes fetched", len(got.Paths))
}

// What we have fetched huggingface_hub finds: without a connection, and with one without fetching a blob.
func TestWeFetchForPython(t *testing.T) {
	m := model()
	m.Xet = true
	s, c := start(t, m)
	got, err := pull(t, c)
	if err != nil {
		t.Fatal(err)
	}
	sent(s)
	run := python(t, s, c)
	all := fmt.Sprintf(`for name in %q.split("|"): print(hf_hub_download("lab/tiny", name, local_files_only=True))`,
		strings.Join(m.Names(), "|"))
	found := strings.Split(run(all, "HF_HUB_OFFLINE=1"), "\n")
	for i, name := range m.Names() {
		if found[i] != got.Paths[name] {
			t.Errorf("%s: Python finds %s, and we have %s", name, found[i], got.Paths[name])
		}
	}
	if folder := run(`print(snapshot_download("lab/tiny", local_files_only=True))`, "HF_HUB_OFFLINE=1"); folder != got.Folder {
		t.Errorf("the snapshot is %s, and ours %s", folder, got.Folder)
	}
	if list := s.Requests(); len(list) > 0 {
		t.Errorf("without a connection, there are the requests %+v", list)
	}
	if folder := run(`print(snapshot_download("lab/tiny"))`); folder != got.Folder {
		t.Errorf("the snapshot is %s, and ours %s", folder, got.Folder)
	}
	if n, requests := sent(s); n != 0 || requests == 0 {
		t.Errorf("%d bytes were fetched again, by %d requests", n, requests)
	}
	what := run(`
report = scan_cache_dir()
for r in report.repos: print(r.repo_id, r.nb_files, sorted(f for v in r.revisions for f in v.refs), [str(w) for w in report.warnings])`)
	if !strings.HasPrefix(what, "lab/tiny ") || !strings.HasSuffix(what, "['main'] []") {
		t.Errorf("Python's own list of the cache: %s", what)
	}
	_, err = pull(t, c, "no.such")
	if err == nil {
		t.Error("a file that isn't there is found")
	}
	if what := run(`print(try_to_load_from_cache("lab/tiny", "no.such") is _CACHED_NO_EXIST)`); what != "True" {
		t.Errorf("Python does not see that a file is missing: %s", what)
	}
	version := run(`import huggingface_hub; print(huggingface_hub.__version__)`)
	t.Logf("%d of our files found by huggingface_hub %s, 0 bytes fetched", len(found), version)
}

// A folder that one has filled the other leaves as it is.
func TestPythonAndFolders(t *testing.T) {
	m := model()
	s, c := start(t, m)
	run := python(t, s, c)
	i, err := c.Info(t.Context(), Repo{Name: m.Name}, "")
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := t.TempDir(), t.TempDir()
	got, err := c.Pull(t.Context(), Pull{Info: i, To: ours}, nil)
	if err != nil {
		t.Fatal(err)
	}
	holds(t, m, got.Paths)
	sent(s)
	run(fmt.Sprintf(`snapshot_download("lab/tiny", local_dir=%q)`, ours))
	if n, _ := sent(s); n != 0 {
		t.Errorf("Python fetched %d bytes again into our folder", n)
	}
	run(fmt.Sprintf(`snapshot_download("lab/tiny", local_dir=%q)`, theirs))
	sent(s)
	got, err = c.Pull(t.Context(), Pull{Info: i, To: theirs}, nil)
	if n, _ := sent(s); n != 0 || err != nil || len(got.Fetched) > 0 {
		t.Errorf("we fetched %d bytes again into Python's folder, %v", n, err)
	}
	// A newer commit replaces what was fetched, whoever did.
	m.Files["vae/config.json"], m.Commit = []byte("{}"), strings.Repeat("98765432", 5)
	if i, err = c.Info(t.Context(), Repo{Name: m.Name}, ""); err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{ours, theirs} {
		if got, err = c.Pull(t.Context(), Pull{Info: i, To: to}, nil); err != nil || len(got.Fetched) != 1 {
			t.Errorf("%v, %v", got.Fetched, err)
		}
		holds(t, m, got.Paths)
	}
}

// While one fetches a file, the other waits for it: they lock the same file.
func TestPythonWaits(t *testing.T) {
	m := model()
	s, c := start(t, m)
	run := python(t, s, c)
	file := "vae/weights é%20.bin"
	lock := filepath.Join(c.Cache, ".locks", "models--lab--tiny", hubtest.SHA256(m.Files[file])+".lock")
	try := fmt.Sprintf(`
from filelock import FileLock, Timeout
try:
    with FileLock(%q, timeout=0): print("free")
except Timeout: print("locked")`, lock)
	var during atomic.Value
	s.Fault = func(_ http.ResponseWriter, _ *http.Request, cdn bool) bool {
		if cdn {
			during.Store(run(try))
		}
		return false
	}
	if _, err := pull(t, c, file); err != nil {
		t.Fatal(err)
	}
	if got, after := during.Load(), run(try); got != "locked" || after != "free" {
		t.Errorf("during our download, Python finds its lock %v, and afterwards %s", got, after)
	}
}

// Contents that huggingface_hub shares between repositories are read; when the last repository that has one is
// removed, so is the content.
func TestPythonShares(t *testing.T) {
	m, other := model(), model()
	other.Name = "lab/other"
	s, c := start(t, m, other)
	run := python(t, s, c)
	hash := strings.Repeat("ab", 32)
	blob := func(repo string) string {
		return filepath.Join(c.Cache, "models--lab--"+repo, "blobs", hubtest.SHA256(m.Files["flux1-tiny.safetensors"]))
	}
	share := func(repo, call string) string {
		return run(fmt.Sprintf(`
from huggingface_hub.utils._shared_blobs import *
print(%s(blob_path=%q, xet_hash=%q, cache_dir=%q, expected_size=5000))`, call, blob(repo), hash, c.Cache))
	}
	if _, err := pull(t, c); err != nil {
		t.Fatal(err)
	}
	if share("tiny", "publish_blob_to_shared_store") != "True" {
		t.Skip("this huggingface_hub shares nothing")
	}
	if err := os.MkdirAll(filepath.Dir(blob("other")), 0o755); err != nil {
		t.Fatal(err)
	}
	if got := share("other", "try_link_from_shared_store"); got != "True" {
		t.Fatalf("Python links nothing: %s", got)
	}
	sent(s)
	got, err := pull(t, c)
	if n, _ := sent(s); n != 0 || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
	holds(t, m, got.Paths)
	store := filepath.Join(c.Cache, "blobs", hash[:2], hash)
	for _, step := range []struct {
		repo  string
		stays bool
	}{{"tiny", true}, {"other", false}} {
		if _, err := c.Remove(Repo{Name: "lab/" + step.repo}, ""); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(store); (err == nil) != step.stays {
			t.Errorf("after %s was removed: %v", step.repo, err)
		}
	}
}
