package weights

import (
	"fmt"
	"slices"
	"strings"

	"github.com/eligen/eligen/model/gguf"
	"github.com/eligen/eligen/model/lora"
	"github.com/eligen/eligen/model/names"
)

// The kinds of checkpoint.
const (
	KindTransformer = names.DiT         // FLUX's
	KindAutoencoder = names.Autoencoder // FLUX's, with 16 channels
	KindCLIP        = names.CLIP        // text encoder
	KindT5          = names.T5          // text encoder
	KindSigLIP      = names.SigLIP      // vision tower, that image prompts are read by
	KindIPAdapter   = names.IPAdapter   // for FLUX
	KindQwenDiT     = names.QwenDiT
	KindQwenVL      = names.QwenVL
	KindQwenCode    = names.QwenCode
	KindLoRA        = "lora"
	KindAllInOne    = "all-in-one" // several of these in one file: Of gives each
	KindUnknown     = "unknown"
)

// identify finds out whose weights these are, and puts them under the names
// that the models ask for.
func (c *Checkpoint) identify(all []entry) {
	has := make(map[string]bool, len(all))
	isLoRA := false
	for _, e := range all {
		has[e.info.Name] = true
		isLoRA = isLoRA || lora.Is(e.info.Name)
	}
	found := names.Find(has)
	c.Kind, c.Foreign = KindUnknown, names.Quantised(has)
	switch {
	case c.Foreign != "":
	case isLoRA && len(found) == 0:
		c.Kind = KindLoRA
	case slices.ContainsFunc(found, func(f names.Found) bool { return names.Qwen(f.Kind) }):
	default:
		c.Foreign = names.Foreign(has)
	}
	if a := c.Metadata[gguf.Architecture]; c.Foreign == "" && c.Container == containerGGUF && names.ForeignArchitecture(a) {
		c.Foreign = fmt.Sprintf("a GGUF file of the architecture %q", a)
	} else {
		c.architecture(len(found) > 0)
	}
	if c.Foreign != "" || len(found) == 0 {
		c.list(cutPrefix(all, "model.diffusion_model."))
		return
	}
	if len(found) == 1 {
		c.Kind, c.Format = found[0].Kind, found[0].Format
		c.list(c.native(found[0], cutPrefix(all, found[0].Prefix)))
		c.variant()
		return
	}
	c.split(all, found)
}

// list makes entries the checkpoint's.
func (c *Checkpoint) list(all []entry) {
	c.entries = make(map[string]entry, len(all))
	for _, e := range all {
		c.entries[e.info.Name] = e
		c.order = append(c.order, e.info)
	}
}

// cutPrefix leaves a prefix out of the names that have it.
func cutPrefix(all []entry, prefix string) []entry {
	for i := range all {
		all[i].info.Name = strings.TrimPrefix(all[i].info.Name, prefix)
	}
	return all
}

// architecture has a GGUF file say itself which model's it is.
func (c *Checkpoint) architecture(known bool) {
	a := c.Metadata[gguf.Architecture]
	switch {
	case c.Container != containerGGUF || a == "":
	case c.Foreign != "":
		c.Foreign += fmt.Sprintf(" (its architecture is %q)", a)
	case c.Kind == KindUnknown && !known:
		c.Foreign = fmt.Sprintf("a GGUF file of the architecture %q, with tensors of no model that eligen runs", a)
	}
}

// split makes a checkpoint of each network of a file with several.
func (c *Checkpoint) split(all []entry, found []names.Found) {
	c.Kind, c.parts = KindAllInOne, map[string]*Checkpoint{}
	// The longest prefix that fits is a tensor's: one network's may begin as another's.
	slices.SortStableFunc(found, func(a, b names.Found) int { return len(b.Prefix) - len(a.Prefix) })
	of := make([][]entry, len(found))
	for _, e := range all {
		i := slices.IndexFunc(found, func(f names.Found) bool { return strings.HasPrefix(e.info.Name, f.Prefix) })
		if i < 0 {
			c.Ignored = append(c.Ignored, e.info.Name)
			continue
		}
		of[i] = append(of[i], e)
	}
	var listed []entry
	for i, f := range found {
		if c.parts[f.Kind] != nil {
			c.Foreign = fmt.Sprintf("a file that holds the %s twice, under %q and elsewhere", f.Kind, f.Prefix)
			continue
		}
		p := &Checkpoint{Path: c.Path + " (" + f.Kind + ")", Kind: f.Kind, Format: f.Format, Container: c.Container, Files: c.Files,
			Metadata: c.Metadata, shards: c.shards, part: true}
		kept := p.native(f, cutPrefix(slices.Clone(of[i]), f.Prefix))
		p.list(kept)
		p.variant()
		c.parts[f.Kind] = p
		for _, name := range p.Ignored {
			c.Ignored = append(c.Ignored, f.Prefix+name)
		}
		for _, e := range kept {
			e.info.Name = f.Prefix + e.info.Name
			listed = append(listed, e)
		}
	}
	c.list(listed)
}

