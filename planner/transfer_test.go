package planner_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/pixels"
	"github.com/eligen/eligen/model/paint"
	"github.com/eligen/eligen/planner"
	"github.com/eligen/eligen/stage/composite"
	"github.com/eligen/eligen/stage/denoise"
	"github.com/eligen/eligen/stage/image"
	"github.com/eligen/eligen/stage/noise"
	"github.com/eligen/eligen/stage/still"
)

func file(name string, w, h int) eligen.Picture {
	return eligen.Picture{Path: name, Digest: eligen.DigestOf([]byte(name)), Size: eligen.Size{W: w, H: h}}
}

// carried returns a picnic to which a dog of another picture comes.
func carried() *eligen.Scene {
	scene := picnic()
	r := &scene.Renders[0]
	r.Size = eligen.Size{W: 128, H: 96}
	r.Transfer = &eligen.Transfer{From: file("dog.png", 128, 96), To: file("park.png", 256, 192), Source: line(30, "transfer {")}
	r.Entities = r.Entities[:1]
	return scene
}

func find[T eligen.Op](t *testing.T, plan *eligen.Plan) (op T, s eligen.Stage) {
	t.Helper()
	for _, s := range plan.Stages {
		if op, ok := s.Op.(T); ok {
			return op, s
		}
	}
	t.Fatalf("no stage is a %T", op)
	return op, s
}

// TestTransfer: the model works on two panels, and the entity's region is that of the
// right one there: for every shape, what the reference gets by pasting the mask into
// the right half of a black canvas.
func TestTransfer(t *testing.T) {
	panel, canvas := eligen.Size{W: 128, H: 96}, eligen.Size{W: 256, H: 96}
	mask := eligen.Region{Kind: "image", Fit: "stretch", Bitmap: eligen.NewBitmap(50, 40,
		func(x, y int) bool { return x > 9 && y > 7 && x+y < 60 })}
	for name, region := range map[string]eligen.Region{
		"box": eligen.Box(0.1, 0.3, 0.6, 0.9), "at the seam": eligen.Box(0, 0, 0.3, 1),
		"ellipse": {Kind: "ellipse", Numbers: []float64{0.5, 0.5, 0.4, 0.3}}, "mask": mask,
	} {
		pasted := region.Mask(panel)
		want := eligen.Region{Kind: "image", Bitmap: eligen.NewBitmap(canvas.W, canvas.H, func(x, y int) bool {
			return x >= panel.W && pasted[y*panel.W+x-panel.W]
		})}
		for _, mode := range []string{"exact", "reference"} {
			scene := carried()
			r := &scene.Renders[0]
			r.Entities[0].Region, r.Transfer.Mode = region, mode
			plan, diags := planner.Build(t.Context(), scene, "engine-1", paint.Engine{}.Spec, planner.Options{})
			if len(diags) > 0 {
				t.Fatal(diags)
			}
			d, _ := find[denoise.Op](t, plan)
			if region.Kind != "image" { // a mask's own pixels are looked at, here as anywhere
				if diff := cmp.Diff(want.Tokens(canvas, eligen.DefaultGeometry), d.Entities[0].Tokens); diff != "" {
					t.Errorf("%s, %s: image tokens\n%s", name, mode, diff)
				}
			}
			var cells []int32
			if mode == "reference" {
				for i, on := range pixels.Painted([]eligen.Region{want}, canvas, eligen.DefaultGeometry) {
					if on {
						cells = append(cells, int32(i))
					}
				}
			} else {
				for i := range canvas.W / 8 * (canvas.H / 8) {
					x, y := i%(canvas.W/8)*8, i/(canvas.W/8)*8
					on := false
					for k := range 64 {
						on = on || want.Bitmap.On(x+k%8, y+k/8)
					}
					if on {
						cells = append(cells, int32(i))
					}
				}
			}
			if diff := cmp.Diff(cells, d.Fusion.Paint); diff != "" || d.Fusion.Before != (mode == "reference") {
				t.Errorf("%s, %s: cells that are painted\n%s", name, mode, diff)
			}
			if n, _ := find[noise.Op](t, plan); !slices.Equal(n.Shape, []int{16, 12, 32}) {
				t.Errorf("noise of shape %v", n.Shape)
			}
		}
	}
}

