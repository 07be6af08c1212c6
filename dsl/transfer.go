package dsl

import (
	"github.com/eligen/eligen"
)

var transferGrammar = &grammar{
	what: "a transfer", optional: []string{"source", "target", "fit", "background", "mode", "feather", "background_weight", "clean_source"},
	inside: map[string]string{"strength": "init", "image": "inpaint"},
}

// How a picture of another shape is laid on a render, by their names.
var fits = []string{"stretch", "cover"}

// transfer reads the two pictures of an entity transfer.
func (b renderBody) transfer(r *eligen.Render) {
	block := b.inner("transfer")
	if block == nil {
		return
	}
	t := b.child(block, transferGrammar)
	defer func() { b.failed = b.failed || t.failed }()
	out := &eligen.Transfer{Source: b.l.source(t.rng)}
	if r.Transfer != nil { // of the render that this one is a variant of
		out.From, out.To, out.Fit, out.Keeping, out.Clean = r.Transfer.From, r.Transfer.To, r.Transfer.Fit, r.Transfer.Keeping, r.Transfer.Clean
	}
	for _, p := range []struct {
		name, what string
		into       *eligen.Picture
	}{
		{"source", "the picture of what is transferred", &out.From},
		{"target", "the picture that it is painted into", &out.To},
	} {
		if !t.has(p.name) && r.Transfer == nil && !t.damaged && !t.guessed[p.name] {
			t.errorf(t.rng, missing, "A transfer needs the argument %q: %s.", p.name, p.what)
		}
		if picture := t.picture(p.name); picture != nil {
			picture.Background = p.into.Background
			*p.into = *picture
		}
	}
	t.background(&out.From, &out.To)
	if s, ok := t.choice("fit", fits...); ok {
		out.Fit = s
	}
	t.keeping(&out.Keeping)
	t.kept("target", out.To, out.Keeping)
	if clean, ok := t.boolean("clean_source"); ok {
		out.Clean = &clean
	}
	r.Transfer = out
}

// keeping reads how what is outside the regions is kept.
func (b *body) keeping(k *eligen.Keeping) {
	if s, ok := b.choice("mode", "exact", "reference"); ok {
		k.Mode = s
	}
	if f, ok := b.number("feather", 0, 1000); ok {
		k.Feather = f
	}
	if f, ok := b.number("background_weight", 0, 1000); ok {
		k.Background = f
	}
}
