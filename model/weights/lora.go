package weights

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"

	"github.com/eligen/eligen/internal/files"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/lora"
	"github.com/eligen/eligen/model/panics"
)

// LoRAFormats are the formats that ConvertLoRA writes.
var LoRAFormats = []string{lora.Native, lora.Kohya, lora.Diffusers}

// ConvertLoRA writes a LoRA in another format, with the same update of every weight:
// in bfloat16 where that loses nothing, else in float32. alpha is the rank, or is left
// out where the format has none. The file is written atomically, and replaces one
// that exists only with force. The result is what was left out, one string a
// kind.
func ConvertLoRA(in, out, format string, force bool) (dropped []string, err error) {
	defer panics.Catch("converting the LoRA", &err)
	if !strings.EqualFold(filepath.Ext(out), ".safetensors") {
		return nil, fmt.Errorf("%s must end in .safetensors, the format that is written", out)
	}
	fi, err := os.Stat(in)
	if err != nil {
		return nil, err
	}
	if there, err := os.Stat(out); err == nil {
		switch {
		case os.SameFile(fi, there):
			return nil, fmt.Errorf("%s is the file that is read: give the result another name", out)
		case !force:
			return nil, fmt.Errorf("%s is there already, and nothing was converted: --force replaces it", out)
		}
	}
	c, f, err := OpenLoRA(in)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	if err := f.Check(); err != nil {
		return nil, err
	}
	factors, err := f.Factors()
	if err != nil {
		return nil, err
	}
	tensors, err := lora.Named(format, factors...)
	if err != nil {
		return nil, err
	}
	exact, size := true, int64(0)
	list := map[string]tensor.Tensor{}
	for _, t := range tensors {
		list[t.Name] = t.Tensor
		size += 2 * int64(len(t.Data))
		for _, x := range t.Data {
			exact = exact && math.Float32bits(x)&0xffff == 0
		}
	}
	metadata := map[string]string{"format": "pt"}
	if err := hasRoom(out, size); err != nil {
		return nil, err
	}
	return f.Dropped(), files.WriteFile(out, func(w io.Writer) error {
		if exact {
			return WriteBFloat16(w, metadata, list)
		}
		return tensor.Write(w, metadata, tensors...)
	})
}

// PEFT's names of the file of a LoRA's factors, and of the one next to it with its scales.
const (
	peftFile   = "adapter_model.safetensors"
	peftConfig = "adapter_config.json"
)

// InPEFT returns the file of factors in a folder of PEFT's, and any other path as it is.
func InPEFT(path string) string {
	if file := filepath.Join(path, peftFile); IsFolder(path) {
		if _, err := os.Stat(file); err == nil {
			return file
		}
	}
	return path
}

// LoRAFile returns the file that a LoRA's path means. The path may be a folder: PEFT's, or one
// with a single file of weights, as diffusers writes it.
func LoRAFile(path string) (string, error) {
	if path = InPEFT(path); !IsFolder(path) {
		return path, nil
	}
	paths, _, err := checkpointFiles(path)
	if err == nil && len(paths) != 1 {
		err = fmt.Errorf("%s holds weights in %d files; a LoRA is one", path, len(paths))
	}
	if err != nil {
		return "", err
	}
	return paths[0], nil
}

// OpenLoRA opens a LoRA: a file, or a folder of PEFT's. A file next to it says how
// strong it is where the file doesn't.
func OpenLoRA(path string) (*Checkpoint, *lora.File, error) {
	file, err := LoRAFile(path)
	if err != nil {
		return nil, nil, err
	}
	c, err := Open(file)
	if err != nil {
		return nil, nil, err
	}
	f, err := ParseLoRA(c)
	if err != nil {
		c.Close()
	}
	return c, f, err
}

// ParseLoRA reads an open file as a LoRA, with the settings next to it where there are some.
func ParseLoRA(c *Checkpoint) (*lora.File, error) {
	if len(c.Files) != 1 {
		return lora.Parse(c.Path, c, c.Metadata, nil)
	}
	config := filepath.Join(filepath.Dir(c.Files[0]), peftConfig)
	fi, err := os.Stat(config)
	if errors.Is(err, fs.ErrNotExist) {
		return lora.Parse(c.Path, c, c.Metadata, nil)
	}
	if err == nil && !fi.Mode().IsRegular() {
		err = errors.New("it is not a regular file")
	}
	var data []byte
	if err == nil {
		data, err = files.Read(config, 1<<20)
	}
	var settings *lora.Settings
	if err == nil {
		settings, err = lora.ReadConfig(data)
	}
	if err != nil {
		return nil, fmt.Errorf("%s, which gives the strength of the LoRA next to it, can't be read: %w", config, err)
	}
	return lora.Parse(c.Path, c, c.Metadata, settings)
}
