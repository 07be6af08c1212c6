package comfy

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/eligen/eligen"
)

// Variable names the folders to look for ComfyUI in, in place of the usual ones.
const Variable = "ELIGEN_COMFYUI"

// A Machine is all ComfyUIs of a machine.
type Machine struct {
	env      func(string) (string, bool)
	Installs []*Install // in the order in which they are searched
	Looked   []string   // folders that were looked for
}

// Find looks for ComfyUI where [Variable] says, else where its installers put it. A file
// extra_model_paths.yaml that can't be read is an error.
func Find(env func(string) (string, bool)) (*Machine, error) {
	m := &Machine{env: env}
	said, set := env(Variable)
	if set = set && said != ""; set {
		m.Looked = filepath.SplitList(said)
	} else {
		if home, ok := homeOf(env); ok {
			for _, name := range []string{"ComfyUI", "comfy/ComfyUI", "Documents/ComfyUI"} {
				m.Looked = append(m.Looked, filepath.Join(home, filepath.FromSlash(name)))
			}
		}
		m.Looked = append(m.Looked, filepath.FromSlash("/workspace/ComfyUI"), filepath.FromSlash("/opt/ComfyUI"))
	}
	for _, root := range m.Looked {
		if !isFolder(root) {
			if set {
				return nil, fmt.Errorf("%s names %s, and there is no such folder", Variable, root)
			}
			continue
		}
		in, err := Open(root, env)
		if err != nil {
			return nil, err
		}
		m.Installs = append(m.Installs, in)
	}
	return m, nil
}

// Path returns the path of a part's file by the name that ComfyUI lists it under. The first install that has it
// wins.
func (m *Machine) Path(part, name string) (string, error) {
	if len(m.Installs) == 0 {
		return "", fmt.Errorf("no ComfyUI was found: it is in none of %s. Set %s to its folder", strings.Join(m.Looked, ", "), Variable)
	}
	for _, in := range m.Installs {
		p, err := in.find(part, name)
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return p, err
		}
	}
	return "", m.lacks(part, name)
}

// listed is how many files a message names.
const listed = 8

// lacks returns the error of a name that no install has: with the folders that were searched, and what is in them.
func (m *Machine) lacks(part, name string) error {
	var folders, have []string
	for _, in := range m.Installs {
		folders = append(folders, in.Folders(part)...)
		have = append(have, in.Files(part)...)
	}
	if len(folders) == 0 {
		return fmt.Errorf("ComfyUI in %s has no folder for %q: it would be %s", m.Installs[0].Root, name,
			strings.Join(categories[part], " or "))
	}
	slices.Sort(have)
	have = slices.Compact(have)
	what := "they hold no file of weights"
	if n := len(have); n > listed {
		what = fmt.Sprintf("they hold %s and %d more", strings.Join(have[:listed], ", "), n-listed)
	} else if n > 0 {
		what = "they hold " + strings.Join(have, ", ")
	}
	return fmt.Errorf("ComfyUI's folders have no %q: %s were searched, and %s", name, strings.Join(folders, ", "), what)
}

// Beside returns the folders in which a part of the model at a path lies: those of the install that
// the path lies in, known or by the names of the folders around it; nil where it lies in none.
func (m *Machine) Beside(path, part string) []string {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil
	}
	if m != nil {
		for _, in := range m.Installs {
			if in.holds(abs) {
				return in.Weights(part)
			}
		}
	}
	env := func(string) (string, bool) { return "", false }
	if m != nil {
		env = m.env
	}
	if root := around(abs); root != "" {
		if in, err := Open(root, env); err == nil {
			return in.Weights(part)
		}
	}
	return nil
}

// around returns the folder of models that a path lies in by its folders' names, or "": a folder of
// transformers or checkpoints next to one of autoencoders or text encoders.
func around(path string) string {
	for range deepest {
		dir := filepath.Dir(path)
		if name := filepath.Base(dir); slices.Contains(categories[eligen.PartModel], name) || name == "unet" {
			models := filepath.Dir(dir)
			for _, next := range slices.Concat(usual["vae"], usual["text_encoders"]) {
				if isFolder(filepath.Join(models, next)) {
					return models
				}
			}
		}
		if dir == path {
			break
		}
		path = dir
	}
	return ""
}
