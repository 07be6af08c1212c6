package comfy

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/eligen/eligen/internal/files"
)

// extraName is the file in ComfyUI's folder that names more folders.
const extraName = "extra_model_paths.yaml"

// maxExtra bounds that file, in bytes.
const maxExtra = 1 << 20

// extra adds the folders of a file extra_model_paths.yaml, as ComfyUI's utils/extra_config.py
// reads it: under a name of one's own, base_path, is_default, and categories with one folder a line.
func (in *Install) extra(path string, env func(string) (string, bool)) error {
	data, err := files.Read(path, maxExtra)
	if err != nil {
		return err
	}
	var doc map[string]yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return fmt.Errorf("%s can't be read: %w", path, err)
	}
	for _, name := range sortedKeys(doc, func(n yaml.Node) int { return n.Line }) {
		node := doc[name]
		if node.Kind == yaml.ScalarNode && node.Tag == "!!null" {
			continue
		}
		var section map[string]yaml.Node
		if err := node.Decode(&section); err != nil {
			return fmt.Errorf("%s:%d: %q must hold folders by category, such as vae: models/vae", path, node.Line, name)
		}
		if err := in.section(path, section, env); err != nil {
			return err
		}
	}
	return nil
}

// section adds the folders of one program.
func (in *Install) section(path string, section map[string]yaml.Node, env func(string) (string, bool)) error {
	text := func(name string) (string, error) {
		node := section[name]
		if node.Kind == 0 || node.Tag == "!!null" {
			return "", nil
		}
		if node.Kind != yaml.ScalarNode {
			return "", fmt.Errorf("%s:%d: %q must be a text, with one folder a line", path, node.Line, name)
		}
		return node.Value, nil
	}
	base, err := text("base_path")
	if err != nil {
		return err
	}
	if base = expand(base, env); base != "" && !filepath.IsAbs(base) {
		base = filepath.Join(filepath.Dir(path), base)
	}
	first := false
	if node, ok := section["is_default"]; ok {
		if err := node.Decode(&first); err != nil {
			return fmt.Errorf("%s:%d: \"is_default\" must be true or false", path, node.Line)
		}
	}
	for _, category := range sortedKeys(section, func(n yaml.Node) int { return n.Line }) {
		if category == "base_path" || category == "is_default" {
			continue
		}
		lines, err := text(category)
		if err != nil {
			return err
		}
		for line := range strings.Lines(lines) {
			folder := strings.TrimSpace(line)
			if folder == "" {
				continue
			}
			switch folder = filepath.FromSlash(folder); {
			case base != "" && !filepath.IsAbs(folder):
				folder = filepath.Join(base, folder)
			case !filepath.IsAbs(folder):
				folder = filepath.Join(filepath.Dir(path), folder)
			}
			in.add(category, filepath.Clean(folder), first)
		}
	}
	return nil
}

// expand puts in the home folder for ~ at the beginning, and variables for $NAME and ${NAME}; one that
// isn't set stays, as in Python's expandvars.
func expand(path string, env func(string) (string, bool)) string {
	if home, ok := homeOf(env); ok && (path == "~" || strings.HasPrefix(path, "~/")) {
		path = filepath.Join(home, path[1:])
	}
	return os.Expand(path, func(name string) string {
		if v, ok := env(name); ok {
			return v
		}
		return "$" + name
	})
}

// homeOf returns the user's folder.
func homeOf(env func(string) (string, bool)) (string, bool) {
	for _, name := range []string{"HOME", "USERPROFILE"} {
		if home, ok := env(name); ok && home != "" {
			return home, true
		}
	}
	return "", false
}

func isMissing(err error) bool { return errors.Is(err, fs.ErrNotExist) }

// sortedKeys returns a map's keys in the order in which they stand in the file.
func sortedKeys(m map[string]yaml.Node, line func(yaml.Node) int) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b string) int {
		if d := line(m[a]) - line(m[b]); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	return keys
}
