package cache

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/eligen/eligen"
)

// A file is hashed again when its size, time or inode says that it may have
// changed, and only then.
func TestDigestFile(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("ELIGEN_CACHE_DIR", filepath.Join(dir, "cache"))
	path := filepath.Join(dir, "weights")
	past := time.Now().Add(-time.Hour)
	write := func(content string, at time.Time) {
		t.Helper()
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	digest := func() eligen.Digest {
		t.Helper()
		d, err := Digest(path)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	// keep has a file's digest kept: the record is as if the file had settled long ago.
	keep := func() {
		t.Helper()
		fi, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		r := recordOf(fi)
		r.Digest = eligen.DigestOf([]byte("kept"))
		data, err := json.Marshal(map[string]digestRecord{path: r})
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(os.MkdirAll(filepath.Dir(recordFile()), 0o755), os.WriteFile(recordFile(), data, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	write("one", past)
	if got := digest(); got != eligen.DigestOf([]byte("one")) {
		t.Errorf("digest %s", got)
	}
	keep()
	if got := digest(); got != eligen.DigestOf([]byte("kept")) {
		t.Error("the file was hashed again, though nothing says that it changed")
	}
	write("two", past.Add(time.Nanosecond*1000))
	if got := digest(); got != eligen.DigestOf([]byte("two")) {
		t.Error("another time of change was overlooked")
	}
	keep()
	write("three", past)
	if got := digest(); got != eligen.DigestOf([]byte("three")) {
		t.Error("another size was overlooked")
	}
	if err := os.WriteFile(recordFile(), []byte("damaged"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := digest(); got != eligen.DigestOf([]byte("three")) {
		t.Error("a damaged record gave another digest")
	}
	// A file that changed just now may change again within the same tick.
	write("four!", time.Now())
	digest()
	data, err := os.ReadFile(recordFile())
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(data), string(eligen.DigestOf([]byte("four!")))) {
		t.Error("the digest of a file that had just changed was kept")
	}
}

// Whoever changes a file's content and sets its time back, by touch, rsync or an
// archive, does not fool the record: neither in place nor by another file of that name.
func TestDigestFileSetBack(t *testing.T) {
	switch runtime.GOOS {
	case "linux", "darwin":
	default:
		t.Skip("this system says nothing that can't be set")
	}
	dir := t.TempDir()
	t.Setenv("ELIGEN_CACHE_DIR", filepath.Join(dir, "cache"))
	path := filepath.Join(dir, "weights")
	past := time.Now().Add(-time.Hour)
	write := func(content string) digestRecord {
		t.Helper()
		if err := errors.Join(os.WriteFile(path, []byte(content), 0o644), os.Chtimes(path, past, past)); err != nil {
			t.Fatal(err)
		}
		fi, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return recordOf(fi)
	}
	for what, change := range map[string]func() digestRecord{
		"written in place": func() digestRecord { return write("two") },
		"another file in its place": func() digestRecord {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			return write("two")
		},
	} {
		known := write("one")
		known.Digest = eligen.DigestOf([]byte("one"))
		data, err := json.Marshal(map[string]digestRecord{path: known})
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(os.MkdirAll(filepath.Dir(recordFile()), 0o755), os.WriteFile(recordFile(), data, 0o644)); err != nil {
			t.Fatal(err)
		}
		if got, err := Digest(path); err != nil || got != known.Digest {
			t.Fatalf("%s: before, it has %s, %v", what, got, err)
		}
		for change().CTime == known.CTime { // within one tick of the file system's clock
		}
		if got, err := Digest(path); err != nil || got != eligen.DigestOf([]byte("two")) {
			t.Errorf("%s: %s, %v", what, got, err)
		}
	}
}
