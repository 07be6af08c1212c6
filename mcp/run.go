package mcp

import (
	"context"
	"errors"
	"fmt"
	"image"
	"slices"
	"strings"
	"sync"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/app"
)

// What is kept of runs: how many may wait, and of how many a client can ask.
const (
	mostWaiting = 8
	mostKept    = 32
	mostShown   = 4 // of so many the pictures are kept, too
)

// A run makes a scene's pictures. It goes on though the client that began it has left.
type run struct {
	id     string
	cancel context.CancelFunc
	done   chan struct{} // closed at the end
	news   chan struct{} // holds one, where something has happened since somebody looked

	mu       sync.Mutex
	state    runState
	progress eligen.Progress
	step     image.Image // that the latest step leads to; nil: none
	pictures []*sdk.ImageContent
}

// A runState is how far a run has come.
type runState struct {
	findings
	Run     string      `json:"run" jsonschema:"names the run for run_status and cancel"`
	Scene   string      `json:"scene" jsonschema:"the file, empty where only a text was passed"`
	State   string      `json:"state" jsonschema:"waiting, running, done, failed or cancelled"`
	Done    int         `json:"done" jsonschema:"stages that are made, or were there"`
	Stages  int         `json:"stages"`
	Stage   string      `json:"stage" jsonschema:"that is at work"`
	Step    int         `json:"step" jsonschema:"of the stage that is at work"`
	Of      int         `json:"of"`
	Seconds float64     `json:"seconds"`
	Files   []string    `json:"files" jsonschema:"that were written, from the folder"`
	Checks  []runChecks `json:"checks" jsonschema:"of the scene's checks, each with what it measured"`
}

type runChecks struct {
	Check    string            `json:"check"`
	Holds    bool              `json:"holds"`
	Measured []app.Measurement `json:"measured"`
}

func (r *runs) init() {
	r.turn = make(chan struct{}, 1)
	r.ctx, r.end = context.WithCancel(context.Background())
}

// close ends all runs, and returns when they have ended.
func (r *runs) close() {
	r.end()
	r.working.Wait()
}

// add begins a run, unless many wait.
func (r *runs) add(scene string) (*run, context.Context, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	waiting := 0
	for _, other := range r.list {
		if s := other.snapshot().State; s == "waiting" || s == "running" {
			waiting++
		}
	}
	if waiting > mostWaiting {
		return nil, nil, fmt.Errorf("%d runs wait already. Wait for one with run_status, or cancel one", mostWaiting)
	}
	if err := r.ctx.Err(); err != nil {
		return nil, nil, errors.New("the server is closing")
	}
	r.started++
	one := &run{id: fmt.Sprintf("run-%d", r.started), done: make(chan struct{}), news: make(chan struct{}, 1)}
	one.state = runState{Run: one.id, Scene: scene, State: "waiting", Files: []string{}, Checks: []runChecks{}}
	one.state.findings = findings{true, []eligen.Diagnostic{}}
	ctx, cancel := context.WithCancel(r.ctx)
	one.cancel = cancel
	if r.list = append(r.list, one); len(r.list) > mostKept+mostWaiting {
		r.list = slices.Delete(r.list, 0, 1) // it has ended: fewer wait
	}
	if old := len(r.list) - 1 - mostShown; old >= 0 {
		r.list[old].mu.Lock()
		r.list[old].pictures = nil
		r.list[old].mu.Unlock()
	}
	return one, ctx, nil
}

// find returns a run by its name, "" being the latest.
func (r *runs) find(id string) (*run, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.list) == 0 {
		return nil, errors.New("there is no run. Call apply first")
	}
	if id == "" {
		return r.list[len(r.list)-1], nil
	}
	var known []string
	for _, one := range r.list {
		if one.id == id {
			return one, nil
		}
		known = append(known, one.id)
	}
	return nil, app.Unknown("run", id, "run", known)
}

func (r *run) snapshot() runState {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now()
}

// now returns the state as it is. The run is locked.
func (r *run) now() runState {
	out := r.state
	if began := r.progress.Began; out.State == "running" && !began.IsZero() {
		out.Seconds = time.Since(began).Seconds()
	}
	return out
}

// tell wakes up who waits for news.
func (r *run) tell() {
	select {
	case r.news <- struct{}{}:
	default: // they haven't looked at the last ones
	}
}

// event takes an event of the run.
func (r *run) event(e eligen.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.progress.Add(e)
	switch e.Type {
	case eligen.Planned:
		r.state.Stages++
		return
	case eligen.Done, eligen.Cached:
		r.state.Done++
	case eligen.Started:
		r.state.Stage, r.state.Step, r.state.Of = e.Stage, 0, 0
	case eligen.Stepped:
		r.state.Stage, r.state.Step, r.state.Of = e.Stage, e.Step, e.Of
	default:
		return
	}
	r.tell()
}

