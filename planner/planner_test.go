package planner_test

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/page"
	"github.com/eligen/eligen/model/paint"
	"github.com/eligen/eligen/planner"
)

var update = flag.Bool("update", false, "rewrite the plans in testdata")

func ptr[T any](v T) *T { return &v }

// held returns a model whose steps take n bytes, whatever they are of.
func held(n int64) func(eligen.StepSizes) (int64, int64) {
	return func(eligen.StepSizes) (int64, int64) { return n, 0 }
}

// perPixel returns an autoencoder that takes n bytes for a pixel.
func perPixel(n int64) func(eligen.Size) (decode, encode int64) {
	return func(s eligen.Size) (decode, encode int64) {
		all := n * int64(s.W) * int64(s.H)
		return all, all
	}
}

// dev answers like an engine with FLUX.1-dev's dimensions.
func dev(m eligen.Model, adapters []eligen.Adapter) (eligen.Spec, error) {
	s := eligen.Spec{
		Family: m.Family, Geometry: eligen.DefaultGeometry, Native: eligen.Size{W: 1024, H: 1024},
		Text: eligen.DigestOf([]byte("text")), Transformer: eligen.DigestOf([]byte("dit" + m.Name)), Autoencoder: eligen.DigestOf([]byte("ae")),
		Prompt: eligen.Reading{Length: 512, Pooled: true}, EntityPrompt: eligen.Reading{Length: 512}, HasGuidance: true, DType: "bfloat16",
		Steps: 30, StepsWithEntities: 50, CFG: 1, CFGWithNegative: 3, CFGWithEntities: 1, Guidance: 3.5, Schedule: "eligen",
		Sizes: eligen.Sizes{
			Dim: 3072, MLP: 12288, Heads: 24, Double: 19, Single: 38, TokenDim: 64,
			Text: 9 << 30, Transformer: 18 << 30, Autoencoder: 320 << 20, Step: held(200 << 20), Coding: perPixel(3072),
		},
		Encoders: []eligen.Encoder{
			{Name: "T5", Role: "the text encoder", Count: func(p string) int { return len(strings.Fields(p)) + 1 }},
			{Name: "CLIP", Role: "which sums up the prompt in one vector", Limit: 77, Pooled: true,
				Count: func(p string) int { return len(strings.Fields(p)) + 2 }},
		},
		EliGen: true, LeastTeaCache: 0.18, Blocks: 57, Feathers: true,
	}
	switch m.Family {
	case "nano":
		s.InContext = true
	case "flux":
		s.WithoutLoRA = "It has learned regions by a LoRA only."
	}
	for _, a := range adapters {
		s.Adapters = append(s.Adapters, eligen.AdapterWeights{Kind: a.Kind, Digest: eligen.DigestOf([]byte(a.Name)), Scale: a.Scale,
			Alpha: a.Alpha})
	}
	return s, nil
}

// schnell has no guidance, and a schedule of its own.
func schnell(m eligen.Model, adapters []eligen.Adapter) (eligen.Spec, error) {
	s, _ := dev(m, adapters)
	s.HasGuidance, s.Guidance, s.Schedule, s.Steps, s.StepsWithEntities, s.MaxEntities = false, 0, "flux-schnell", 4, 4, 3
	return s, nil
}

// line returns a position in the scene that tests blame.
func line(n int, code string) eligen.Source {
	return eligen.Source{File: "scene.hcl", Line: n, Code: code, End: len(code)}
}

func picnic() *eligen.Scene {
	dog := eligen.Entity{Name: "dog", Address: "entity.dog", Prompt: "a dog", Region: eligen.Box(0.05, 0.4, 0.5, 0.9), Strength: 1,
		Source: line(10, `entity "dog" {`)}
	apple := eligen.Entity{Name: "apple", Address: "entity.apple", Prompt: "an apple", Region: eligen.Box(0.6, 0.1, 0.9, 0.45), Strength: 1,
		Source: line(20, `entity "apple" {`)}
	return &eligen.Scene{Path: "scenes/picnic.hcl", Renders: []eligen.Render{{
		Name: "picnic", Address: "render.picnic", Model: eligen.Model{Family: "nano"},
		Prompt: "a dog and an apple on a green background", Entities: []eligen.Entity{dog, apple}, Source: line(1, `render "picnic" {`),
	}}}
}

