package weights

import (
	"fmt"
	"slices"
	"strings"

	"github.com/eligen/eligen/model/lora"
	"github.com/eligen/eligen/model/names"
)

// The kinds of checkpoint.
const (
	KindTransformer = "transformer" // FLUX's DiT
	KindAutoencoder = "autoencoder" // FLUX's, with 16 channels
	KindCLIP        = "clip"        // text encoder
	KindT5          = "t5"          // text encoder
	KindSigLIP      = "siglip"      // vision tower, that image prompts are read by
	KindIPAdapter   = "ip-adapter"  // for FLUX
	KindLoRA        = "lora"
	KindUnknown     = "unknown"
)

// identify finds out whose weights these are, and puts them under the names
// that the models ask for.
func (c *Checkpoint) identify(all []entry) {
	const prefix = "model.diffusion_model."
	for i := range all {
		all[i].info.Name = strings.TrimPrefix(all[i].info.Name, prefix)
	}
	has := func(name string) bool {
		return slices.ContainsFunc(all, func(e entry) bool { return e.info.Name == name })
	}
	c.Kind, c.Format = KindUnknown, ""
	switch {
	case slices.ContainsFunc(all, func(e entry) bool { return lora.Is(e.info.Name) }):
		c.Kind = KindLoRA
	case has("img_in.weight") && has("txt_in.weight"):
		c.Kind, c.Format = KindTransformer, "bfl"
	case has("x_embedder.weight") && has("context_embedder.weight"):
		c.Kind, c.Format = KindTransformer, "diffusers"
		all = transformerEntries(all)
	case has("encoder.conv_in.weight") && has("decoder.conv_in.weight"):
		c.Kind, c.Format = KindAutoencoder, "bfl"
		if has("encoder.down_blocks.0.resnets.0.conv1.weight") {
			c.Format = "diffusers"
			all = autoencoderEntries(all)
		}
	case has("vision_model.head.probe"): // CLIP's vision towers have none
		c.Kind, c.Format = KindSigLIP, "hf"
		all = c.drop(all, "text_model.", "logit_scale", "logit_bias")
	case slices.ContainsFunc(all, func(e entry) bool { return strings.HasPrefix(e.info.Name, "ip_adapter.") }):
		c.Kind, c.Format = KindIPAdapter, "instantx"
	case has("text_model.embeddings.token_embedding.weight"):
		c.Kind, c.Format = KindCLIP, "hf"
		all = c.drop(all, "text_model.embeddings.position_ids", "text_projection.weight", "logit_scale")
	case has("encoder.block.0.layer.0.SelfAttention.q.weight"):
		c.Kind, c.Format = KindT5, "hf"
		if has("shared.weight") {
			all = c.drop(all, "encoder.embed_tokens.weight")
		}
		for i := range all {
			if all[i].info.Name == "encoder.embed_tokens.weight" {
				all[i].info.Name = "shared.weight"
			}
		}
		all = c.drop(all, "decoder.", "lm_head.weight", "spiece_model")
	}
	c.entries = make(map[string]entry, len(all))
	for _, e := range all {
		c.entries[e.info.Name] = e
		c.order = append(c.order, e.info)
	}
}

// drop leaves out tensors that no model asks for: those named, and those whose
// names start with one that ends in a dot.
func (c *Checkpoint) drop(all []entry, unwanted ...string) []entry {
	return slices.DeleteFunc(all, func(e entry) bool {
		out := slices.ContainsFunc(unwanted, func(u string) bool {
			return e.info.Name == u || strings.HasSuffix(u, ".") && strings.HasPrefix(e.info.Name, u)
		})
		if out {
			c.Ignored = append(c.Ignored, e.info.Name)
		}
		return out
	})
}

// transformerEntries turns diffusers' names into BFL's. What it does not know,
// or knows only in part, keeps its name, so that Check can point at it.
func transformerEntries(all []entry) []entry {
	byName := make(map[string]entry, len(all))
	for _, e := range all {
		byName[e.info.Name] = e
	}
	has := func(name string) bool { _, ok := byName[name]; return ok }
	double, single := names.Blocks(has)
	var out []entry
	used := map[string]bool{}
	for _, t := range names.Transformer(double, single, has("time_text_embed.guidance_embedder.linear_1.weight")) {
		var parts []entry
		for _, d := range t.Diffusers {
			if e, ok := byName[d]; ok {
				parts = append(parts, e)
			}
		}
		if len(parts) < len(t.Diffusers) {
			continue
		}
		e, ok := stack(t.BFL, parts, t.Swap)
		if !ok {
			continue
		}
		for _, d := range t.Diffusers {
			used[d] = true
		}
		out = append(out, e)
	}
	for _, e := range all {
		if !used[e.info.Name] {
			out = append(out, e)
		}
	}
	return out
}

// stack returns tensors one below the other, or false where they don't fit.
func stack(name string, parts []entry, swap bool) (entry, bool) {
	e := entry{info: parts[0].info}
	e.info.Name = name
	e.info.Shape = slices.Clone(e.info.Shape)
	e.segments = slices.Clone(parts[0].segments)
	for _, p := range parts[1:] {
		if len(e.info.Shape) == 0 || len(p.info.Shape) != len(e.info.Shape) || p.info.DType != e.info.DType ||
			!slices.Equal(p.info.Shape[1:], e.info.Shape[1:]) {
			return e, false
		}
		e.info.Shape[0] += p.info.Shape[0]
		e.info.Size += p.info.Size
		e.segments = append(e.segments, p.segments...)
	}
	if swap {
		s := e.segments[0]
		size, ok := element[e.info.DType]
		if !ok || len(e.segments) != 1 || len(e.info.Shape) == 0 || e.info.Shape[0]%2 != 0 {
			return e, false
		}
		half := s.n / 2
		e.segments = []segment{{s.in, s.offset + int64(half)*size, half}, {s.in, s.offset, half}}
	}
	return e, true
}

// autoencoderEntries turns diffusers' names into BFL's, and the attention's
// linear layers into the 1×1 convolutions that they are there.
func autoencoderEntries(all []entry) []entry {
	levels := 0
	for slices.ContainsFunc(all, func(e entry) bool {
		return e.info.Name == fmt.Sprintf("encoder.down_blocks.%d.resnets.0.conv1.weight", levels)
	}) {
		levels++
	}
	out := slices.Clone(all)
	for i, e := range out {
		bfl, ok := names.AutoencoderBFL(e.info.Name, levels)
		if !ok {
			continue
		}
		out[i].info.Name = bfl
		if d := e.info.Shape; strings.Contains(bfl, ".attn_1.") && len(d) == 2 {
			out[i].info.Shape = []int{d[0], d[1], 1, 1}
		}
	}
	return out
}
