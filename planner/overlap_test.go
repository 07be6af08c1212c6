package planner_test

import (
	"fmt"
	"math"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/model/paint"
	"github.com/eligen/eligen/planner"
	"github.com/eligen/eligen/stage/denoise"
)

// layers returns a render of three boxes on a canvas of 4×4 tokens: a covers the left
// half, b the upper half, c the corner where they meet.
func layers(overlap string, z ...float64) *eligen.Scene {
	boxes := []eligen.Region{eligen.Box(0, 0, 0.5, 1), eligen.Box(0, 0, 1, 0.5), eligen.Box(0, 0, 0.25, 0.25)}
	r := eligen.Render{Name: "r", Address: "render.r", Model: eligen.Model{Family: "nano"}, Prompt: "x", Size: eligen.Size{W: 64, H: 64},
		Overlap: overlap}
	for i, name := range []string{"a", "b", "c"} {
		e := eligen.Entity{Name: name, Address: "entity." + name, Prompt: name, Region: boxes[i], Strength: 1, Source: line(10*(i+1), name)}
		if i < len(z) {
			e.Z = z[i]
			e.At = map[string]eligen.Source{"z": line(10*(i+1)+1, "z = …")}
		}
		r.Entities = append(r.Entities, e)
	}
	return &eligen.Scene{Path: "s.hcl", Renders: []eligen.Render{r}}
}

// stackOf returns layers of which the first occludes the others.
func stackOf(overlap string, z ...float64) *eligen.Scene {
	scene := layers(overlap, z...)
	scene.Renders[0].Entities[0].Occludes = []string{"entity.b", "entity.c", "entity.away"}
	return scene
}

func circle() *eligen.Scene {
	scene := stackOf("over")
	scene.Renders[0].Entities[2].Occludes = []string{"entity.a"}
	return scene
}

// Who gets the tokens that several regions cover, before attention is built.
func TestOverlap(t *testing.T) {
	for _, c := range []struct {
		name   string
		scene  *eligen.Scene
		tokens [][]int32
		says   []string
	}{
		{"blend: both", layers("", nil...), [][]int32{{0, 1, 4, 5, 8, 9, 12, 13}, {0, 1, 2, 3, 4, 5, 6, 7}, {0}},
			[]string{"Region is small: The region of entity.c covers 1", "Regions overlap: entity.a and entity.b share 4 of 12"}},
		{"blend does not look at z", layers("blend", 1), [][]int32{{0, 1, 4, 5, 8, 9, 12, 13}, {0, 1, 2, 3, 4, 5, 6, 7}, {0}},
			[]string{"Region is small", "Argument without effect: z says", "Regions overlap"}},
		{"over: the later of equals", layers("over"), [][]int32{{8, 9, 12, 13}, {1, 2, 3, 4, 5, 6, 7}, {0}}, []string{"Region is small"}},
		{"over: the higher z", layers("over", 1, 0, 2), [][]int32{{1, 4, 5, 8, 9, 12, 13}, {2, 3, 6, 7}, {0}}, []string{"Region is small"}},
		{"over: what occludes", stackOf("over", 0, 0, 2), nil,
			[]string{"Region is small", "Region is covered: All 1 image tokens of entity.c belong to entity.a, which lies above it"}},
		{"over: a circle", circle(), nil, []string{"Region is small",
			"Circular reference: No order has each of these above the next: entity.a, entity.c, entity.a."}},
		{"over: nothing left", layers("over", 1, 0, -1), nil, []string{"Region is small",
			"Region is covered: All 1 image tokens of entity.c belong to entity.a, which lies above it"}},
		{"exclusive", layers("exclusive"), nil, []string{
			"Region is small",
			"Regions overlap: entity.b and entity.a share 1024 pixels",
			"Regions overlap: entity.c and entity.a share 256 pixels"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			plan, diags := planner.Build(t.Context(), c.scene, "engine-1", paint.Engine{}.Spec, planner.Options{})
			for i, d := range diags {
				if text := d.Summary + ": " + d.Detail; i >= len(c.says) || !strings.HasPrefix(text, c.says[i]) {
					t.Errorf("diagnostic %d: %s", i, text)
				}
			}
			if len(diags) != len(c.says) {
				t.Errorf("%d diagnostics, want %d", len(diags), len(c.says))
			}
			if c.tokens == nil {
				if !diags.HasErrors() {
					t.Error("no error")
				}
				return
			}
			for _, s := range plan.Stages {
				if op, ok := s.Op.(denoise.Op); ok {
					var got [][]int32
					for _, e := range op.Entities {
						got = append(got, e.Tokens)
					}
					if diff := cmp.Diff(c.tokens, got); diff != "" {
						t.Error(diff)
					}
				}
			}
		})
	}
}

