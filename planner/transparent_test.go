package planner_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/planner"
	"github.com/eligen/eligen/stage/clip"
	"github.com/eligen/eligen/stage/image"
	"github.com/eligen/eligen/stage/still"
)

// TestTransparent: a model sees a transparent picture over its background, whatever
// brings the picture in, and a result that can be transparent knows it. White is the
// background where none is stated, and opaque pictures have none.
func TestTransparent(t *testing.T) {
	clear := func(w, h int, background string) eligen.Picture {
		p := file("clear.png", w, h)
		p.Transparent, p.Background = true, background
		return p
	}
	opaque := file("opaque.png", 64, 48)
	opaque.Background = "#112233"
	for name, c := range map[string]struct {
		change func(*eligen.Render)
		want   string // what the stages that show pictures to a model, and the still, have
	}{
		"init": {func(r *eligen.Render) { r.Init = &eligen.Init{Image: clear(64, 48, "#112233"), Strength: 0.5} },
			"image #112233, still -"},
		"init, white":  {func(r *eligen.Render) { r.Init = &eligen.Init{Image: clear(64, 48, ""), Strength: 0.5} }, "image #ffffff, still -"},
		"init, opaque": {func(r *eligen.Render) { r.Init = &eligen.Init{Image: opaque, Strength: 0.5} }, "image -, still -"},
		"init, scaled": {func(r *eligen.Render) { r.Init = &eligen.Init{Image: clear(128, 96, "#112233"), Strength: 0.5} },
			"latents #112233, still -"},
		"inpaint": {func(r *eligen.Render) { r.Inpaint = &eligen.Inpaint{Image: clear(64, 48, "#112233")} },
			"image #112233, still #112233"},
		"inpaint, opaque": {func(r *eligen.Render) { r.Inpaint = &eligen.Inpaint{Image: opaque} }, "image -, still -"},
		"inpaint, reference": {func(r *eligen.Render) {
			r.Inpaint = &eligen.Inpaint{Image: clear(64, 48, ""), Keeping: eligen.Keeping{Mode: "reference"}}
		}, "image #ffffff, still -"},
		"transfer": {func(r *eligen.Render) { r.Transfer = &eligen.Transfer{From: clear(64, 48, ""), To: opaque} },
			"panels #ffffff, latents -, still #ffffff"},
		"ip": {func(r *eligen.Render) {
			r.Adapters = []eligen.Adapter{{Kind: "ip", Name: "a", Scale: 1, Images: []eligen.Picture{clear(9, 9, "#112233")}}}
		}, "prompt #112233, still -"},
	} {
		scene := corner()
		r := &scene.Renders[0]
		r.Size = eligen.Size{W: 64, H: 48}
		r.Outputs = []eligen.Output{{Path: "out/a.jpg"}}
		c.change(r)
		plan, diags := planner.Build(t.Context(), scene, "engine-1", seeing, planner.Options{})
		if diags.HasErrors() {
			t.Errorf("%s: %v", name, diags)
			continue
		}
		var got []string
		say := func(kind, background string) {
			if background == "" {
				background = "-"
			}
			if text := kind + " " + background; !slices.Contains(got, text) {
				got = append(got, text)
			}
		}
		for _, s := range plan.Stages {
			switch op := s.Op.(type) {
			case image.Op:
				say("image", op.Background)
			case image.Latents:
				say("latents", op.Background)
			case image.Panels:
				say("panels", op.Background)
			case image.Prompt:
				if op.Picture != "" {
					say("prompt", op.Background)
				}
			case still.JPEG:
				say("still", op.Resolved.Background())
			case clip.GIF:
				say("clip", op.Resolved.Background)
			}
		}
		if text := strings.Join(got, ", "); text != c.want {
			t.Errorf("%s: %s, want %s", name, text, c.want)
		}
	}
}
