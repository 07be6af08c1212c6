package runtime_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/store/file"
)

// TestFullDisk runs on a real disk that is too small, of one size after the other:
// the error says so, nothing is half-written, and with more room the next run ends
// as if there had been enough. A file system that is read-only is an error too.
func TestFullDisk(t *testing.T) {
	want := reference(t, func(dir string) *eligen.Scene { return small(dir, 1) })
	disk := t.TempDir()
	mount := func(flags uintptr, options string) error {
		return syscall.Mount("tmpfs", disk, "tmpfs", flags, options)
	}
	if err := mount(0, "size=12k"); err != nil {
		t.Skip("file systems can't be mounted here: ", err)
	}
	defer func() {
		if err := syscall.Unmount(disk, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	}()
	full := 0
	for pages := 3; ; pages++ {
		dir, cache := filepath.Join(disk, fmt.Sprint("scene", pages)), filepath.Join(disk, fmt.Sprint("cache", pages))
		plan := build(t, small(dir, 1))
		run := func() error {
			store, err := file.Open(cache)
			if err != nil {
				return err
			}
			defer store.Close()
			_, err = apply(t, store, plan)
			return err
		}
		err := run()
		if err != nil && !errors.Is(err, syscall.ENOSPC) && !strings.Contains(err.Error(), "no space left") {
			t.Errorf("%d KiB: %v", 4*pages, err)
		}
		for name, digest := range contents(t, dir) {
			if want[name] != digest {
				t.Errorf("%d KiB: %s is there, and is no whole picture", 4*pages, name)
			}
		}
		if err == nil {
			t.Logf("a disk was too small %d times; %d KiB are enough", full, 4*pages)
			if full == 0 {
				t.Error("it was never full")
			}
			if err := mount(syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
				t.Fatal(err)
			}
			if err := run(); err != nil {
				t.Errorf("a run that finds everything, where nothing can be written: %v", err)
			}
			plan = build(t, small(dir, 2))
			if err := run(); !errors.Is(err, syscall.EROFS) {
				t.Errorf("a run that finds nothing, where nothing can be written: %v", err)
			}
			return
		}
		full++
		if err := mount(syscall.MS_REMOUNT, "size=4m"); err != nil {
			t.Fatal(err)
		}
		if err := run(); err != nil {
			t.Errorf("%d KiB, and then more: %v", 4*pages, err)
		}
		if diff := cmp.Diff(want, contents(t, dir)); diff != "" {
			t.Errorf("%d KiB, and then more:\n%s", 4*pages, diff)
		}
		// A new disk: this one's files would be in the way.
		if err := errors.Join(syscall.Unmount(disk, syscall.MNT_DETACH), mount(0, fmt.Sprintf("size=%dk", 4*(pages+1)))); err != nil {
			t.Fatal(err)
		}
	}
}
