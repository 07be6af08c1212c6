package weights

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/gguf"
	"github.com/eligen/eligen/model/torch"
)

// The formats of files.
const (
	containerSafetensors = "safetensors"
	containerGGUF        = "gguf"
	containerTorch       = "torch"
)

// A head is what a file says of its tensors.
type head struct {
	container string
	infos     []tensor.Info // in order of offset
	metadata  map[string]string
}

// readHead reads what a file of a size holds, whatever it is called.
func readHead(r io.ReaderAt, size int64) (h head, err error) {
	first := make([]byte, min(size, 1<<10))
	if n, err := r.ReadAt(first, 0); n < len(first) {
		return h, err
	}
	switch {
	case bytes.HasPrefix(first, []byte(gguf.Magic)):
		h.container = containerGGUF
		h.infos, h.metadata, err = gguf.Read(r, size)
	case bytes.HasPrefix(first, []byte(torch.Magic)):
		h.container = containerTorch
		h.infos, err = torch.Read(r, size)
	default:
		text := noWeights(first)
		if text != nil && !errors.Is(text, errText) {
			return h, text
		}
		h.container = containerSafetensors
		h.infos, h.metadata, err = tensor.ReadHeader(io.NewSectionReader(r, 0, size), size)
		if err != nil && text != nil {
			err = fmt.Errorf("%w; %w", err, text)
		}
	}
	return h, err
}

// errText is the error of text that is nothing known.
var errText = errors.New("it is text")

// asNamed explains the error of a file that is neither GGUF nor PyTorch's by its name, where
// that says what was expected.
func asNamed(path string, err error) error {
	if errors.As(err, new(errOther)) || errors.Is(err, errPickle) {
		return err
	}
	switch strings.ToLower(filepath.Ext(path)) {
	case ".pt", ".pth", ".bin", ".ckpt", ".pkl":
		return errPickle // of the oldest kind
	case ".gguf":
		return fmt.Errorf("not a GGUF file: %w", err)
	}
	return err
}

// errPickle is the error of a program that would have to be run.
var errPickle = errors.New("is a pickle, a program that would run when it is read, and no archive of PyTorch 1.6 or later, whose " +
	"tensors eligen finds without. Use the model's .safetensors file, or convert it")

// errOther is the error of a file that is something else than weights.
type errOther struct{ what string }

func (e errOther) Error() string { return e.what }

// substitutes are what people have in the place of weights, by its first bytes.
var substitutes = []struct{ magic, what string }{
	{"version https://git-lfs", "this is a Git LFS pointer, the text that Git keeps in place of a large file, which was not fetched. Run\n\n" +
		"    git lfs pull"},
	{"\x1f\x8b", "this is a gzip archive: unpack it"},
	{"\xfd7zXZ", "this is an xz archive: unpack it"},
	{"7z\xbc\xaf", "this is a 7-Zip archive: unpack it"},
	{"Rar!", "this is a RAR archive: unpack it"},
	{"FUGG", "this is a GGUF file in the other byte order, for big-endian machines"},
	{"tjgg", "this is a file of ggml's before GGUF: convert it to GGUF"},
	{"\x89PNG", "this is a picture (PNG), no weights"},
	{"\xff\xd8\xff", "this is a picture (JPEG), no weights"},
	{"%PDF", "this is a PDF, no weights"},
}

// noWeights names what lies in the place of weights, by its first bytes; nil is nothing known.
func noWeights(first []byte) error {
	if len(first) == 0 {
		return errOther{"the file is empty (0 bytes): download it again"}
	}
	if len(first) > 8 && first[8] == '{' && bytes.Equal(first[3:8], make([]byte, 5)) {
		return nil // the length of a safetensors header may begin as anything else does
	}
	if first[0] == 0x80 && len(first) > 1 && first[1] < 6 {
		return errPickle
	}
	for _, s := range substitutes {
		if bytes.HasPrefix(first, []byte(s.magic)) {
			return errOther{s.what}
		}
	}
	return noText(first)
}

// noText names text that lies in the place of weights. A safetensors file begins with its header's length,
// in which there are zeros.
func noText(first []byte) error {
	text := strings.TrimPrefix(string(first), "\ufeff")
	for i, r := range text {
		if r == utf8.RuneError && len(text)-i < utf8.UTFMax { // cut in two
			text = text[:i]
			break
		}
		if r == utf8.RuneError || r < ' ' && !unicode.IsSpace(r) {
			return nil
		}
	}
	line := strings.Join(strings.Fields(text), " ")
	switch {
	case strings.HasPrefix(line, "<"):
		return errOther{"this is a web page (HTML) that was saved in place of the file. Download the file itself, after logging in where its " +
			"page asks for it"}
	case strings.HasPrefix(line, "{"), strings.HasPrefix(line, "["):
		return errOther{"this is text (JSON), no weights. Where it is a server's error, do what it says and download the file again:\n  " +
			quote(line)}
	}
	return fmt.Errorf("%w: %s", errText, quote(line))
}

// quote returns the beginning of a text.
func quote(line string) string {
	const most = 300
	if r := []rune(line); len(r) > most {
		line = string(r[:most]) + "…"
	}
	return fmt.Sprintf("%q", line)
}
