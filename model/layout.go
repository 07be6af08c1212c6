package model

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A Layout is where the parts of a FLUX model lie.
type Layout struct {
	Transformer, Autoencoder, CLIP, T5 string
}

// FindFlux finds the parts of a FLUX model as users have them: path is the
// folder of a FLUX.1 repository (Black Forest Labs' single files or diffusers'
// folders), a folder of single files, or the transformer's own file, beside
// which the other parts lie. Every part that isn't there is named, with the
// names that were looked for.
func FindFlux(path string) (Layout, error) {
	fi, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Layout{}, notThere(path)
	}
	if err != nil {
		return Layout{}, err
	}
	l := Layout{}
	dir := path
	if !fi.IsDir() {
		if err := refusePickle(path); err != nil {
			return l, err
		}
		l.Transformer, dir = path, filepath.Dir(path)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return l, err
	}
	// first is the first of the names that exists; a name may hold * and match
	// one file only.
	var ambiguous error
	first := func(patterns ...string) string {
		for _, p := range patterns {
			var found []string
			for _, e := range entries {
				if ok, _ := filepath.Match(p, strings.ToLower(e.Name())); ok {
					found = append(found, filepath.Join(dir, e.Name()))
				}
			}
			if slices.Sort(found); len(found) > 1 && ambiguous == nil {
				ambiguous = fmt.Errorf("%s and %s are both there, and nothing says which is meant: name the transformer's file itself, or leave one file in the folder", found[0], filepath.Base(found[1]))
			}
			if len(found) > 0 {
				return found[0]
			}
		}
		return ""
	}
	parts := []struct {
		what  string
		at    *string
		names []string
	}{
		{"transformer", &l.Transformer, []string{"flux1-dev.safetensors", "flux1-schnell.safetensors", "flux1-*.safetensors", "transformer"}},
		{"autoencoder", &l.Autoencoder, []string{"ae.safetensors", "vae"}},
		{"CLIP text encoder", &l.CLIP, []string{"text_encoder", "clip_l.safetensors"}},
		{"T5 text encoder", &l.T5, []string{"text_encoder_2", "t5xxl_fp16.safetensors", "t5xxl*.safetensors"}},
	}
	var missing []string
	for _, p := range parts {
		if *p.at == "" {
			*p.at = first(p.names...)
		}
		if *p.at == "" {
			missing = append(missing, fmt.Sprintf("the %s (%s)", p.what, strings.Join(p.names, ", ")))
		}
	}
	if len(missing) > 0 {
		return l, fmt.Errorf("%s lacks %s", dir, strings.Join(missing, ", "))
	}
	return l, ambiguous
}

// notThere is the error of a scene's source that isn't there. The scene's own paths come
// beginning with a dot or a slash; what is left is a repository.
func notThere(path string) error {
	if filepath.IsAbs(path) || strings.HasPrefix(path, ".") || !strings.Contains(path, "/") {
		return fmt.Errorf("there is no %s", path)
	}
	where, err := os.Getwd()
	if err != nil {
		where = "the working directory"
	}
	return fmt.Errorf("%q is a repository, and eligen downloads nothing: it looked for a folder of that name in %s, and there is none. Download the files, and name their folder by a path that begins with ./ or /:\n\n    source = %q",
		path, where, "./"+filepath.Base(path))
}