// An applyArg says what to make, and how to answer.
type applyArg struct {
	makeArg
	Background bool `json:"background,omitempty" jsonschema:"return at once with the run's name, and ask run_status for the rest"`
}

// A runArg names a run.
type runArg struct {
	Run string `json:"run,omitempty" jsonschema:"the run's name, such as run-1; default the latest"`
}

// A statusArg names a run, and says how long to wait for its end.
type statusArg struct {
	runArg
	Wait float64 `json:"wait,omitempty" jsonschema:"seconds to wait for the end, at most 60; default 0"`
}

// runTools adds what makes pictures.
func (s *Server) runTools() {
	tool(s, &sdk.Tool{Name: "apply", Title: "Render a scene", Annotations: makes,
		Description: "Render a scene's pictures and write its files, below the scene's folder. Returns the pictures, smaller than the files. " +
			"Reports progress where the client asks for it; cancelling the call stops the run and keeps what is finished. A file that " +
			"eligen didn't write is never replaced."}, s.apply)
	tool(s, &sdk.Tool{Name: "run_status", Title: "See how far a run is", Annotations: reads,
		Description: "How far a run has come, with a small picture of what its latest step leads to; at its end, the pictures."}, s.status)
	tool(s, &sdk.Tool{Name: "cancel", Title: "Stop a run", Annotations: makes,
		Description: "Stop a run. What is finished is kept, and the same apply resumes from there."}, s.cancel)
}

func (s *Server) apply(ctx context.Context, req *sdk.CallToolRequest, in applyArg) (*sdk.CallToolResult, runState, error) {
	r, err := s.planRequest(in.makeArg)
	if err != nil {
		return nil, runState{}, err
	}
	one, background, err := s.runs.add(in.Scene)
	if err != nil {
		return nil, runState{}, err
	}
	s.runs.working.Go(func() { s.make(background, one, r) })
	if in.Background {
		state := one.snapshot()
		return text(state.words()), state, nil
	}
	stop := context.AfterFunc(ctx, one.cancel)
	defer stop()
	s.follow(ctx, req, one)
	return one.result()
}

// make plans and applies what a run is about, when it is its turn.
func (s *Server) make(ctx context.Context, one *run, r app.PlanRequest) {
	defer close(one.done)
	defer one.cancel()
	select {
	case s.runs.turn <- struct{}{}:
		defer func() { <-s.runs.turn }()
	case <-ctx.Done():
		one.ended(s, &app.Result{}, nil, ctx.Err())
		return
	}
	one.mu.Lock()
	one.state.State, one.progress.Began = "running", time.Now()
	one.mu.Unlock()
	p, warnings, err := s.app.Plan(ctx, r)
	made := &app.Result{}
	if err == nil {
		made, err = s.app.Apply(ctx, p, app.Run{Warnings: warnings, Events: one.event, Previews: one.preview})
	}
	if err == nil {
		one.keep(s, ctx, p, made)
	}
	one.ended(s, made, warnings, err)
}

// preview takes the picture of a step.
func (r *run) preview(p app.StepPicture) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.step = p.Image
}

