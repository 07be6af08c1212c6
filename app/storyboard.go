package app

import (
	"encoding/json"
	"fmt"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/stage/clip"
	"github.com/eligen/eligen/stage/still"
)

// previewPlan plans pictures of layouts, in their order, each next to the first file of its render.
func previewPlan(list []sketch, p *eligen.Plan) *eligen.Plan {
	out := eligen.NewPlan(p.Scene, p.Engine)
	taken := map[string]bool{}
	for _, k := range list {
		var op eligen.Op = still.Preview{Resolved: k.still, Z: heights(k.Entities)}
		if k.clip != nil && k.Timeline != nil {
			op = storyboard(k.Layout, *k.clip)
		}
		stem := strings.TrimRight(numbers.ReplaceAllString(strings.TrimSuffix(k.path, path.Ext(k.path)), ""), "/")
		name := stem + "-preview.png"
		for i := 2; taken[name]; i++ {
			name = fmt.Sprintf("%s-preview-%d.png", stem, i)
		}
		taken[name] = true
		out.Outputs = append(out.Outputs, eligen.PlannedOutput{
			Render: k.Render, Path: filepath.Join(out.Folder, filepath.FromSlash(name)), Source: k.source,
			Stage: out.Add(k.Render+".preview", k.source, op),
		})
	}
	return out
}

// heights returns the z of entities, or where they lie in their stack if some occlude others; nil where all are the same.
func heights(entities []eligen.Entity) []float64 {
	if slices.ContainsFunc(entities, func(e eligen.Entity) bool { return len(e.Occludes) > 0 }) {
		order, _ := eligen.Stack(entities)
		z := make([]float64, len(entities))
		for at, i := range order {
			z[i] = float64(len(order) - at)
		}
		return z
	}
	var z []float64
	same := true
	for _, e := range entities {
		z = append(z, e.Z)
		same = same && e.Z == z[0]
	}
	if same {
		return nil
	}
	return z
}

// numbers matches where a clip's path has the number of a frame.
var numbers = regexp.MustCompile(`[-_.]?%0?[0-9]*d`)

// mostFrames is how many frames a storyboard shows.
const mostFrames = 12

// storyboard draws a clip's layout at its keys, and the ways that its entities go.
func storyboard(l Layout, r clip.Resolved) still.Storyboard {
	o := still.Storyboard{Size: l.Size, Z: heights(l.Entities)}
	if about, err := json.Marshal(r); err == nil {
		o.Shown = &still.Shown{Clip: about}
	}
	at := func(frame int) []eligen.Entity {
		if f, err := l.Timeline.At(frame, l.Entities, l.Size); err == nil {
			return f.Entities
		}
		return l.Entities
	}
	for _, n := range keyframes(l.Timeline) {
		f := still.BoardFrame{Number: n, Caption: fmt.Sprintf("frame %d, %.2f s", n, float64(n)/l.Timeline.FPS)}
		for _, e := range at(n) {
			f.Entities = append(f.Entities, still.Entity{Address: e.Address, Prompt: e.Prompt, Region: e.Region,
				Strength: e.Strength, Opacity: e.Opacity})
		}
		o.Frames = append(o.Frames, f)
	}
	for i, e := range l.Entities {
		w := still.Way{Entity: i}
		for n := range l.Timeline.Frames {
			x, y := at(n)[i].Region.Center(l.Size)
			w.Places = append(w.Places, x, y)
		}
		if e.Region.Kind != "" && moves(w.Places) {
			o.Ways = append(o.Ways, w)
		}
	}
	return o
}

func moves(places []float64) bool {
	for i := 2; i < len(places); i++ {
		if d := places[i] - places[i-2]; d > 1e-6 || d < -1e-6 {
			return true
		}
	}
	return false
}

// keyframes returns the first and last frame of a timeline and those at its keys; where these are few,
// frames between them too, and where they are many, some of them.
func keyframes(t *eligen.Timeline) []int {
	last := t.Frames - 1
	frames := []int{0, last}
	for _, track := range t.Tracks {
		for _, k := range track.Keys {
			frames = append(frames, min(last, max(0, int(k.Frame+0.5))))
		}
	}
	slices.Sort(frames)
	frames = slices.Compact(frames)
	frames = filled(frames, min(t.Frames, mostFrames/2))
	if n := len(frames); n > mostFrames {
		var some []int
		for i := range mostFrames {
			some = append(some, frames[i*(n-1)/(mostFrames-1)])
		}
		frames = some
	}
	return frames
}

// filled adds frames in the middle of the widest gaps until there are n, or no gap is left.
func filled(frames []int, n int) []int {
	for len(frames) < n {
		widest := 1
		for i := 1; i < len(frames); i++ {
			if frames[i]-frames[i-1] > frames[widest]-frames[widest-1] {
				widest = i
			}
		}
		if frames[widest]-frames[widest-1] < 2 {
			break
		}
		frames = slices.Insert(frames, widest, (frames[widest]+frames[widest-1])/2)
	}
	return frames
}
