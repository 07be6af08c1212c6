package weights

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/eligen/eligen/internal/files"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/gguf"
	"github.com/eligen/eligen/model/names"
	"github.com/eligen/eligen/model/quant"
)

// Types are the types that Save stores weights in.
var Types = []string{"f32", "f16", "bf16", "fp8", "fp8_scaled", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0"}

// A Network is a checkpoint to be written, under a prefix.
type Network struct {
	*Checkpoint
	Prefix string
}

// comfy are the prefixes of networks in a file that holds several, as ComfyUI publishes them.
var comfy = map[string]string{KindTransformer: "model.diffusion_model.", KindCLIP: "text_encoders.clip_l.transformer.",
	KindT5: "text_encoders.t5xxl.transformer.", KindAutoencoder: "vae."}

// InOneFile returns networks under the prefixes that they have in ComfyUI's all-in-one files.
func InOneFile(list ...*Checkpoint) (out []Network) {
	for _, c := range list {
		out = append(out, Network{c, comfy[c.Kind]})
	}
	return out
}

// Save writes the networks of a checkpoint, or of a folder with a model's files, as one file, in the format that out's name ends in,
// .safetensors or .gguf, under the names that the models ask for. kind ("" for all) is the one to write of
// several. to is one of [Types]; "" keeps plain numbers as they are stored, and makes bfloat16 of those that are
// quantised. Matrices of blocks are quantised, other tensors stay in bfloat16 or float32, but that fp8 is all
// tensors'. The file is written atomically, and replaces one that exists only with force.
func Save(in, out, to, kind string, force bool) error {
	list, closeAll, err := networksOf(in)
	defer closeAll()
	if err != nil {
		return err
	}
	if kind != "" {
		i := slices.IndexFunc(list, func(c *Checkpoint) bool { return c.Kind == kind })
		if i < 0 {
			return fmt.Errorf("%s holds no %s", in, kind)
		}
		list = list[i : i+1]
	}
	if err := mayWrite(in, out, force); err != nil {
		return err
	}
	if len(list) == 1 {
		return SaveNetworks(out, to, Network{list[0], ""})
	}
	return SaveNetworks(out, to, InOneFile(list...)...)
}

// networksOf opens a path's networks: those of a file or of a folder of shards, or of a folder with a model's files
// or diffusers' folders. closeAll is to be called in any case.
func networksOf(in string) (list []*Checkpoint, closeAll func(), err error) {
	var opened []*Checkpoint
	closeAll = func() {
		for _, c := range opened {
			c.Close()
		}
	}
	add := func(path string) error {
		c, err := Open(path)
		if err != nil {
			return err
		}
		opened = append(opened, c)
		found := c.Parts()
		if c.Kind != KindAllInOne {
			found = []*Checkpoint{c}
		}
		for _, p := range found {
			if slices.ContainsFunc(list, func(o *Checkpoint) bool { return o.Kind == p.Kind }) {
				return fmt.Errorf("%s holds the %s twice: name one file", in, p.Kind)
			}
			if err := p.Refused(); err != nil {
				return err
			}
			list = append(list, p)
		}
		return c.Refused()
	}
	paths, err := modelFiles(in)
	if err != nil {
		return nil, closeAll, err
	}
	for _, p := range paths {
		if err := add(p); err != nil {
			return nil, closeAll, err
		}
	}
	if len(list) == 1 && list[0].Kind == KindLoRA {
		return nil, closeAll, fmt.Errorf("%s is a LoRA: name its format with --format (%s)", in, strings.Join(LoRAFormats, ", "))
	}
	list = slices.DeleteFunc(list, func(c *Checkpoint) bool { return comfy[c.Kind] == "" && len(paths) > 1 || c.Kind == KindUnknown })
	if len(list) == 0 {
		return nil, closeAll, fmt.Errorf("%s holds no network that eligen knows", in)
	}
	return list, closeAll, nil
}

// modelFiles returns the files and folders of the networks in a model's folder, or the path itself.
func modelFiles(in string) ([]string, error) {
	if !IsFolder(in) {
		return []string{in}, nil
	}
	var paths []string
	for _, sub := range []string{"transformer", "vae", "text_encoder", "text_encoder_2"} {
		if p := filepath.Join(in, sub); IsFolder(p) {
			paths = append(paths, p)
		}
	}
	if len(paths) > 0 {
		return paths, nil
	}
	if _, _, err := checkpointFiles(in); err == nil {
		return []string{in}, nil
	}
	entries, err := os.ReadDir(in)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		p := filepath.Join(in, e.Name())
		if kinds, err := Kinds(p); err == nil && slices.ContainsFunc(kinds, func(k string) bool { return comfy[k] != "" }) {
			paths = append(paths, p)
		}
	}
	if len(paths) == 0 {
		return nil, fmt.Errorf("%s holds no network that eligen knows", in)
	}
	return paths, nil
}

