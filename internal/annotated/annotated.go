// Package annotated is what training and evaluation see of a picture: its prompt, its
// entities and where they are.
package annotated

import (
	"image"
	"strings"

	"github.com/eligen/eligen"
)

// A Sample is an entity-annotated picture, as training and evaluation see it.
type Sample struct {
	Name       string
	Image      *image.NRGBA
	Prompt     string
	Background string // words for what is behind the entities: "a green background"
	Style      string // how a composed picture is drawn: "3d", "flat"; "" is not known
	Entities   []Entity

	// Of a picture of two panels, left and right, that show the same object:
	Before    *image.NRGBA // the picture without its first entity; nil elsewhere
	Reference *Entity      // the object in the left panel; nil elsewhere
}

// StyledPrompt returns a prompt of the sample with the sample's style named first:
// "ink, a dog in a meadow".
func (s Sample) StyledPrompt(prompt string) string {
	return StylePrefix(s.Style) + s.PlainPrompt(prompt)
}

// PlainPrompt returns a prompt of the sample without the style: "a dog in a meadow".
func (s Sample) PlainPrompt(prompt string) string {
	return strings.TrimPrefix(prompt, StylePrefix(s.Style))
}

// StylePrefix returns the words that name a style at a prompt's beginning, "ink, ";
// nothing for DefaultStyle.
func StylePrefix(style string) string {
	if style == "" || style == DefaultStyle {
		return ""
	}
	return style + ", "
}

// DefaultStyle is the style of composed pictures whose prompts name none.
const DefaultStyle = "3d"

// An Entity is one annotated object of a Sample.
type Entity struct {
	Class  string        // "dog"
	Prompt string        // "a dog"
	Region eligen.Region // where EliGen is to draw it: a box, usually
	Hue    int           // degrees that its colours were turned around the colour wheel by
	Mask   *image.Gray
	// Mask is 255 where the object is, at the picture's size; nil if unknown.
}

// Samples returns sample i of an endless, reproducible sequence: the same i gives the
// same sample on any machine.
type Samples func(i int) (Sample, error)
