package hub

import (
	"bytes"
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/eligen/eligen/hub/hubtest"
)

// noise returns n bytes that no two positions of a file share.
func noise(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// model returns a model as people publish them: large files outside git, small ones in it.
func model() *hubtest.Model {
	return &hubtest.Model{
		Name: "lab/tiny", Commit: strings.Repeat("0123456789", 4), License: "apache-2.0", LFS: []string{".safetensors", ".bin"},
		Files: map[string][]byte{
			"README.md":                        []byte("# tiny\n"),
			"flux1-tiny.safetensors":           noise(1, 5000),
			"vae/config.json":                  []byte(`{"in_channels": 3}`),
			"vae/weights é%20.bin":             noise(2, 120),
			"text_encoder/empty.txt":           nil,
			"text_encoder/copy.safetensors":    noise(1, 5000),
			"text_encoder/model.safetensors":   noise(3, 999),
			"transformer/part one.safetensors": noise(4, 1),
		},
	}
}

// start starts a hub, and returns a client of it with an empty cache. Waits end at once.
func start(t *testing.T, models ...*hubtest.Model) (*hubtest.Server, *Client) {
	t.Helper()
	s := hubtest.New(models...)
	t.Cleanup(s.Close)
	return s, client(t, s)
}

func client(t *testing.T, s *hubtest.Server) *Client {
	c := &Client{
		Settings: Settings{
			Endpoint: s.URL, Cache: t.TempDir(), TokenFrom: "HF_TOKEN", ModelScopeEndpoint: s.URL, ModelScopeCache: t.TempDir(),
		},
		Sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
		part:  512,
	}
	t.Cleanup(func() { c.http().CloseIdleConnections() })
	return c
}

// pull pulls files of the model, and returns what came of it. Its progress never exceeds what there is.
func pull(t *testing.T, c *Client, names ...string) (Pulled, error) {
	t.Helper()
	i, err := c.Info(t.Context(), Repo{Name: "lab/tiny"}, "")
	if err != nil {
		return Pulled{}, err
	}
	return c.Pull(t.Context(), Pull{Info: i, Files: names}, func(p Progress) {
		if p.Done < 0 || p.Done > p.Size || p.FileDone < 0 || p.FileDone > p.FileSize {
			t.Errorf("progress %+v", p)
		}
	})
}

// holds checks that files are what the model has.
func holds(t *testing.T, m *hubtest.Model, paths map[string]string) {
	t.Helper()
	for name, at := range paths {
		if data, err := os.ReadFile(at); err != nil || !bytes.Equal(data, m.Files[name]) {
			t.Errorf("%s holds %d bytes, %v; want %d", name, len(data), err, len(m.Files[name]))
		}
	}
}

// A pull puts every file where huggingface_hub has it, once for each content, and the next one fetches
// nothing. The token stays with the hub.
func TestPull(t *testing.T) {
	m := model()
	m.Private, m.Xet = true, true
	s, c := start(t, m)
	c.Token = hubtest.Token
	s.Page = 3
	var last Progress
	i, err := c.Info(t.Context(), Repo{Name: m.Name}, "")
	if err != nil {
		t.Fatal(err)
	}
	if len(i.Files) != len(m.Files) || i.Commit != m.Commit || i.License != "apache-2.0" || i.Gated {
		t.Fatalf("%+v", i)
	}
	got, err := c.Pull(t.Context(), Pull{Info: i}, func(p Progress) { last = p })
	if err != nil {
		t.Fatal(err)
	}
	holds(t, m, got.Paths)
	if len(got.Paths) != len(m.Files) || last.Done != last.Size || last.Size != 11145 {
		t.Errorf("%d paths, progress %+v", len(got.Paths), last)
	}
	if got.Network != 11145-5000 {
		t.Errorf("%d bytes came over the network: a content that two files share should come once", got.Network)
	}
	for _, q := range s.Requests() {
		if q.CDN && (q.Authorization != "" || q.Cookie != "") {
			t.Errorf("%s got the token", q.Path)
		}
		if !q.CDN && q.Authorization != "Bearer "+hubtest.Token {
			t.Errorf("%s got no token", q.Path)
		}
	}
	folder := filepath.Join(c.Cache, "models--lab--tiny")
	if to, err := os.Readlink(filepath.Join(folder, "snapshots", m.Commit, "vae", "config.json")); err != nil ||
		to != filepath.FromSlash("../../../blobs/"+hubtest.SHA1(m.Files["vae/config.json"])) {
		t.Errorf("the link is %q, %v", to, err)
	}
	if ref, err := os.ReadFile(filepath.Join(folder, "refs", "main")); string(ref) != m.Commit {
		t.Errorf("refs/main is %q, %v", ref, err)
	}
	if left, _ := filepath.Glob(filepath.Join(folder, "blobs", "*.incomplete")); len(left) > 0 {
		t.Errorf("there are %v", left)
	}
	again, err := pull(t, c)
	if err != nil || len(again.Fetched) > 0 || again.Network > 0 {
		t.Errorf("the second pull fetched %v, %v", again.Fetched, err)
	}
	if n := len(s.Requests()); n != 1 {
		t.Errorf("the second pull sent %d requests, want 1: for the commit of main", n)
	}
	l, err := c.Locate(Repo{Name: m.Name}, "", m.Names()...)
	if err != nil || len(l.Missing) > 0 || l.Folder != got.Folder || len(l.Listing) != len(m.Files) {
		t.Errorf("%+v, %v", l, err)
	}
}