// mayWrite refuses to overwrite what is read, or what is there without force.
func mayWrite(in, out string, force bool) error {
	there, err := os.Stat(out)
	if err != nil {
		return nil
	}
	if fi, err := os.Stat(in); err == nil && os.SameFile(fi, there) {
		return fmt.Errorf("%s is the file that is read: give the result another name", out)
	}
	if !force {
		return fmt.Errorf("%s is there already, and nothing was converted: --force replaces it", out)
	}
	return nil
}

// SaveNetworks writes networks as one file, as Save does. It replaces one that exists.
func SaveNetworks(out, to string, list ...Network) error {
	isGGUF := strings.EqualFold(filepath.Ext(out), ".gguf")
	if !isGGUF && !strings.EqualFold(filepath.Ext(out), ".safetensors") {
		return fmt.Errorf("%s must end in .safetensors or .gguf, the formats that are written", out)
	}
	if to != "" && !slices.Contains(Types, to) {
		return fmt.Errorf("unknown type %q; use %s", to, strings.Join(Types, ", "))
	}
	if blocks := strings.HasPrefix(to, "q"); blocks != isGGUF && (blocks || strings.HasPrefix(to, "fp8")) {
		return fmt.Errorf("%s: the type %s is of files that end in %s", out, to, map[bool]string{true: ".gguf", false: ".safetensors"}[blocks])
	}
	var plan []saved
	for _, n := range list {
		for _, info := range n.Tensors() {
			s, err := n.save(info, to, isGGUF)
			if err != nil {
				return err
			}
			plan = append(plan, s...)
		}
	}
	if to == "fp8_scaled" {
		marker := tensor.Info{Name: list[0].Prefix + "scaled_fp8", DType: "F8_E4M3", Shape: []int{0}}
		plan = append(plan, saved{info: marker, write: func(io.Writer) error { return nil }})
	}
	return writePlan(out, isGGUF, architecture(list), plan)
}

// architecture returns what a GGUF file of networks says of them.
func architecture(list []Network) string {
	switch {
	case len(list) > 1 || list[0].Kind == KindTransformer:
		return "flux"
	case list[0].Kind == KindT5:
		return "t5encoder"
	}
	return "pig" // as tools call what llama.cpp has no name for
}

// A saved tensor knows how to write itself.
type saved struct {
	info  tensor.Info
	write func(w io.Writer) error
}

// save plans one tensor: it, and its scale where it gets one.
func (n Network) save(info tensor.Info, to string, isGGUF bool) ([]saved, error) {
	name := info.Name
	if isGGUF && n.Kind == KindT5 && n.Prefix == "" {
		name = names.T5Llama(name)
	}
	target := targetType(info, to, isGGUF)
	f, ok := quant.Of(target)
	if !ok || !f.Encodes() {
		return nil, fmt.Errorf("%s: tensor %q can't be stored as %s", n.Path, info.Name, target)
	}
	elements := Elements(info.Shape)
	out := tensor.Info{Name: n.Prefix + name, DType: target, Shape: info.Shape, Size: f.Size(elements)}
	if to != "fp8_scaled" || target != "F8_E4M3" {
		return []saved{{out, func(w io.Writer) error { return n.encode(w, info, f, 1) }}}, nil
	}
	var most float32
	if err := n.each(info, func(list []float32) error {
		for _, x := range list {
			most = max(most, x, -x)
		}
		return nil
	}); err != nil {
		return nil, err
	}
	scale := most / 448
	if scale == 0 {
		scale = 1
	}
	plain, _ := quant.Of("F32")
	of := tensor.Info{Name: strings.TrimSuffix(out.Name, ".weight") + ".scale_weight", DType: "F32", Shape: []int{}, Size: 4}
	return []saved{{out, func(w io.Writer) error { return n.encode(w, info, f, scale) }}, {of, func(w io.Writer) error {
		var b [4]byte
		plain.Encode(b[:], []float32{scale})
		_, err := w.Write(b[:])
		return err
	}}}, nil
}

