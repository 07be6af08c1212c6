package studio

import (
	"errors"
	"fmt"
	"image/png"
	"math"
	"net/http"
	"strings"
	"time"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/app"
)

// A PastRun is an earlier run of the scene, from this page, another or the command line.
type PastRun struct {
	Name    string        `json:"name"`
	Began   string        `json:"began"` // RFC 3339
	Seconds float64       `json:"seconds"`
	State   string        `json:"state"`   // "ended", "running", "broken off"
	Problem string        `json:"problem"` // that ended a stage; "" is none
	Kept    int           `json:"kept"`    // stages that the store had
	Stages  int           `json:"stages"`
	Made    []PastPicture `json:"made"`
}

// A PastPicture is what a run made of a render.
type PastPicture struct {
	Render   string            `json:"render"` // address; of several seeds "render.rain.seed-4"
	Digest   eligen.Digest     `json:"digest"`
	URL      string            `json:"url"` // "": it is not in the store any more
	Clip     bool              `json:"clip"`
	Seed     uint64            `json:"seed"`
	Width    int               `json:"width"`
	Height   int               `json:"height"`
	Changes  []string          `json:"changes"` // since the picture of before; none where it is the first
	First    bool              `json:"first"`
	Figures  map[string]Figure `json:"figures"`
	Entities []string          `json:"entities"` // addresses in drawing order
}

// mostRuns is how many runs the page lists.
const mostRuns = 60

// history lists earlier runs, the latest first.
func (s *Server) history(w http.ResponseWriter, _ *http.Request) {
	runs, err := s.app.SceneRuns(s.doc.path, mostRuns)
	if err != nil && !errors.Is(err, app.ErrNoRuns) {
		refuse(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	s.mu.Lock()
	s.past = map[eligen.Digest]app.RunPicture{}
	s.mu.Unlock()
	out := []PastRun{}
	for i, r := range runs {
		past := PastRun{
			Name: r.Name, Began: r.Began.Format(time.RFC3339), Seconds: r.Seconds, State: r.State, Kept: r.Stages[eligen.Cached],
			Made: []PastPicture{},
		}
		for _, n := range r.Stages {
			past.Stages += n
		}
		if len(r.Problems) > 0 {
			past.Problem = r.Problems[0].Summary
		}
		seen := map[string]bool{}
		for _, made := range r.Made {
			if !seen[made.Render] { // others are the picture with an overlay, or in another form
				past.Made = append(past.Made, s.pastPicture(made, runs[i+1:]))
			}
			seen[made.Render] = true
		}
		out = append(out, past)
	}
	answer(w, http.StatusOK, out)
}

func (s *Server) pastPicture(made app.RunPicture, before []app.SceneRun) PastPicture {
	out := PastPicture{
		Render: made.Render, Digest: made.Result, Clip: made.Timeline != nil, Seed: made.Seed, Width: made.Size.W, Height: made.Size.H,
		Changes: []string{}, First: true, Figures: map[string]Figure{}, Entities: []string{},
	}
	if s.app.Has(made.Result) {
		s.show(made.Result)
		out.URL = resultURL(made.Result)
	}
	for _, e := range made.Entities {
		out.Figures[e.Address] = figureOf(e.Region, made.Size)
		out.Entities = append(out.Entities, e.Address)
	}
	if old := lastOf(made.Render, before); old != nil {
		out.First, out.Changes = false, some(made.Changes(*old))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.past[made.Result] = made
	return out
}

// lastOf returns the latest picture of a render, or nil.
func lastOf(render string, runs []app.SceneRun) *app.RunPicture {
	for _, r := range runs {
		for i := range r.Made {
			if r.Made[i].Render == render {
				return &r.Made[i]
			}
		}
	}
	return nil
}

// A Comparison is how two pictures differ.
type Comparison struct {
	SameSize  bool     `json:"sameSize"`
	Equal     bool     `json:"equal"`
	PSNR      float64  `json:"psnr"`   // dB
	Differ    float64  `json:"differ"` // share of the pixels
	Shares    []Share  `json:"shares"` // of the difference, by entity
	Elsewhere float64  `json:"elsewhere"`
	Changes   []string `json:"changes"` // of the values
	URL       string   `json:"url"`     // of a picture of the difference
}

// A Share is how much of a difference lies where an entity is in one of the pictures.
type Share struct {
	Address string  `json:"address"`
	Part    float64 `json:"part"`
}

// pastOf returns a picture of the history, which has been listed.
func (s *Server) pastOf(d string) (app.RunPicture, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok := s.past[eligen.Digest(d)]
	return p, ok
}

// both finds the pictures that a request compares, or answers.
func (s *Server) both(w http.ResponseWriter, r *http.Request) (a, b app.RunPicture, d app.PictureDifference, ok bool) {
	q := r.URL.Query()
	a, found := s.pastOf(q.Get("a"))
	b, also := s.pastOf(q.Get("b"))
	if !found || !also {
		refuse(w, http.StatusNotFound, "The history has no such pictures.")
		return a, b, d, false
	}
	d, err := s.app.CompareMade(r.Context(), a.Result, b.Result)
	if err != nil {
		refuse(w, http.StatusNotFound, "The pictures can't be compared: "+err.Error())
		return a, b, d, false
	}
	return a, b, d, true
}

// compare says how two pictures of the history differ.
func (s *Server) compare(w http.ResponseWriter, r *http.Request) {
	a, b, d, ok := s.both(w, r)
	if !ok {
		return
	}
	out := Comparison{SameSize: d.SameSize(), Shares: []Share{}, Changes: some(b.Changes(a))}
	if d.SameSize() {
		out.Equal, out.URL = d.Differ == 0, fmt.Sprintf("/api/difference?a=%s&b=%s", a.Result, b.Result)
		out.Differ = float64(d.Differ) / float64(d.Sizes[0].X*d.Sizes[0].Y)
		if out.PSNR = d.PSNR; math.IsInf(d.PSNR, 0) {
			out.PSNR = 0
		}
		out.Shares, out.Elsewhere = shares(a, b, d)
	}
	answer(w, http.StatusOK, out)
}

// shares says where a difference lies.
func shares(a, b app.RunPicture, d app.PictureDifference) ([]Share, float64) {
	canvas, index := eligen.Size{W: d.Sizes[0].X, H: d.Sizes[0].Y}, map[string]int{}
	out, areas := []Share{}, [][]bool{}
	for _, p := range []app.RunPicture{a, b} {
		for _, e := range p.Entities {
			k, ok := index[e.Address]
			if !ok {
				k = len(out)
				index[e.Address] = k
				out, areas = append(out, Share{Address: e.Address}), append(areas, make([]bool, canvas.W*canvas.H))
			}
			for i, on := range e.Region.Mask(canvas) {
				areas[k][i] = areas[k][i] || on
			}
		}
	}
	parts, elsewhere := d.Shares(areas)
	for k := range out {
		out[k].Part = parts[k]
	}
	return out, elsewhere
}

// difference sends a picture of where two pictures differ.
func (s *Server) difference(w http.ResponseWriter, r *http.Request) {
	_, _, d, ok := s.both(w, r)
	if !ok {
		return
	}
	if !d.SameSize() {
		refuse(w, http.StatusNotFound, "The pictures have different sizes.")
		return
	}
	w.Header().Set("Content-Type", "image/png")
	_ = (&png.Encoder{CompressionLevel: png.BestSpeed}).Encode(w, d.Picture())
}

// plainAddress reports whether an address is of a block without for_each or count.
func plainAddress(address string) bool { return !strings.ContainsAny(address, "[") }
