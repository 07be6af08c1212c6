package weights

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/eligen/eligen/internal/files"
	"github.com/eligen/eligen/model/torch"
)

// IsFolder reports whether a path is a folder.
func IsFolder(path string) bool {
	fi, err := os.Stat(filepath.Clean(path))
	return err == nil && fi.IsDir()
}

// NotThere returns the error of a path that doesn't exist.
func NotThere(path string) error { return fmt.Errorf("there is no %s", path) }

// checkpointFiles finds the files of weights of a path, and the index where
// there is one.
func checkpointFiles(path string) (paths []string, index map[string]string, err error) {
	fi, err := os.Stat(path)
	if err != nil {
		return nil, nil, err
	}
	if fi.IsDir() {
		return folderFiles(path)
	}
	if base := filepath.Base(path); strings.HasSuffix(base, ".json") && strings.Contains(base, ".index.") {
		return shards(path)
	}
	return []string{path}, nil, nil
}

// indexes are the names of indexes, those of half-precision variants after those of the usual files,
// next to which repositories may hold them.
var indexes = []string{"*.safetensors.index.json", "*.safetensors.index.*.json", "*.bin.index.json", "*.bin.index.*.json"}

// usual are the names that libraries give a model's single file, and singles those of any other, by format.
var (
	usual   = []string{"diffusion_pytorch_model.safetensors", "model.safetensors"}
	formats = []string{"safetensors", "GGUF", "PyTorch"}
	singles = [][]string{{"*.safetensors", "*.sft"}, {"*.gguf"}, {"*.bin", "*.pt", "*.pth", "*.ckpt"}}
)

// IsWeightFile reports whether a file is called as files of weights are.
func IsWeightFile(name string) bool {
	return slices.ContainsFunc(singles, func(patterns []string) bool {
		return slices.ContainsFunc(patterns, func(p string) bool {
			ok, err := filepath.Match(p, strings.ToLower(name))
			return ok && err == nil
		})
	})
}

// folderFiles finds the files of weights of a folder, and the index where there is one.
func folderFiles(dir string) (paths []string, index map[string]string, err error) {
	var broken error // of an index whose shards aren't there; another variant may be whole
	for _, pattern := range indexes {
		found, err := filepath.Glob(filepath.Join(globEscape(dir), pattern))
		if err != nil {
			return nil, nil, err
		}
		if pattern == indexes[0] && len(found) > 1 { // some name the variant in the middle
			found = slices.DeleteFunc(found, func(f string) bool { return strings.Contains(filepath.Base(f), ".fp16.") })
		}
		if len(found) > 1 {
			return nil, nil, fmt.Errorf("%s holds %d indexes: %s. Name one of them", dir, len(found), strings.Join(found, ", "))
		}
		for _, f := range found {
			if paths, index, err = shards(f); err == nil {
				return paths, index, nil
			}
			broken = errors.Join(broken, err)
		}
	}
	if broken != nil {
		return nil, nil, broken
	}
	return singleFile(dir)
}

// singleFile finds the one file of weights of a folder.
func singleFile(dir string) (paths []string, index map[string]string, err error) {
	for i, patterns := range singles {
		var found []string
		for _, p := range patterns {
			list, err := filepath.Glob(filepath.Join(globEscape(dir), p))
			if err != nil {
				return nil, nil, err
			}
			found = append(found, list...)
		}
		for _, name := range usual {
			if f := filepath.Join(dir, name); slices.Contains(found, f) {
				return []string{f}, nil, nil
			}
		}
		switch len(found) {
		case 0:
		case 1:
			return found, nil, nil
		default:
			return nil, nil, fmt.Errorf("%s holds %d %s files and no index (a file *.safetensors.index.json) that says how "+
				"they belong together. Name one of them", dir, len(found), formats[i])
		}
	}
	return nil, nil, fmt.Errorf("%s holds no safetensors file, and none in GGUF's or PyTorch's format", dir)
}

// shards reads an index, and finds the files that it names.
func shards(indexFile string) (paths []string, index map[string]string, err error) {
	data, err := files.Read(indexFile, 16<<20)
	if err != nil {
		return nil, nil, err
	}
	var doc struct {
		Map map[string]string `json:"weight_map"`
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		return nil, nil, fmt.Errorf("%s is not an index of shards: %w", indexFile, err)
	}
	if len(doc.Map) == 0 {
		return nil, nil, fmt.Errorf("%s is not an index of shards: it has no weight_map", indexFile)
	}
	var missing []string
	for _, base := range slices.Compact(slices.Sorted(maps.Values(doc.Map))) {
		if base != filepath.Base(base) || !filepath.IsLocal(base) {
			return nil, nil, fmt.Errorf("%s names a shard %q outside its own folder", indexFile, base)
		}
		f := filepath.Join(filepath.Dir(indexFile), base)
		if _, err := os.Stat(f); errors.Is(err, fs.ErrNotExist) {
			missing = append(missing, base)
		}
		paths = append(paths, f)
	}
	if len(missing) > 0 {
		return nil, nil, fmt.Errorf("%s lacks %s, which its index names", filepath.Dir(indexFile), strings.Join(missing, " and "))
	}
	return paths, doc.Map, nil
}

func globEscape(path string) string {
	return strings.NewReplacer(`[`, `[[]`, `*`, `[*]`, `?`, `[?]`).Replace(path)
}

// isTorch reports whether a file is one of PyTorch's archives. No safetensors
// file begins like that: its header would have 64 MiB.
func isTorch(f io.ReaderAt) bool {
	head := make([]byte, len(torch.Magic))
	_, err := f.ReadAt(head, 0)
	return err == nil && string(head) == torch.Magic
}
