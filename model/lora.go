package model

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/model/lora"
)

// LoRAFormats are the formats that ConvertLoRA writes.
var LoRAFormats = []string{lora.Native, lora.Kohya, lora.Diffusers}

// ConvertLoRA writes a LoRA in another format, with the same update of every weight:
// in bfloat16 where that loses nothing, else in float32. alpha is the rank, or is left
// out where the format has none. The file appears whole or not at all, and one that is
// there is replaced only where force says so. The result is how many tensors of text
// encoders were left out, which no model here reads.
func ConvertLoRA(in, out, format string, force bool) (ignored int, err error) {
	defer catch("converting the LoRA", &err)
	if !strings.EqualFold(filepath.Ext(out), ".safetensors") {
		return 0, fmt.Errorf("%s doesn't end in .safetensors, which is what is written", out)
	}
	fi, err := os.Stat(in)
	if err != nil {
		return 0, err
	}
	if there, err := os.Stat(out); err == nil {
		switch {
		case os.SameFile(fi, there):
			return 0, fmt.Errorf("%s is the file that is read: give the result another name", out)
		case !force:
			return 0, fmt.Errorf("%s is there already, and nothing was converted: --force replaces it", out)
		}
	}
	c, err := OpenCheckpoint(in)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	f, err := lora.Parse(c.Path, c, c.Metadata)
	if err != nil {
		return 0, err
	}
	factors, err := f.Factors()
	if err != nil {
		return 0, err
	}
	tensors, err := lora.Named(format, factors...)
	if err != nil {
		return 0, err
	}
	exact := true
	list := map[string]eligen.Tensor{}
	for _, t := range tensors {
		list[t.Name] = t.Tensor
		for _, x := range t.Data {
			exact = exact && math.Float32bits(x)&0xffff == 0
		}
	}
	metadata := map[string]string{"format": "pt"}
	return len(f.Ignored), writeWhole(out, func(w io.Writer) error {
		if exact {
			return writeBFloat16(w, metadata, list)
		}
		return eligen.WriteTensors(w, metadata, tensors...)
	})
}
