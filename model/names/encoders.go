package names

import "fmt"

// CLIPModules lists the modules of CLIP's text encoder with so many layers, by Hugging Face's names.
func CLIPModules(layers int) (list []Module) {
	add := func(norm bool, name string) {
		list = append(list, Module{BFL: name, Diffusers: []string{name}, Norm: norm})
	}
	for i := range layers {
		for _, s := range []string{"self_attn.k_proj", "self_attn.v_proj", "self_attn.q_proj", "self_attn.out_proj", "mlp.fc1", "mlp.fc2"} {
			add(false, fmt.Sprintf("text_model.encoder.layers.%d.%s", i, s))
		}
		add(true, fmt.Sprintf("text_model.encoder.layers.%d.layer_norm1", i))
		add(true, fmt.Sprintf("text_model.encoder.layers.%d.layer_norm2", i))
	}
	add(true, "text_model.final_layer_norm")
	return list
}

// T5Modules lists the modules of T5's encoder with so many blocks, by Hugging Face's names.
func T5Modules(blocks int) (list []Module) {
	add := func(norm bool, name string) {
		list = append(list, Module{BFL: name, Diffusers: []string{name}, Norm: norm})
	}
	for i := range blocks {
		for _, s := range []string{"0.SelfAttention.q", "0.SelfAttention.k", "0.SelfAttention.v", "0.SelfAttention.o",
			"1.DenseReluDense.wi_0", "1.DenseReluDense.wi_1", "1.DenseReluDense.wo"} {
			add(false, fmt.Sprintf("encoder.block.%d.layer.%s", i, s))
		}
		add(true, fmt.Sprintf("encoder.block.%d.layer.0.layer_norm", i))
		add(true, fmt.Sprintf("encoder.block.%d.layer.1.layer_norm", i))
	}
	add(true, "encoder.final_layer_norm")
	return list
}
