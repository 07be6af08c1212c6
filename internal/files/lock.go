package files

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	goruntime "runtime"

	"github.com/gofrs/flock"
)

// ErrLocked says that another process, or another part of this one, has a lock.
var ErrLocked = errors.New("it is locked")

// A Lock is a file that is locked. The system unlocks it when the process ends, however
// it ends.
type Lock struct {
	folder Folder
	name   string
	lock   *flock.Flock
}

// Lock locks a regular file; create makes it, and its folder, if they are missing. It
// doesn't wait: the error is ErrLocked if another process holds the lock, and
// errors.ErrUnsupported if the system has no locks.
//
// flock opens files by path, which follows links and waits for pipes. So Lock checks the
// file first and again afterwards: the locked file must be the one with the name.
func (f Folder) Lock(name string, create bool) (*Lock, error) {
	if err := f.ask("open", name); err != nil {
		return nil, err
	}
	for {
		info, err := f.root.Lstat(name)
		switch {
		case Missing(err) && create:
			if err := f.MkdirAll(filepath.Dir(name)); err != nil {
				return nil, err
			}
		case err != nil:
			return nil, err
		case !info.Mode().IsRegular():
			return nil, &fs.PathError{Op: "lock", Path: name, Err: ErrNotRegular}
		}
		lock, err := f.lockOnce(name, create)
		if lock != nil || err != nil {
			return lock, err
		}
	}
}

// lockOnce locks a file. It returns nil if the file lost its name meanwhile: its last
// holder has removed it, and others may already have locked a new one.
func (f Folder) lockOnce(name string, create bool) (*Lock, error) {
	flags := os.O_RDONLY | nonblock // flock opens it for writing where that is needed, as on NFS
	if create {
		flags = os.O_RDWR | os.O_CREATE | nonblock
	}
	lock := flock.New(filepath.Join(f.abs, name), flock.SetFlag(flags), flock.SetPermissions(0o644))
	held, err := lock.TryLock()
	var opening *fs.PathError
	if err != nil && !errors.As(err, &opening) { // the file system has no locks
		return nil, fmt.Errorf("%w: %w", errors.ErrUnsupported, err)
	}
	if err != nil {
		return nil, err
	}
	if !held {
		return nil, ErrLocked
	}
	locked, err := lock.Stat()
	if err == nil {
		var named fs.FileInfo
		if named, err = f.root.Lstat(name); err == nil && os.SameFile(locked, named) {
			return &Lock{f, name, lock}, nil
		}
	}
	if err != nil && !Missing(err) {
		return nil, errors.Join(err, lock.Unlock())
	}
	return nil, lock.Unlock()
}

// Unlock lets others have the lock.
func (l *Lock) Unlock() error { return l.lock.Unlock() }

// Remove removes the file, and then unlocks it, so that nobody can lock it in between.
// Where an open file can't be removed, its name stays.
func (l *Lock) Remove() error {
	_ = l.folder.Remove(l.name)
	return l.Unlock()
}

// LocksReadable reports whether others can read a file that is locked. On Windows they
// can't: a lock there is on bytes, and mandatory.
const LocksReadable = goruntime.GOOS != "windows"

// claimName is the file in a folder that is locked by the process that writes there.
const claimName = ".lock"

// Claim takes a folder for this process, until free is called or the process ends; it
// makes the folder where it is missing. ok is false where another process has it. Where
// the system has no locks, every process gets it.
func Claim(dir string) (free func() error, ok bool, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, false, err
	}
	folder, err := OpenDir(dir)
	if err != nil {
		return nil, false, err
	}
	defer folder.Close()
	lock, err := folder.Lock(claimName, true)
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		return func() error { return nil }, true, nil
	case errors.Is(err, ErrLocked):
		return nil, false, nil
	case err != nil:
		return nil, false, err
	}
	return lock.Unlock, true, nil
}
