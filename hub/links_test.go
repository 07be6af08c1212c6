package hub

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/eligen/eligen/hub/hubtest"
	"github.com/eligen/eligen/internal/files"
)

// Where there are no links, or none are wanted, snapshots hold the files themselves, and no content lies there twice
// that one file has. They are found, checked and left alone as any others, by huggingface_hub too.
func TestWithoutLinks(t *testing.T) {
	for name, set := range map[string]func(*Client){
		"not wanted": func(c *Client) { c.NoLinks = true },
		"not to be made": func(*Client) {
			files.SetFault(func(operation, _ string) error {
				if operation == "symlink" {
					return errors.New("no links here")
				}
				return nil
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := model()
			s, c := start(t, m)
			set(c)
			defer files.SetFault(nil)
			got, err := pull(t, c)
			if err != nil {
				t.Fatal(err)
			}
			holds(t, m, got.Paths)
			for _, at := range got.Paths {
				if fi, err := os.Lstat(at); err != nil || !fi.Mode().IsRegular() {
					t.Errorf("%s is no file, %v", at, err)
				}
			}
			blobs, _ := os.ReadDir(c.cacheOf(Repo{Name: m.Name}).blobs())
			if len(blobs) != 1 || blobs[0].Name() != hubtest.SHA256(m.Files["flux1-tiny.safetensors"]) {
				t.Errorf("the blobs are %v; want that of two files only", blobs)
			}
			sent(s)
			if got, err = pull(t, c); err != nil || len(got.Fetched) > 0 {
				t.Errorf("again: %v, %v", got.Fetched, err)
			}
			checked, err := c.Check(t.Context(), Repo{Name: m.Name}, nil)
			if err != nil || checked.Files != len(m.Files) || len(checked.Damaged) > 0 {
				t.Errorf("%+v, %v", checked, err)
			}
			sent(s)
			if os.Getenv("ELIGEN_PYTHON") != "" {
				python(t, s, c)(`snapshot_download("lab/tiny")`, "HF_HUB_DISABLE_SYMLINKS=1")
				if n, _ := sent(s); n > 0 {
					t.Errorf("Python fetched %d bytes again", n)
				}
			}
		})
	}
}

// A cache that can't be written serves what it has.
func TestReadOnlyCache(t *testing.T) {
	m := model()
	_, c := start(t, m)
	if _, err := pull(t, c, "vae/config.json"); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(c.cacheOf(Repo{Name: m.Name}).folder, "refs")); err != nil {
		t.Fatal(err)
	}
	files.SetFault(func(string, string) error { return os.ErrPermission })
	defer files.SetFault(nil)
	got, err := pull(t, c, "vae/config.json")
	if err != nil {
		t.Fatal(err)
	}
	holds(t, m, got.Paths)
}
