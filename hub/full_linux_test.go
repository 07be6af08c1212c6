package hub

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/eligen/eligen/hub/hubtest"
)

// A full disk is seen before the first byte; where it fills up meanwhile, what has arrived stays, and the next pull
// goes on there. The disk is a real one, of 64 KiB, which root can make.
func TestFullDisk(t *testing.T) {
	disk := t.TempDir()
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=64k"); err != nil {
		t.Skipf("no disk of 64 KiB can be mounted: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(disk, unix.MNT_DETACH) })
	m := model()
	m.Files["large.safetensors"], m.Files["fits.safetensors"] = noise(5, 100<<10), noise(6, 30<<10)
	s, c := start(t, m)
	c.Cache = filepath.Join(disk, "hub")
	var space *SpaceError
	if _, err := pull(t, c, "large.safetensors"); !errors.As(err, &space) || space.Need != 100<<10 || space.Free > 64<<10 {
		t.Fatalf("100 KiB on 64: %v", err)
	}
	for _, q := range s.Requests() {
		if q.Bytes > 0 {
			t.Errorf("bytes were fetched: %+v", q)
		}
	}
	other := filepath.Join(disk, "other")
	var n atomic.Int32
	s.Fault = func(_ http.ResponseWriter, _ *http.Request, cdn bool) bool {
		if cdn && n.Add(1) == 3 { // somebody else fills the disk
			_ = os.WriteFile(other, make([]byte, 60<<10), 0o600)
		}
		return false
	}
	_, err := pull(t, c, "fits.safetensors")
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("the disk fills up: %v", err)
	}
	t.Log(err)
	left(t, c)
	at := filepath.Join(c.cacheOf(Repo{Name: m.Name}).blobs(), hubtest.SHA256(m.Files["fits.safetensors"])+partialEnd)
	fi, err := os.Stat(at)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(other); err != nil {
		t.Fatal(err)
	}
	got, err := pull(t, c, "fits.safetensors")
	if err != nil || got.Network != 30<<10-fi.Size() {
		t.Errorf("after %d bytes, %d were fetched, %v", fi.Size(), got.Network, err)
	}
	holds(t, m, got.Paths)
}