// targetType returns the format that a tensor is stored in.
func targetType(info tensor.Info, to string, isGGUF bool) string {
	inBlocks := len(info.Shape) == 2 && strings.HasSuffix(info.Name, ".weight") &&
		(strings.Contains(info.Name, "block") || strings.Contains(info.Name, "layers.")) &&
		!strings.Contains(info.Name, "relative_attention_bias")
	f, _ := quant.Of(info.DType)
	switch to {
	case "f32", "f16", "bf16":
		return strings.ToUpper(to)
	case "":
		if f.Plain() && f.Encodes() {
			return info.DType
		}
		return "BF16"
	case "fp8":
		return "F8_E4M3"
	case "fp8_scaled":
		if inBlocks {
			return "F8_E4M3"
		}
		return "BF16"
	}
	if blocks, _ := quant.Of(strings.ToUpper(to)); inBlocks && info.Shape[1]%blocks.Elements == 0 {
		return blocks.Name
	}
	if isGGUF && len(info.Shape) < 2 {
		return "F32"
	}
	return "BF16"
}

// savedAtOnce is the number of elements that are converted at a time: whole blocks of every format.
const savedAtOnce = 1 << 18

// each reads a tensor piece by piece.
func (n Network) each(info tensor.Info, do func(list []float32) error) error {
	elements := Elements(info.Shape)
	buf := make([]float32, min(savedAtOnce, elements))
	for at := 0; at < elements; at += len(buf) {
		buf = buf[:min(len(buf), elements-at)]
		if err := n.Floats(info.Name, at, buf); err != nil {
			return err
		}
		if err := do(buf); err != nil {
			return err
		}
	}
	return nil
}

// encode writes a tensor in a format, divided by a scale.
func (n Network) encode(w io.Writer, info tensor.Info, f quant.Format, scale float32) error {
	var out []byte
	return n.each(info, func(list []float32) error {
		if scale != 1 {
			for i := range list {
				list[i] /= scale
			}
		}
		if out == nil {
			out = make([]byte, f.Size(len(list)))
		}
		out = out[:f.Size(len(list))]
		f.Encode(out, list)
		_, err := w.Write(out)
		return err
	})
}

// writePlan writes a file of tensors.
func writePlan(out string, isGGUF bool, architecture string, plan []saved) error {
	infos, size := make([]tensor.Info, len(plan)), int64(0)
	for i, s := range plan {
		infos[i], size = s.info, size+s.info.Size
	}
	head, err := tensor.Header(map[string]string{"format": "pt"}, infos)
	if isGGUF {
		head, err = gguf.Header(map[string]string{gguf.Architecture: architecture}, infos)
	}
	if err != nil {
		return err
	}
	if err := hasRoom(out, size+int64(len(head))); err != nil {
		return err
	}
	return files.WriteFile(out, func(w io.Writer) error {
		if _, err := w.Write(head); err != nil {
			return err
		}
		for _, s := range plan {
			if err := s.write(w); err != nil {
				return err
			}
			if pad := gguf.Padded(s.info.Size) - s.info.Size; isGGUF && pad > 0 {
				if _, err := w.Write(make([]byte, pad)); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// IsTorch reports whether a file is one of PyTorch's archives.
func IsTorch(path string) bool {
	f, err := files.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	return isTorch(f)
}
