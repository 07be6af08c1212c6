package flux

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/eligen/eligen/model/weights"
)

// The names that a FLUX model's parts have, in a repository and in a folder: the first one that is there
// counts. Those without a dot are folders of diffusers.
var (
	transformerNames = []string{"flux1-dev.safetensors", "flux1-schnell.safetensors", "flux1-*.safetensors", "transformer"}
	autoencoderNames = []string{"ae.safetensors", "vae"}
	clipNames        = []string{"text_encoder", "clip_l.safetensors"}
	t5Names          = []string{"text_encoder_2", "t5xxl_fp16.safetensors", "t5xxl*.safetensors"}
)

// Files says where the parts of a FLUX model lie.
type Files struct {
	Transformer, Autoencoder, CLIP, T5 string
}

// settings lists the files next to the weights that say how they are read, where the
// parts are folders: the sizes of each part, and its indexes.
func (l Files) settings() (list []string) {
	for _, part := range []string{l.Transformer, l.Autoencoder, l.CLIP, l.T5} {
		if weights.IsFolder(part) {
			list = append(list, filepath.Join(part, "config.json"))
			for _, base := range []string{"diffusion_pytorch_model", "model"} {
				list = append(list, filepath.Join(part, base+".safetensors.index.json"))
			}
		}
	}
	return list
}

// Find finds the parts of a FLUX model as users have them: path is the
// folder of a FLUX.1 repository (Black Forest Labs' single files or diffusers'
// folders), a folder of single files, or the transformer's own file, beside
// which the other parts lie. Every part that isn't there is named, with the
// names that were looked for.
func Find(path string) (Files, error) {
	fi, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Files{}, weights.NotThere(path)
	}
	if err != nil {
		return Files{}, err
	}
	l := Files{}
	dir := path
	if !fi.IsDir() {
		l.Transformer, dir = path, filepath.Dir(path)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return l, err
	}
	in := folder{dir: dir, entries: entries}
	parts := []struct {
		what  string
		at    *string
		names []string
	}{
		{"transformer", &l.Transformer, transformerNames},
		{"autoencoder", &l.Autoencoder, autoencoderNames},
		{"CLIP text encoder", &l.CLIP, clipNames},
		{"T5 text encoder", &l.T5, t5Names},
	}
	var missing []string
	for _, p := range parts {
		if *p.at == "" {
			*p.at = in.first(p.names...)
		}
		if *p.at == "" {
			missing = append(missing, fmt.Sprintf("the %s (%s)", p.what, strings.Join(p.names, ", ")))
		}
	}
	if len(missing) > 0 {
		return l, fmt.Errorf("%s lacks %s", dir, strings.Join(missing, ", "))
	}
	return l, in.ambiguous
}

// A folder is searched for files by their names.
type folder struct {
	dir       string
	entries   []os.DirEntry
	ambiguous error // the first name that several files match
}

// first returns the first of the names that exists. A name may hold *, and match one file
// only.
func (f *folder) first(patterns ...string) string {
	for _, p := range patterns {
		var found []string
		for _, e := range f.entries {
			if ok, _ := filepath.Match(p, strings.ToLower(e.Name())); ok {
				found = append(found, filepath.Join(f.dir, e.Name()))
			}
		}
		if slices.Sort(found); len(found) > 1 && f.ambiguous == nil {
			f.ambiguous = fmt.Errorf("%s and %s are both there, and nothing says which is meant: "+
				"name the transformer's file itself, or leave one file in the folder", found[0], filepath.Base(found[1]))
		}
		if len(found) > 0 {
			return found[0]
		}
	}
	return ""
}
