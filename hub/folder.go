package hub

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/eligen/eligen/internal/files"
)

// notesOf returns where huggingface_hub notes what it has put into a folder: for each
// file its commit, its digest and the time.
func notesOf(folder, name string) string {
	return filepath.Join(folder, ".cache", "huggingface", "download", filepath.FromSlash(name)+".metadata")
}

// replaceable returns an error where a file of the name is in the folder that nobody has fetched, or that
// was changed since.
func (d *puller) replaceable(f File) error {
	if d.asked.To == "" {
		return nil
	}
	at := filepath.Join(d.folder, filepath.FromSlash(f.Name))
	fi, err := os.Lstat(at)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if data, err := files.Read(notesOf(d.folder, f.Name), 1<<12); err == nil && fi.Mode().IsRegular() {
		lines := strings.Split(string(bytes.TrimSpace(data)), "\n")
		if len(lines) == 3 {
			when, err := strconv.ParseFloat(strings.TrimSpace(lines[2]), 64)
			if err == nil && float64(fi.ModTime().UnixNano())/1e9 <= when+1 {
				return nil
			}
		}
	}
	return fmt.Errorf("%s is another file than that of %s, and none that was fetched. Move it, or choose another folder",
		at, d.asked.Info.Repo)
}

// describe notes what was put into the folder.
func (d *puller) describe(f File) error {
	now := float64(time.Now().UnixNano()) / 1e9
	text := fmt.Sprintf("%s\n%s\n%f\n", d.asked.Info.Commit, f.digest(), now)
	at := notesOf(d.folder, f.Name)
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		return err
	}
	return files.WriteBytes(at, []byte(text))
}
