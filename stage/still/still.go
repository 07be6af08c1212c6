// Package still is the stages that finish a picture: they draw the overlay if one
// was asked for, and write into the PNG, JPEG or WebP what made it.
package still

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/png"
	"strings"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/pixels"
)

// Op turns a decoded picture, its input, into the PNG that a render is written to:
// with the render as metadata, unless Strip is set, and with regions and prompts
// drawn over it where Overlay is set.
type Op struct {
	Resolved Resolved
	Overlay  bool
	Strip    bool
	Mark     *eligen.Mark `recipe:"omitzero"` // nil: the file says nowhere else that a model made it
}

// Resolved is a render with nothing left open: all that is needed to make its
// picture again. Every picture carries it, as JSON.
type Resolved struct {
	Format           int         `json:"format"` // of this struct: 1
	Version          string      `json:"version"`
	Engine           string      `json:"engine"`
	Render           string      `json:"render"` // address
	Size             eligen.Size `json:"size"`
	Prompt           string      `json:"prompt"`
	Negative         string      `json:"negative,omitempty"`
	Seed             uint64      `json:"seed"`
	Noise            string      `json:"noise"` // variant
	Steps            int         `json:"steps"`
	CFG              float64     `json:"cfg"`
	Guidance         float64     `json:"guidance,omitempty"`
	Schedule         string      `json:"schedule"`
	Shift            float64     `json:"shift,omitempty"`
	NegativeEntities bool        `json:"negative_entities,omitempty"`
	Overlap          string      `json:"overlap,omitempty"` // "over", "layered", "exclusive"; "" is "blend"
	Model            Model       `json:"model"`
	Adapters         []Adapter   `json:"adapters,omitempty"`
	Entities         []Entity    `json:"entities,omitempty"`
	Init             *Init       `json:"init,omitempty"`
	Inpaint          *Inpaint    `json:"inpaint,omitempty"`
	Transfer         *Transfer   `json:"transfer,omitempty" recipe:"omitzero"`

	Approximate *Approximate `json:"approximate,omitempty" recipe:"omitzero"`

	// Geometry is how the model cuts pictures, where that isn't eligen.DefaultGeometry.
	Geometry eligen.Geometry `json:"geometry,omitzero" recipe:"omitzero"`
}

// Cut returns how the model cuts pictures.
func (r Resolved) Cut() eligen.Geometry {
	if !r.Geometry.Valid() { // zero, or of a file that anybody may have written
		return eligen.DefaultGeometry
	}
	return r.Geometry
}

// Approximate is what a render takes in place of the model's exact arithmetic, for
// time or memory.
type Approximate struct {
	TeaCache float64        `json:"tea_cache,omitempty"` // threshold of the step cache; 0 is none
	Tiles    *eligen.Tiling `json:"tiles,omitempty"`     // that the autoencoder worked in; nil for none
	// TextTokens is how many tokens entities' prompts were read as; 0 is the model's own number.
	TextTokens int `json:"text_tokens,omitempty" recipe:"omitzero"`
}

// String describes the approximations, for people.
func (a *Approximate) String() string {
	if a == nil {
		return ""
	}
	var parts []string
	if a.TeaCache != 0 {
		parts = append(parts, fmt.Sprintf("tea_cache %g", a.TeaCache))
	}
	if t := a.Tiles; t != nil {
		parts = append(parts, fmt.Sprintf("pictures in tiles of %d latents, %d apart", t.Tile, t.Stride))
	}
	if a.TextTokens != 0 {
		parts = append(parts, fmt.Sprintf("text_tokens %d", a.TextTokens))
	}
	return strings.Join(parts, "; ")
}

// Model is a model by its weights.
type Model struct {
	Family      string        `json:"family"`
	Name        string        `json:"name,omitempty"`
	DType       string        `json:"dtype"`
	Text        eligen.Digest `json:"text"`
	Transformer eligen.Digest `json:"transformer"`
	Autoencoder eligen.Digest `json:"autoencoder"`
}

// Adapter is an adapter by its weights.
type Adapter struct {
	Kind   string        `json:"kind"`
	Digest eligen.Digest `json:"digest"`
	Scale  float64       `json:"scale"`
	Alpha  string        `json:"alpha,omitempty"`
	// Factors says that a LoRA whose scale moves is not merged into the weights.
	Factors bool `json:"factors,omitempty" recipe:"omitzero"`
	// Pictures are what an IP-Adapter brings in, by their files' bytes.
	Pictures   []eligen.Digest `json:"pictures,omitempty" recipe:"omitzero"`
	Background string          `json:"background,omitempty" recipe:"omitzero"` // as an Inpaint's
}

