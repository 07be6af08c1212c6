package lora

import (
	"strconv"
	"strings"
	"testing"

	"github.com/eligen/eligen/internal/tensor"
)

// FuzzParse reads files of any names and shapes: one tensor a line, its name and its axes. What is
// read can be laid over a model, in its weights and next to them, or says why not.
func FuzzParse(f *testing.F) {
	for _, c := range kindCases() {
		var b strings.Builder
		for _, t := range c.file {
			b.WriteString(t.Name)
			for _, n := range t.Shape {
				b.WriteString(" " + strconv.Itoa(n))
			}
			b.WriteString("\n")
		}
		f.Add(b.String(), "")
	}
	const dora = "lora_transformer_single_transformer_blocks_0_attn_to_k"
	f.Add(dora+".lora_down.weight 2 6\n"+dora+".lora_up.weight 6 2\n"+dora+".dora_scale 1 6\n"+dora+".alpha\n", "")
	f.Add("lora_te1_text_model_encoder_layers_0_mlp_fc1.diff_b 4\nbundle_emb.a.t5 1 2\nx.oft_blocks 1\n", "")
	f.Add("single_transformer_blocks.0.attn.to_k.lora_A.weight 2 6\nsingle_transformer_blocks.0.attn.to_k.lora_B.weight 6 2\n",
		`{"transformer.lora_alpha": 3, "transformer.alpha_pattern": {"to_k": 1}, "transformer.use_rslora": true}`)
	f.Fuzz(func(t *testing.T, text, settings string) {
		var file memory
		seen := map[string]bool{}
		for line := range strings.Lines(text) {
			words := strings.Fields(line)
			if len(words) == 0 || seen[words[0]] || len(file) == 20 {
				continue
			}
			seen[words[0]] = true
			shape, ok := []int{}, len(words) < 6
			for _, w := range words[1:] {
				n, err := strconv.Atoi(w)
				ok = ok && err == nil && n >= 0 && n <= 50
				shape = append(shape, n)
			}
			if ok && elements(shape) <= 5000 {
				file = append(file, tensor.Named{Name: words[0], Tensor: random(uint64(len(file)), shape...)})
			}
		}
		parsed, err := Parse("x", file, map[string]string{metadataKey: settings}, nil)
		if settings == "" {
			parsed, err = Parse("x", file, nil, nil)
		}
		if err != nil {
			return
		}
		if parsed.String() == "" || parsed.Check() != nil {
			t.Errorf("%s, %v", parsed, parsed.Check())
		}
		list, err := parsed.Factors()
		if err == nil {
			_, err = Named(Diffusers, list...)
		}
		_ = err // many can't be written
		for _, part := range []Part{Transformer, CLIP, T5} {
			layers := Layer{File: parsed, Scale: 0.5, Part: part}
			for _, lay := range []func(Loader, ...Layer) (Loader, error){Over, Beside} {
				l, err := lay(layer, layers)
				if err != nil {
					continue
				}
				for _, info := range l.Tensors() {
					if got := readAll(t, l, info.Name); len(got) != elements(info.Shape) {
						t.Errorf("%s has %d numbers of %v", info.Name, len(got), info.Shape)
					}
				}
			}
		}
	})
}
