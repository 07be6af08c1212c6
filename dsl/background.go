package dsl

import (
	"strings"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/pixels"
)

// background reads the colour behind what is transparent in pictures.
func (b *body) background(pictures ...*eligen.Picture) {
	s, ok := b.text("background")
	if !ok {
		return
	}
	if _, err := pixels.ParseColour(s); err != nil || s == "" {
		b.errorf(b.place("background"), "Invalid colour",
			"%q is no colour. Write one as \"#rrggbb\", two hexadecimal digits each for red, green and blue; white is \"#ffffff\".", s)
		return
	}
	for _, p := range pictures {
		p.Background = strings.ToLower(s)
	}
}

// kept says where an argument's picture is promised to stay as it is, and is converted.
func (b *body) kept(name string, p eligen.Picture, k eligen.Keeping) {
	if _, here := b.attrs[name]; here && p.Profile != "" && k.Mode != "reference" {
		other := ""
		if strings.Contains(p.Profile, "sRGB") {
			other = ", which holds other colours than its name says"
		}
		b.l.warnf(b.place(name), "Picture is converted to sRGB", "%s has the colour profile %q%s, and eligen makes sRGB. The pixels that are "+
			"kept are converted: they look the same, as far as sRGB has their colours, and their numbers differ.", p.Path, p.Profile, other)
	}
}
