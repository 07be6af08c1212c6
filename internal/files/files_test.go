//go:build unix

package files

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// What is no file isn't opened, and nothing waits: a pipe without a writer would for
// ever.
func TestOpen(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := errors.Join(os.WriteFile(at("file"), []byte("text"), 0o600), syscall.Mkfifo(at("pipe"), 0o600), os.Mkdir(at("folder"), 0o700),
		os.Symlink("file", at("link")), os.Symlink("pipe", at("link to a pipe"))); err != nil {
		t.Fatal(err)
	}
	socket, err := net.Listen("unix", at("socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for name, want := range map[string]bool{"file": true, "link": true, "pipe": false, "link to a pipe": false, "folder": false,
		"socket": false} {
		for way, open := range map[string]func() (*os.File, error){
			"Open":   func() (*os.File, error) { return Open(at(name)) },
			"OpenIn": func() (*os.File, error) { return OpenIn(root, name) },
		} {
			f, err := open()
			if err == nil {
				f.Close()
			}
			if (err == nil) != want || !want && !errors.Is(err, ErrNotRegular) {
				t.Errorf("%s(%s): %v", way, name, err)
			}
		}
		f, err := OpenFolder(root, name)
		if err == nil {
			f.Close()
		}
		if (err == nil) != (name == "folder") {
			t.Errorf("OpenFolder(%s): %v", name, err)
		}
	}
	if data, err := Read(at("file"), 4); err != nil || string(data) != "text" {
		t.Errorf("Read: %q, %v", data, err)
	}
	if _, err := Read(at("file"), 3); err == nil {
		t.Error("a file beyond the limit is read")
	}
}