// Entity is an entity as it was rendered.
type Entity struct {
	Address  string        `json:"address"`
	Prompt   string        `json:"prompt"`
	Region   eligen.Region `json:"region"`
	Strength float64       `json:"strength"`
	Tokens   int           `json:"tokens"`                              // how many image tokens the region covers
	Opacity  *float64      `json:"opacity,omitempty" recipe:"omitzero"` // where entities lie in layers; nil is 1
	Negative string        `json:"negative,omitempty" recipe:"omitzero"`

	AutoNegative bool `json:"auto_negative,omitempty" recipe:"omitzero"`

	Feather  float64 `json:"feather,omitempty" recipe:"omitzero"`  // pixels inside the region's edge over which it fades in
	Schedule string  `json:"schedule,omitempty" recipe:"omitzero"` // of its strength, in words; "" is always and everywhere
}

// Inpaint is the picture that a render painted into.
type Inpaint struct {
	Picture    eligen.Digest `json:"picture"`                         // of the file's bytes
	Fit        string        `json:"fit,omitempty" recipe:"omitzero"` // of a picture of another shape
	Mode       string        `json:"mode"`
	Feather    float64       `json:"feather,omitempty"`
	Background float64       `json:"background_weight,omitempty"`
	Colour     string        `json:"background,omitempty" recipe:"omitzero"` // colour behind a transparent picture, "#rrggbb"
	Profile    string        `json:"profile,omitempty" recipe:"omitzero"`    // of the picture's colours, which were converted to sRGB
}

// Transfer is the picture that a render painted into, and the one that showed it what.
type Transfer struct {
	Source     eligen.Digest `json:"source"` // of the file's bytes
	Target     eligen.Digest `json:"target"`
	Fit        string        `json:"fit,omitempty"` // of pictures of another shape
	Mode       string        `json:"mode"`
	Feather    float64       `json:"feather,omitempty"`
	Background float64       `json:"background_weight,omitempty"`
	Clean      bool          `json:"clean_source,omitempty" recipe:"omitzero"`
	Colour     string        `json:"background,omitempty" recipe:"omitzero"` // as an Inpaint's
	Profile    string        `json:"profile,omitempty" recipe:"omitzero"`    // of the target's colours, as an Inpaint's
}

// Way returns the transfer's mode, and what its model sees of the source, for people.
func (t Transfer) Way() string {
	if t.Clean {
		return t.Mode + ", clean source"
	}
	return t.Mode
}

// Init is the picture that a render started from.
type Init struct {
	Picture    eligen.Digest `json:"picture"`                         // of the file's bytes
	Fit        string        `json:"fit,omitempty" recipe:"omitzero"` // of a picture of another shape
	Strength   float64       `json:"strength"`
	Background string        `json:"background,omitempty" recipe:"omitzero"` // as an Inpaint's
}

// Background returns the colour behind what is transparent in the render's picture, "#rrggbb";
// "" where nothing can be.
func (r Resolved) Background() string {
	switch {
	case r.Inpaint != nil && r.Inpaint.Mode == "exact":
		return r.Inpaint.Colour
	case r.Transfer != nil && r.Transfer.Mode == "exact":
		return r.Transfer.Colour
	}
	return ""
}

// Kind returns the stage's name and version.
func (Op) Kind() string { return "still/3" }

// String describes the stage, for people.
func (o Op) String() string { return described("PNG", o.Overlay) }

func described(format string, overlay bool) string {
	if overlay {
		return format + " with its regions drawn"
	}
	return format
}

// Run finishes the picture.
func (o Op) Run(_ context.Context, c *eligen.Call) error {
	img, err := finish(c, o.Resolved, o.Overlay)
	if err != nil {
		return err
	}
	if o.Strip {
		return writePNG(c.Out, img, o.Mark)
	}
	about, err := o.Resolved.about(o.Mark)
	if err != nil {
		return err
	}
	return writePNG(c.Out, img, o.Mark, about...)
}

// finish returns the decoded picture, with its regions drawn if regions is set.
func finish(c *eligen.Call, r Resolved, regions bool) (*image.NRGBA, error) {
	data, err := c.Inputs[0].Read()
	if err != nil {
		return nil, err
	}
	in, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("the decoded picture can't be read: %w", err)
	}
	if b := in.Bounds(); b.Dx() != r.Size.W || b.Dy() != r.Size.H {
		return nil, fmt.Errorf("the decoded picture has %d×%d pixels instead of %d×%d. This is a bug in eligen", b.Dx(), b.Dy(),
			r.Size.W, r.Size.H)
	}
	img := pixels.Straight(in)
	if regions {
		overlay(img, r.Entities)
	}
	return img, nil
}

// ResolvedOf returns the record in the picture that a stage writes, and false for stages
// that write none.
func ResolvedOf(op eligen.Op) (Resolved, bool) {
	switch op := op.(type) {
	case Op:
		return op.Resolved, true
	case JPEG:
		return op.Resolved, true
	case WebP:
		return op.Resolved, true
	}
	return Resolved{}, false
}
