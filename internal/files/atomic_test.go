package files

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// A file is written whole, with the mode that it had, or not at all; and nothing else is
// left in its folder.
func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	holds := func(want []byte, mode os.FileMode) {
		t.Helper()
		data, err := os.ReadFile(path)
		info, statErr := os.Stat(path)
		if err != nil || statErr != nil || !bytes.Equal(data, want) || info.Mode().Perm() != mode {
			t.Errorf("%d bytes, %v; want %d", len(data), errors.Join(err, statErr), len(want))
		}
		if names, err := os.ReadDir(dir); err != nil || len(names) != 1 {
			t.Errorf("the folder holds %v, %v", names, err)
		}
	}
	if err := WriteBytes(path, []byte("small")); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	holds([]byte("small"), info.Mode().Perm())
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	large := bytes.Repeat([]byte("large"), 100_000)
	if err := WriteFile(path, func(w io.Writer) error {
		for part := range bytes.SplitSeq(large, []byte("g")) {
			if _, err := w.Write(part); err != nil {
				return err
			}
		}
		_, err := w.Write(large)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	want := append(bytes.ReplaceAll(large, []byte("g"), nil), large...)
	holds(want, 0o600)
	broken := errors.New("out of ideas")
	if err := WriteFile(path, func(w io.Writer) error {
		_, err := w.Write(large)
		return errors.Join(err, broken)
	}); !errors.Is(err, broken) {
		t.Errorf("a fill that fails: %v", err)
	}
	holds(want, 0o600)
	if err := WriteBytes(filepath.Join(dir, "none", "file"), nil); !Missing(err) {
		t.Errorf("in a folder that doesn't exist: %v", err)
	}
}

// The first bytes can be put right at the end, wherever they are by then.
func TestOverwrite(t *testing.T) {
	folder, err := OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	for _, n := range []int{10, held, 3 * held} {
		w := folder.NewFile("sub/file")
		content := bytes.Repeat([]byte("x"), n)
		if _, err := w.Write([]byte("????")); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(content); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(w.Overwrite([]byte("head")), w.Commit(), w.Close()); err != nil {
			t.Fatal(err)
		}
		want := append([]byte("head"), content...)
		if got, err := folder.Read("sub/file", 1<<30); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes: %d bytes, %v", n, len(got), err)
		}
		if same, err := folder.Equal("sub/file", bytes.NewReader(want), int64(len(want))); !same || err != nil {
			t.Errorf("%d bytes: not equal to themselves: %v", n, err)
		}
		want[len(want)-1] ^= 1
		if same, err := folder.Equal("sub/file", bytes.NewReader(want), int64(len(want))); same || err != nil {
			t.Errorf("%d bytes: equal to others: %v", n, err)
		}
		if err := w.Commit(); err == nil {
			t.Error("a file is committed twice")
		}
	}
}
