package planner_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/page"
	"github.com/eligen/eligen/planner"
	"github.com/eligen/eligen/stage/decode"
)

// tiny answers like an engine with a transformer that can be counted by hand.
func tiny(m eligen.Model, adapters []eligen.Adapter) (eligen.Spec, error) {
	s, err := dev(m, adapters)
	s.Prompt.Length, s.EntityPrompt.Length, s.Native = 8, 4, eligen.Size{W: 64, H: 64}
	s.Sizes = eligen.Sizes{Dim: 2, MLP: 8, Heads: 1, Double: 1, Single: 2, TokenDim: 3, Transformer: 1000, Text: 10, Autoencoder: 20,
		Coding: perPixel(1)}
	return s, err
}

// corner returns a render of 16 image tokens with an entity in four of them.
func corner() *eligen.Scene {
	scene := picnic()
	scene.Renders[0].Entities = scene.Renders[0].Entities[:1]
	scene.Renders[0].Entities[0].Region = eligen.Box(0, 0, 0.5, 0.5)
	return scene
}

// The operations of a step, against a count by hand.
func TestOperations(t *testing.T) {
	// Attention of 16 image tokens, 8 of the prompt, 4 of an entity with a region of 4:
	// 24² pairs, 4² of the entity's text and 4·4 each way; no text asks in the last block.
	const pairs, last = 24*24 + 4*4 + 2*4*4, 16*24 + 4*4
	const attention = 4 * 2 * (2*pairs + last)
	const all = 2 * 2 * (4*2 + 2*8) // a token in a block
	const total = attention + 2*16*3*2*2 + 2*(16+12)*all + 16*all + 12*2*2*2*2
	const negativePairs, negativeLast = 24 * 24, 16 * 24
	const negative = 4*2*(2*negativePairs+negativeLast) + 2*16*3*2*2 + 2*(16+8)*all + 16*all + 8*2*2*2*2

	scene := corner()
	plan, diags := planner.Build(t.Context(), scene, "engine-1", tiny, planner.Options{})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	got := plan.Renders[0]
	if got.Sequence() != 28 || got.Attention != attention || got.Total != total {
		t.Errorf("sequence %d, attention %v, total %v; want 28, %d, %d", got.Sequence(), got.Attention, got.Total, attention, total)
	}
	if diff := cmp.Diff([]int{4}, got.Regions); diff != "" {
		t.Error(diff)
	}

	scene.Renders[0].Sampler.CFG = ptr(3.0)
	plan, _ = planner.Build(t.Context(), scene, "engine-1", tiny, planner.Options{})
	if got := plan.Renders[0]; got.Total != total+negative {
		t.Errorf("with a negative branch %v, want %d", got.Total, total+negative)
	}

	// Twice the steps are twice the work.
	for _, s := range plan.Stages {
		if s.Op.Kind() == "denoise/1" && s.Work != 50*2*total {
			t.Errorf("the work of 50 steps is %v, want %v", s.Work, 50*2*total)
		}
	}
}

// FLUX.1-dev at its native size, with two entities.
func TestFluxTakes(t *testing.T) {
	plan, diags := planner.Build(t.Context(), picnic(), "engine-1", dev, planner.Options{})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	r := plan.Renders[0]
	// A token meets 12·d² weights in each of 57 blocks, and then there is attention.
	want := 2 * 12 * 3072.0 * 3072 * 57 * (4096 + 3*512)
	if r.Sequence() != 4096+3*512 || math.Abs((r.Total-r.Attention)/want-1) > 0.02 {
		t.Errorf("a sequence of %d, %.1f TFLOP a step", r.Sequence(), r.Total/1e12)
	}
	if r.Attention < 0.05*r.Total || r.Attention > 0.3*r.Total {
		t.Errorf("attention is %.1f of %.1f TFLOP", r.Attention/1e12, r.Total/1e12)
	}
}

// What the machine has too little memory for is an error at the render's line.
func TestMemory(t *testing.T) {
	plan, diags := planner.Build(t.Context(), picnic(), "engine-1", dev, planner.Options{Memory: 64 << 30})
	if diags.HasErrors() || plan.Renders[0].Memory < 18<<30 {
		t.Fatalf("%d bytes: %v", plan.Renders[0].Memory, diags)
	}
	_, diags = planner.Build(t.Context(), picnic(), "engine-1", dev, planner.Options{Memory: 8 << 30})
	if len(diags) != 1 || diags[0].Severity != eligen.Error || diags[0].Source.Line != 1 ||
		!strings.Contains(diags[0].Detail, "there are 8.0 GiB") || !strings.Contains(diags[0].Detail, "--memory") {
		t.Errorf("with 8 GiB: %v", diags)
	}
	// Nothing is known of the sizes: nothing is refused.
	_, diags = planner.Build(t.Context(), picnic(), "engine-1", func(m eligen.Model, a []eligen.Adapter) (eligen.Spec, error) {
		s, err := dev(m, a)
		s.Sizes = eligen.Sizes{}
		return s, err
	}, planner.Options{Memory: 1})
	if diags.HasErrors() {
		t.Error(diags)
	}
}

