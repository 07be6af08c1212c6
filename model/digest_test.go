package model

import (
	"os"
	"path/filepath"
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
		d, err := DigestFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	write("one", past)
	if got := digest(); got != eligen.DigestOf([]byte("one")) {
		t.Errorf("digest %s", got)
	}
	// The same length and time: the record can't tell, which shows that it is used.
	write("two", past)
	if got := digest(); got != eligen.DigestOf([]byte("one")) {
		t.Error("the file was hashed again, though nothing says that it changed")
	}
	write("two", past.Add(time.Nanosecond*1000))
	if got := digest(); got != eligen.DigestOf([]byte("two")) {
		t.Error("another time of change was overlooked")
	}
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