// Layers keep the tokens that are seen through what lies above: O = (1 − α)·O + α·(…), from the back.
func TestLayered(t *testing.T) {
	scene := layers("layered", 0, 1, 2)
	half, most := 0.5, 0.75
	scene.Renders[0].Entities[1].Opacity, scene.Renders[0].Entities[2].Opacity = &half, &most
	op := denoised(t, scene)
	want := []denoise.Entity{
		{Tokens: []int32{0, 1, 4, 5, 8, 9, 12, 13}, Seen: []float32{0.125, 0.5, 0.5, 0.5, 1, 1, 1, 1}, Bucket: 16, Strength: 1, Opacity: 1},
		{Tokens: []int32{0, 1, 2, 3, 4, 5, 6, 7}, Seen: []float32{0.25, 1, 1, 1, 1, 1, 1, 1}, Bucket: 16, Strength: 1, Opacity: 0.5},
		{Tokens: []int32{0}, Bucket: 16, Strength: 1, Opacity: 0.75},
	}
	if diff := cmp.Diff(want, op.Entities); !op.Layered || diff != "" {
		t.Errorf("layered %t: %s", op.Layered, diff)
	}

	// Opaque layers are regions that hide one another: the same stage.
	if diff := cmp.Diff(denoised(t, layers("over", 0, 1, 2)), denoised(t, layers("layered", 0, 1, 2))); diff != "" {
		t.Error(diff)
	}
}

// denoised returns how a scene's picture is denoised.
func denoised(t *testing.T, scene *eligen.Scene) denoise.Op {
	t.Helper()
	plan, diags := planner.Build(t.Context(), scene, "engine-1", paint.Engine{}.Spec, planner.Options{})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	for _, s := range plan.Stages {
		if op, ok := s.Op.(denoise.Op); ok {
			return op
		}
	}
	t.Fatal("nothing is denoised")
	return denoise.Op{}
}

// A check plans what it measures: locality needs the picture without the
// entity's prompt, and what is asked for twice is planned once.
func TestCheckPlan(t *testing.T) {
	scene := picnic()
	call := eligen.MetricCall{Name: "locality", Render: "render.picnic", Entity: "entity.dog", Source: line(20, "locality(…)")}
	place := eligen.MetricCall{Name: "placement", Render: "render.picnic", Entity: "entity.dog", Source: line(21, "placement(…)")}
	scene.Checks = []eligen.Check{{Name: "dog", Address: "check.dog",
		Asserts: []eligen.Assert{{Metrics: []eligen.MetricCall{call, place}}, {Metrics: []eligen.MetricCall{call}}}, Source: line(19, "check")}}
	plan, diags := planner.Build(t.Context(), scene, "engine-1", paint.Engine{}.Spec, planner.Options{})
	if len(diags) > 0 {
		t.Fatal(diags)
	}
	var added []string
	for _, s := range plan.Stages {
		if strings.Contains(s.Name, "without") || strings.Contains(s.Name, "locality") || strings.Contains(s.Name, "placement") ||
			strings.Contains(s.Name, "empty") {
			added = append(added, s.Name)
		}
	}
	want := []string{"render.picnic.empty", "render.picnic.denoise.without.entity.dog", "render.picnic.decode.without.entity.dog",
		"render.picnic.locality.entity.dog", "render.picnic.placement.entity.dog"}
	// With paint's negative branch the empty prompt is planned already.
	if diff := cmp.Diff(want, added); diff != "" && len(added) != len(want)-1 {
		t.Error(diff)
	}
	values := plan.Checks[0].Values
	if len(values) != 2 || len(values[0]) != 2 || values[1][0] != values[0][0] {
		t.Errorf("the check's stages are %v", values)
	}

	// Where not all renders are asked for, a check over the others is left out.
	scene.Checks[0].Asserts[0].Metrics[1] = eligen.MetricCall{Name: "psnr", Render: "render.picnic", Other: "render.gone"}
	plan, diags = planner.Build(t.Context(), scene, "engine-1", paint.Engine{}.Spec, planner.Options{})
	if len(plan.Checks) != 0 || len(diags) != 1 || diags[0].Summary != "Check is left out" {
		t.Errorf("a check over a render that is not planned: %v, %v", plan.Checks, diags)
	}
}

