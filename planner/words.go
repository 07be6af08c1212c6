package planner

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"github.com/eligen/eligen"
)

// read warns of what the model makes nothing of in a prompt, and of what other programs
// would have read in it. A prompt in one place is looked at once: renders share entities.
func (p *problems) read(at *eligen.Source, prompt string, spec eligen.Spec, whole bool) {
	p.notation(at, prompt, whole)
	key := fmt.Sprintf("%s read %s", at, prompt)
	if spec.Unread == nil || p.warned[key] {
		return
	}
	p.warned[key] = true
	unread := spec.Unread(prompt)
	if len(unread.Pieces) > 0 {
		p.warn(at, "Characters that the encoder can't read", "%s has no piece for %s. All that it has none for is one and the same token to "+
			"it, so that this prompt is the same as many others. Say it in plain English.",
			spec.Encoders[0].Name, listed(unread.Pieces, stretch))
	}
	if len(unread.Words) > 0 {
		word := "word"
		if len(unread.Words) > 1 {
			word = "words"
		}
		p.warn(at, "Words that the model was never taught", "%s was never taught the %s %s.%s", spec.Family, word,
			listed(unread.Words, strconv.Quote), p.objects(spec))
	}
}

// objects says what a model can draw, in the first warning that speaks of words.
func (p *problems) objects(spec eligen.Spec) string {
	if p.warned["objects"] || len(spec.Objects) == 0 {
		return ""
	}
	p.warned["objects"] = true
	return fmt.Sprintf(" It knows %d kinds of object: %s.", len(spec.Objects), strings.Join(spec.Objects, ", "))
}

// mostListed is how many stretches or words a warning names.
const mostListed = 6

// listed writes a list as English: "a, b and c", or "a, b, c, d, e, f and 3 more".
func listed[T any](list []T, form func(T) string) string {
	var out []string
	for _, s := range list[:min(len(list), mostListed)] {
		out = append(out, form(s))
	}
	if n := len(list) - len(out); n > 0 {
		out = append(out, fmt.Sprintf("%d more", n))
	}
	if len(out) == 1 {
		return out[0]
	}
	return strings.Join(out[:len(out)-1], ", ") + " and " + out[len(out)-1]
}

func stretch(s eligen.Stretch) string {
	if s.Word == "" {
		return visible(s.Text)
	}
	return visible(s.Text) + " in " + visible(s.Word)
}

// visible writes a stretch of text as it is, where it can be seen; else quoted. Long ones
// are cut.
func visible(s string) string {
	const most = 20
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "…"
	}
	seen := false
	for _, r := range s {
		switch {
		case unicode.Is(unicode.Join_Control, r) || unicode.Is(unicode.Variation_Selector, r) || unicode.Is(unicode.M, r):
		case !unicode.IsPrint(r):
			return strconv.QuoteToASCII(s)
		default:
			seen = true
		}
	}
	if !seen {
		return strconv.QuoteToASCII(s)
	}
	return s
}

// A notation is how another program weighs words, or takes orders, in its prompts. Text
// encoders read it as brackets and digits.
type notation struct {
	found *regexp.Regexp
	hint  string // what to do instead; in an entity's prompt where there are two
	whole string
}

const (
	ofEntity = "Write the words alone, and set `strength` of the entity: 1 is as trained, more draws it more surely"
	ofRender = "Write the words alone; what should weigh more can be an entity of its own, with a `strength` above 1"
)

var notations = []notation{
	{regexp.MustCompile(`<(?:lora|lyco|hypernet|embedding):[^<>]*>`), "Leave it out, and name the file in an adapter \"lora\" block", ""},
	{regexp.MustCompile(`\([^()]*[^\d\s()]\s*:\s*[-+]?\d*\.?\d+\s*\)`), ofEntity, ofRender},
	{regexp.MustCompile(`\(\([^()]*\)\)`), ofEntity, ofRender},
	// In-context LoRAs have panels in brackets, in capitals.
	{regexp.MustCompile(`\[[^\[\]]*[\p{Ll}][^\[\]]*\]`), ofEntity, ofRender},
	{regexp.MustCompile(`\{\{[^{}]*\}\}`), ofEntity, ofRender},
	{regexp.MustCompile(`\S+::-?\d+(?:\.\d+)?`), ofEntity, ofRender},
	{regexp.MustCompile(`(?:^|\s)--(?:ar|no|v|q|s|c|iw|sref|cref|stylize|chaos|seed|style|niji|tile|weird)\b`),
		"Leave it out: `size`, `negative` and `seed` are arguments of the render", ""},
}

// notation hints at what another program's notation is called here.
func (p *problems) notation(at *eligen.Source, prompt string, whole bool) {
	for _, n := range notations {
		found := strings.TrimSpace(n.found.FindString(prompt))
		if found == "" {
			continue
		}
		hint := n.hint
		if whole && n.whole != "" {
			hint = n.whole
		}
		p.warn(at, "Another program's notation", "%q is how other programs write prompts; here it is read as any other text. %s.", found, hint)
		return
	}
}

// known warns of a size that the model was not made for.
func (p *problems) known(w *work) {
	spec, pixels := w.spec, w.size.W*w.size.H
	if spec.Pixels == [2]int{} || w.size.W < 1 || w.size.H < 1 || pixels >= spec.Pixels[0] && pixels <= spec.Pixels[1] {
		return
	}
	why := "objects tear and repeat"
	if pixels < spec.Pixels[0] {
		why = "objects have too few image tokens to be recognised"
	}
	p.warn(w.render.Where("size"), "Size outside of what the model knows",
		"%s was trained on pictures of %d×%d pixels; at %d×%d, %s. Leave size out, or take one near %[2]d×%[3]d.",
		spec.Family, spec.Native.W, spec.Native.H, w.size.W, w.size.H, why)
}