// A render that leaves open how it is decoded is decoded whole where there is memory for
// it, else in tiles, which is said, and is another recipe. Where it was recorded, it is
// decoded as it was, or refused.
func TestTilesWhereMemoryIsShort(t *testing.T) {
	const gib = 1 << 30
	large := func(m eligen.Model, adapters []eligen.Adapter) (eligen.Spec, error) {
		s, err := tiny(m, adapters)
		s.Sizes.Coding = perPixel(1 << 10) // 2048×2048 pixels take 4 GiB, a tile of 1024 takes 1 GiB
		return s, err
	}
	small, smaller := &eligen.Tiling{Tile: 128, Stride: 64}, &eligen.Tiling{Tile: 64, Stride: 32}
	recorded := func(tiles *eligen.Tiling) func(string) (*eligen.Tiling, bool) {
		return func(address string) (*eligen.Tiling, bool) { return tiles, address == "render.picnic" }
	}
	for _, c := range []struct {
		name     string
		memory   int64
		vae      *eligen.VAE
		recorded func(string) (*eligen.Tiling, bool)
		want     *eligen.Tiling
		summary  string // of the one diagnostic
		detail   string
	}{
		{"no limit", 0, nil, nil, nil, "", ""},
		{"enough", 5 * gib, nil, nil, nil, "", ""},
		{"too little for the whole", 2 * gib, nil, nil, small, "Decoded in tiles",
			"2048×2048 pixels at once, and there are 2.0 GiB, by this machine's memory. It works in tiles of 1024 pixels"},
		{"too little for large tiles", gib / 2, nil, nil, smaller, "Decoded in tiles", "tiles of 512 pixels"},
		{"too little for any", gib / 1024, nil, nil, nil, "Not enough memory", "Render a smaller picture"},
		{"tiles that the author wants", 2 * gib, &eligen.VAE{Tiled: true}, nil, small, "", ""},
		{"the author wants none", 2 * gib, &eligen.VAE{}, nil, nil, "Not enough memory", "by vae { tiled = true }"},
		{"recorded in tiles, verified where there is enough", 5 * gib, nil, recorded(small), small, "", ""},
		{"recorded whole, verified where there is enough", 5 * gib, nil, recorded(nil), nil, "", ""},
		{"recorded whole, verified where there is too little", 2 * gib, nil, recorded(nil), nil, "Not enough memory",
			"It was recorded as it comes out whole"},
	} {
		scene := picnic()
		r := &scene.Renders[0]
		r.Prompt, r.Size, r.VAE = "a picnic", eligen.Size{W: 2048, H: 2048}, c.vae
		plan, diags := planner.Build(t.Context(), scene, "engine-1", large,
			planner.Options{Memory: c.memory, MemoryFrom: "this machine's memory", Recorded: c.recorded})
		if c.summary == "" && len(diags) > 0 || c.summary != "" &&
			(len(diags) != 1 || diags[0].Summary != c.summary || !strings.Contains(diags[0].Detail, c.detail)) {
			t.Errorf("%s: %v", c.name, diags)
			continue
		}
		if diags.HasErrors() {
			continue
		}
		for _, s := range plan.Stages {
			if op, ok := s.Op.(decode.Op); ok {
				if diff := cmp.Diff(c.want, op.Tiles); diff != "" {
					t.Errorf("%s: %s", c.name, diff)
				}
			}
		}
		if got := plan.Renders[0].Memory; c.memory > 0 && got > c.memory {
			t.Errorf("%s: %d bytes are promised, of %d", c.name, got, c.memory)
		}
	}
}