// TestTransferStages: what a transfer plans, the result's size, and what the picture
// says of itself.
func TestTransferStages(t *testing.T) {
	plan, diags := planner.Build(t.Context(), carried(), "engine-1", paint.Engine{}.Spec, planner.Options{})
	if len(diags) > 0 {
		t.Fatal(diags)
	}
	var got []string
	for _, s := range plan.Stages {
		var inputs []string
		for _, in := range s.Inputs {
			inputs = append(inputs, strings.TrimPrefix(plan.Stages[in].Name, "render.picnic."))
		}
		got = append(got, strings.TrimPrefix(s.Name, "render.picnic.")+" ← "+strings.Join(inputs, ", "))
	}
	want := []string{
		"prompt ← ",
		"entity.dog.prompt ← ",
		"transfer.source ← ",
		"transfer.target ← ",
		"transfer.target.resized ← transfer.target",
		"transfer.panels ← transfer.source, transfer.target.resized",
		"transfer ← transfer.panels",
		"noise ← ",
		"denoise ← noise, prompt, entity.dog.prompt, transfer",
		"panels.decode ← denoise",
		"right ← panels.decode",
		"composite ← right, transfer.target.resized",
		"still ← composite",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if op, _ := find[image.Resize](t, plan); op != (image.Resize{Size: eligen.Size{W: 128, H: 96}, Fit: "stretch"}) {
		t.Errorf("resized: %+v", op)
	}
	if op, _ := find[composite.Op](t, plan); op.Size != (eligen.Size{W: 128, H: 96}) || op.Region.Kind != "box" {
		t.Errorf("composite: %+v", op)
	}
	op, _ := find[still.Op](t, plan)
	r := op.Resolved
	if r.Size != (eligen.Size{W: 128, H: 96}) || r.Transfer == nil || r.Transfer.Source != file("dog.png", 0, 0).Digest ||
		r.Transfer.Target != file("park.png", 0, 0).Digest || r.Transfer.Mode != "exact" {
		t.Errorf("the picture says %+v, %+v", r.Size, r.Transfer)
	}
	// nano's own LoRAs, in the reference's order.
	var paths []string
	_, diags = planner.Build(t.Context(), carried(), "engine-1", func(m eligen.Model, a []eligen.Adapter) (eligen.Spec, error) {
		for _, x := range a {
			paths = append(paths, fmt.Sprintf("%s %q", x.Kind, x.Path))
		}
		return paint.Engine{}.Spec(m, a)
	}, planner.Options{})
	if diff := cmp.Diff([]string{`lora ""`, `lora "in-context"`}, paths); diff != "" || len(diags) > 0 {
		t.Error(diags, diff)
	}
	if e := plan.Renders[0]; e.Image != 2*8*6 {
		t.Errorf("%d image tokens are estimated, and two panels have 96", e.Image)
	}
}

// TestCleanSource: the source is seen without noise where the model's own LoRA is trained
// so and where a scene says so, and the reference's mode does as the reference.
func TestCleanSource(t *testing.T) {
	yes, no := true, false
	for _, c := range []struct {
		model bool
		mode  string
		says  *bool
		want  int
	}{
		{false, "", nil, 0}, {false, "", &yes, 16}, {true, "", nil, 16}, {true, "exact", nil, 16}, {true, "", &no, 0},
		{true, "reference", nil, 0}, {true, "reference", &no, 0},
	} {
		scene := carried()
		scene.Renders[0].Transfer.Mode, scene.Renders[0].Transfer.Clean = c.mode, c.says
		plan, diags := planner.Build(t.Context(), scene, "engine-1", func(m eligen.Model, a []eligen.Adapter) (eligen.Spec, error) {
			s, err := paint.Engine{}.Spec(m, a)
			s.CleanSource = c.model
			return s, err
		}, planner.Options{})
		if len(diags) > 0 {
			t.Fatal(diags)
		}
		d, _ := find[denoise.Op](t, plan)
		if op, _ := find[still.Op](t, plan); d.Fusion.Clean != c.want || op.Resolved.Transfer.Clean != (c.want > 0) {
			t.Errorf("%+v: %d columns are clean, and the picture says %t", c, d.Fusion.Clean, op.Resolved.Transfer.Clean)
		}
	}
}

// TestTransferMoves: the region moves in the right panel, and what stands in the
// left one, and the target, are read and encoded once.
func TestTransferMoves(t *testing.T) {
	scene := carried()
	r := &scene.Renders[0]
	r.Clip = &eligen.Clip{Timeline: eligen.Timeline{Name: "walk", Address: "timeline.walk", Frames: 3, FPS: 12, Tracks: []eligen.Track{{
		Target: eligen.Target{Block: "entity.dog", Attribute: "box"},
		Keys: []eligen.Key{
			{Frame: 0, Value: eligen.Value{Region: eligen.Box(0, 0.25, 0.25, 0.75)}},
			{Frame: 2, Value: eligen.Value{Region: eligen.Box(0.75, 0.25, 1, 0.75)}},
		},
	}}}}
	plan, diags := planner.Build(t.Context(), scene, "engine-1", paint.Engine{}.Spec, planner.Options{})
	if len(diags) > 0 {
		t.Fatal(diags)
	}
	var first []int32
	kinds := map[string]int{}
	for _, s := range plan.Stages {
		kinds[s.Op.Kind()]++
		if d, ok := s.Op.(denoise.Op); ok {
			first = append(first, d.Entities[0].Tokens[0]%16)
		}
	}
	if diff := cmp.Diff([]int32{8, 11, 14}, first); diff != "" { // columns of 16; the right panel begins at 8
		t.Error(diff)
	}
	for kind, n := range map[string]int{"picture/2": 2, "resize/2": 1, "panels/1": 1, "latents/1": 1, "denoise/1": 3, "right/1": 3,
		"composite/1": 3} {
		if kinds[kind] != n {
			t.Errorf("%d stages are %s, want %d", kinds[kind], kind, n)
		}
	}
}

// TestTransferDiagnostics: what a transfer gets wrong is said at the place to blame.
func TestTransferDiagnostics(t *testing.T) {
	photo := func(r *eligen.Render, w, h int) {
		r.Transfer.To.Size = eligen.Size{W: w, H: h}
		r.At = map[string]eligen.Source{"transfer.target": line(32, "target"), "transfer": line(30, "transfer {")}
	}
	for _, c := range []struct {
		name   string
		change func(*eligen.Render)
		want   string
	}{
		{"nobody", func(r *eligen.Render) { r.Entities, r.Adapters = nil, twoLoRAs }, `error 1 has none`},
		{"beside init", func(r *eligen.Render) {
			r.Init = &eligen.Init{Image: file("x.png", 128, 96), Strength: 0.5}
		}, `error 1 transfer and init`},
		{"beside inpaint", func(r *eligen.Render) { r.Inpaint = &eligen.Inpaint{Image: file("x.png", 128, 96)} }, `error 1 transfer and inpaint`},
		{"another shape", func(r *eligen.Render) { photo(r, 200, 200) }, `error 32 fit = "stretch"`},
		{"another shape, said how", func(r *eligen.Render) { photo(r, 200, 200); r.Transfer.Fit = "cover" }, ``},
		{"the same shape, up to a pixel", func(r *eligen.Render) { photo(r, 67, 50) }, ``},
		{"a thread", func(r *eligen.Render) { photo(r, 1, 16<<20); r.Transfer.Fit = "stretch" }, `error 32 more than 16 times`},
		{"an unknown mode", func(r *eligen.Render) { r.Transfer.Mode = "exakt" }, `error 1 "exakt" of transfer`},
		{"a feather in the reference's mode", func(r *eligen.Render) { r.Transfer.Mode, r.Transfer.Feather = "reference", 4 },
			`error 1 feather belongs to`},
		{"a clean source in the reference's mode", func(r *eligen.Render) {
			yes := true
			r.Transfer.Mode, r.Transfer.Clean = "reference", &yes
		}, `error 1 clean_source`},
		{"panels too large together", func(r *eligen.Render) {
			r.Size = eligen.Size{W: 4096, H: 3072}
		}, `error 1 two of 4096×3072`},
		{"tiles as large as the canvas", func(r *eligen.Render) {
			r.VAE = &eligen.VAE{Tiled: true, Tile: 32, Stride: 16}
		}, `warning 0 256×96`},
		{"one LoRA", func(r *eligen.Render) { r.Adapters = twoLoRAs[:1] }, `warning 1 has one`},
		{"FLUX and its own", func(r *eligen.Render) { r.Model.Family = "flux" }, `warning 1 adapter.lora.in_context`},
		{"FLUX and both", func(r *eligen.Render) { r.Model.Family, r.Adapters = "flux", twoLoRAs }, ``},
		{"a background twice", func(r *eligen.Render) {
			r.Clip = &eligen.Clip{Lock: true, Timeline: eligen.Timeline{Frames: 1, FPS: 1}}
		}, `error 1 transfer keeps`},
	} {
		t.Run(c.name, func(t *testing.T) {
			scene := carried()
			c.change(&scene.Renders[0])
			_, diags := planner.Build(t.Context(), scene, "engine-1", paint.Engine{}.Spec, planner.Options{})
			if c.want == "" {
				if len(diags) > 0 {
					t.Error(diags)
				}
				return
			}
			if len(diags) != 1 {
				t.Fatalf("%d diagnostics, want one:\n%v", len(diags), diags)
			}
			if d := diags[0]; !matches(c.want, fmt.Sprintf("%s %d %s", d.Severity, d.Source.Line, d.Detail)) {
				t.Errorf("got  %v\nwant %s", d, c.want)
			}
		})
	}
}

var twoLoRAs = []eligen.Adapter{{Kind: "lora", Name: "eligen", Scale: 1, Alpha: "file"},
	{Kind: "lora", Name: "in_context", Path: "./visual-identity.safetensors", Scale: 1, Alpha: "file"}}

// A model may guide its transfers by another factor than other pictures with entities; a
// scene that says one is heard.
func TestTransferGuidance(t *testing.T) {
	said := 4.0
	for _, c := range []struct {
		model float64
		says  *float64
		want  float64
	}{{0, nil, 1}, {2.5, nil, 2.5}, {2.5, &said, 4}} {
		scene := carried()
		scene.Renders[0].Sampler.CFG = c.says
		plan, diags := planner.Build(t.Context(), scene, "engine-1", func(m eligen.Model, a []eligen.Adapter) (eligen.Spec, error) {
			s, err := paint.Engine{}.Spec(m, a)
			s.CFGWithSource = c.model
			return s, err
		}, planner.Options{})
		if len(diags) > 0 {
			t.Fatal(diags)
		}
		if d, _ := find[denoise.Op](t, plan); d.CFG != c.want {
			t.Errorf("the model says %v: cfg is %v, want %v", c.model, d.CFG, c.want)
		}
	}
}
