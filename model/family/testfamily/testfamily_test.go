package testfamily

import (
	"bytes"
	"image"
	"image/draw"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/app"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/families"
	"github.com/eligen/eligen/stage/still"
)

// A studio is the product with one family more, in a folder with weights of it.
type studio struct {
	*app.App
	folder string
}

func open(t *testing.T) studio {
	t.Helper()
	s := studio{folder: t.TempDir()}
	s.App = app.New(app.Options{
		Folder:   t.TempDir(),
		Families: append(slices.Clip(families.All), Family), // the line that registers it
	})
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	var b bytes.Buffer
	if err := Write(&b, 1); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(s.folder, "weights"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.folder, "weights", File), b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return s
}

const model = `
model "test" "small" {
  source = "./weights"
}
`

// park returns a scene of five words with two entities. Tokens are 12×12 pixels, so that
// its 60×36 pixels are 5×3 of them.
func park(dog, x string) string {
	return model + `
render "park" {
  prompt   = "a park with two things"
  negative = "dull"
  model    = model.test.small
}

entity "dog" {
  prompt = "` + dog + `"
  box    = xywh(` + x + `, 0, 0.4, 1)
}

entity "moon" {
  prompt   = "a big round moon"
  box      = xywh(0.6, 0, 0.4, 0.67)
  strength = 1.5
}
`
}

// plan plans a scene that is on no disk.
func (s studio) plan(t *testing.T, name, text, engine string) (*app.Plan, error) {
	t.Helper()
	path := filepath.Join(s.folder, name)
	p, warnings, err := s.Plan(t.Context(), app.PlanRequest{
		Input:  app.Input{Path: path, Unsaved: map[string][]byte{path: []byte(text)}},
		Engine: engine, Backend: "go",
	})
	if len(warnings) > 0 {
		t.Error(warnings)
	}
	return p, err
}

