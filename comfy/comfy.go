// Package comfy finds weights in the folders of ComfyUI: a folder for each part of a model,
// under the program's own or where its file extra_model_paths.yaml says.
package comfy

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/eligen/eligen"
)

// usual are the folders of each category below a folder of models, in the order in which
// ComfyUI looks into them (its folder_paths.py). The last category is that of extensions which
// bring image prompts to FLUX.1.
var usual = map[string][]string{
	"checkpoints":      {"checkpoints"},
	"diffusion_models": {"unet", "diffusion_models"},
	"text_encoders":    {"text_encoders", "clip"},
	"vae":              {"vae"},
	"loras":            {"loras"},
	"clip_vision":      {"clip_vision"},
	"ipadapter":        {"ipadapter", "ipadapter-flux", "xlabs/ipadapters"},
}

// renamed gives the names of today for the categories of older releases.
var renamed = map[string]string{"unet": "diffusion_models", "clip": "text_encoders"}

// categories are those that a part of a model lies in.
var categories = map[string][]string{
	eligen.PartModel:     {"diffusion_models", "checkpoints"},
	eligen.PartCLIP:      {"text_encoders"},
	eligen.PartT5:        {"text_encoders"},
	eligen.PartText:      {"text_encoders"},
	eligen.PartVAE:       {"vae"},
	eligen.PartLoRA:      {"loras"},
	eligen.PartIPAdapter: {"ipadapter"},
	eligen.PartVision:    {"clip_vision"},
}

// extensions are those of files of weights.
var extensions = []string{".safetensors", ".sft", ".gguf", ".bin", ".pt", ".pth", ".ckpt"}

// deepest bounds how many folders below one of its own ComfyUI's files are looked for.
const deepest = 4

// An Install is one ComfyUI on this machine.
type Install struct {
	Root    string // its folder, or that of its models
	folders map[string][]string
}

// Open reads the folders of the ComfyUI at a path: its own folder, or that of its models. env looks
// up variables that extra_model_paths.yaml may hold.
func Open(root string, env func(string) (string, bool)) (*Install, error) {
	in := &Install{Root: root, folders: map[string][]string{}}
	models := filepath.Join(root, "models")
	if !isFolder(models) {
		models = root
	}
	for category, names := range usual {
		for _, name := range names {
			in.add(category, filepath.Join(models, filepath.FromSlash(name)), false)
		}
	}
	for _, file := range []string{filepath.Join(root, extraName), filepath.Join(models, "..", extraName)} {
		switch err := in.extra(file, env); {
		case err == nil:
			return in, nil
		case !isMissing(err):
			return nil, err
		}
	}
	return in, nil
}

// add adds a folder to a category, first or last, where it isn't there yet.
func (in *Install) add(category, folder string, first bool) {
	if name, old := renamed[category]; old {
		category = name
	}
	list := slices.DeleteFunc(in.folders[category], func(f string) bool { return first && f == folder })
	switch {
	case slices.Contains(list, folder):
	case first:
		list = slices.Insert(list, 0, folder)
	default:
		list = append(list, folder)
	}
	in.folders[category] = list
}

// Folders returns the folders that a part of a model may lie in, those that exist, in ComfyUI's order.
func (in *Install) Folders(part string) (list []string) {
	for _, category := range categories[part] {
		for _, f := range in.folders[category] {
			if isFolder(f) {
				list = append(list, f)
			}
		}
	}
	return list
}

// Weights returns the folders of a part and all folders below them.
func (in *Install) Weights(part string) (list []string) {
	for _, root := range in.Folders(part) {
		list = append(list, root)
		below(root, "", 0, func(name string, d fs.DirEntry) {
			if d.IsDir() {
				list = append(list, filepath.Join(root, name))
			}
		})
	}
	return list
}

// Files returns the files of weights that ComfyUI lists for a part, by their names there: paths with
// slashes from one of its folders.
func (in *Install) Files(part string) []string {
	var list []string
	for _, f := range in.files(part) {
		list = append(list, f.name)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

type file struct{ name, path string }

func (in *Install) files(part string) (list []file) {
	for _, root := range in.Folders(part) {
		below(root, "", 0, func(name string, d fs.DirEntry) {
			if !d.IsDir() && slices.Contains(extensions, strings.ToLower(filepath.Ext(name))) {
				list = append(list, file{filepath.ToSlash(name), filepath.Join(root, name)})
			}
		})
	}
	return list
}

// below calls visit for all that lies below a folder, in the order of names. Links are followed, as
// ComfyUI does, and only so deep that none goes round.
func below(root, dir string, depth int, visit func(name string, d fs.DirEntry)) {
	entries, err := os.ReadDir(filepath.Join(root, dir))
	if err != nil {
		return
	}
	for _, e := range entries {
		name := filepath.Join(dir, e.Name())
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		if e.Type()&fs.ModeSymlink != 0 {
			fi, err := os.Stat(filepath.Join(root, name))
			if err != nil {
				continue
			}
			e = fs.FileInfoToDirEntry(fi)
		}
		visit(name, e)
		if e.IsDir() && depth < deepest {
			below(root, name, depth+1, visit)
		}
	}
}

// find returns the path of a part's file by the name that ComfyUI lists it under: the first of its folders that has
// it; or, where none has, the only file of that name in a folder below them.
func (in *Install) find(part, name string) (string, error) {
	var deeper []file
	for _, f := range in.files(part) {
		if f.name == name {
			return f.path, nil
		}
		if path.Base(f.name) == name {
			deeper = append(deeper, f)
		}
	}
	switch len(deeper) {
	case 0:
		return "", fs.ErrNotExist
	case 1:
		return deeper[0].path, nil
	}
	var names []string
	for _, f := range deeper {
		names = append(names, fmt.Sprintf("%s%s", eligen.ComfyUI, f.name))
	}
	return "", fmt.Errorf("ComfyUI's folders in %s hold %d files %s. Name one by its folder, too: %s", in.Root, len(deeper), name,
		strings.Join(names, " or "))
}

// holds reports whether a path lies in one of ComfyUI's folders.
func (in *Install) holds(file string) bool {
	for _, list := range in.folders {
		for _, f := range list {
			if rel, err := filepath.Rel(f, file); err == nil && filepath.IsLocal(rel) {
				return true
			}
		}
	}
	return false
}

func isFolder(path string) bool {
	fi, err := os.Stat(path)
	return err == nil && fi.IsDir()
}
