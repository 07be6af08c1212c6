package detect

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/eligen/eligen/internal/files"
	"github.com/eligen/eligen/model/weights"
)

// kontext returns an error for a transformer of FLUX.1 Kontext [dev]: its tensors are those of FLUX.1 [dev],
// so that the file's metadata, its repository's model_index.json and its name must tell.
func kontext(c *weights.Checkpoint) error {
	by := ""
	for key, value := range c.Metadata {
		if (strings.HasPrefix(key, "modelspec.") || strings.HasPrefix(key, "general.")) && isKontext(value) {
			by = fmt.Sprintf("its metadata (%s)", key)
		}
	}
	path := c.Path
	if i := strings.LastIndex(path, " ("); i > 0 && strings.HasSuffix(path, ")") {
		path = path[:i] // of one file with several networks
	}
	if weights.IsFolder(path) {
		var index struct {
			Class string `json:"_class_name"`
		}
		data, err := files.Read(filepath.Join(filepath.Dir(path), "model_index.json"), 1<<20)
		if err == nil && json.Unmarshal(data, &index) == nil && isKontext(index.Class) {
			by = "the repository's model_index.json"
		}
	}
	if by == "" && (isKontext(filepath.Base(path)) || isKontext(repositoryOf(path))) {
		by = "its name"
	}
	if by == "" {
		return nil
	}
	return fmt.Errorf("%s is FLUX.1 Kontext [dev], by %s: a model that edits a picture which eligen can't give it. eligen runs FLUX.1 [dev] "+
		"and [schnell]", c.Path, by)
}

func isKontext(s string) bool { return strings.Contains(strings.ToLower(s), "kontext") }

// repositoryOf returns the name of the repository in whose folder of a hub's cache a path lies, or "".
func repositoryOf(path string) string {
	before, _, cached := strings.Cut(filepath.ToSlash(path), "/snapshots/")
	if !cached {
		return ""
	}
	return before[strings.LastIndex(before, "/")+1:]
}