// TestPlans holds what is printed for scenes of several kinds.
func TestPlans(t *testing.T) {
	shared := picnic()
	second := shared.Renders[0]
	second.Name, second.Address, second.Seed = "again", "render.again", 7
	second.Negative = "blurry"
	second.Entities = append([]eligen.Entity{}, second.Entities...)
	second.Entities[1].Strength = 1.5
	second.Outputs = []eligen.Output{{Path: "out/again.png"}, {Path: "out/again-regions.png", Overlay: true}}
	shared.Renders = append(shared.Renders, second)

	flux := picnic()
	flux.Renders[0].Model = eligen.Model{Family: "flux", Name: "base"}
	flux.Renders[0].Negative = "low quality, cropped"
	flux.Renders[0].Size = eligen.Size{W: 1280, H: 768}
	flux.Renders[0].Sampler = eligen.Sampler{Steps: ptr(28), Shift: ptr(2.5), NegativeEntities: ptr(true)}

	redraw := picnic()
	r := &redraw.Renders[0]
	r.Entities = nil
	r.Size = eligen.Size{W: 64, H: 48}
	r.Init = &eligen.Init{Image: eligen.Picture{Path: "photo.png", Digest: eligen.DigestOf([]byte("photo")), Size: r.Size}, Strength: 0.6}

	twoModels := picnic()
	other := twoModels.Renders[0]
	other.Name, other.Address, other.Model = "large", "render.large", eligen.Model{Family: "flux", Name: "base"}
	twoModels.Renders = append(twoModels.Renders, other)

	for _, c := range []struct {
		name  string
		scene *eligen.Scene
		spec  func(eligen.Model, []eligen.Adapter) (eligen.Spec, error)
	}{
		{"two entities, nothing else said", picnic(), paint.Engine{}.Spec},
		{"two renders share prompts", shared, paint.Engine{}.Spec},
		{"flux with a negative prompt", flux, dev},
		{"image to image", redraw, dev},
		{"one entity, two models", twoModels, func(m eligen.Model, a []eligen.Adapter) (eligen.Spec, error) {
			if m.Family == "flux" {
				return dev(m, a)
			}
			return paint.Engine{}.Spec(m, a)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			plan, diags := planner.Build(t.Context(), c.scene, "engine-1", c.spec, planner.Options{})
			if len(diags) > 0 {
				t.Fatal(diags)
			}
			got := filepath.ToSlash(page.Clean(planner.Print(plan,
				planner.Known{Cached: func(d eligen.Digest) bool { return d == plan.Stages[0].Digest }}, planner.View{})))
			file := filepath.Join("testdata", strings.ReplaceAll(strings.ReplaceAll(c.name, ",", ""), " ", "-")+".txt")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("run with -update if this is meant:\n%s", diff)
			}
		})
	}
}

