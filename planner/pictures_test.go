package planner_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/planner"
	"github.com/eligen/eligen/stage/denoise"
)

// seeing answers as tiny does, with an IP-Adapter of five tokens a picture, whose weights
// are told apart by their paths.
func seeing(m eligen.Model, adapters []eligen.Adapter) (eligen.Spec, error) {
	s, err := tiny(m, adapters)
	for i, a := range adapters {
		if a.Kind == "ip" {
			s.Adapters[i].Digest = eligen.DigestOf([]byte("ip" + a.Path))
			s.Sizes.PictureTokens, s.Sizes.Pictures, s.Sizes.PictureKeys = 5, 1<<20, 30
		}
	}
	return s, err
}

func ref(name string) eligen.Picture {
	return eligen.Picture{Path: name, Digest: eligen.DigestOf([]byte(name)), Size: eligen.Size{W: 20, H: 10}}
}

// styled returns corner with two IP-Adapters around EliGen's LoRA.
func styled() *eligen.Scene {
	scene := corner()
	scene.Renders[0].Prompt = "a dog on grass"
	scene.Renders[0].Adapters = []eligen.Adapter{
		{Kind: "ip", Name: "first", Scale: 0.7, Images: []eligen.Picture{ref("a.png"), ref("b.png")}, Source: line(50, `adapter "ip" "first" {`)},
		{Kind: "lora", Name: "eligen", Scale: 1, Alpha: "file"},
		{Kind: "ip", Name: "second", Scale: -0.5, Images: []eligen.Picture{ref("a.png")}, Source: line(60, `adapter "ip" "second" {`)},
	}
	scene.Renders[0].Sampler.CFG = ptr(3.0)
	return scene
}

// Each picture is read once, before the model's work, and seen at every scale that it
// has; the LoRA is what is left of the adapters.
func TestPictures(t *testing.T) {
	scene := styled()
	again := scene.Renders[0]
	again.Name, again.Address, again.Seed = "again", "render.again", 1
	scene.Renders = append(scene.Renders, again)
	plan, diags := planner.Build(t.Context(), scene, "engine-1", seeing, planner.Options{})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	var got []string
	for _, s := range plan.Stages {
		line := s.Name
		if op, ok := s.Op.(denoise.Op); ok {
			if diff := cmp.Diff([]float64{0.7, 0.7, -0.5}, op.Images); diff != "" {
				t.Error(diff)
			}
			if len(op.Adapters) != 1 || op.Adapters[0].Kind != "lora" || op.ImageAdapter != eligen.DigestOf([]byte("ip")) {
				t.Errorf("adapters %+v, IP-Adapter %s", op.Adapters, op.ImageAdapter.Short())
			}
			line += " of"
			for _, in := range s.Inputs {
				line += " " + plan.Stages[in].Name
			}
		}
		got = append(got, line)
	}
	want := []string{
		"render.picnic.prompt", "render.picnic.negative", "entity.dog.prompt",
		"adapter.ip.first.image[0]", "adapter.ip.first.image[1]", "render.picnic.negative.image",
		"render.picnic.noise",
		"render.picnic.denoise of render.picnic.noise render.picnic.prompt render.picnic.negative entity.dog.prompt " +
			"adapter.ip.first.image[0] adapter.ip.first.image[1] adapter.ip.first.image[0] render.picnic.negative.image",
		"render.picnic.decode", "render.picnic.still",
		"render.again.noise",
		"render.again.denoise of render.again.noise render.picnic.prompt render.picnic.negative entity.dog.prompt " +
			"adapter.ip.first.image[0] adapter.ip.first.image[1] adapter.ip.first.image[0] render.picnic.negative.image",
		"render.again.decode", "render.again.still",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if s := planner.Print(plan, planner.Known{}, planner.View{}); !strings.Contains(s,
		"at scale 0.7 of picture "+ref("a.png").Digest.Short()+", "+ref("b.png").Digest.Short()) {
		t.Errorf("the plan does not say which pictures are seen:\n%s", s)
	}
}

// A frame's scale is its own, and no picture is read again for it.
func TestMovingPictures(t *testing.T) {
	scene := styled()
	ease, _ := eligen.ParseEase("linear")
	scene.Renders[0].Clip = &eligen.Clip{Timeline: eligen.Timeline{Frames: 3, FPS: 8, Tracks: []eligen.Track{{
		Target: eligen.Target{Block: "adapter.ip.second", Attribute: "scale"},
		Keys: []eligen.Key{{Frame: 0, Value: eligen.Value{Numbers: []float64{0}}, Ease: ease},
			{Frame: 2, Value: eligen.Value{Numbers: []float64{1}}}},
	}}}}
	plan, diags := planner.Build(t.Context(), scene, "engine-1", seeing, planner.Options{})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	var scales [][]float64
	read := 0
	for _, s := range plan.Stages {
		switch op := s.Op.(type) {
		case denoise.Op:
			scales = append(scales, op.Images)
			if op.Adapters[0].Factors {
				t.Error("the LoRA does not move, and is kept beside the weights")
			}
		default:
			if op.Kind() == "imageprompt/2" {
				read++
			}
		}
	}
	if diff := cmp.Diff([][]float64{{0.7, 0.7, 0}, {0.7, 0.7, 0.5}, {0.7, 0.7, 1}}, scales); diff != "" || read != 3 {
		t.Errorf("%d pictures are read; scales %s", read, diff)
	}
}

// Operations and memory, against a count by hand.
func TestPicturesTake(t *testing.T) {
	scene := styled()
	with, diags := planner.Build(t.Context(), scene, "engine-1", seeing, planner.Options{})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	scene.Renders[0].Adapters = scene.Renders[0].Adapters[1:2]
	without, _ := planner.Build(t.Context(), scene, "engine-1", seeing, planner.Options{})
	// Three pictures of five tokens are seen by 16 image tokens in three blocks, and by
	// 12 of text in the one single block that isn't the last; no picture, of five as
	// well, by 8 of text there.
	const more = 4 * 2 * (15*(3*16+12) + 5*(3*16+8))
	if got := with.Renders[0].Attention - without.Renders[0].Attention; got != more || with.Renders[0].Total-without.Renders[0].Total != more {
		t.Errorf("attention grows by %v, want %d", got, more)
	}
	if got := with.Renders[0].Memory; got != 1<<20 {
		t.Errorf("the peak is %d bytes; it should be where pictures are read", got)
	}
}

func TestPictureDiagnostics(t *testing.T) {
	for name, c := range map[string]struct {
		change func(r *eligen.Render)
		want   string
	}{
		"no picture":    {func(r *eligen.Render) { r.Adapters[0].Images = nil }, `error 50 "first" brings in pictures, and has none`},
		"other weights": {func(r *eligen.Render) { r.Adapters[2].Path = "./other.bin" }, `error 60 others than those of "first"`},
		"no LoRA on FLUX": {func(r *eligen.Render) {
			r.Model.Family, r.Adapters = "flux", r.Adapters[:1]
			r.At = map[string]eligen.Source{"adapters": line(70, "adapters")}
		}, `warning 70 list it among them`},
	} {
		scene := styled()
		c.change(&scene.Renders[0])
		_, diags := planner.Build(t.Context(), scene, "engine-1", seeing, planner.Options{})
		if len(diags) != 1 {
			t.Errorf("%s: %v", name, diags)
			continue
		}
		if got := fmt.Sprintf("%s %d %s", diags[0].Severity, diags[0].Source.Line, diags[0].Detail); !matches(c.want, got) {
			t.Errorf("%s: %s\nwant %s", name, got, c.want)
		}
	}
}
