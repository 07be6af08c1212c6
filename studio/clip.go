package studio

import (
	"net/http"
	"strings"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/app"
)

// A Timeline is what moves in a render, and when.
type Timeline struct {
	Address string  `json:"address"`
	Frames  int     `json:"frames"`
	FPS     float64 `json:"fps"`
	Tracks  []Track `json:"tracks"`
}

// A Track is what becomes of one attribute.
type Track struct {
	Target string  `json:"target"` // "entity.ball.center"
	Entity string  `json:"entity"` // address; "" is none
	Block  string  `json:"block"`  // in the text; "" where it can't be edited there
	Way    string  `json:"way"`    // "keys", "path", "follow"
	Keys   []Key   `json:"keys"`
	Follow string  `json:"follow"`
	Ease   string  `json:"ease"` // of a path
	Curve  []Point `json:"curve"`
}

// A Key is a value at a frame. It stands in the text as the item of the same number.
type Key struct {
	Frame float64 `json:"frame"`
	Ease  string  `json:"ease"`  // to the next key
	Curve []Point `json:"curve"` // of Ease
}

// A Point is x and y.
type Point [2]float64

// curvePoints are how many points an ease is drawn by.
const curvePoints = 49

// curveOf samples an ease: the page draws it, and knows no formula.
func curveOf(e eligen.Ease) []Point {
	out := make([]Point, curvePoints)
	for i := range out {
		t := float64(i) / (curvePoints - 1)
		out[i] = Point{t, e.At(t)}
	}
	return out
}

// timelineOf returns a render's timeline as the page shows it, or nil.
func timelineOf(l app.Layout, blocks []Block) *Timeline {
	if l.Timeline == nil {
		return nil
	}
	t := &Timeline{Address: l.Timeline.Address, Frames: l.Timeline.Frames, FPS: l.Timeline.FPS, Tracks: []Track{}}
	written := tracksIn(blocks, t.Address)
	for i, tr := range l.Timeline.Tracks {
		out := Track{Target: tr.Target.String(), Way: "keys", Keys: []Key{}, Follow: tr.Follow, Ease: tr.Ease.String(), Curve: []Point{}}
		if strings.HasPrefix(tr.Target.Block, "entity.") {
			out.Entity = tr.Target.Block
		}
		switch {
		case tr.Path != nil:
			out.Way, out.Curve = "path", curveOf(tr.Ease)
		case tr.Follow != "":
			out.Way = "follow"
		}
		for _, k := range tr.Keys {
			out.Keys = append(out.Keys, Key{k.Frame, k.Ease.String(), curveOf(k.Ease)})
		}
		if len(written) == len(l.Timeline.Tracks) {
			out.Block = editable(written[i], out)
		}
		t.Tracks = append(t.Tracks, out)
	}
	return t
}

// tracksIn returns the track blocks of a timeline in a text.
func tracksIn(blocks []Block, timeline string) []Block {
	var out []Block
	for _, b := range blocks {
		if name, _, _ := strings.Cut(b.Address, "["); name == timeline+".track" {
			out = append(out, b)
		}
	}
	return out
}

// editable returns a block's address if it is what a track was read from, key by key.
func editable(b Block, t Track) string {
	target, keys := "", -1
	for _, a := range b.Attributes {
		switch a.Name {
		case "target":
			target = a.Text
		case "keys":
			keys = len(a.Items)
		}
	}
	if target != t.Target || t.Way == "keys" && keys != len(t.Keys) {
		return ""
	}
	return b.Address
}

// Poses are the frames of a render: what the page shows of a moment, and what a new key begins with.
type Poses struct {
	Version string         `json:"version"`
	Every   int            `json:"every"`  // of so many frames one is here
	Frames  [][]PosedAt    `json:"frames"` // each with its entities, in their order
	Tracks  [][]TrackValue `json:"tracks"` // by track and frame
}

// A PosedAt is an entity in a frame.
type PosedAt struct {
	Figure   Figure  `json:"figure"`
	Strength float64 `json:"strength"`
}

// A TrackValue is what a track gives its target.
type TrackValue struct {
	Numbers []float64 `json:"numbers"`
	Figure  *Figure   `json:"figure"` // of a region
}

// mostPoses is how many entities in frames are sent.
const mostPoses = 20_000

// poses sends the frames of a render.
func (s *Server) poses(w http.ResponseWriter, r *http.Request) {
	address := r.URL.Query().Get("render")
	s.mu.Lock()
	layouts, version := s.layouts, s.current.Version
	s.mu.Unlock()
	for _, l := range layouts {
		if l.Render != address || l.Timeline == nil {
			continue
		}
		out, err := posesOf(l)
		if err != nil {
			refuse(w, http.StatusUnprocessableEntity, err.Error())
			return
		}
		out.Version = version
		answer(w, http.StatusOK, out)
		return
	}
	refuse(w, http.StatusNotFound, "This scene has no such clip.")
}

func posesOf(l app.Layout) (*Poses, error) {
	t := l.Timeline
	out := &Poses{Every: 1 + t.Frames*max(1, len(l.Entities))/mostPoses, Frames: [][]PosedAt{}, Tracks: [][]TrackValue{}}
	for n := 0; n < t.Frames; n += out.Every {
		f, err := t.At(n, l.Entities, l.Size)
		if err != nil {
			return nil, err
		}
		row := []PosedAt{}
		for _, e := range f.Entities {
			row = append(row, PosedAt{posed(e.Region, l.Size), e.Strength})
		}
		out.Frames = append(out.Frames, row)
	}
	for i := range t.Tracks {
		tr, values := &t.Tracks[i], []TrackValue{}
		for n := 0; tr.Follow == "" && n < t.Frames; n += out.Every {
			v := tr.At(float64(n), t.Frames, l.Size)
			value := TrackValue{Numbers: some(v.Numbers)}
			if v.Numbers == nil {
				f := posed(v.Region, l.Size)
				value.Figure = &f
			}
			values = append(values, value)
		}
		out.Tracks = append(out.Tracks, values)
	}
	return out, nil
}

// posed returns a region as it is drawn in a frame. What is no simple shape is shown by its bounds, as its
// outline takes long to find.
func posed(r eligen.Region, canvas eligen.Size) Figure {
	switch r.Kind {
	case "box", "ellipse", "polygon":
		return figureOf(r, canvas)
	}
	f := Figure{Kind: "box", Numbers: []float64{0, 0, 0, 0}}
	if x0, y0, x1, y1, ok := r.Bounds(canvas); ok {
		w, h := float64(canvas.W), float64(canvas.H)
		f.Bounds = [4]float64{float64(x0) / w, float64(y0) / h, float64(x1) / w, float64(y1) / h}
		f.Numbers = f.Bounds[:]
	}
	return f
}

// A Frame is a picture of a clip that has just been made.
type Frame struct {
	Render string `json:"render"`
	Index  int    `json:"index"`
	URL    string `json:"url"`
	digest eligen.Digest
}

// framesOf returns the stages that make the frames of a plan's clips, by render: the inputs of what puts
// them into one file.
func framesOf(p *app.Plan) map[string][]eligen.Ref {
	frames, out := map[string]int{}, map[string][]eligen.Ref{}
	for _, r := range p.Scene.Renders {
		if r.Clip != nil {
			frames[r.Address] = r.Clip.Timeline.Frames
		}
	}
	for _, o := range p.Outputs {
		if in := p.Stages[o.Stage].Inputs; len(in) > 0 && len(in) == frames[o.Render] {
			out[o.Render] = in
		}
	}
	return out
}