// Every edit is told in the scene's words.
func TestChanges(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*eligen.Render)
		want   []string
	}{
		{"nothing", func(*eligen.Render) {}, nil},
		{"the prompt", func(r *eligen.Render) { r.Prompt = "a field" }, []string{"render.picnic: prompt changed"}},
		{"the seed and the steps", func(r *eligen.Render) { r.Seed, r.Sampler.Steps = 7, ptr(8) },
			[]string{"render.picnic: seed 0 → 7", "render.picnic: steps 50 → 8"}},
		{"the size", func(r *eligen.Render) { r.Size = eligen.Size{W: 512, H: 512} },
			[]string{"render.picnic: size 1024×1024 → 512×512"}},
		{"a box moves", func(r *eligen.Render) { r.Entities[0].Region = eligen.Box(0.25, 0.4, 0.7, 0.9) },
			[]string{"entity.dog: box moved, xywh(0.05, 0.4, 0.45, 0.5) → xywh(0.25, 0.4, 0.45, 0.5)"}},
		{"a box grows", func(r *eligen.Render) { r.Entities[0].Region = eligen.Box(0, 0.4, 0.5, 0.9) },
			[]string{"entity.dog: box resized, xywh(0.05, 0.4, 0.45, 0.5) → xywh(0, 0.4, 0.5, 0.5)"}},
		{"a box becomes an ellipse", func(r *eligen.Render) {
			r.Entities[0].Region = eligen.Region{Kind: "ellipse", Numbers: []float64{0.25, 0.65, 0.25, 0.25}}
		}, []string{"entity.dog: box became ellipse, ellipse(0.25, 0.65, 0.25, 0.25)"}},
		{"an entity's prompt and strength", func(r *eligen.Render) { r.Entities[1].Prompt, r.Entities[1].Strength = "a pear", 2 },
			[]string{"entity.apple: prompt changed", "entity.apple: strength 1 → 2"}},
		{"an entity goes", func(r *eligen.Render) { r.Entities = r.Entities[:1] }, []string{"entity.apple: removed"}},
		{"another order", func(r *eligen.Render) { r.Entities[0], r.Entities[1] = r.Entities[1], r.Entities[0] },
			[]string{"render.picnic: entities are in another order"}},
		{"a negative prompt", func(r *eligen.Render) { r.Negative = "blur" },
			[]string{"render.picnic: negative changed", "render.picnic: cfg 1 → 3"}},
		{"other weights", func(r *eligen.Render) { r.Model.Name = "other" }, []string{"render.picnic: model has another transformer"}},
		{"approximations", func(r *eligen.Render) {
			r.Sampler.TeaCache, r.VAE = ptr(0.2), &eligen.VAE{Tiled: true, Tile: 48}
		}, []string{"render.picnic: exact → tea_cache 0.2; pictures in tiles of 48 latents, 24 apart"}},
		{"an adapter", func(r *eligen.Render) {
			r.Adapters = []eligen.Adapter{{Kind: "lora", Name: "eligen", Scale: 0.5, Alpha: "file"}}
		}, []string{"render.picnic: adapters changed"}},
	} {
		before, _ := planner.Build(t.Context(), picnic(), "engine-1", dev, planner.Options{})
		scene := picnic()
		c.change(&scene.Renders[0])
		after, diags := planner.Build(t.Context(), scene, "engine-1", dev, planner.Options{})
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		got := planner.Changes(planner.Resolved(before)[0], planner.Resolved(after)[0])
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s:\n%s", c.name, diff)
		}
	}
	other, _ := planner.Build(t.Context(), picnic(), "engine-2", dev, planner.Options{})
	plan, _ := planner.Build(t.Context(), picnic(), "engine-1", dev, planner.Options{})
	if diff := cmp.Diff([]string{"render.picnic: engine engine-1 → engine-2"},
		planner.Changes(planner.Resolved(plan)[0], planner.Resolved(other)[0])); diff != "" {
		t.Error(diff)
	}
}

// What earlier runs took, and what is different from them, is printed where it is known.
func TestPrintKnown(t *testing.T) {
	plan, _ := planner.Build(t.Context(), picnic(), "engine-1", dev, planner.Options{})
	got := page.Clean(planner.Print(plan, planner.Known{
		Cached: func(d eligen.Digest) bool { return d == plan.Stages[0].Digest },
		Seconds: func(kind string, work float64) (float64, bool) {
			return map[string]float64{"denoise/1": 150, "decode/1": 4}[kind], kind == "denoise/1" || kind == "decode/1"
		},
		Since:   time.Date(2026, 11, 24, 20, 1, 0, 0, time.Local),
		Changes: []string{"entity.dog: box moved"},
	}, planner.View{}))
	for _, want := range []string{
		"since the run of 2026-11-24 20:01\n~ entity.dog: box moved\n",
		"2 entities   run     about 2 min\n", "a picture                        run     about 4.0 s\n",
		"1 picture to make, 1 stage in the store, at least 3 min.\n",
		"7 stages: 1 cached, 6 to run, at least 3 min.",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("there is no %q in\n%s", want, got)
		}
	}
}
