package runtime

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"syscall"
	"time"

	regular "github.com/eligen/eligen/internal/files"
)

// files are the file operations of this package, all below one folder: symbolic
// links that lead out of it are refused. Names are relative to the folder.
type files struct {
	root *os.Root
	// fail, where it is set, is asked before each operation, and what it returns is
	// the operation's error. Tests break every operation in turn.
	fail func(operation, name string) error
}

func openFiles(dir string) (files, error) {
	root, err := os.OpenRoot(dir)
	return files{root: root}, err
}

func (f files) ask(operation, name string) error {
	if f.fail == nil {
		return nil
	}
	return f.fail(operation, name)
}

// read is the content of a regular file; more than limit bytes are an error.
func (f files) read(name string, limit int64) ([]byte, error) {
	file, err := f.reader(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return regular.ReadAll(file, name, limit)
}

// reader opens a regular file.
func (f files) reader(name string) (*os.File, error) {
	if err := f.ask("read", name); err != nil {
		return nil, err
	}
	return regular.OpenIn(f.root, name)
}

// holds reports whether a file's content is data.
func (f files) holds(name string, data []byte) (bool, error) {
	file, err := f.reader(name)
	if err != nil {
		return false, err
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil || info.Size() != int64(len(data)) {
		return false, err
	}
	buf := make([]byte, 1<<16)
	for {
		n, err := file.Read(buf)
		if n > len(data) || !bytes.Equal(buf[:n], data[:n]) {
			return false, nil
		}
		data = data[n:]
		if errors.Is(err, io.EOF) {
			return len(data) == 0, nil
		}
		if err != nil {
			return false, err
		}
	}
}

// list is the names in a folder.
func (f files) list(name string) ([]string, error) {
	if err := f.ask("list", name); err != nil {
		return nil, err
	}
	d, err := regular.OpenFolder(f.root, name)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.Readdirnames(-1)
}

func (f files) mkdirAll(name string) error {
	if err := f.ask("mkdir", name); err != nil {
		return err
	}
	return f.root.MkdirAll(name, 0o755)
}

func (f files) rename(from, to string) error {
	if err := f.ask("rename", to); err != nil {
		return err
	}
	return f.root.Rename(from, to)
}

func (f files) remove(name string) error {
	if err := f.ask("remove", name); err != nil {
		return err
	}
	return f.root.Remove(name)
}

// create makes a file that must not be there yet.
func (f files) create(name string) (*os.File, error) {
	if err := f.ask("create", name); err != nil {
		return nil, err
	}
	return f.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
}

// open opens a file to be locked, and makes it and its folder where they are missing.
func (f files) open(name string) (*os.File, error) {
	if err := f.ask("open", name); err != nil {
		return nil, err
	}
	file, err := regular.OpenToLock(f.root, name)
	if missing(err) {
		if err = f.mkdirAll(filepath.Dir(name)); err == nil {
			file, err = regular.OpenToLock(f.root, name)
		}
	}
	return file, err
}

// touch sets a file's time to now.
func (f files) touch(name string) error {
	if err := f.ask("touch", name); err != nil {
		return err
	}
	now := time.Now()
	return f.root.Chtimes(name, now, now)
}

// write appends to an open file. An injected failure leaves half of the bytes
// behind, as a full disk does.
func (f files) write(file *os.File, name string, data []byte) error {
	if err := f.ask("write", name); err != nil {
		_, half := file.Write(data[:len(data)/2])
		return errors.Join(err, half)
	}
	_, err := file.Write(data)
	return err
}

func (f files) sync(file *os.File, name string) error {
	if err := f.ask("sync", name); err != nil {
		return err
	}
	return file.Sync()
}

// syncDir makes a rename in a folder durable. Windows can't sync folders.
func (f files) syncDir(name string) error {
	if err := f.ask("syncdir", name); err != nil {
		return err
	}
	if goruntime.GOOS == "windows" {
		return nil
	}
	d, err := regular.OpenFolder(f.root, name)
	if err != nil {
		return err
	}
	err = d.Sync()
	if errors.Is(err, syscall.EINVAL) { // some network file systems
		err = nil
	}
	return errors.Join(err, d.Close())
}

// tempPrefix begins the names of files that are being written.
const tempPrefix = ".eligen-new-"

// sweep removes from a folder what runs that were killed while they wrote have left
// behind. An hour is longer than any file takes to be written, and a time that lies
// further ahead is none that a run has set.
func (f files) sweep(dir string) {
	names, _ := f.list(dir) // what can't be listed can't be swept
	for _, name := range names {
		if !strings.HasPrefix(name, tempPrefix) {
			continue
		}
		name = filepath.Join(dir, name)
		if fi, err := f.root.Lstat(name); err == nil && fi.Mode().IsRegular() && time.Since(fi.ModTime()).Abs() > time.Hour {
			_ = f.remove(name) // the next write tries again
		}
	}
}

// put makes a file of some bytes, or replaces it: all of it or, with an error, none.
func (f files) put(name string, data []byte) error {
	return f.putFrom(name, data, nil, nil)
}

// putFrom is put of some bytes and what a reader gives after them. check, where it is
// set, is asked before the file appears.
func (f files) putFrom(name string, data []byte, more io.Reader, check func() error) error {
	dir := filepath.Dir(name)
	if err := f.mkdirAll(dir); err != nil {
		return err
	}
	temp := filepath.Join(dir, fmt.Sprintf("%s%08x%08x", tempPrefix, rand.Uint32(), rand.Uint32()))
	file, err := f.create(temp)
	if err != nil {
		return err
	}
	err = f.write(file, temp, data)
	if err == nil && more != nil {
		_, err = io.Copy(file, more)
	}
	if err == nil && check != nil {
		err = check()
	}
	if err == nil {
		err = f.sync(file, temp)
	}
	err = errors.Join(err, file.Close())
	if err == nil {
		err = f.rename(temp, name)
	}
	if err != nil {
		_ = f.remove(temp) // what went wrong first is what is told
		return err
	}
	return f.syncDir(dir)
}

func missing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