// Of returns the network of a kind that a checkpoint is, or that is in it, or nil.
// It is closed with the checkpoint.
func (c *Checkpoint) Of(kind string) *Checkpoint {
	if c.Kind == kind {
		return c
	}
	return c.parts[kind]
}

// Kinds returns the kinds of the networks that a file holds, by its header. A LoRA is none, and another
// model's file is an error.
func Kinds(path string) (kinds []string, err error) {
	c, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if c.Kind != KindLoRA && c.Kind != KindUnknown && c.Kind != KindAllInOne {
		kinds = []string{c.Kind}
	}
	for _, p := range c.Parts() {
		if err := p.Refused(); err != nil {
			return nil, err
		}
		kinds = append(kinds, p.Kind)
	}
	if err := c.Refused(); err != nil {
		return nil, err
	}
	return kinds, nil
}

// Parts returns the networks in a file that holds several, in the order of a model's.
func (c *Checkpoint) Parts() (list []*Checkpoint) {
	for _, kind := range []string{KindTransformer, KindCLIP, KindT5, KindAutoencoder, KindSigLIP, KindIPAdapter,
		KindQwenDiT, KindQwenVL, KindQwenCode} {
		if p := c.parts[kind]; p != nil {
			list = append(list, p)
		}
	}
	return list
}

// Refused says why a checkpoint can't be run that is another model's, or nil.
func (c *Checkpoint) Refused() error {
	if c.Foreign == "" {
		return nil
	}
	return fmt.Errorf("%s is %s. eligen runs FLUX.1 [dev] and [schnell], and Qwen-Image", c.Path, c.Foreign)
}

// variant finds out whether a transformer takes more than the picture's latents.
func (c *Checkpoint) variant() {
	in, out := c.Shape("img_in.weight"), c.Shape("final_layer.linear.weight")
	if c.Kind != KindTransformer || len(in) != 2 {
		return
	}
	features := 0
	if len(out) == 2 {
		features = out[0]
	}
	c.Foreign = names.Variant(in[1], features)
}

// native puts a network's tensors under the names that the models ask for, and leaves out those
// that none does.
func (c *Checkpoint) native(f names.Found, all []entry) []entry {
	if f.Into != "" {
		for i := range all {
			all[i].info.Name = f.Into + all[i].info.Name
		}
	}
	switch {
	case f.Kind == KindT5:
		all = t5Entries(all)
	case f.Kind == KindQwenVL:
		for i := range all {
			all[i].info.Name = names.QwenText(all[i].info.Name)
		}
	case f.Kind == KindQwenCode:
		coderEntries(all)
	case f.Format == "diffusers" && f.Kind == KindTransformer:
		all = transformerEntries(all)
	case f.Format == "diffusers" && f.Kind == KindAutoencoder:
		all = autoencoderEntries(all)
	}
	return slices.DeleteFunc(all, func(e entry) bool {
		out := names.Unread(f.Kind, e.info.Name)
		if out {
			c.Ignored = append(c.Ignored, e.info.Name)
		}
		return out
	})
}

// t5Entries turns llama.cpp's names into Hugging Face's, and has the embedding under one of its two.
func t5Entries(all []entry) []entry {
	const shared, own = "shared.weight", "encoder.embed_tokens.weight"
	for i := range all {
		if hf, ok := names.T5HF(all[i].info.Name); ok {
			all[i].info.Name = hf
		}
	}
	both := slices.ContainsFunc(all, func(e entry) bool { return e.info.Name == shared })
	if both {
		return slices.DeleteFunc(all, func(e entry) bool { return e.info.Name == own })
	}
	for i := range all {
		if all[i].info.Name == own {
			all[i].info.Name = shared
		}
	}
	return all
}

// coderEntries turns Wan's names into diffusers'. How many blocks a level of the decoder has shows in
// where the first is that enlarges.
func coderEntries(all []entry) {
	blocks := 1
	for n := range len(all) {
		if slices.ContainsFunc(all, func(e entry) bool { return e.info.Name == fmt.Sprintf("decoder.upsamples.%d.resample.1.weight", n) }) {
			blocks = n
			break
		}
	}
	for i := range all {
		all[i].info.Name = names.QwenAutoencoder(all[i].info.Name, max(1, blocks))
	}
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
		if len(e.info.Shape) == 0 || len(p.info.Shape) != len(e.info.Shape) || !slices.Equal(p.info.Shape[1:], e.info.Shape[1:]) {
			return e, false
		}
		e.info.Shape[0] += p.info.Shape[0]
		e.info.Size += p.info.Size
		e.segments = append(e.segments, p.segments...)
	}
	if swap {
		s := e.segments[0]
		if len(e.segments) != 1 || len(e.info.Shape) == 0 || e.info.Shape[0]%2 != 0 {
			return e, false
		}
		half := s.n / 2
		e.segments = []segment{{s.of, s.first + half, half}, {s.of, s.first, half}}
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
