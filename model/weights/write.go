package weights

import (
	"encoding/binary"
	"io"
	"maps"
	"slices"

	"github.com/eligen/eligen/internal/tensor"
)

// WriteBFloat16 writes a safetensors file of bfloat16 tensors, in order of name.
func WriteBFloat16(w io.Writer, metadata map[string]string, tensors map[string]tensor.Tensor) error {
	names := slices.Sorted(maps.Keys(tensors))
	infos := make([]tensor.Info, len(names))
	for i, name := range names {
		t := tensors[name]
		infos[i] = tensor.Info{Name: name, DType: "BF16", Shape: t.Shape, Size: 2 * int64(len(t.Data))}
	}
	head, err := tensor.Header(metadata, infos)
	if err != nil {
		return err
	}
	if _, err := w.Write(head); err != nil {
		return err
	}
	for _, name := range names {
		data := tensors[name].Data
		buf := make([]byte, 0, 2*len(data))
		for _, x := range data {
			buf = binary.LittleEndian.AppendUint16(buf, tensor.BFloat16(x))
		}
		if _, err := w.Write(buf); err != nil {
			return err
		}
	}
	return nil
}
