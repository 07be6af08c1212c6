package model

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/model/torch"
)

// Convert writes the tensors of one of PyTorch's archives as a safetensors file, in
// their dtypes, in order of name. Those in dictionaries are named by all keys, with
// dots between. Nothing in the archive is run. The file appears whole or not at all, and
// one that is there is replaced only where force says so.
//
// Errors that are of what the archive holds, and not of the file system, are
// [ErrUnreadable].
func Convert(in, out string, force bool) (err error) {
	if !strings.EqualFold(filepath.Ext(out), ".safetensors") {
		return fmt.Errorf("%s doesn't end in .safetensors, which is what is written", out)
	}
	src, err := os.Open(in)
	if err != nil {
		return err
	}
	defer src.Close()
	fi, err := src.Stat()
	if err != nil {
		return err
	}
	unreadable := func(format string, args ...any) error {
		return fmt.Errorf("%s: %w", in, ErrUnreadable{fmt.Errorf(format, args...)})
	}
	if !fi.Mode().IsRegular() {
		return fmt.Errorf("%s is no regular file: give the archive itself", in)
	}
	if there, err := os.Stat(out); err == nil {
		switch {
		case os.SameFile(fi, there):
			return fmt.Errorf("%s is the file that is read: give the result another name", out)
		case !force:
			return fmt.Errorf("%s is there already, and nothing was converted: --force replaces it", out)
		}
	}
	if !isTorch(src) {
		if _, _, err := eligen.ReadTensorHeader(io.NewSectionReader(src, 0, fi.Size()), fi.Size()); err == nil {
			return unreadable("is a safetensors file already")
		}
		return unreadable("is no archive of PyTorch 1.6 or later. Older files, and other pickles, are programs that would have to be run")
	}
	infos, err := torch.Read(src, fi.Size())
	if err != nil {
		return unreadable("%w", err)
	}
	head, err := tensorHeader(infos)
	if err != nil {
		return unreadable("%w", err)
	}
	return writeWhole(out, func(w io.Writer) error {
		if _, err := w.Write(head); err != nil {
			return err
		}
		for _, t := range byName(infos) {
			if n, err := io.Copy(w, io.NewSectionReader(src, t.Offset, t.Size)); err != nil {
				return err
			} else if n < t.Size {
				return unreadable("it ended while tensor %q was copied", t.Name)
			}
		}
		return nil
	})
}

// ErrUnreadable is of a file that holds what can't be read as weights.
type ErrUnreadable struct{ reason error }

func (e ErrUnreadable) Error() string { return e.reason.Error() }
func (e ErrUnreadable) Unwrap() error { return e.reason }

func byName(infos []eligen.TensorInfo) []eligen.TensorInfo {
	out := slices.Clone(infos)
	slices.SortFunc(out, func(a, b eligen.TensorInfo) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// tensorHeader is a safetensors file up to its data, which follows in order of name.
func tensorHeader(infos []eligen.TensorInfo) ([]byte, error) {
	if len(infos) == 0 {
		return nil, errors.New("it holds no tensors")
	}
	type entry struct {
		DType   string   `json:"dtype"`
		Shape   []int    `json:"shape"`
		Offsets [2]int64 `json:"data_offsets"`
	}
	header := map[string]any{"__metadata__": map[string]string{"format": "pt"}}
	var at int64
	for _, t := range byName(infos) {
		if !utf8.ValidString(t.Name) || t.Name == "__metadata__" {
			return nil, fmt.Errorf("tensor %q has a name that safetensors can't have", t.Name)
		}
		shape := t.Shape
		if shape == nil {
			shape = []int{}
		}
		header[t.Name] = entry{t.DType, shape, [2]int64{at, at + t.Size}}
		at += t.Size
	}
	text, err := json.Marshal(header) // sorts names
	if err != nil {
		return nil, err
	}
	for len(text)%8 != 0 {
		text = append(text, ' ')
	}
	head := append(binary.LittleEndian.AppendUint64(nil, uint64(len(text))), text...)
	// What is written must be readable.
	if _, _, err := eligen.ReadTensorHeader(bytes.NewReader(head), int64(len(head))+at); err != nil {
		return nil, err
	}
	return head, nil
}
