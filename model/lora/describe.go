package lora

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// A Kind is a way to write a change of a weight.
type Kind string

// The kinds of changes that are read.
const (
	LoRA       Kind = "LoRA"
	LoKr       Kind = "LoKr"
	LoHa       Kind = "LoHa"
	DoRA       Kind = "DoRA"
	Difference Kind = "whole differences (.diff)"
)

func (c *change) kind() Kind {
	switch c.delta.(type) {
	case lokr:
		return LoKr
	case loha:
		return LoHa
	case whole:
		if c.role != upBias {
			return Difference
		}
	}
	if c.norms != nil {
		return DoRA
	}
	return LoRA
}

// Kinds lists the kinds of the file's changes, the most frequent first.
func (f *File) Kinds() []Kind {
	count := map[Kind]int{}
	var list []Kind
	for _, c := range f.changes {
		k := c.kind()
		if count[k]++; count[k] == 1 {
			list = append(list, k)
		}
	}
	slices.SortStableFunc(list, func(a, b Kind) int { return count[b] - count[a] })
	return list
}

// Has reports whether the file changes anything of a component.
func (f *File) Has(part Part) bool {
	return slices.ContainsFunc(f.changes, func(c *change) bool { return c.part == part })
}

// Text counts the layers of text encoders that the file changes: "4 layers of CLIP and 8 of
// T5"; "" where it changes none.
func (f *File) Text() string {
	var list []string
	for _, part := range []Part{CLIP, T5} {
		switch n := f.Modules(part); {
		case n > 0 && list == nil:
			list = append(list, fmt.Sprintf("%s of %s", counted(n, "layer"), part))
		case n > 0:
			list = append(list, fmt.Sprintf("%d of %s", n, part))
		}
	}
	return strings.Join(list, " and ")
}

// Unmerged returns an error where the file can't be kept next to the weights, as a strength
// that moves needs it: a DoRA's change at one strength is no multiple of that at another.
func (f *File) Unmerged() error {
	seen := map[string]bool{}
	for _, c := range f.changes {
		if c.norms != nil {
			seen[c.stem] = true
		}
	}
	if len(seen) == 0 {
		return nil
	}
	return fmt.Errorf("%d of its modules are DoRA, which brings the weights to other norms at each strength", len(seen))
}

// Rank returns the smallest and the largest rank of the file's factors; zeros where it has none.
func (f *File) Rank() (low, high int) {
	for _, c := range f.changes {
		if c.rank == 0 {
			continue
		}
		if low == 0 {
			low = c.rank
		}
		low, high = min(low, c.rank), max(high, c.rank)
	}
	return low, high
}

// Alpha returns the smallest and the largest alpha/rank that the file states, 1 for
// a module that states none.
func (f *File) Alpha() (low, high float64) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, c := range f.changes {
		s := c.scale(AlphaFile)
		low, high = min(low, s), max(high, s)
	}
	return low, high
}

// Modules counts the linear layers and norms of a component that are updated.
func (f *File) Modules(part Part) int {
	seen := map[string]bool{}
	for _, c := range f.changes {
		if c.part == part {
			seen[c.module.BFL] = true
		}
	}
	return len(seen)
}

// Width returns the width of the transformer's streams; 0 where no module tells.
func (f *File) Width() int {
	for _, c := range f.changes {
		if layer := kind(c.name); strings.HasSuffix(layer, "_attn.qkv.weight") || layer == "single_blocks.linear1.weight" {
			_, in := c.delta.shape()
			return in
		}
	}
	return 0
}

// String describes the file: "native LoRA, rank 16, 60 modules", or "Qwen-Image diffusers LoRA, …".
func (f *File) String() string {
	var kinds []string
	for _, k := range f.Kinds() {
		kinds = append(kinds, string(k))
	}
	s := f.Format + " " + strings.Join(kinds, " and ")
	if f.Model != Flux.Name {
		s = f.Model + " " + s
	}
	if low, high := f.Rank(); high > 0 {
		s += fmt.Sprintf(", rank %d", low)
		if high != low {
			s += fmt.Sprintf("–%d", high)
		}
	}
	if a, b := f.Alpha(); a != 1 || b != 1 {
		s += fmt.Sprintf(", alpha/rank %.4g", a)
		if b != a {
			s += fmt.Sprintf("–%.4g", b)
		}
	}
	s += fmt.Sprintf(", %d modules", f.Modules(Transformer))
	for _, part := range []Part{CLIP, T5} {
		if n := f.Modules(part); n > 0 {
			s += fmt.Sprintf(", %d of %s", n, part)
		}
	}
	return s
}

// Dropped describes what of the file is applied to nothing, with counts, one string a kind:
// "1 embedding of a new word (frog; bundle_emb)". It is empty where all is applied.
func (f *File) Dropped() (list []string) {
	words, tensors := map[string]bool{}, 0
	var order []string
	stems := map[Part]map[string]bool{CLIP: {}, T5: {}}
	for _, name := range f.Ignored {
		if rest, ok := strings.CutPrefix(name, embeddings); ok {
			tensors++
			word, _, _ := strings.Cut(rest, ".")
			if !words[word] {
				order = append(order, word)
			}
			words[word] = true
			continue
		}
		stem, _ := split(name)
		part, _, _ := encoder(stem)
		stems[part][stem] = true
	}
	for _, part := range []Part{CLIP, T5} {
		if n := len(stems[part]); n > 0 {
			list = append(list, fmt.Sprintf("%s that no %s text encoder of FLUX.1 has", counted(n, "layer"), part))
		}
	}
	if tensors > 0 {
		list = append(list, fmt.Sprintf("embeddings of new words (bundle_emb), %s in %s", strings.Join(order, ", "), counted(tensors, "tensor")))
	}
	return list
}

func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