// apply makes a scene's pictures, and returns them, and how many stages ran.
func (s studio) apply(t *testing.T, name, text, engine string) (p *app.Plan, pictures []*image.NRGBA, ran int) {
	t.Helper()
	p, err := s.plan(t, name, text, engine)
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Apply(t.Context(), p, app.Run{Events: func(e eligen.Event) {
		if e.Type == eligen.Started {
			ran++
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range p.Outputs {
		data, err := os.ReadFile(o.Path)
		if err != nil {
			t.Fatal(err)
		}
		img, err := png.Decode(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		straight := image.NewNRGBA(img.Bounds())
		draw.Draw(straight, straight.Rect, img, image.Point{}, draw.Src)
		pictures = append(pictures, straight)
	}
	return p, pictures, ran
}

// TestApply goes from a scene's text to a picture by the product's own path, with a family
// that nothing of the product knows.
func TestApply(t *testing.T) {
	s := open(t)
	p, pictures, ran := s.apply(t, "park.hcl", park("a dog", "0"), "model")
	r := p.Renders[0]
	if r.Image != 15 || r.Prompt != 6 || r.Entities != 3+5 || !slices.Equal(r.Regions, []int{6, 4}) {
		t.Errorf("%d image tokens, %d of the prompt, %d of entities, regions %v; want 15, 6, 8, [6 4]",
			r.Image, r.Prompt, r.Entities, r.Regions)
	}
	if r.Total <= 0 || r.Memory <= 0 {
		t.Errorf("a step of %g operations, %d bytes at the peak", r.Total, r.Memory)
	}
	if b := pictures[0].Rect; b != image.Rect(0, 0, 60, 36) || ran < 6 {
		t.Errorf("a picture of %v, after %d stages", b, ran)
	}
	about, err := os.ReadFile(p.Outputs[0].Path)
	if err != nil {
		t.Fatal(err)
	}
	said, err := still.Metadata(bytes.NewReader(about))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Geometry, said.Cut()); diff != "" || said.Model.Family != Name || len(said.Adapters) > 0 {
		t.Errorf("the picture says of itself: %+v, %s", said, diff)
	}
	if _, again, ran := s.apply(t, "park.hcl", park("a dog", "0"), "model"); ran > 0 || !equal(again[0], pictures[0]) {
		t.Errorf("%d stages ran again", ran)
	}

	// What every prompt and every region says is in the picture; nothing else is made again.
	_, other, ran := s.apply(t, "park.hcl", park("a cat", "0"), "model")
	if equal(other[0], pictures[0]) || ran != 4 { // prompt, latents, picture, file
		t.Errorf("another prompt of an entity: %d stages ran, or nothing changed", ran)
	}
	_, moved, ran := s.apply(t, "park.hcl", park("a dog", "0.2"), "model")
	if equal(moved[0], pictures[0]) || ran != 3 {
		t.Errorf("another region of an entity: %d stages ran, or nothing changed", ran)
	}
}

// TestLockedClip: frames, and the background that they keep, are cut by the family's numbers.
func TestLockedClip(t *testing.T) {
	s := open(t)
	scene := model + `
render "walk" {
  prompt   = "a park"
  model    = model.test.small
  timeline = timeline.walk

  background {
    lock = true
  }

  output {
    path = "out/walk-%d.png"
  }
}

entity "dog" {
  prompt = "a dog"
  box    = xywh(0, 0, 0.2, 0.34)
}

timeline "walk" {
  frames = 3
  fps    = 2

  track {
    target = entity.dog.box
    keys = [
      { at = 0, value = xywh(0, 0, 0.2, 0.34) },
      { at = 2, value = xywh(0.4, 0, 0.2, 0.34) },
    ]
  }
}
`
	_, frames, _ := s.apply(t, "walk.hcl", scene, "model")
	if len(frames) != 3 || equal(frames[0], frames[1]) {
		t.Fatalf("%d frames, or a dog that stands still", len(frames))
	}
	// In frame 1 the dog is in the second column of tokens, and was in the first one: all
	// else is as it was, to the last bit.
	for y := range 36 {
		for x := range 60 {
			if inside := x < 24 && y < 12; !inside && frames[0].NRGBAAt(x, y) != frames[1].NRGBAAt(x, y) {
				t.Fatalf("pixel (%d, %d) of the locked background changes", x, y)
			}
		}
	}
}

// TestPainted: an engine without weights shows the layout by the family's own numbers.
func TestPainted(t *testing.T) {
	s := open(t)
	p, pictures, _ := s.apply(t, "park.hcl", park("a red dog", "0"), "paint")
	if r := p.Renders[0]; r.Image != 15 || !slices.Equal(r.Regions, []int{6, 4}) {
		t.Errorf("%d image tokens, regions %v; want 15, [6 4]", r.Image, r.Regions)
	}
	img := pictures[0]
	if b := img.Rect; b != image.Rect(0, 0, 60, 36) {
		t.Fatalf("a picture of %v", b)
	}
	red, moon, back := img.NRGBAAt(23, 35), img.NRGBAAt(36, 0), img.NRGBAAt(24, 35)
	if red == back || moon == back || img.NRGBAAt(0, 0) != red || img.NRGBAAt(59, 23) != moon || img.NRGBAAt(59, 24) != back {
		t.Errorf("tokens of 12×12 pixels are not where they should be: %v, %v, %v", red, moon, back)
	}
}

// TestLooked: what looks at a scene without making its pictures knows the family too.
func TestLooked(t *testing.T) {
	s := open(t)
	path := filepath.Join(s.folder, "park.hcl")
	in := app.Input{Path: path, Unsaved: map[string][]byte{path: []byte(park("a dog", "0"))}}
	if ds, err := s.Validate(t.Context(), in); err != nil || len(ds) > 0 {
		t.Errorf("validated: %v, %v", ds, err)
	}
	layouts, ds, err := s.Layouts(t.Context(), app.LayoutRequest{Input: in})
	if err != nil || len(ds) > 0 || len(layouts) != 1 || layouts[0].Geometry != Geometry {
		t.Errorf("layouts %+v, %v, %v", layouts, ds, err)
	}
	preview, ds, err := s.Preview(t.Context(), app.LayoutRequest{Input: in})
	if err != nil || len(ds) > 0 {
		t.Fatal(ds, err)
	}
	if _, err := s.Apply(t.Context(), preview.Plan, app.Run{Unrecorded: true, Unwritten: true}); err != nil {
		t.Error(err)
	}
}

// TestRefused: what the family doesn't have is refused by its name, and its own name is
// among those that a misspelt one could be.
func TestRefused(t *testing.T) {
	s := open(t)
	render := func(lines string) string {
		return model + "render \"a\" {\n  prompt = \"a\"\n  model = model.test.small\n" + lines + "\n}\n"
	}
	for name, c := range map[string]struct{ scene, want string }{
		"a misspelt family":  {"model \"tset\" \"x\" {\n}\n", `there is "nano", "flux", "qwen" or "test"`},
		"no source":          {"model \"test\" \"x\" {\n}\n", `A test model needs the argument "source": the folder of its weights.`},
		"a size of another":  {render("size = [64, 48]"), "multiple of 12 pixels for this model"},
		"a step cache":       {render("sampler {\n  tea_cache = 0.3\n}"), "no step cache"},
		"embedded guidance":  {render("sampler {\n  guidance = 3\n}"), "no guidance embedding"},
		"weights of another": {strings.Replace(render(""), "./weights", "./elsewhere", 1), "elsewhere"},
		"a LoRA": {
			render("adapters = [adapter.lora.l]") + "adapter \"lora\" \"l\" {\n  source = \"./weights/" + File + "\"\n}\n",
			"family test take no LoRAs",
		},
		"a region of no token": {
			render("") + "entity \"e\" {\n  prompt = \"b\"\n  box = xywh(0, 0, 0.01, 0.01)\n}\n",
			"none of the 15 image tokens (12×12 pixels each)",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := s.plan(t, "wrong.hcl", c.scene, "model"); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v\nwant %s", err, c.want)
			}
		})
	}
}

// TestMask holds the mask to EliGen's rule, in a picture of three tokens: one entity of a
// word in the middle one, a prompt of two.
func TestMask(t *testing.T) {
	got := mask([]tensor.Tensor{tensor.New(1, dim), tensor.New(2, dim)}, 3, []eligen.EntityConditioning{{Tokens: []int32{1}, Strength: 1}})
	want := []string{ // who sees whom: E G G I I I
		"#...#.",
		".#####",
		".#####",
		".#####",
		"######",
		".#####",
	}
	var lines []string
	for i := range 6 {
		line := ""
		for _, x := range got.Data[6*i : 6*i+6] {
			line += map[bool]string{true: "#", false: "."}[x == 0]
		}
		lines = append(lines, line)
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Error(diff)
	}
}

func equal(a, b *image.NRGBA) bool { return bytes.Equal(a.Pix, b.Pix) }
