package app

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/eligen/eligen"
)

// TestLayoutOf: what a journal holds of a picture and of a clip is enough to draw
// their regions, at every frame.
func TestLayoutOf(t *testing.T) {
	dog := eligen.Entity{Address: "entity.dog", Prompt: "a dog", Region: eligen.Box(0, 0, 0.5, 0.5), Strength: 1}
	for name, c := range map[string]struct {
		recipe string
		want   Layout
		ok     bool
	}{
		"a picture": {
			`{"Resolved":{"format":1,"render":"render.one","size":{"W":256,"H":128},"prompt":"a ` +
				`park","entities":[{"address":"entity.dog","prompt":"a ` +
				`dog","region":{"kind":"box","numbers":[0,0,0.5,0.5]},"strength":1,"tokens":4}]},"Overlay":false,"Strip":false}`,
			Layout{Render: "render.one", Size: eligen.Size{W: 256, H: 128}, Geometry: eligen.DefaultGeometry, Prompt: "a park",
				Entities: []eligen.Entity{dog}}, true,
		},
		"a clip": {
			`{"Resolved":{"format":1,"render":"render.clip","size":{"W":64,"H":64},"fps":12,"frames":24,"loop":0,` +
				`"timeline":[{"target":"entity.dog.box","keys":[{"frame":0,"region":{"kind":"box","numbers":[0,0,0.5,0.5]},` +
				`"ease":"bezier(0.1, 0.2, 0.3, 1)"},{"frame":23,"region":{"kind":"box","numbers":[0.5,0.5,1,1]},"ease":"linear"}]},` +
				`{"target":"entity.dog.strength","keys":[{"frame":4,"value":[0.5],"ease":"steps(4)"}],"extrapolate":"loop"},` +
				`{"target":"entity.dog.center","path":[0,0,1,1],"ease":"sine-in"},{"target":"nothing"}],"first":{"prompt":"a park",` +
				`"entities":[{"address":"entity.dog","prompt":"a dog","region":{"kind":"box","numbers":[0,0,0.5,0.5]},"strength":1}]}},` +
				`"Dither":"none","Timeline":"timeline.walk"}`,
			Layout{Render: "render.clip", Size: eligen.Size{W: 64, H: 64}, Geometry: eligen.DefaultGeometry, Prompt: "a park",
				Entities: []eligen.Entity{dog}, Timeline: &eligen.Timeline{Address: "timeline.walk", Frames: 24, FPS: 12, Tracks: []eligen.Track{
					{Target: eligen.Target{Block: "entity.dog", Attribute: "box"}, Keys: []eligen.Key{
						{Value: eligen.Value{Region: dog.Region}, Ease: eligen.Ease{Kind: "bezier", Numbers: []float64{0.1, 0.2, 0.3, 1}}},
						{Frame: 23, Value: eligen.Value{Region: eligen.Box(0.5, 0.5, 1, 1)}, Ease: eligen.Ease{Kind: "linear"}},
					}},
					{Target: eligen.Target{Block: "entity.dog", Attribute: "strength"}, Extrapolate: "loop",
						Keys: []eligen.Key{{Frame: 4, Value: eligen.Value{Numbers: []float64{0.5}},
							Ease: eligen.Ease{Kind: "steps", Numbers: []float64{4}}}}},
					{Target: eligen.Target{Block: "entity.dog", Attribute: "center"}, Path: &eligen.Path{Points: []float64{0, 0, 1, 1}},
						Ease: eligen.Ease{Kind: "sine-in"}},
				}}}, true,
		},
		"a clip in a journal of before": {
			`{"Resolved":{"format":1,"render":"render.clip","size":{"W":64,"H":64},"fps":12,"frames":24,"loop":0},"Strip":true}`,
			Layout{Render: "render.clip", Size: eligen.Size{W: 64, H: 64}, Geometry: eligen.DefaultGeometry,
				Timeline: &eligen.Timeline{Frames: 24, FPS: 12}}, true,
		},
		"a sheet":   {`{"Size":{"W":64,"H":64},"Captions":["seed 1"]}`, Layout{}, false},
		"no recipe": {``, Layout{}, false},
	} {
		got, ok := LayoutOf(json.RawMessage(c.recipe))
		if diff := cmp.Diff(c.want, got); ok != c.ok || diff != "" {
			t.Errorf("%s: %v\n%s", name, ok, diff)
		}
	}
}
