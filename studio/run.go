package studio

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image/png"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/app"
)

// A RunState is how far a run has come.
type RunState struct {
	Running  bool                `json:"running"`
	Queued   bool                `json:"queued"` // another run begins after this one
	Version  string              `json:"version"`
	Stage    string              `json:"stage"` // that is at work
	Kind     string              `json:"kind"`
	Step     int                 `json:"step"`
	Of       int                 `json:"of"`
	Speed    float64             `json:"speed"` // steps a second
	Done     int                 `json:"done"`  // stages
	Stages   int                 `json:"stages"`
	Seconds  float64             `json:"seconds"`
	Ended    string              `json:"ended"` // time of day; "" where none has ended
	Stopped  bool                `json:"stopped"`
	Problems []eligen.Diagnostic `json:"problems"`
	Previews []Preview           `json:"previews"`
}

// A Preview is a picture of an unfinished step.
type Preview struct {
	Renders []string `json:"renders"` // addresses of those whose picture it becomes
	Stage   string   `json:"stage"`
	Step    int      `json:"step"`
	Of      int      `json:"of"`
	URL     string   `json:"url"`
}

// A runner makes a scene's pictures, one run after the other.
type runner struct {
	mu       sync.Mutex
	state    RunState
	progress eligen.Progress
	cancel   context.CancelFunc
	sent     time.Time
	runs     int                 // that were started
	renders  map[string][]string // of the run's plan, by the stages whose steps have previews
	frames   map[string][]Frame  // of its clips, by the stages that make their pictures
	pictures map[string][]byte   // of the previews by their URL, PNG
}

func (r *runner) snapshot() RunState {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := r.state
	out.Problems, out.Previews = some(slices.Clone(out.Problems)), some(slices.Clone(out.Previews))
	return out
}

// start begins a run, or asks for one behind that which runs. Several seeds make a picture of each, for the
// store alone.
func (s *Server) start(seeds []uint64) {
	r := s.run
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.state.Running {
		r.state.Queued = true
		go s.tell()
		return
	}
	s.begin(seeds)
}

// begin starts a run. The runner is locked.
func (s *Server) begin(seeds []uint64) {
	text := s.doc.view().text
	ctx, cancel := context.WithCancel(context.Background())
	s.run.cancel, s.run.progress, s.run.renders, s.run.pictures = cancel, eligen.Progress{}, nil, map[string][]byte{}
	s.run.runs++
	s.run.state = RunState{Running: true, Version: versionOf(text)}
	s.working.Go(func() {
		defer cancel()
		s.make(ctx, text, seeds)
	})
}

// make plans a text and makes its pictures.
func (s *Server) make(ctx context.Context, text []byte, seeds []uint64) {
	s.tell()
	began := time.Now()
	request := s.request
	request.Input, request.Seeds = s.input(text), seeds
	p, warnings, err := s.app.Plan(ctx, request)
	if err == nil {
		s.know(p)
		s.run.expect(p)
		_, err = s.app.Apply(ctx, p, app.Run{
			Warnings: warnings, Events: s.event, Previews: s.preview, Unwritten: len(seeds) > 0,
		})
	}
	r := s.run
	r.mu.Lock()
	again := r.state.Queued && ctx.Err() == nil
	r.state.Running, r.state.Queued, r.state.Stopped = false, false, ctx.Err() != nil
	r.state.Seconds, r.state.Ended = time.Since(began).Seconds(), time.Now().Format("15:04")
	r.state.Stage, r.state.Kind, r.state.Step, r.state.Of = "", "", 0, 0
	r.state.Problems = inUnits(failures(err, r.progress))
	r.mu.Unlock()
	s.tell()
	s.plan()
	if again {
		s.start(nil)
	}
}

// failures are what ended a run before its end.
func failures(err error, p eligen.Progress) []eligen.Diagnostic {
	if err == nil || errors.Is(err, context.Canceled) {
		return nil
	}
	var ds eligen.Diagnostics
	if errors.As(err, &ds) {
		return ds
	}
	for _, stage := range p.Stages {
		if stage.Problem != nil {
			ds = append(ds, *stage.Problem)
		}
	}
	if len(ds) == 0 {
		ds.Errorf(nil, "Run failed", "%v.", err)
	}
	return ds
}

// stop ends the run that goes on, and drops the one behind it. What is finished is kept.
func (s *Server) stop() {
	s.run.mu.Lock()
	defer s.run.mu.Unlock()
	s.run.state.Queued = false
	if s.run.cancel != nil {
		s.run.cancel()
	}
}

// pace is how often pages are told of progress.
const pace = 40 * time.Millisecond

// event takes an event of a run.
func (s *Server) event(e eligen.Event) {
	r := s.run
	r.mu.Lock()
	r.progress.Add(e)
	r.advance(e)
	var frames []Frame
	if e.Type == eligen.Done {
		frames = r.frames[e.Stage]
	}
	late := time.Since(r.sent) > pace
	if late {
		r.sent = time.Now()
	}
	r.mu.Unlock()
	for _, f := range frames {
		s.show(f.digest)
		s.hub.send("frame", f)
	}
	if late {
		s.tell()
	}
}

