package eligen

import (
	"image"
	"strings"
)

// A Sample is an entity-annotated picture, as training and evaluation see it.
type Sample struct {
	Name       string
	Image      *image.NRGBA
	Prompt     string
	Background string // words for what is behind the entities: "a green background"
	Style      string // how a composed picture is drawn: "3d", "flat"; "" is not known
	Entities   []SampleEntity

	// Of a picture of two panels, left and right, that show the same object:
	Before    *image.NRGBA  // the picture without its first entity; nil elsewhere
	Reference *SampleEntity // the object in the left panel; nil elsewhere
}

// Said is a prompt of the sample's as it names the sample's style: "ink, a dog in a meadow".
func (s Sample) Said(prompt string) string { return SayStyle(s.Style) + s.Unsaid(prompt) }

// Unsaid is a prompt of the sample's without the style: "a dog in a meadow".
func (s Sample) Unsaid(prompt string) string { return strings.TrimPrefix(prompt, SayStyle(s.Style)) }

// SayStyle is what a prompt begins with to name a style, "ink, "; SolidStyle goes without
// saying.
func SayStyle(style string) string {
	if style == "" || style == SolidStyle {
		return ""
	}
	return style + ", "
}

// SolidStyle is the style of composed pictures that goes without saying: what is
// drawn where nothing says otherwise.
const SolidStyle = "3d"

// A SampleEntity is one annotated object of a Sample.
type SampleEntity struct {
	Class  string // "dog"
	Prompt string // "a dog"
	Region Region // what EliGen is told: a box, usually
	Hue    int    // degrees that its colours were turned around the colour wheel by
	Mask   *image.Gray
	// Mask is 255 where the object is, at the picture's size; nil if unknown.
}

// Samples yields sample i of an endless, reproducible sequence: the same i is
// the same sample on any machine.
type Samples func(i int) (Sample, error)

// A Metric is one measured figure.
type Metric struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Low   float64 `json:"low"` // 95 % interval
	High  float64 `json:"high"`
	N     int     `json:"n"`
	Goal  string  `json:"goal,omitempty"`
}
