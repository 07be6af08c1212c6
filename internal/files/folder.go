package files

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// A Folder is a folder whose files are read and written by name, relative to it.
// Symbolic links that lead out of it are refused.
type Folder struct {
	root *os.Root
	dir  string
	abs  string // dir, wherever the working directory goes
}

// fault is what SetFault set.
var fault atomic.Pointer[func(operation, name string) error]

// SetFault has fail called before each operation on a Folder, with the operation's name
// and the file's, relative to its folder. An error becomes the operation's. Tests break
// every operation in turn with it; nil ends that.
func SetFault(fail func(operation, name string) error) {
	if fail == nil {
		fault.Store(nil)
		return
	}
	fault.Store(&fail)
}

// OpenDir opens a folder that exists.
func OpenDir(dir string) (Folder, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return Folder{}, err
	}
	root, err := os.OpenRoot(dir)
	return Folder{root: root, dir: dir, abs: abs}, err
}

// Close closes the folder. A zero Folder may be closed.
func (f Folder) Close() error {
	if f.root == nil {
		return nil
	}
	return f.root.Close()
}

// Dir returns the folder's path, as it was given.
func (f Folder) Dir() string { return f.dir }

// FS returns the folder as a file system to walk.
func (f Folder) FS() fs.FS { return f.root.FS() }

func (f Folder) ask(operation, name string) error {
	if fail := fault.Load(); fail != nil {
		return (*fail)(operation, name)
	}
	return nil
}

// Open opens a regular file for reading.
func (f Folder) Open(name string) (*os.File, error) {
	if err := f.ask("read", name); err != nil {
		return nil, err
	}
	return OpenIn(f.root, name)
}

// Read returns the content of a regular file. More than limit bytes are an error.
func (f Folder) Read(name string, limit int64) ([]byte, error) {
	file, err := f.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return ReadAll(file, name, limit)
}

// Stat describes a file and follows links; Lstat doesn't follow the last one.
func (f Folder) Stat(name string) (fs.FileInfo, error) { return f.root.Stat(name) }

// Lstat describes a file, or the link that it is.
func (f Folder) Lstat(name string) (fs.FileInfo, error) { return f.root.Lstat(name) }

// List returns the names in a folder, in no order.
func (f Folder) List(name string) ([]string, error) {
	if err := f.ask("list", name); err != nil {
		return nil, err
	}
	d, err := OpenFolder(f.root, name)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.Readdirnames(-1)
}

// MkdirAll makes a folder and those around it.
func (f Folder) MkdirAll(name string) error {
	if err := f.ask("mkdir", name); err != nil {
		return err
	}
	return f.root.MkdirAll(name, 0o755)
}

// Rename moves a file, and replaces what has the new name.
func (f Folder) Rename(from, to string) error {
	if err := f.ask("rename", to); err != nil {
		return err
	}
	return f.root.Rename(from, to)
}

// Remove removes a file or an empty folder.
func (f Folder) Remove(name string) error {
	if err := f.ask("remove", name); err != nil {
		return err
	}
	return f.root.Remove(name)
}

// Create creates a file that must not exist yet.
func (f Folder) Create(name string) (*os.File, error) {
	if err := f.ask("create", name); err != nil {
		return nil, err
	}
	return f.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
}

// Append opens a file to write after its end, and creates it if it is missing.
func (f Folder) Append(name string) (*os.File, error) {
	if err := f.ask("append", name); err != nil {
		return nil, err
	}
	file, err := f.root.OpenFile(name, os.O_CREATE|os.O_RDWR|os.O_APPEND|nonblock, 0o644)
	return regular(file, name, err)
}

// Symlink creates a symbolic link, which may lead out of the folder. Nothing may have its name yet.
func (f Folder) Symlink(target, name string) error {
	if err := f.ask("symlink", name); err != nil {
		return err
	}
	return f.root.Symlink(target, name)
}

// Sync makes an open file of that name durable.
func (f Folder) Sync(file *os.File, name string) error { return f.sync(file, name) }

// Touch sets a file's time to now.
func (f Folder) Touch(name string) error {
	if err := f.ask("touch", name); err != nil {
		return err
	}
	now := time.Now()
	return f.root.Chtimes(name, now, now)
}

// WriteTo appends data to an open file of that name. An injected failure leaves half of
// the bytes behind, as a full disk does.
func (f Folder) WriteTo(file *os.File, name string, data []byte) error {
	if err := f.ask("write", name); err != nil {
		_, half := file.Write(data[:len(data)/2])
		return errors.Join(err, half)
	}
	_, err := file.Write(data)
	return err
}

func (f Folder) sync(file *os.File, name string) error {
	if err := f.ask("sync", name); err != nil {
		return err
	}
	return file.Sync()
}

// syncDir makes a rename in a folder durable. Windows can't sync folders.
func (f Folder) syncDir(name string) error {
	if err := f.ask("syncdir", name); err != nil {
		return err
	}
	if goruntime.GOOS == "windows" {
		return nil
	}
	d, err := OpenFolder(f.root, name)
	if err != nil {
		return err
	}
	err = d.Sync()
	if errors.Is(err, syscall.EINVAL) { // some network file systems
		err = nil
	}
	return errors.Join(err, d.Close())
}

// TempPrefix begins the names of files that are being written.
const TempPrefix = ".eligen-new-"

// Sweep removes from a folder the half-written files of killed runs. Those of the last
// hour stay, because a run may still be writing them; so a time further ahead than that
// comes from a wrong clock.
func (f Folder) Sweep(dir string) {
	names, _ := f.List(dir) // a folder that can't be listed can't be swept
	for _, name := range names {
		if !strings.HasPrefix(name, TempPrefix) {
			continue
		}
		name = filepath.Join(dir, name)
		if fi, err := f.root.Lstat(name); err == nil && fi.Mode().IsRegular() && time.Since(fi.ModTime()).Abs() > time.Hour {
			_ = f.Remove(name) // the next write tries again
		}
	}
}

// Put writes a file, or replaces it, atomically.
func (f Folder) Put(name string, data []byte) error {
	w := f.NewFile(name)
	defer w.Close()
	if _, err := w.Write(data); err != nil {
		return err
	}
	return w.Commit()
}

// Equal reports whether a file holds the bytes that r gives. Where their number differs
// from size, nothing is read.
func (f Folder) Equal(name string, r io.Reader, size int64) (bool, error) {
	file, err := f.Open(name)
	if err != nil {
		return false, err
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil || info.Size() != size {
		return false, err
	}
	return equal(file, r)
}

// Missing reports whether an error says that a file doesn't exist.
func Missing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
