package app_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/app"
	"github.com/eligen/eligen/store/storetest"
)

// TestSharedCache: two machines, each with a store of its own, and a real server. The second makes
// nothing of what the first has made. Wrong bytes on the server are found and made again.
func TestSharedCache(t *testing.T) {
	t.Run("nginx", func(t *testing.T) {
		address, files := storetest.Nginx(t)
		testSharedCache(t, address, files)
	})
	t.Run("S3", func(t *testing.T) {
		address, files := storetest.S3(t)
		testSharedCache(t, address, files)
	})
	t.Run("folder", func(t *testing.T) {
		files := filepath.Join(t.TempDir(), "shared")
		testSharedCache(t, "file://"+files, files)
	})
}

// testSharedCache tests the cache at an address, which keeps its objects in files.
func testSharedCache(t *testing.T, address, files string) {
	apply := func(readOnly bool) (clip []byte, p eligen.Progress) {
		t.Helper()
		a := app.New(app.Options{Folder: t.TempDir(), Cache: address, CacheReadOnly: readOnly})
		defer a.Close()
		f := frontEnd{a, t.TempDir()}
		made, err := a.Apply(t.Context(), f.planned(t, f.request("walk.hcl", clipScene)), app.Run{Events: p.Add})
		if err != nil || len(made.Files) != 1 {
			t.Fatal(made, err)
		}
		if clip, err = os.ReadFile(made.Files[0].Path); err != nil {
			t.Fatal(err)
		}
		return clip, p
	}
	first, p := apply(false)
	all := p.Counts()[eligen.Done]
	if all == 0 || len(p.Reports) > 0 {
		t.Fatalf("%d stages made, reports %v", all, p.Reports)
	}
	second, p := apply(true)
	if n := p.Counts()[eligen.Done]; n != 0 || !bytes.Equal(first, second) || len(p.Reports) > 0 {
		t.Errorf("the second machine made %d stages; the same clip: %v; reports %v", n, bytes.Equal(first, second), p.Reports)
	}

	contents, err := filepath.Glob(filepath.Join(files, "cas", "*"))
	if err != nil || len(contents) < 5 {
		t.Fatal(contents, err)
	}
	for _, path := range contents {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		data[len(data)/2] ^= 4
		if err := os.WriteFile(path, data, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	third, p := apply(false)
	if n := p.Counts()[eligen.Done]; n < len(contents) || !bytes.Equal(first, third) {
		t.Errorf("with %d wrong bytes, %d of %d stages were made; the same clip: %v", len(contents), n, all, bytes.Equal(first, third))
	}
	if len(p.Reports) == 0 || !strings.Contains(p.Reports[0].Detail, "damaged") {
		t.Errorf("reports %v", p.Reports)
	}
	fourth, p := apply(true)
	if n := p.Counts()[eligen.Done]; n != 0 || !bytes.Equal(first, fourth) {
		t.Errorf("afterwards, %d stages were made; the same clip: %v", n, bytes.Equal(first, fourth))
	}
}

// TestDeadCache: a cache that nobody serves is said once, and harms nothing.
func TestDeadCache(t *testing.T) {
	a := app.New(app.Options{Folder: t.TempDir(), Cache: "http://127.0.0.1:1/"})
	defer a.Close()
	f := frontEnd{a, t.TempDir()}
	var p eligen.Progress
	made, err := a.Apply(t.Context(), f.planned(t, f.request("walk.hcl", clipScene)), app.Run{Events: p.Add})
	if err != nil || len(made.Files) != 1 || len(p.Reports) != 1 || p.Reports[0].Code != "E0922" {
		t.Errorf("%+v, %v, reports %v", made, err, p.Reports)
	}
}
