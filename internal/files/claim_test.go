package files

import (
	"path/filepath"
	"testing"
)

// A folder is one process's at a time, and anybody's again when that lets go of it.
func TestClaim(t *testing.T) {
	if !locks(t) {
		t.Skip("files can't be locked here: nobody is refused")
	}
	dir := filepath.Join(t.TempDir(), "new")
	free, ok, err := Claim(dir)
	if err != nil || !ok {
		t.Fatalf("a new folder is free: %v, %v", ok, err)
	}
	if _, ok, err := Claim(dir); err != nil || ok {
		t.Fatalf("a folder that is claimed can be claimed: %v, %v", ok, err)
	}
	if err := free(); err != nil {
		t.Fatal(err)
	}
	again, ok, err := Claim(dir)
	if err != nil || !ok {
		t.Fatalf("a folder that was let go of is free: %v, %v", ok, err)
	}
	if err := again(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Claim(filepath.Join(dir, ".lock")); err == nil {
		t.Error("a file can't be claimed as a folder")
	}
}

// locks reports whether this system can lock files.
func locks(t *testing.T) bool {
	t.Helper()
	folder, err := OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	lock, err := folder.Lock("probe", true)
	if err == nil {
		err = lock.Unlock()
	}
	return err == nil
}
