package runtime_test

import (
	"path/filepath"
	"testing"

	"github.com/eligen/eligen/runtime"
)

// A folder is one process's at a time, and anybody's again when that lets go of it.
func TestClaim(t *testing.T) {
	if !runtime.Locks(t.TempDir()) {
		t.Skip("files can't be locked here: nobody is refused")
	}
	dir := filepath.Join(t.TempDir(), "new")
	free, ok, err := runtime.Claim(dir)
	if err != nil || !ok {
		t.Fatalf("a new folder is free: %v, %v", ok, err)
	}
	if _, ok, err := runtime.Claim(dir); err != nil || ok {
		t.Fatalf("a folder that is claimed can be claimed: %v, %v", ok, err)
	}
	if err := free(); err != nil {
		t.Fatal(err)
	}
	again, ok, err := runtime.Claim(dir)
	if err != nil || !ok {
		t.Fatalf("a folder that was let go of is free: %v, %v", ok, err)
	}
	if err := again(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := runtime.Claim(filepath.Join(dir, ".lock")); err == nil {
		t.Error("a file can't be claimed as a folder")
	}
}