// mostPreviews is how many steps' pictures of a stage are kept: of longer ones, each so many steps' one.
const mostPreviews = 100

// expect notes which renders' pictures the stages of a plan lead to. A render that begins with another's
// picture doesn't show how that one is made.
func (r *runner) expect(p *app.Plan) {
	renders := map[string][]string{}
	for _, o := range p.Outputs {
		for todo, seen := []eligen.Ref{o.Stage}, map[eligen.Ref]bool{}; len(todo) > 0; {
			at := todo[len(todo)-1]
			if todo = todo[:len(todo)-1]; seen[at] {
				continue
			}
			seen[at] = true
			stage := p.Stages[at]
			if !slices.Contains(renders[stage.Name], o.Render) {
				renders[stage.Name] = append(renders[stage.Name], o.Render)
			}
			if kind, _, _ := strings.Cut(stage.Op.Kind(), "/"); kind != "denoise" {
				todo = append(todo, stage.Inputs...)
			}
		}
	}
	frames := map[string][]Frame{}
	for render, list := range framesOf(p) {
		for n, at := range list {
			stage := p.Stages[at]
			frames[stage.Name] = append(frames[stage.Name], Frame{render, n, resultURL(stage.Digest), stage.Digest})
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.renders, r.frames = renders, frames
}

// preview takes the picture of a step. Those of the render's stage before go, and of many renders the oldest.
func (s *Server) preview(p app.StepPicture) {
	if every := (p.Of + mostPreviews - 1) / mostPreviews; p.Step%every != 0 && p.Step != p.Of {
		return
	}
	var b bytes.Buffer
	if (&png.Encoder{CompressionLevel: png.BestSpeed}).Encode(&b, p.Image) != nil {
		return // a buffer takes everything
	}
	r := s.run
	r.mu.Lock()
	defer r.mu.Unlock()
	renders, url := some(r.renders[p.Stage]), fmt.Sprintf("/api/preview/%d/%s/%d", r.runs, versionOf([]byte(p.Stage)), p.Step)
	r.drop(func(n Preview) bool {
		of := func(render string) bool { return slices.Contains(renders, render) }
		return n.URL == url || n.Stage != p.Stage && slices.ContainsFunc(n.Renders, of)
	})
	r.state.Previews = append(r.state.Previews, Preview{renders, p.Stage, p.Step, p.Of, url})
	r.pictures[url] = b.Bytes()
	if first := r.state.Previews[0].Stage; len(r.state.Previews) > 2*mostPreviews && first != p.Stage {
		r.drop(func(n Preview) bool { return n.Stage == first })
	}
}

// drop forgets previews. The runner is locked.
func (r *runner) drop(which func(Preview) bool) {
	r.state.Previews = slices.DeleteFunc(r.state.Previews, func(p Preview) bool {
		if which(p) {
			delete(r.pictures, p.URL)
			return true
		}
		return false
	})
}

// stepPicture sends the picture of a step of the latest run.
func (s *Server) stepPicture(w http.ResponseWriter, r *http.Request) {
	s.run.mu.Lock()
	data := s.run.pictures[r.URL.Path]
	s.run.mu.Unlock()
	if data == nil {
		refuse(w, http.StatusNotFound, "This step's picture is gone.")
		return
	}
	w.Header().Set("Content-Type", "image/png")
	w.Header().Set("Cache-Control", "private, max-age=3600, immutable")
	_, _ = w.Write(data)
}

// advance brings the state up to an event.
func (r *runner) advance(e eligen.Event) {
	counts := r.progress.Counts()
	r.state.Done, r.state.Stages = counts[eligen.Done]+counts[eligen.Cached], len(r.progress.Stages)
	switch e.Type {
	case eligen.Started:
		r.state.Stage, r.state.Kind, r.state.Step, r.state.Of, r.state.Speed = e.Stage, e.Kind, 0, 0, 0
	case eligen.Stepped:
		r.state.Stage, r.state.Kind, r.state.Step, r.state.Of = e.Stage, e.Kind, e.Step, e.Of
		if p := r.progress.Stage(e.Stage); p != nil && p.Latest.After(p.First) && e.Step > p.From+1 {
			r.state.Speed = float64(e.Step-p.From-1) / p.Latest.Sub(p.First).Seconds()
		}
	}
}

// tell tells all pages how far the run is.
func (s *Server) tell() { s.hub.send("run", s.run.snapshot()) }

// A PlanState is what a run would do.
type PlanState struct {
	Version  string              `json:"version"`
	Problems []eligen.Diagnostic `json:"problems"` // for which it can't be planned, or warnings
	Failed   bool                `json:"failed"`
	Stages   []StageState        `json:"stages"`
	Missing  int                 `json:"missing"`
	Seconds  float64             `json:"seconds"` // of what is missing; 0 is not known
	Memory   int64               `json:"memory"`  // bytes at the peak; 0 is not known
	Changes  []string            `json:"changes"`
	Values   []app.Values        `json:"values"`
	Pictures map[string]Picture  `json:"pictures"` // by render
	Frames   map[string][]string `json:"frames"`   // of clips, by render: addresses of those that are made
}

// A StageState is a stage of a plan.
type StageState struct {
	Name    string  `json:"name"`
	Kind    string  `json:"kind"`
	Cached  bool    `json:"cached"`
	Seconds float64 `json:"seconds"`
}

// A Picture is the latest picture of a render.
type Picture struct {
	URL     string            `json:"url"`
	Current bool              `json:"current"` // it is what the text says
	Began   string            `json:"began"`
	Seconds float64           `json:"seconds"`
	Figures map[string]Figure `json:"figures"` // where entities were, by address
}

// mostStages is how many stages of a plan the page lists.
const mostStages = 400

// plan plans the text that is there now, and tells the pages. Of several calls in a row the last counts.
func (s *Server) plan() {
	s.mu.Lock()
	s.planning++
	mine := s.planning
	s.mu.Unlock()
	s.working.Go(func() {
		s.oneAtATime.Lock()
		defer s.oneAtATime.Unlock()
		s.mu.Lock()
		outdated := mine != s.planning
		s.mu.Unlock()
		if outdated {
			return
		}
		p := s.outlook(s.background)
		s.mu.Lock()
		s.latest = p
		s.mu.Unlock()
		s.hub.send("plan", p)
	})
}

// planned returns the latest plan, or nil.
func (s *Server) planned() *PlanState {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.latest
}

// outlook plans the document's text.
func (s *Server) outlook(ctx context.Context) *PlanState {
	text := s.doc.view().text
	out := &PlanState{Version: versionOf(text), Pictures: s.pictures(), Frames: map[string][]string{}}
	request := s.request
	request.Input = s.input(text)
	p, warnings, err := s.app.Plan(ctx, request)
	out.Problems = append(failures(err, eligen.Progress{}), warnings...)
	if err == nil {
		s.know(p)
		err = s.forecast(ctx, p, out)
		out.Problems = append(out.Problems, failures(err, eligen.Progress{})...)
	}
	out.Failed = err != nil
	out.Problems, out.Stages, out.Changes, out.Values = inUnits(out.Problems), some(out.Stages), some(out.Changes), some(out.Values)
	return out
}

// forecast says what applying a plan would do.
func (s *Server) forecast(ctx context.Context, p *app.Plan, out *PlanState) error {
	known, err := s.app.Outlook(ctx, p)
	if err != nil {
		return err
	}
	out.Missing, out.Changes, out.Values = known.Missing, known.Changes, p.Values()
	for _, stage := range p.Stages {
		state := StageState{Name: stage.Name, Kind: stage.Op.Kind(), Cached: known.Cached(stage.Digest)}
		if !state.Cached && known.Seconds != nil {
			state.Seconds, _ = known.Seconds(stage.Op.Kind(), stage.Work)
		}
		if out.Seconds += state.Seconds; len(out.Stages) < mostStages {
			out.Stages = append(out.Stages, state)
		}
	}
	for render, list := range framesOf(p) {
		urls := make([]string, len(list))
		for n, at := range list {
			if d := p.Stages[at].Digest; known.Cached(d) {
				s.show(d)
				urls[n] = resultURL(d)
			}
		}
		out.Frames[render] = urls
	}
	for _, r := range p.Renders {
		out.Memory = max(out.Memory, r.Memory)
	}
	for _, f := range p.Outputs {
		digest := p.Stages[f.Stage].Digest
		if pic, ok := out.Pictures[f.Render]; known.Cached(digest) && (!ok || pic.URL == resultURL(digest) || !pic.Current) {
			pic.URL, pic.Current, pic.Figures = resultURL(digest), true, map[string]Figure{}
			out.Pictures[f.Render] = pic
		}
	}
	return nil
}

// pictures finds the latest picture of each render in the journals.
func (s *Server) pictures() map[string]Picture {
	out := map[string]Picture{}
	runs, err := s.app.SceneRuns(s.doc.path, 12)
	if err != nil {
		return out
	}
	for _, run := range runs {
		for _, made := range run.Made {
			if _, ok := out[made.Render]; ok || !s.app.Has(made.Result) {
				continue
			}
			s.show(made.Result)
			p := Picture{
				URL: resultURL(made.Result), Began: run.Began.Local().Format("15:04"), Seconds: run.Seconds, Figures: map[string]Figure{},
			}
			for _, e := range made.Entities {
				p.Figures[e.Address] = figureOf(e.Region, made.Size)
			}
			out[made.Render] = p
		}
	}
	return out
}

// know lets the page see the results of a plan.
func (s *Server) know(p *app.Plan) {
	for _, f := range p.Outputs {
		s.show(p.Stages[f.Stage].Digest)
	}
}

// show lets the page see a result. It is for this scene's own: the store has those of others too.
func (s *Server) show(d eligen.Digest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shown[d] = true
}

func (s *Server) isShown(d eligen.Digest) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shown[d]
}

func resultURL(d eligen.Digest) string { return "/api/result/" + string(d) }
