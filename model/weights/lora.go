package weights

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/eligen/eligen/internal/files"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/lora"
	"github.com/eligen/eligen/model/panics"
)

// LoRAFormats are the formats that ConvertLoRA writes.
var LoRAFormats = []string{lora.Native, lora.Kohya, lora.Diffusers}

// About is what a LoRA's file says of itself.
type About = lora.About

// A LoRAConversion says how to write a LoRA.
type LoRAConversion struct {
	Format string // one of LoRAFormats
	Force  bool   // replace what exists
	Card   bool   // write a model card, README.md, next to the file
	About  About  // what the file says of itself; what is empty is what IN says
}

// ConvertLoRA writes a LoRA in another format, with the same update of every weight:
// in bfloat16 where that loses nothing, else in float32. alpha is the rank, or is left
// out where the format has none. Files are written atomically, and replace
// those that exist only with Force. The result is what was left out, one string a
// kind.
func ConvertLoRA(in, out string, to LoRAConversion) (dropped []string, err error) {
	defer panics.Catch("converting the LoRA", &err)
	if !strings.EqualFold(filepath.Ext(out), ".safetensors") {
		return nil, fmt.Errorf("%s must end in .safetensors, the format that is written", out)
	}
	fi, err := os.Stat(in)
	if err != nil {
		return nil, err
	}
	card := filepath.Join(filepath.Dir(out), "README.md")
	if there, err := os.Stat(out); err == nil {
		switch {
		case os.SameFile(fi, there):
			return nil, fmt.Errorf("%s is the file that is read: give the result another name", out)
		case !to.Force:
			return nil, fmt.Errorf("%s is there already, and nothing was converted: --force replaces it", out)
		}
	}
	if _, err := os.Stat(card); err == nil && to.Card && !to.Force {
		return nil, fmt.Errorf("%s is there already, and nothing was converted: --force replaces it", card)
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
	dropped = f.Dropped()
	if text := f.Text(); text != "" && to.Format == lora.Native {
		dropped = append(dropped, "changes of text encoders ("+text+"), which this format has no names for")
		factors = slices.DeleteFunc(factors, func(f lora.Factor) bool { return f.Part != lora.Transformer })
	}
	if len(factors) == 0 {
		return nil, fmt.Errorf("%s would be empty without %s: write %s or %s", out, strings.Join(dropped, " and "), lora.Kohya, lora.Diffusers)
	}
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return nil, err
	}
	about := over(to.About, lora.ReadAbout(c.Metadata), f)
	about.Title = cmp.Or(about.Title, strings.TrimSuffix(filepath.Base(out), filepath.Ext(out)))
	if err := writeLoRA(out, to.Format, about, factors); err != nil || !to.Card {
		return dropped, err
	}
	return dropped, files.WriteFile(card, func(w io.Writer) error {
		_, err := io.WriteString(w, about.Card(filepath.Base(out), to.Format))
		return err
	})
}

// over returns what is said of a LoRA, and what its file says where that is nothing. A file of
// FLUX.1's width that doesn't name its base is for FLUX.1 [dev].
func over(said, file lora.About, f *lora.File) lora.About {
	file.Title, file.Architecture = cmp.Or(said.Title, file.Title), cmp.Or(said.Architecture, file.Architecture)
	file.Resolution, file.Author = cmp.Or(said.Resolution, file.Resolution), cmp.Or(said.Author, file.Author)
	file.License, file.Description = cmp.Or(said.License, file.License), cmp.Or(said.Description, file.Description)
	if said.Triggers != nil {
		file.Triggers = said.Triggers
	}
	const fluxWidth = 3072
	if file.Architecture == "" && f.Width() == fluxWidth {
		file.Architecture = lora.FluxDev
	}
	return file
}

// writeLoRA writes factors in a format, in bfloat16 where that loses nothing.
func writeLoRA(out, format string, about lora.About, factors []lora.Factor) error {
	tensors, err := lora.Named(format, factors...)
	if err != nil {
		return err
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
	if !exact {
		size *= 2
	}
	if err := hasRoom(out, size); err != nil {
		return err
	}
	write := func(w io.Writer, metadata map[string]string) error {
		if exact {
			return WriteBFloat16(w, metadata, list)
		}
		return tensor.Write(w, metadata, tensors...)
	}
	sum := content{hash: sha256.New()}
	if err := write(&sum, nil); err != nil {
		return err
	}
	metadata, err := about.Metadata(format, hex.EncodeToString(sum.hash.Sum(nil)), factors...)
	if err != nil {
		return err
	}
	return files.WriteFile(out, func(w io.Writer) error { return write(w, metadata) })
}

// content hashes a safetensors file that is written to it, without its header.
type content struct {
	hash hash.Hash
	size []byte // of the header, until it is whole
	skip int64  // bytes of the header that are still to come
}

func (c *content) Write(b []byte) (int, error) {
	n := len(b)
	if missing := 8 - len(c.size); missing > 0 {
		k := min(missing, len(b))
		if c.size, b = append(c.size, b[:k]...), b[k:]; len(c.size) == 8 {
			c.skip = int64(binary.LittleEndian.Uint64(c.size))
		}
	}
	k := min(c.skip, int64(len(b)))
	c.skip -= k
	c.hash.Write(b[k:])
	return n, nil
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

// ParseLoRA reads an open file as a LoRA for FLUX.1, with the settings next to it where there are some.
func ParseLoRA(c *Checkpoint) (*lora.File, error) { return ParseLoRAFor(lora.Flux, c) }

// ParseLoRAFor reads an open file as a LoRA for a model.
func ParseLoRAFor(m lora.Model, c *Checkpoint) (*lora.File, error) {
	if len(c.Files) != 1 {
		return lora.ParseFor(m, c.Path, c, c.Metadata, nil)
	}
	config := filepath.Join(filepath.Dir(c.Files[0]), peftConfig)
	fi, err := os.Stat(config)
	if errors.Is(err, fs.ErrNotExist) {
		return lora.ParseFor(m, c.Path, c, c.Metadata, nil)
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
	return lora.ParseFor(m, c.Path, c, c.Metadata, settings)
}
