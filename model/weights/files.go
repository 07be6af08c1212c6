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

// NotThere returns the error of a scene's source that doesn't exist. The scene's own paths come
// beginning with a dot or a slash; anything else is a repository.
func NotThere(path string) error {
	if filepath.IsAbs(path) || strings.HasPrefix(path, ".") || !strings.Contains(path, "/") {
		return fmt.Errorf("there is no %s", path)
	}
	where, err := os.Getwd()
	if err != nil {
		where = "the working directory"
	}
	return fmt.Errorf("%q is a repository, and eligen downloads nothing: it looked for a folder of that name in %s, and there "+
		"is none. Download the files, and name their folder by a path that begins with ./ or /:\n\n    source = %q",
		path, where, "./"+filepath.Base(path))
}

// checkpointFiles finds the safetensors files of a path, and the index where
// there is one.
func checkpointFiles(path string) (paths []string, index map[string]string, err error) {
	fi, err := os.Stat(path)
	if err != nil {
		return nil, nil, err
	}
	if fi.IsDir() {
		return folderFiles(path)
	}
	if strings.HasSuffix(path, ".index.json") {
		return shards(path)
	}
	if err := RefusePickle(path); err != nil {
		return nil, nil, err
	}
	return []string{path}, nil, nil
}

// folderFiles finds the safetensors files of a folder, and the index where there is one.
func folderFiles(dir string) (paths []string, index map[string]string, err error) {
	found, err := filepath.Glob(filepath.Join(globEscape(dir), "*.safetensors.index.json"))
	if err != nil {
		return nil, nil, err
	}
	if len(found) > 1 { // repositories may hold a half-precision variant next to the usual one
		found = slices.DeleteFunc(found, func(f string) bool { return strings.Contains(filepath.Base(f), ".fp16.") })
	}
	switch len(found) {
	case 0:
	case 1:
		return shards(found[0])
	default:
		return nil, nil, fmt.Errorf("%s holds %d indexes: %s. Name one of them", dir, len(found), strings.Join(found, ", "))
	}
	single, err := filepath.Glob(filepath.Join(globEscape(dir), "*.safetensors"))
	if err != nil {
		return nil, nil, err
	}
	for _, usual := range []string{"diffusion_pytorch_model.safetensors", "model.safetensors"} {
		if f := filepath.Join(dir, usual); slices.Contains(single, f) {
			return []string{f}, nil, nil
		}
	}
	switch len(single) {
	case 0:
		return nil, nil, fmt.Errorf("%s holds no safetensors file", dir)
	case 1:
		return single, nil, nil
	}
	return nil, nil, fmt.Errorf("%s holds %d safetensors files and no index (a file *.safetensors.index.json) that says how "+
		"they belong together. Name one of them", dir, len(single))
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

// RefusePickle returns why a file isn't read that is neither safetensors nor one of PyTorch's
// archives.
func RefusePickle(path string) error {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".pt", ".pth", ".bin", ".ckpt", ".pkl":
		if f, err := files.Open(path); err == nil {
			defer f.Close()
			if isTorch(f) {
				return nil
			}
		}
		return fmt.Errorf("%s is a pickle, a program that would run when it is read, and no archive of PyTorch 1.6 or later, whose "+
			"tensors eligen finds without. Use the model's .safetensors file, or convert it", path)
	case ".gguf":
		return fmt.Errorf("%s is a GGUF file with quantised weights. eligen reads safetensors and PyTorch's archives", path)
	}
	return nil
}
