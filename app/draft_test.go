package app

import (
	"bytes"
	"path/filepath"
	"testing"

	"github.com/eligen/eligen/draft"
	"github.com/eligen/eligen/dsl"
)

// What the rules make of nano's own vocabulary is a scene, in fmt's layout, of which
// nothing is left to be said.
func TestNewScenesAreValid(t *testing.T) {
	a := New(Options{})
	v := vocabulary()
	sentences := []string{
		"a palm tree and three fire trucks in a desert", "an ice cream on a teddy bear at sunset",
		"grapes beside bread on a blue to pink background", "a castle behind a dinosaur, in the snow", "the sea with a whale under two clouds",
		"a mouse in a cup on a book on a chair", "in the middle a sun, at the bottom left a tiny mushroom", "apples",
	}
	for _, thing := range v.Objects {
		for _, name := range append([]string{thing.Name}, thing.Also...) {
			sentences = append(sentences, "the "+name)
		}
	}
	for _, p := range v.Backgrounds {
		sentences = append(sentences, "a cat "+p.At)
	}
	for _, s := range sentences {
		d, notes, err := draft.Plan(s, v)
		if err != nil {
			t.Errorf("%s: %v", s, err)
			continue
		}
		if len(notes) > 0 && s != "apples" {
			t.Errorf("%s: %v", s, notes)
		}
		text := d.HCL()
		if _, ds, err := a.reread(t.Context(), Input{Path: filepath.Join(t.TempDir(), "new.hcl")}, text); err != nil || len(ds) > 0 {
			t.Errorf("%s: %v\n%s", s, ds, text)
		}
		if laid, _ := dsl.Format("new.hcl", text); !bytes.Equal(laid, text) {
			t.Errorf("%s: fmt changes\n%s", s, text)
		}
	}
}