// TestDiagnostics: what a scene gets wrong is said at the place that is to blame.
func TestDiagnostics(t *testing.T) {
	at := func(name string) map[string]eligen.Source { return map[string]eligen.Source{name: line(99, name)} }
	long := strings.Repeat("word ", 600) + "end"
	for _, c := range []struct {
		name   string
		spec   func(eligen.Model, []eligen.Adapter) (eligen.Spec, error)
		change func(*eligen.Render)
		want   string // severity, line, and a pattern of the detail
	}{
		{"a size between multiples names the two nearest", dev, func(r *eligen.Render) {
			r.Size, r.At = eligen.Size{W: 1000,
				H: 512}, at("size")
		}, `error 99 width must be a multiple of 16 .* 1000 are 992 and 1008`},
		{"a size below the smallest multiple", dev, func(r *eligen.Render) { r.Size, r.At = eligen.Size{W: 512, H: 7}, at("size") },
			`error 99 height must be a multiple of 16 .* nearest to 7 is 16`},
		{"a size without pixels", dev, func(r *eligen.Render) { r.Size = eligen.Size{W: -16, H: 512} },
			`error 1 width must be a multiple of 16 .* nearest to -16 is 16`},
		{"a size beyond the limit", dev, func(r *eligen.Render) { r.Size = eligen.Size{W: 1 << 40, H: 1 << 40} }, `error 1 16 megapixels`},

		{"a negative prompt with cfg 1", dev, func(r *eligen.Render) {
			r.Negative, r.Sampler.CFG, r.At = "blur", ptr(1.0), at("negative")
		}, `error 99 cfg = 1 turns that off`},
		{"an entity's negative prompt with cfg 1", dev, func(r *eligen.Render) {
			r.Entities[0].Negative, r.Sampler.CFG = "blur", ptr(1.0)
			r.Entities[0].At = at("negative")
		}, `error 99 negative of entity.dog acts through .* cfg = 1 turns that off`},
		{"nowhere else with cfg 1", dev, func(r *eligen.Render) {
			r.Entities[0].AutoNegative, r.Sampler.CFG = true, ptr(1.0)
			r.Entities[0].At = at("auto_negative")
		}, `error 99 auto_negative of entity.dog acts through`},
		{"negative entities with cfg 1", dev, func(r *eligen.Render) {
			r.Sampler.NegativeEntities, r.At = ptr(true), at("sampler.negative_entities")
		}, `error 99 .*Raise cfg`},
		{"negative entities without entities", dev, func(r *eligen.Render) {
			r.Entities, r.Sampler.CFG, r.Sampler.NegativeEntities = nil, ptr(3.0), ptr(true)
		}, `warning 1 no entities`},
		{"guidance on a model without it", schnell, func(r *eligen.Render) { r.Sampler.Guidance, r.At = ptr(3.5), at("sampler.guidance") },
			`error 99 no guidance embedding`},
		{"shift on another schedule", schnell, func(r *eligen.Render) { r.Sampler.Shift, r.At = ptr(3.0), at("sampler.shift") },
			`error 99 "flux-schnell" .* schedule = "eligen"`},
		{"a shift of 0", dev, func(r *eligen.Render) { r.Sampler.Shift = ptr(0.0) }, `error 1 "shift" must be`},
		{"a schedule that is none", dev, func(r *eligen.Render) { r.Sampler.Schedule, r.At = "euler", at("sampler.schedule") },
			`error 99 "eligen", "flux-dev", "flux-schnell", "diffusers", "qwen" or "qwen-lightning"`},
		{"no steps", dev, func(r *eligen.Render) { r.Sampler.Steps, r.At = ptr(0), at("sampler.steps") }, `error 99 from 1 to 1000`},
		{"a step cache that reuses nothing", dev, func(r *eligen.Render) {
			r.Sampler.TeaCache, r.At = ptr(0.1), at("sampler.tea_cache")
		}, `warning 99 reuses no step`},
		{"a step cache for two steps", dev, func(r *eligen.Render) { r.Sampler.TeaCache, r.Sampler.Steps = ptr(0.3), ptr(2) },
			`warning 1 no other`},
		{"a step cache of no number", dev, func(r *eligen.Render) { r.Sampler.TeaCache = ptr(math.NaN()) }, `error 1 tea_cache is NaN`},
		{"entities' prompts as more tokens than they have", dev, func(r *eligen.Render) {
			r.TextTokens, r.At = 9999, at("text_tokens")
		}, `warning 99 takes none away`},
		{"fewer tokens of no number", dev, func(r *eligen.Render) { r.TextTokens, r.At = -1, at("text_tokens") },
			`error 99 text_tokens is -1`},
		{"fewer tokens of no entities", dev, func(r *eligen.Render) {
			r.Entities, r.TextTokens, r.At = nil, 4, at("text_tokens")
		}, `warning 99 has no entities`},
		{"blocks that a model doesn't have", dev, func(r *eligen.Render) {
			r.Schedule, r.At = &eligen.StrengthSchedule{Blocks: &[2]int{19, 57}}, at("schedule.blocks")
		}, `error 99 has the blocks 0 to 56; there is no block 57`},
		{"a schedule that leaves an entity out", dev, func(r *eligen.Render) {
			r.Schedule, r.At = &eligen.StrengthSchedule{Strength: [][2]float64{{0.5, 0}}}, at("schedule.strength")
		}, `error 99 is 0 in all 50 steps`},
		{"a schedule and the step cache", dev, func(r *eligen.Render) {
			r.Schedule = &eligen.StrengthSchedule{Strength: [][2]float64{{0, 1}, {1, 0}}}
			r.Sampler.TeaCache, r.At = ptr(0.3), at("schedule")
		}, `error 99 compares steps that have the same entities`},
		{"a schedule of no entities", dev, func(r *eligen.Render) {
			r.Entities, r.Schedule, r.At = nil, &eligen.StrengthSchedule{Blocks: &[2]int{0, 1}}, at("schedule")
		}, `warning 99 has none`},
		{"a feather of no number", dev, func(r *eligen.Render) {
			r.Entities[0].Feather, r.Entities[0].At = math.Inf(1), at("feather")
		}, `error 99 feather of entity.dog is`},
		{"tiles with gaps", dev, func(r *eligen.Render) {
			r.VAE, r.At = &eligen.VAE{Tiled: true, Tile: 32, Stride: 48}, at("vae.stride")
		}, `error 99 leave gaps`},
		{"tiles edge to edge", dev, func(r *eligen.Render) {
			r.VAE = &eligen.VAE{Tiled: true, Tile: 32, Stride: 32, Source: line(70, "vae {")}
		}, `warning 70 seams show`},
		{"a tile as large as the picture", dev, func(r *eligen.Render) {
			r.VAE, r.At = &eligen.VAE{Tiled: true, Source: line(70, "vae {")}, at("vae.tiled")
		}, `warning 99 128 latents, 1024 pixels, covers all of the 1024×1024`},
		{"numbers that are none", dev, func(r *eligen.Render) { r.Sampler.CFG = ptr(math.NaN()) },
			`error 1 "cfg" must be a finite number of at least 0, not NaN`},
		{"guidance that is none", dev, func(r *eligen.Render) { r.Sampler.Guidance = ptr(math.Inf(1)) },
			`error 1 "guidance" must be a finite number of at least 0, not \+Inf`},
		{"a seed of more than 32 bits", dev, func(r *eligen.Render) { r.Seed, r.At = 1<<32, at("seed") },
			`error 99 4294967296 is above 4294967295`},
		{"an adapter's scale", dev, func(r *eligen.Render) {
			r.Adapters = []eligen.Adapter{{Kind: "lora", Name: "x", Scale: math.Inf(-1), Source: line(50, "scale")}}
		}, `error 50 "x" is -Inf`},

		{"an entity without a region", dev, func(r *eligen.Render) { r.Entities[0].Region = eligen.Region{} }, `error 10 what, but not where`},
		{"a region outside the picture", dev, func(r *eligen.Render) {
			r.Entities[0].Region, r.Entities[0].At = eligen.Box(1.1, 0, 1.3, 1), at("box")
		}, `error 99 This shape reaches from 1.1 to 1.3 across`},
		{"a region between the points that are looked at", dev, func(r *eligen.Render) {
			r.Entities[0].Region, r.Entities[0].At = eligen.Region{Kind: "box", Pixels: true, Numbers: []float64{6, 0, 11, 1000}}, at("region")
		}, `error 99 8 pixels apart`},
		{"a region of few tokens", dev, func(r *eligen.Render) {
			r.Entities[0].Region = eligen.Region{Kind: "box", Pixels: true, Numbers: []float64{0, 0, 32, 16}}
		}, `warning 10 covers 2 of the 4096`},
		{"a region with thin parts", dev, func(r *eligen.Render) {
			r.Entities[0].Region = eligen.Region{Kind: "union", Parts: []eligen.Region{
				{Kind: "box", Pixels: true, Numbers: []float64{0, 0, 64, 64}}, {Kind: "box", Pixels: true, Numbers: []float64{64, 16, 1024, 20}},
			}}
		}, `warning 10 48 % of the region of entity.dog`},
		{"two regions in one place", dev, func(r *eligen.Render) { r.Entities[1].Region = r.Entities[0].Region },
			`warning 20 entity.dog and entity.apple share (\d+) of (\d+) .* 1.00`},
		{"a region of a number that is none", dev, func(r *eligen.Render) { r.Entities[0].Region = eligen.Box(0, 0, math.NaN(), 1) },
			`error 10 not finite`},
		{"a mask of another shape than the canvas", dev, func(r *eligen.Render) {
			m := eligen.NewBitmap(30, 20, func(x, y int) bool { return true })
			r.Entities[0].Region, r.Entities[0].At = eligen.Region{Kind: "union", Parts: []eligen.Region{{Kind: "image", Bitmap: m}}}, at("mask")
		}, `error 99 30×20 .* 1024×1024.*fit = "stretch"`},
		{"a strength of 0", dev, func(r *eligen.Render) { r.Entities[0].Strength, r.Entities[0].At = 0, at("strength") }, `error 99 above 0`},
		{"more entities than a model takes", schnell, func(r *eligen.Render) {
			for i := range 2 {
				e := r.Entities[0]
				e.Region = eligen.Box(0.1+0.4*float64(i), 0.92, 0.3+0.4*float64(i), 1)
				r.Entities = append(r.Entities, e)
			}
			r.At = at("entities")
		}, `error 99 4 entities; this model takes 3`},
		{"flux without EliGen's adapter", dev,
			func(r *eligen.Render) { r.Model.Family, r.Adapters, r.At = "flux", []eligen.Adapter{}, at("adapters") }, `warning 99 LoRA only`},

		{"a prompt that T5 cuts", dev, func(r *eligen.Render) { r.Entities[0].Prompt, r.Entities[0].At = long, at("prompt") },
			`warning 99 reads 512 tokens .* need 602.* after "… word word word word"`},
		{"a prompt that CLIP cuts", dev, func(r *eligen.Render) { r.Prompt, r.At = strings.Repeat("word ", 80)+"end", at("prompt") },
			`warning 99 reads 77 .* need 83.*T5 reads it all`},
		{"a prompt that is no text", dev, func(r *eligen.Render) { r.Prompt = "a \xff dog" }, `error 1 not valid UTF-8`},

		{"a picture of another size", dev, func(r *eligen.Render) {
			r.Init = &eligen.Init{Image: eligen.Picture{Path: "photo.jpg", Size: eligen.Size{W: 800, H: 600}}, Strength: 0.6,
				Source: line(30, "init {")}
			r.At = at("init.image")
		}, `error 99 photo.jpg has 800×600 pixels, which is another shape than the 1024×1024`},
		{"a picture that has no effect", dev, func(r *eligen.Render) {
			r.Init = &eligen.Init{Image: eligen.Picture{Size: eligen.Size{W: 1024, H: 1024}}, Strength: 1, Source: line(30, "init {")}
		}, `warning 30 ignored`},
		{"a strength beyond 1", dev, func(r *eligen.Render) {
			r.Init = &eligen.Init{Image: eligen.Picture{Size: eligen.Size{W: 1024, H: 1024}}, Strength: 1.5, Source: line(30, "init {")}
			r.At = at("init.strength")
		}, `error 99 1.5`},

		{"two outputs with one path", dev, func(r *eligen.Render) {
			r.Outputs = []eligen.Output{{Path: "a/x.png", Source: line(40, "first")}, {Path: "a/./x.png", Source: line(41, "second")}}
		}, `error 41 Two outputs write`},
		{"an output outside the scene's folder", dev, func(r *eligen.Render) {
			r.Outputs = []eligen.Output{{Path: "../x.png", Source: line(40, "path")}}
		}, `error 40 "../x.png" is not there`},
		{"an output of an unknown format", dev,
			func(r *eligen.Render) { r.Outputs = []eligen.Output{{Path: "x.tiff", Source: line(40, "path")}} }, `error 40 \.png`},
		{"an overlay of nothing", dev, func(r *eligen.Render) {
			r.Entities, r.Outputs = nil, []eligen.Output{{Path: "x.png", Overlay: true, Source: line(40, "path")}}
		}, `warning 40 no entities`},

		{"a model that can't be had", func(eligen.Model, []eligen.Adapter) (eligen.Spec, error) {
			return eligen.Spec{}, errors.New("flux1-dev.safetensors is missing")
		}, func(r *eligen.Render) { r.Model.Source = line(60, `model "flux" "base" {`) }, `error 60 flux1-dev.safetensors is missing`},
	} {
		t.Run(c.name, func(t *testing.T) {
			scene := picnic()
			c.change(&scene.Renders[0])
			plan, diags := planner.Build(t.Context(), scene, "engine-1", c.spec, planner.Options{})
			if len(diags) != 1 {
				t.Fatalf("%d diagnostics, want one:\n%v", len(diags), diags)
			}
			d := diags[0]
			where := 0
			if d.Source != nil {
				where = d.Source.Line
			}
			if got := fmt.Sprintf("%s %d %s", d.Severity, where, d.Detail); !matches(c.want, got) {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if diags.HasErrors() != (len(plan.Stages) == 0) {
				t.Errorf("%d stages planned", len(plan.Stages))
			}
		})
	}
}

// matches holds "error 99 pattern" against "error 99 detail".
func matches(want, got string) bool {
	w, g := strings.SplitN(want, " ", 3), strings.SplitN(got, " ", 3)
	return w[0] == g[0] && w[1] == g[1] && regexp.MustCompile("(?s)"+w[2]).MatchString(g[2])
}

// TestAllAtOnce: every mistake is reported in one run.
func TestAllAtOnce(t *testing.T) {
	scene := picnic()
	r := &scene.Renders[0]
	r.Size = eligen.Size{W: 1000, H: 1000}
	r.Seed = 1 << 40
	r.Negative = "blur"
	r.Sampler = eligen.Sampler{Steps: ptr(0), CFG: ptr(1.0), Shift: ptr(-1.0)}
	r.Entities[0].Region = eligen.Region{}
	r.Outputs = []eligen.Output{{Path: "/tmp/x.png"}}
	_, diags := planner.Build(t.Context(), scene, "engine-1", dev, planner.Options{})
	if len(diags) != 8 {
		t.Errorf("%d diagnostics, want 8 (width and height apart):\n%v", len(diags), diags)
	}
}

// digests returns a plan's digests, by stage.
func digests(t *testing.T, scene *eligen.Scene, engine string) map[string]eligen.Digest {
	t.Helper()
	plan, diags := planner.Build(t.Context(), scene, engine, dev, planner.Options{})
	if err := diags.Err(); err != nil {
		t.Fatal(err)
	}
	out := map[string]eligen.Digest{}
	for _, s := range plan.Stages {
		if _, twice := out[s.Name]; twice {
			t.Errorf("two stages are named %s", s.Name)
		}
		out[s.Name] = s.Digest
	}
	return out
}

// TestDigests: which edits make which results stale.
func TestDigests(t *testing.T) {
	base := func() *eligen.Scene {
		scene := picnic()
		r := &scene.Renders[0]
		r.Size = eligen.Size{W: 512, H: 512}
		r.Sampler.CFG = ptr(3.0)
		r.Init = &eligen.Init{Image: eligen.Picture{Path: "a.png", Digest: eligen.DigestOf([]byte("a")), Size: r.Size}, Strength: 0.6}
		return scene
	}
	const all = "entity.apple.prompt entity.dog.prompt render.picnic.decode render.picnic.denoise render.picnic.init " +
		"render.picnic.negative render.picnic.noise render.picnic.prompt render.picnic.still"
	const rest = "render.picnic.decode render.picnic.denoise"
	for _, c := range []struct {
		name   string
		engine string
		change func(*eligen.Render)
		stale  string
	}{
		{"nothing", "1", func(*eligen.Render) {}, ""},
		{"what is the default anyway", "1", func(r *eligen.Render) {
			r.Sampler.Shift, r.Sampler.Steps, r.Sampler.Guidance = ptr(3.0), ptr(50), ptr(3.5)
		}, ""},
		{"where a picture lies", "1", func(r *eligen.Render) { r.Init.Image.Path = "b.png" }, ""},
		{"a region's last bits", "1", func(r *eligen.Render) { r.Entities[0].Region.Numbers[0] += 1e-9 }, ""},
		{"the place of a block", "1", func(r *eligen.Render) { r.Source.Line = 77 }, ""},
		{"another engine: all but the noise", "2", func(*eligen.Render) {}, strings.Replace(all, "render.picnic.noise ", "", 1)},
		{"the seed", "1", func(r *eligen.Render) { r.Seed = 1 }, rest + " render.picnic.noise render.picnic.still"},
		{"an entity's region", "1", func(r *eligen.Render) { r.Entities[0].Region = eligen.Box(0, 0, 0.5, 0.5) }, rest + " render.picnic.still"},
		{"an entity's prompt", "1", func(r *eligen.Render) { r.Entities[0].Prompt = "a cat" },
			"entity.dog.prompt " + rest + " render.picnic.still"},
		{"the overlay", "1", func(r *eligen.Render) { r.Outputs = []eligen.Output{{Path: "x.png", Overlay: true}} }, "render.picnic.overlay"},
	} {
		before := digests(t, base(), "1")
		scene := base()
		c.change(&scene.Renders[0])
		stale := []string{}
		for name, d := range digests(t, scene, c.engine) {
			if before[name] != d {
				stale = append(stale, name)
			}
		}
		slices.Sort(stale)
		want := strings.Fields(c.stale)
		slices.Sort(want)
		if diff := cmp.Diff(want, stale, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s:\n%s", c.name, diff)
		}
	}
}

// TestOrder: inputs come first, prompts before anything else, and equal prompts once.
func TestOrder(t *testing.T) {
	scene := picnic()
	scene.Renders[0].Entities[1].Prompt = "a dog"
	again := scene.Renders[0]
	again.Name, again.Address = "again", "render.again"
	again.Seed = 1
	scene.Renders = append(scene.Renders, again)
	plan, _ := planner.Build(t.Context(), scene, "engine-1", paint.Engine{}.Spec, planner.Options{})
	var kinds []string
	for i, s := range plan.Stages {
		kinds = append(kinds, s.Op.Kind())
		for _, in := range s.Inputs {
			if int(in) >= i {
				t.Errorf("%s needs %s, which comes later", s.Name, plan.Stages[in].Name)
			}
		}
	}
	want := []string{"encode/1", "encode/1", "noise/1", "denoise/1", "decode/1", "still/3", "noise/1", "denoise/1", "decode/1", "still/3"}
	if diff := cmp.Diff(want, kinds); diff != "" {
		t.Error(diff)
	}
}

func TestJSON(t *testing.T) {
	plan, _ := planner.Build(t.Context(), picnic(), "engine-1", dev, planner.Options{})
	data, err := planner.JSON(plan, planner.Known{})
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Stages []struct {
			Address, Kind string
			Inputs        []string
			Recipe        json.RawMessage
		}
	}
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	// A recipe that travels is the same recipe: decoded, it has the same digest.
	again := eligen.NewPlan(plan.Scene, plan.Engine)
	for i, s := range got.Stages {
		k := slices.IndexFunc(planner.Kinds, func(op eligen.Op) bool { return op.Kind() == s.Kind })
		op := reflect.New(reflect.TypeOf(planner.Kinds[k]))
		if err := json.Unmarshal(s.Recipe, op.Interface()); err != nil {
			t.Fatal(err)
		}
		ref := again.Add(s.Address, eligen.Source{}, op.Elem().Interface().(eligen.Op), plan.Stages[i].Inputs...)
		if got, want := again.Stages[ref].Digest, plan.Stages[i].Digest; got != want {
			t.Errorf("%s: digest %s after a trip through JSON, %s before", s.Address, got.Short(), want.Short())
		}
	}
}

