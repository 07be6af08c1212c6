package planner

import (
	"cmp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/stage/encode"
)

// checkPrompt reports a prompt that encoders can't take whole.
func (p *problems) checkPrompt(at *eligen.Source, address, prompt string, spec eligen.Spec, as eligen.Reading, whole bool) {
	if !utf8.ValidString(prompt) {
		p.diags.Errorf(at, "Prompt is no text", "The prompt of %s is not valid UTF-8.", address)
		return
	}
	p.read(at, prompt, spec, whole)
	p.tooLong(at, prompt, spec.Encoders, as)
}

// tooLong warns of a prompt that text encoders cut.
func (p *problems) tooLong(at *eligen.Source, prompt string, encoders []eligen.Encoder, as eligen.Reading) {
	first := ""
	for i, e := range encoders {
		if e.Pooled && !as.Pooled {
			continue
		}
		limit, n := cmp.Or(e.Limit, as.Length), e.Count(prompt)
		cut := func() string { return cutAt(prompt, func(s string) bool { return e.Count(s) <= limit }) }
		switch {
		case i == 0 && n > limit:
			first = e.Name + " reads on"
			p.warn(at, "Prompt is too long", "%s, %s, reads %d tokens of this prompt and would need %d. It is cut after %q.", e.Name, e.Role, limit,
				n, cut())
		case i == 0:
			first = e.Name + " reads it all"
		case n > limit: // the first one reads more
			p.warn(at, "Prompt is too long for one encoder", "%s, %s, reads %d tokens and would need %d. It is cut after %q; %s.", e.Name, e.Role,
				limit, n, cut(), first)
		}
	}
}

// cutAt returns the last words of the longest beginning of a prompt that fits.
func cutAt(prompt string, fits func(string) bool) string {
	words := strings.Fields(prompt)
	low, high := 0, len(words)
	for low < high {
		mid := (low + high + 1) / 2
		if fits(strings.Join(words[:mid], " ")) {
			low = mid
		} else {
			high = mid - 1
		}
	}
	if low > 4 {
		return "… " + strings.Join(words[low-4:low], " ")
	}
	return strings.Join(words[:low], " ")
}

// prompts plans the text encoders' work of a render, before all that makes pictures: its weights
// come and go once.
func (b *builder) prompts(w *work) {
	if !w.rereads() {
		b.read(w)
		return
	}
	for n, frame := range w.frames {
		if b.options.Frames == nil || b.options.Frames(n) {
			b.read(frame)
		}
	}
}

// rereads reports whether each frame of a clip reads its prompts, by text encoders under a LoRA
// whose scale moves.
func (w *work) rereads() bool {
	return slices.ContainsFunc(w.frames, func(frame *work) bool {
		for i, a := range frame.spec.Adapters {
			if a.Factors && frame.spec.TraitsOf(i).Text {
				return true
			}
		}
		return false
	})
}

// read plans the reading of a render's prompts, or of those of one frame.
func (b *builder) read(w *work) {
	r, s := w.render, w.spec
	w.entityPrompts = nil
	w.prompt = b.add(w, r.Address+".prompt", *r.Where("prompt"), promptOp(s, r.Prompt, s.Prompt))
	if w.negative {
		w.negativePrompt = b.add(w, r.Address+".negative", *r.Where("negative"), promptOp(s, r.Negative, s.Prompt))
	}
	w.entityNegatives = nil
	for _, e := range w.entities {
		if w.negative && e.Negative != "" {
			if w.entityNegatives == nil {
				w.entityNegatives = map[string]eligen.Ref{}
			}
			w.entityNegatives[e.Address] = b.add(w, e.Address+".negative", *e.Where("negative"), promptOp(s, e.Negative, s.EntityPrompt))
		}
		w.entityPrompts = append(w.entityPrompts, b.add(w, e.Address+".prompt", *e.Where("prompt"), promptOp(s, e.Prompt, s.EntityPrompt)))
	}
}

// promptOp returns the stage that reads a prompt.
func promptOp(s eligen.Spec, prompt string, as eligen.Reading) encode.Op {
	op := encode.Op{Text: s.Text, Prompt: prompt, Length: as.Length, Pooled: as.Pooled, Unpadded: as.Unpadded}
	for i, a := range s.Adapters {
		if s.TraitsOf(i).Text {
			op.Adapters = append(op.Adapters, a)
		}
	}
	return op
}