// keep makes the pictures that clients are shown.
func (r *run) keep(s *Server, ctx context.Context, p *app.Plan, made *app.Result) {
	images, _ := s.app.Pictures(ctx, p, made.Files, mostPictures)
	var out []*sdk.ImageContent
	for _, img := range images {
		if one, err := shown(img); err == nil {
			out = append(out, one)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pictures = out
}

// ended notes how a run has ended. Of its events nothing is kept.
func (r *run) ended(s *Server, made *app.Result, warnings eligen.Diagnostics, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer r.tell()
	ds := append(eligen.Diagnostics{}, warnings...)
	switch {
	case err == nil:
		r.state.State = "done"
	case errors.Is(err, context.Canceled):
		r.state.State = "cancelled"
	default:
		r.state.State = "failed"
		ds = append(r.problems(err), ds...)
	}
	if began := r.progress.Began; !began.IsZero() {
		r.state.Seconds = time.Since(began).Seconds()
	}
	for _, f := range made.Files {
		r.state.Files = append(r.state.Files, s.folder.name(f.Path))
	}
	for _, c := range made.Checks {
		ds = append(ds, c.Problems...)
		r.state.Checks = append(r.state.Checks, runChecks{c.Address, len(c.Problems) == 0, append([]app.Measurement{}, c.Measured...)})
	}
	r.state.findings = s.findings(ds)
	r.state.Stage, r.state.Step, r.state.Of = "", 0, 0
	r.progress, r.step = eligen.Progress{}, nil
}

// problems are what ended a run before its end. The run is locked.
func (r *run) problems(err error) eligen.Diagnostics {
	if ds, _ := found(err); ds != nil {
		return ds
	}
	var ds eligen.Diagnostics
	for _, stage := range r.progress.Stages {
		if stage.Problem != nil {
			ds = append(ds, *stage.Problem)
		}
	}
	if len(ds) == 0 {
		ds.Errorf(nil, "Run failed", "%v.", err)
	}
	return ds
}

// pace is how often a client is told of progress, at most.
const pace = 100 * time.Millisecond

// follow tells a client of a run's progress until its end. It is told here and not where events come from:
// a slow client holds up nothing.
func (s *Server) follow(ctx context.Context, req *sdk.CallToolRequest, one *run) {
	token := req.Params.GetProgressToken()
	if token == nil {
		<-one.done
		return
	}
	last := -1.0
	tell := func() {
		state := one.snapshot()
		progress := state.progress()
		if progress <= last { // it may only rise
			return
		}
		last = progress
		_ = req.Session.NotifyProgress(ctx, &sdk.ProgressNotificationParams{
			ProgressToken: token, Progress: progress, Total: float64(state.Stages), Message: state.at(),
		})
	}
	defer tell()
	for {
		select {
		case <-one.news:
			tell()
		case <-one.done:
			return
		}
		select {
		case <-time.After(pace):
		case <-one.done:
			return
		}
	}
}

// progress counts stages, and of the one that is at work the part that is done.
func (r runState) progress() float64 {
	if r.Of > 0 && r.Step < r.Of {
		return float64(r.Done) + float64(r.Step)/float64(r.Of)
	}
	return float64(r.Done)
}

// at says what is at work.
func (r runState) at() string {
	switch {
	case r.Of > 0:
		return fmt.Sprintf("%s: step %d of %d", r.Stage, r.Step, r.Of)
	case r.Stage != "":
		return r.Stage
	}
	return r.State
}

// result answers with a run as it is now.
func (r *run) result() (*sdk.CallToolResult, runState, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	state := r.now()
	out := text(state.words())
	out.IsError = state.State == "failed"
	for _, p := range r.pictures {
		out.Content = append(out.Content, p)
	}
	if r.step != nil {
		if img, err := shown(larger(r.step)); err == nil {
			out.Content = append(out.Content, img)
		}
	}
	return out, state, nil
}

func (r runState) words() string {
	var b strings.Builder
	switch r.State {
	case "done":
		fmt.Fprintf(&b, "%s is done in %.1f s. Files: %s.\n", r.Run, r.Seconds, strings.Join(r.Files, ", "))
	case "failed":
		fmt.Fprintf(&b, "%s has failed.", r.Run)
		if r.Done > 0 {
			b.WriteString(" What is finished is kept.")
		}
		b.WriteString("\n")
	case "cancelled":
		fmt.Fprintf(&b, "%s was cancelled after %d of %d stages. The same apply resumes it.\n", r.Run, r.Done, r.Stages)
	case "waiting":
		fmt.Fprintf(&b, "%s waits for its turn. Ask run_status, with wait, for its end.\n", r.Run)
	default:
		fmt.Fprintf(&b, "%s is running for %.0f s: %d of %d stages", r.Run, r.Seconds, r.Done, r.Stages)
		if r.Stage != "" {
			b.WriteString(", at " + r.at())
		}
		b.WriteString(".\n")
	}
	for _, c := range r.Checks {
		for _, m := range c.Measured {
			fmt.Fprintf(&b, "%s: %s = %.3f\n", c.Check, m.Call, m.Value)
		}
	}
	return b.String() + r.findings.words()
}

// longestWait is how many seconds run_status waits at most: clients give up on calls that take longer.
const longestWait = 60

func (s *Server) status(ctx context.Context, _ *sdk.CallToolRequest, in statusArg) (*sdk.CallToolResult, runState, error) {
	one, err := s.runs.find(in.Run)
	if err != nil {
		return nil, runState{}, err
	}
	if in.Wait > 0 {
		select {
		case <-one.done:
		case <-ctx.Done():
			return nil, runState{}, ctx.Err()
		case <-time.After(time.Duration(min(in.Wait, longestWait) * float64(time.Second))):
		}
	}
	return one.result()
}

func (s *Server) cancel(ctx context.Context, _ *sdk.CallToolRequest, in runArg) (*sdk.CallToolResult, runState, error) {
	one, err := s.runs.find(in.Run)
	if err != nil {
		return nil, runState{}, err
	}
	one.cancel()
	select {
	case <-one.done: // it ends at its next step
	case <-ctx.Done():
	case <-time.After(longestWait * time.Second):
	}
	return one.result()
}