func TestBucket(t *testing.T) {
	for n := 1; n <= 4096; n++ {
		got := eligen.Bucket(n, 4096)
		if got < n || got%16 != 0 || n > 32 && float64(got-n) > float64(got)/3 {
			t.Errorf("Bucket(%d) = %d", n, got)
		}
	}
	if got := eligen.Bucket(250, 252); got != 252 {
		t.Errorf("Bucket(250) of 252 tokens = %d, want all", got)
	}
}

// TestKinds holds the rule that makes digests trustworthy: an Op is plain data. An
// interface, a map or an unexported field would let different recipes look alike.
func TestKinds(t *testing.T) {
	seen := map[string]bool{}
	for _, op := range planner.Kinds {
		if k := op.Kind(); seen[k] || !regexp.MustCompile(`^[a-z]+/[1-9][0-9]*$`).MatchString(k) {
			t.Errorf("kind %q", k)
		}
		seen[op.Kind()] = true
		checkPlain(t, op.Kind(), reflect.TypeOf(op))
	}
	if len(seen) == 0 {
		t.Error("there are no kinds")
	}
}

func checkPlain(t *testing.T, where string, typ reflect.Type) {
	recipe := reflect.TypeFor[interface{ Recipe() string }]()
	if typ.Implements(recipe) {
		return // it says itself what it is made of
	}
	switch typ.Kind() {
	case reflect.Bool, reflect.String, reflect.Float32, reflect.Float64,
		reflect.Int, reflect.Int32, reflect.Int64, reflect.Uint8, reflect.Uint32, reflect.Uint64:
	case reflect.Slice, reflect.Array, reflect.Pointer:
		if typ.Elem() != typ && !strings.Contains(where, "[]"+typ.String()) { // Region holds Regions
			checkPlain(t, where+"[]"+typ.String(), typ.Elem())
		}
	case reflect.Struct:
		for i := range typ.NumField() {
			f := typ.Field(i)
			if f.Tag.Get("recipe") == "-" {
				continue
			}
			if !f.IsExported() {
				t.Errorf("%s.%s is unexported", where, f.Name)
			}
			checkPlain(t, where+"."+f.Name, f.Type)
		}
	default:
		t.Errorf("%s is a %s", where, typ)
	}
}

