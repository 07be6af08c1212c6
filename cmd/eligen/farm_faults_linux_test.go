package main

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/eligen/eligen"
)

// fullWorker gives a worker a disk that is too small for anything: another one makes it all.
func fullWorker(t *testing.T, f *farmyard) {
	disk := filepath.Join(f.dir, "anvil")
	if err := os.Mkdir(disk, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=48k"); err != nil {
		t.Skip("file systems can't be mounted here: ", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	f.work("anvil")
	a := f.apply("front")
	a.until(func(e eligen.Event) bool { return e.Type == eligen.Started && e.Worker == "anvil" })
	f.await("anvil", "no space left on device")
	f.work("bellows")
	a.check()
}