// crowd returns a render of so many boxes, all of which overlap.
func crowd(n int) *eligen.Scene {
	r := eligen.Render{Name: "r", Address: "render.r", Model: eligen.Model{Family: "nano"}, Prompt: "x", Size: eligen.Size{W: 1024, H: 1024},
		Source: line(1, "render")}
	for i := range n {
		x, y := 0.3*float64(i%100)/100, 0.3*float64(i/100)/100
		r.Entities = append(r.Entities, eligen.Entity{Address: fmt.Sprintf("entity.f[%d]", i), Prompt: "a frog",
			Region: eligen.Box(x, y, x+0.6, y+0.6), Strength: 1, Source: line(i+2, "box")})
	}
	return &eligen.Scene{Path: "s.hcl", Renders: []eligen.Render{r}}
}

// Of many pairs that overlap, the worst are named and the others counted.
func TestOverlapsAreSummedUp(t *testing.T) {
	scene := crowd(28)
	entities := scene.Renders[0].Entities
	for i := range entities {
		x := float64(i) / 32 // each covers half of the next
		entities[i].Region = eligen.Box(x, 0, x+1.0/16, 0.5)
	}
	entities[20].Region = eligen.Box(19.5/32, 0, 21.5/32, 0.5) // and one more than half
	_, diags := planner.Build(t.Context(), scene, "engine-1", paint.Engine{}.Spec, planner.Options{})
	var says []string
	for _, d := range diags {
		says = append(says, d.Summary+": "+d.Detail)
	}
	if len(says) != 4 {
		t.Fatalf("%d warnings, want three pairs and a count:\n%s", len(says), strings.Join(says, "\n"))
	}
	for i, want := range []string{
		"Regions overlap: entity.f[19] and entity.f[20] share 96 of 160 ",
		"Regions overlap: entity.f[0] and entity.f[1] share 64 of 192 ",
		"Regions overlap: entity.f[1] and entity.f[2] share 64 of 192 ",
		"Regions overlap: 23 more pairs of entities of render.r overlap",
	} {
		if !strings.HasPrefix(says[i], want) {
			t.Errorf("warning %d: %s\nwant %s…", i, says[i], want)
		}
	}

	// A fourth pair is named too: its line is no longer than a count.
	_, diags = planner.Build(t.Context(), crowd(3), "engine-1", paint.Engine{}.Spec, planner.Options{})
	if len(diags) != 3 || strings.Contains(diags[2].Detail, "more pairs") {
		t.Errorf("three pairs: %v", diags)
	}
}

// Thousands of boxes that all overlap are millions of pairs: none leaves a word behind
// but the worst. An outline of many points on a large canvas is looked at along rows.
// The bounds are generous: it took gigabytes, and more than a minute.
func TestCostOfLargeScenes(t *testing.T) {
	var outline []float64
	for i := range 1900 {
		sin, cos := math.Sincos(2 * math.Pi * float64(i) / 1900)
		r := 0.35 + 0.1*float64(i%7)/7
		outline = append(outline, 0.5+r*cos, 0.5+r*sin)
	}
	drawn := crowd(1)
	drawn.Renders[0].Size = eligen.Size{W: 4096, H: 4096}
	drawn.Renders[0].Entities[0].Region = eligen.Region{Kind: "polygon", Numbers: outline}
	for name, scene := range map[string]*eligen.Scene{"4,000 boxes": crowd(4000), "1,900 points": drawn} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		start := time.Now()
		_, diags := planner.Build(t.Context(), scene, "engine-1", paint.Engine{}.Spec, planner.Options{})
		runtime.ReadMemStats(&after)
		if n, d := after.TotalAlloc-before.TotalAlloc, time.Since(start); n > 500e6 || d > time.Minute {
			t.Errorf("%s: planning allocated %d MB and took %v", name, n/1e6, d)
		}
		if diags.HasErrors() {
			t.Error(diags)
		}
	}
}