// What is approximate says so in the plan and in the picture, and what has no effect
// changes no recipe.
func TestApproximations(t *testing.T) {
	decoding := func(m eligen.Model, adapters []eligen.Adapter) (eligen.Spec, error) {
		s, err := tiny(m, adapters)
		s.Sizes.Coding = perPixel(1 << 12) // the peak
		return s, err
	}
	build := func(change func(*eligen.Render)) *eligen.Plan {
		scene := picnic()
		r := &scene.Renders[0]
		r.Size = eligen.Size{W: 1536, H: 1024}
		r.Init = &eligen.Init{Image: eligen.Picture{Path: "photo.jpg", Size: r.Size}, Strength: 0.6}
		change(r)
		plan, diags := planner.Build(t.Context(), scene, "engine-1", decoding, planner.Options{})
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		return plan
	}
	exact := build(func(*eligen.Render) {})
	for name, change := range map[string]func(*eligen.Render){
		"off": func(r *eligen.Render) {
			r.Sampler.TeaCache, r.VAE = ptr(0.0), &eligen.VAE{}
		},
		"without effect": func(r *eligen.Render) {
			r.Sampler.TeaCache, r.VAE = ptr(0.1), &eligen.VAE{Tiled: true, Tile: 200}
		},
	} {
		plan := build(change)
		for i, s := range plan.Stages {
			if s.Digest != exact.Stages[i].Digest {
				t.Errorf("%s: %s has another recipe", name, s.Name)
			}
		}
	}

	plan := build(func(r *eligen.Render) { r.Sampler.TeaCache, r.VAE = ptr(0.2), &eligen.VAE{Tiled: true} })
	text := page.Clean(planner.Print(plan, planner.Known{}, planner.View{}))
	for _, want := range []string{
		"approximate (tea_cache 0.2; pictures in tiles of 128 latents, 64 apart)", "guidance 3.5, approximate:…",
		"photo.jpg, in tiles of 128 ", "latents to a picture, in tiles of 128 ",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the plan doesn't say %q:\n%s", want, text)
		}
	}
	if a, b := exact.Renders[0].Memory, plan.Renders[0].Memory; b >= a {
		t.Errorf("it takes %d bytes in tiles, and %d without", b, a)
	}
	scene := picnic()
	scene.Renders[0].Size = eligen.Size{W: 1536, H: 1024}
	for memory, want := range map[int64]string{plan.Renders[0].Memory: "vae { tiled = true }", 1: "a smaller model"} {
		if _, diags := planner.Build(t.Context(), scene, "engine-1", decoding,
			planner.Options{Memory: memory}); !strings.Contains(fmt.Sprint(diags), want) {
			t.Errorf("with %d bytes of memory: %v", memory, diags)
		}
	}
	for i, s := range plan.Stages {
		if s.Op.Kind() == "decode/1" && s.Work != exact.Stages[i].Work/1.5*2 {
			t.Errorf("two tiles of 1024 by 1024 are %v of work, and 1536 by 1024 pixels %v", s.Work, exact.Stages[i].Work)
		}
	}
}

