//go:build unix

package files

import (
	"errors"
	"os"
	"path/filepath"
	goruntime "runtime"
	"sync"
	"syscall"
	"testing"
)

// What is no file isn't locked, and nothing waits for it.
func TestLockRefuses(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	folder, err := OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	if err := errors.Join(syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600), os.Mkdir(filepath.Join(dir, "folder"), 0o700),
		os.Symlink(filepath.Join(outside, "new"), filepath.Join(dir, "link")),
		os.Symlink(outside, filepath.Join(dir, "away"))); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"pipe", "folder", "link", "away/new"} {
		if lock, err := folder.Lock(name, true); err == nil {
			t.Errorf("%s is locked", name)
			_ = lock.Unlock()
		}
	}
	if names, err := os.ReadDir(outside); err != nil || len(names) > 0 {
		t.Errorf("outside there is now %v, %v", names, err)
	}
}

// A folder that was opened by a relative path is locked where it is, wherever the process
// goes.
func TestLockAfterChdir(t *testing.T) {
	if !locks(t) {
		t.Skip("files can't be locked here")
	}
	dir := t.TempDir()
	t.Chdir(filepath.Dir(dir))
	folder, err := OpenDir(filepath.Base(dir))
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	t.Chdir(t.TempDir())
	lock, err := folder.Lock("leases/a", true)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := folder.Lock("leases/a", true); !errors.Is(err, ErrLocked) {
		t.Errorf("the second time: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "leases", "a")); err != nil {
		t.Error(err)
	}
	if err := lock.Remove(); err != nil {
		t.Error(err)
	}
}

// Holders remove the file that they have locked: still, there is one at a time.
func TestLockIsExclusive(t *testing.T) {
	if !locks(t) {
		t.Skip("files can't be locked here")
	}
	folder, err := OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	var all sync.WaitGroup
	var counting sync.Mutex
	within, most, taken := 0, 0, 0
	count := func(by int) {
		counting.Lock()
		defer counting.Unlock()
		within += by
		most = max(most, within)
	}
	for range 8 {
		all.Go(func() {
			for got := 0; got < 50; {
				lock, err := folder.Lock("leases/a", true)
				if errors.Is(err, ErrLocked) {
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				count(1)
				for range 20 {
					goruntime.Gosched()
				}
				got++
				count(-1)
				if err := lock.Remove(); err != nil {
					t.Error(err)
				}
			}
			counting.Lock()
			taken += 50
			counting.Unlock()
		})
	}
	all.Wait()
	if most != 1 || taken != 400 {
		t.Errorf("%d times taken, by up to %d at once", taken, most)
	}
}
