package studio

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/eligen/eligen/internal/files"
)

// A document is the text of a scene's file. The file is the truth: each change is written at once, and
// what others write is taken over.
type document struct {
	path     string
	readOnly string // why the file can't be written; "" if it can

	mu      sync.Mutex
	text    []byte
	stamp   string // of the file as it was read; "" where it was written since
	undo    []step // the latest last
	redo    []step
	gone    bool   // the file is not there
	outside string // what the last change from outside was, for the page; "" after one of the page's own
}

// A step is a text of before a change, or of behind it.
type step struct {
	name string // what the change was: "move entity.duck"
	text []byte
	at   time.Time
}

// Limits of a document.
const (
	maxText  = 1 << 20 // bytes
	maxSteps = 500
	joining  = time.Second // changes of one name within it are one step
)

// errOutdated says that a text was changed by somebody else since the change was made.
var errOutdated = errors.New("the file was changed meanwhile")

func openDocument(path string) (*document, error) {
	d := &document{path: path}
	text, stamp, err := d.read()
	if err != nil {
		return nil, err
	}
	d.text, d.stamp, d.readOnly = text, stamp, unwritable(path)
	return d, nil
}

// unwritable returns why a file can't be replaced, or "".
func unwritable(path string) string {
	if f, err := os.OpenFile(path, os.O_WRONLY, 0); err != nil {
		return "This file can't be written."
	} else {
		_ = f.Close()
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".eligen-*")
	if err != nil {
		return "This folder can't be written."
	}
	_ = f.Close()
	_ = os.Remove(f.Name())
	return ""
}

// read reads the file.
func (d *document) read() ([]byte, string, error) {
	info, err := os.Stat(d.path)
	if err != nil {
		return nil, "", err
	}
	text, err := files.Read(d.path, maxText)
	return text, stampOf(info), err
}

func stampOf(info fs.FileInfo) string {
	return fmt.Sprint(info.Size(), info.ModTime().UnixNano())
}

// versionOf names a text.
func versionOf(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}

// A view is what the page must know of a document.
type view struct {
	text       []byte
	undo, redo string // names of the changes; "" is none
	outside    string
	gone       bool
}

func (d *document) view() view {
	d.mu.Lock()
	defer d.mu.Unlock()
	v := view{text: d.text, outside: d.outside, gone: d.gone}
	if n := len(d.undo); n > 0 {
		v.undo = d.undo[n-1].name
	}
	if n := len(d.redo); n > 0 {
		v.redo = d.redo[n-1].name
	}
	return v
}

// follow takes over what others have written, and reports whether there was something.
func (d *document) follow() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.absorb()
}

func (d *document) absorb() bool {
	info, err := os.Stat(d.path)
	if err != nil {
		was := d.gone
		d.gone = errors.Is(err, fs.ErrNotExist)
		return d.gone != was
	}
	if stampOf(info) == d.stamp && !d.gone {
		return false
	}
	text, stamp, err := d.read()
	if err != nil {
		return false // it is being written
	}
	back := d.gone
	d.stamp, d.gone = stamp, false
	if bytes.Equal(text, d.text) {
		return back
	}
	n := changedLines(d.text, text)
	d.outside = fmt.Sprintf("Followed a change on disk: %d lines.", n)
	if n == 1 {
		d.outside = "Followed a change on disk: 1 line."
	}
	d.push("edit on disk", text)
	return true
}

// changedLines counts the lines between the first and the last that differ.
func changedLines(a, b []byte) int {
	x, y := bytes.Split(a, []byte("\n")), bytes.Split(b, []byte("\n"))
	for len(x) > 0 && len(y) > 0 && bytes.Equal(x[0], y[0]) {
		x, y = x[1:], y[1:]
	}
	for len(x) > 0 && len(y) > 0 && bytes.Equal(x[len(x)-1], y[len(y)-1]) {
		x, y = x[:len(x)-1], y[:len(y)-1]
	}
	return max(len(x), len(y))
}

// push makes a text the document's, and keeps the one of before for undo.
func (d *document) push(name string, text []byte) {
	now := time.Now()
	n := len(d.undo)
	if n > 0 && d.undo[n-1].name == name && now.Sub(d.undo[n-1].at) < joining && name != "edit on disk" {
		d.undo[n-1].at = now
	} else {
		d.undo = append(d.undo, step{name, d.text, now})
	}
	if len(d.undo) > maxSteps {
		d.undo = slices.Delete(d.undo, 0, 1)
	}
	d.redo = nil
	d.text = text
}

// change makes a change of the text, and writes the file. base is the version that the change was made
// for, or "" where it suits any. What others have written meanwhile is there first.
func (d *document) change(name, base string, do func(text []byte) ([]byte, error)) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.readOnly != "" {
		return errors.New(d.readOnly)
	}
	d.absorb()
	var text []byte
	for {
		if base != "" && base != versionOf(d.text) {
			return errOutdated
		}
		var err error
		if text, err = do(d.text); err != nil {
			return err
		}
		if len(text) > maxText {
			return fmt.Errorf("a scene has at most %d bytes", maxText)
		}
		if !d.absorb() { // else somebody wrote meanwhile: the change is made to that
			break
		}
	}
	if bytes.Equal(text, d.text) {
		return nil
	}
	if err := d.write(text); err != nil {
		return err
	}
	d.push(name, text)
	return nil
}

// write replaces the file, whole or not at all.
func (d *document) write(text []byte) error {
	if err := files.WriteBytes(d.path, text); err != nil {
		return err
	}
	// What stands there now may be somebody else's already: it is read before it counts as known.
	d.stamp, d.gone, d.outside = "", false, ""
	return nil
}

// back undoes the last change, or with again makes it anew.
func (d *document) back(again bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.readOnly != "" {
		return errors.New(d.readOnly)
	}
	d.absorb()
	from, to := &d.undo, &d.redo
	if again {
		from, to = to, from
	}
	n := len(*from)
	if n == 0 {
		return nil
	}
	s := (*from)[n-1]
	if err := d.write(s.text); err != nil {
		return err
	}
	*from = (*from)[:n-1]
	*to = append(*to, step{name: s.name, text: d.text})
	d.text = s.text
	return nil
}
