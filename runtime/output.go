package runtime

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"github.com/eligen/eligen"
)

// outputs writes the files of a plan, below the plan's folder.
type outputs struct {
	files     files
	folder    string // that all are below
	force     bool
	recognise func(io.Reader) bool
}

// openOutputs checks every file of a plan that is there already.
func (r *Runner) openOutputs(p *eligen.Plan) (*outputs, error) {
	o := &outputs{folder: p.Folder, force: r.Force, recognise: r.Recognise}
	if len(p.Outputs) == 0 {
		return o, nil
	}
	var diags eligen.Diagnostics
	if err := os.MkdirAll(o.folder, 0o755); err != nil {
		diags.Errorf(nil, "Folder can't be written", "%v.", err)
		return nil, diags
	}
	f, err := openFiles(o.folder)
	if err != nil {
		diags.Errorf(nil, "Folder can't be written", "%v.", err)
		return nil, diags
	}
	f.fail = r.Store.files.fail
	o.files = f
	for _, out := range p.Outputs {
		source := out.Source
		at := &source
		if source.File == "" {
			at = nil
		}
		err := o.check(out, nil)
		if errors.Is(err, errForeign) {
			// The same picture may be there: then there is nothing to write.
			if a, ok, _ := r.Store.Get(p.Stages[out.Stage].Digest); ok && o.check(out, a.Data) == nil {
				continue
			}
		}
		if err != nil {
			diags.Errorf(at, "File can't be written", "%s", sentence(err))
			continue
		}
		if name, err := o.name(out); err == nil {
			f.sweep(filepath.Dir(name))
		}
	}
	if err := diags.Err(); err != nil {
		o.close()
		return nil, err
	}
	return o, nil
}

func (o *outputs) close() {
	if o.files.root != nil {
		o.files.root.Close()
	}
}

// name is a file's path from the plan's folder.
func (o *outputs) name(out eligen.PlannedOutput) (string, error) {
	name, err := filepath.Rel(o.folder, out.Path)
	if err != nil || !filepath.IsLocal(name) {
		return "", fmt.Errorf("%s is outside the folder %s", out.Path, o.folder)
	}
	return name, nil
}

var errForeign = errors.New("eligen did not write it, or it was changed since. Move it away, choose another path, or replace it with --force")

// check reports why a file must not be written.
func (o *outputs) check(out eligen.PlannedOutput, data []byte) error {
	name, err := o.name(out)
	if err != nil {
		return err
	}
	for dir := filepath.Dir(name); dir != "."; dir = filepath.Dir(dir) {
		fi, err := o.files.root.Stat(dir)
		if missing(err) || errors.Is(err, syscall.ENOTDIR) { // the next round finds the file that is in the way
			continue
		}
		if err != nil {
			return err
		}
		if !fi.IsDir() {
			return fmt.Errorf("%s is needed as a folder, and is a file", filepath.Join(o.folder, dir))
		}
		break
	}
	fi, err := o.files.root.Lstat(name)
	if missing(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if !fi.Mode().IsRegular() {
		return fmt.Errorf("%s is there already, and is no plain file", out.Path)
	}
	if o.force {
		return nil
	}
	ours, err := o.ours(name, data)
	if err != nil {
		return fmt.Errorf("%s is there already, and can't be read: %w", out.Path, err)
	}
	if !ours {
		return fmt.Errorf("%s is there already: %w", out.Path, errForeign)
	}
	return nil
}

// ours reports whether a file holds data, or is one that may be replaced.
func (o *outputs) ours(name string, data []byte) (bool, error) {
	if data != nil {
		if same, err := o.files.holds(name, data); same || err != nil {
			return same, err
		}
	}
	if o.recognise == nil {
		return false, nil
	}
	file, err := o.files.reader(name)
	if err != nil {
		return false, err
	}
	defer file.Close()
	return o.recognise(file), nil
}

// write makes a file, whole or not at all. One that is there already with the same
// content stays as it is.
func (o *outputs) write(out eligen.PlannedOutput, data []byte) error {
	if err := o.check(out, data); err != nil {
		return err
	}
	name, err := o.name(out)
	if err != nil {
		return err
	}
	if same, err := o.files.holds(name, data); err == nil && same {
		return nil
	}
	if err := o.files.put(name, data); err != nil {
		var path *os.PathError
		if errors.As(err, &path) { // the temporary file's name says nothing to anybody
			err = path.Err
		}
		return fmt.Errorf("%s can't be written: %w", out.Path, err)
	}
	return nil
}