// A region in pixels is held to the canvas, also where the scene leaves its size to the
// model.
func TestPixelsBeyondTheCanvas(t *testing.T) {
	px := func(x0, y0, x1, y1 float64) eligen.Region {
		r := eligen.Box(x0, y0, x1, y1)
		r.Pixels = true
		return r
	}
	for _, c := range []struct {
		name string
		r    eligen.Region
		size eligen.Size
		says string
	}{
		{"inside", px(100, 100, 256, 256), eligen.Size{}, ""},
		{"partly outside", px(200, 200, 300, 300), eligen.Size{}, "Region partly outside the canvas: This shape reaches from 200 to 300 " +
			"pixels across and from 200 to 300 pixels down, beyond the canvas of render.r, which has 256×256 pixels, the model's own size."},
		{"partly outside, of two shapes", eligen.Region{Kind: "union", Parts: []eligen.Region{px(10, 10, 60, 60), px(100, 200, 160, 300)}},
			eligen.Size{}, "Region partly outside the canvas: This shape reaches from 10 to 160 pixels across"},
		{"outside", px(300, 300, 400, 400), eligen.Size{}, "Region outside the canvas: "},
		{"of a size that is written", px(200, 200, 300, 300), eligen.Size{W: 256, H: 256},
			"Region partly outside the canvas: This shape reaches from 200 to 300 pixels across"},
	} {
		r := eligen.Render{Name: "r", Address: "render.r", Model: eligen.Model{Family: "nano"}, Prompt: "x", Size: c.size,
			Entities: []eligen.Entity{{Name: "a", Address: "entity.a", Prompt: "a", Strength: 1, Region: c.r, Source: line(1, "a")}}}
		_, diags := planner.Build(t.Context(), &eligen.Scene{Path: "s.hcl", Renders: []eligen.Render{r}}, "engine-1", paint.Engine{}.Spec,
			planner.Options{})
		var says string
		for _, d := range diags {
			says += d.Summary + ": " + d.Detail
		}
		if !strings.HasPrefix(says, c.says) || c.says == "" && says != "" {
			t.Errorf("%s: says %q, want %q", c.name, says, c.says)
		}
	}
}
