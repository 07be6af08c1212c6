package runtime

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/files"
)

// outputs writes the files of a plan, below the plan's folder.
type outputs struct {
	files     files.Folder
	folder    string // that all are below
	force     bool
	recognise func(io.Reader) bool
}

// openOutputs checks every file of a plan that exists already.
func (r *Runner) openOutputs(ctx context.Context, p *eligen.Plan) (*outputs, error) {
	o := &outputs{folder: p.Folder, force: r.Force, recognise: r.Recognise}
	if len(p.Outputs) == 0 {
		return o, nil
	}
	var diags eligen.Diagnostics
	err := os.MkdirAll(o.folder, 0o755)
	if err == nil {
		o.files, err = files.OpenDir(o.folder)
	}
	if err != nil {
		diags.Errorf(nil, "Folder can't be written", "%v.", err)
		return nil, diags
	}
	folders := map[string]bool{} // a folder is listed once, however many files it gets
	for _, out := range p.Outputs {
		err := o.check(out, nil)
		if errors.Is(err, errForeign) {
			// The file may hold the same picture. Then there is nothing to write.
			key := p.Stages[out.Stage].Digest
			if o.check(out, func() (Reader, error) { return r.Store.Open(ctx, key) }) == nil {
				continue
			}
		}
		if err != nil {
			source := out.Source
			at := &source
			if source.File == "" {
				at = nil
			}
			diags.Errorf(at, "File can't be written", "%s", sentence(err))
			continue
		}
		if name, err := o.name(out); err == nil {
			folders[filepath.Dir(name)] = true
		}
	}
	for dir := range folders {
		o.files.Sweep(dir)
	}
	if err := diags.Err(); err != nil && !r.KeepGoing {
		o.close()
		return nil, err
	}
	return o, nil
}

func (o *outputs) close() { o.files.Close() }

// name returns a file's path from the plan's folder.
func (o *outputs) name(out eligen.PlannedOutput) (string, error) {
	name, err := filepath.Rel(o.folder, out.Path)
	if err != nil || !filepath.IsLocal(name) {
		return "", fmt.Errorf("%s is outside the folder %s", out.Path, o.folder)
	}
	return name, nil
}

var errForeign = errors.New("not written by eligen, or edited since. Move it, choose another path, or pass --force")

// check reports why a file must not be written. open, which may be nil, opens the content
// that it is to hold.
func (o *outputs) check(out eligen.PlannedOutput, open func() (Reader, error)) error {
	name, err := o.name(out)
	if err != nil {
		return err
	}
	if err := o.checkFolders(name); err != nil {
		return err
	}
	fi, err := o.files.Lstat(name)
	if missing(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if !fi.Mode().IsRegular() {
		return fmt.Errorf("%s exists, and is no plain file", out.Path)
	}
	if o.force {
		return nil
	}
	ours, err := o.ours(name, open)
	if err != nil {
		return fmt.Errorf("%s exists, and can't be read: %w", out.Path, err)
	}
	if !ours {
		return fmt.Errorf("%s exists: %w", out.Path, errForeign)
	}
	return nil
}

// checkFolders reports that a file is in the way of a folder.
func (o *outputs) checkFolders(name string) error {
	for dir := filepath.Dir(name); dir != "."; dir = filepath.Dir(dir) {
		fi, err := o.files.Stat(dir)
		if missing(err) || errors.Is(err, syscall.ENOTDIR) { // the next round finds the file that is in the way
			continue
		}
		if err != nil {
			return err
		}
		if !fi.IsDir() {
			return fmt.Errorf("%s is needed as a folder, and is a file", filepath.Join(o.folder, dir))
		}
		return nil
	}
	return nil
}

// ours reports whether a file holds the content, or may be replaced.
func (o *outputs) ours(name string, open func() (Reader, error)) (bool, error) {
	if open != nil {
		if same, err := o.holds(name, open); same || err != nil {
			return same, err
		}
	}
	if o.recognise == nil {
		return false, nil
	}
	file, err := o.files.Open(name)
	if err != nil {
		return false, err
	}
	defer file.Close()
	return o.recognise(file), nil
}

// holds reports whether a file holds the content.
func (o *outputs) holds(name string, open func() (Reader, error)) (bool, error) {
	content, err := open()
	if err != nil {
		return false, err
	}
	defer content.Close()
	return o.files.Equal(name, content, content.Info().Size)
}

// write copies content to a file, atomically. A file that holds it already stays as it
// is.
func (o *outputs) write(out eligen.PlannedOutput, open func() (Reader, error)) error {
	name, err := o.name(out)
	if err != nil {
		return err
	}
	if same, err := o.holds(name, open); same || errors.Is(err, ErrCorrupt) {
		return err
	}
	if err := o.check(out, nil); err != nil {
		return err
	}
	content, err := open()
	if err != nil {
		return err
	}
	defer content.Close()
	file := o.files.NewFile(name)
	defer file.Close()
	if _, err = io.Copy(file, content); err == nil {
		err = file.Commit()
	}
	if err == nil || errors.Is(err, ErrCorrupt) {
		return err
	}
	var path *os.PathError
	if errors.As(err, &path) { // the temporary file's name would tell nobody anything
		err = path.Err
	}
	return fmt.Errorf("%s can't be written: %w", out.Path, err)
}
