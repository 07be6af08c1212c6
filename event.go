package eligen

import (
	"encoding/json"
	"image"
	"time"

	"github.com/eligen/eligen/internal/tensor"
)

// An Event is one thing that happened. Events are the only thing a front end
// sees, and a run's events, one JSON object a line, are its journal.
type Event struct {
	Seq    int       `json:"seq"`
	Time   time.Time `json:"time"`
	Type   EventType `json:"type"`
	Scene  string    `json:"scene,omitempty"`  // path of the scene file, as given
	Engine string    `json:"engine,omitempty"` // engine ID
	Stage  string    `json:"stage,omitempty"`  // address: "render.picnic.denoise"
	Kind   string    `json:"kind,omitempty"`   // the Op's kind: "denoise/1"
	Work   float64   `json:"work,omitempty"`   // of Planned: the stage's
	// Definition is the Op that makes a file, or the stage's Record, of Planned. Journals hold it as
	// "recipe" too, its name before 0.2, until 0.3.
	Definition json.RawMessage `json:"definition,omitempty"`
	Inputs     []string        `json:"inputs,omitempty"` // of Planned, if the stage makes a file: those that it reads, a clip's frame by frame
	Step       int             `json:"step,omitempty"`   // steps finished
	Of         int             `json:"of,omitempty"`     // steps in all
	Path       string          `json:"path,omitempty"`   // of Wrote: the file; of Opened: the scene file, absolute
	Artifact   *Artifact       `json:"artifact,omitempty"`
	Worker     string          `json:"worker,omitempty"` // of Started and Done: who makes the stage, where another machine does
	Unused     bool            `json:"unused,omitempty"` // of Cached: the run needed it for nothing
	Problem    *Diagnostic     `json:"diagnostic,omitempty"`

	// Estimate, of Stepped, is the latents that the step leads to, [channels, h, w], where they were asked
	// for. It is in no journal.
	Estimate *tensor.Tensor `json:"-"`
	// Picture, of Stepped, shows what the step leads to, a pixel a latent, where that was asked for and the
	// colours of the latents are known. It is in no journal.
	Picture *image.NRGBA `json:"-"`
}

// plainEvent is an Event as encoding/json writes one.
type plainEvent Event

// A wireEvent is an Event with the key that its Definition had before 0.2.
type wireEvent struct {
	plainEvent
	Recipe json.RawMessage `json:"recipe,omitempty"`
}

// MarshalJSON writes the definition under both of its keys.
func (e Event) MarshalJSON() ([]byte, error) { return e.Line() }

// Line returns the event as MarshalJSON writes it, by itself: [json.Marshal] would look through it once more.
func (e *Event) Line() ([]byte, error) { return json.Marshal(wireEvent{plainEvent(*e), e.Definition}) }

// UnmarshalJSON reads the definition under either key.
func (e *Event) UnmarshalJSON(data []byte) error {
	var w wireEvent
	if err := json.Unmarshal(data, &w); err != nil {
		return err
	}
	*e = Event(w.plainEvent)
	if e.Definition == nil {
		e.Definition = w.Recipe
	}
	return nil
}

// EventType says which of an Event's fields mean something.
type EventType string

// The types of an Event.
const (
	Opened   EventType = "opened"  // Scene, Path, Engine; always first
	Planned  EventType = "planned" // Stage, Kind, Work, Definition: one a stage, before anything runs
	Started  EventType = "started"
	Stepped  EventType = "stepped"  // Step, Of
	Cached   EventType = "cached"   // Artifact: it was in the store; none where an Unused one is gone
	Done     EventType = "done"     // Artifact
	Failed   EventType = "failed"   // Problem
	Skipped  EventType = "skipped"  // something that it needs failed, or the run was interrupted
	Wrote    EventType = "wrote"    // Path: an output file is in place
	Reported EventType = "reported" // Problem: a warning that stops nothing
	Ended    EventType = "ended"    // always last
)

// A Sink takes events in order, one at a time. It must not block for long.
type Sink func(Event)

// Tee returns a Sink that hands each event to all of sinks.
func Tee(sinks ...Sink) Sink {
	return func(e Event) {
		for _, s := range sinks {
			s(e)
		}
	}
}

// Progress is what a run's events add up to. Front ends draw a Progress.
type Progress struct {
	Scene   string
	Engine  string
	Stages  []StageProgress
	Files   []string
	Reports []Diagnostic
	Began   time.Time
	Latest  time.Time // time of the newest event
	Ended   bool
	index   map[string]int
}

// StageProgress is how far one stage has come.
type StageProgress struct {
	Name, Kind string
	State      EventType
	Work       float64
	Step, Of   int
	From       int       // steps that an earlier run had done
	Worker     string    // who makes it, where another machine does
	Began      time.Time // of Started
	First      time.Time // of the first Stepped
	Latest     time.Time // of its newest event
	Artifact   *Artifact
	Problem    *Diagnostic
}

// Add takes the next event into account.
func (p *Progress) Add(e Event) {
	p.Latest = e.Time
	switch e.Type {
	case Opened:
		*p = Progress{Scene: e.Scene, Engine: e.Engine, Began: e.Time, Latest: e.Time} // of an earlier run nothing stays
		return
	case Ended:
		p.Ended = true
		return
	case Wrote:
		p.Files = append(p.Files, e.Path)
		return
	case Reported:
		if e.Problem != nil {
			p.Reports = append(p.Reports, *e.Problem)
		}
		return
	}
	i, ok := p.index[e.Stage]
	if !ok {
		if p.index == nil {
			p.index = map[string]int{}
		}
		i = len(p.Stages)
		p.index[e.Stage] = i
		p.Stages = append(p.Stages, StageProgress{Name: e.Stage, Kind: e.Kind, Work: e.Work})
	}
	s := &p.Stages[i]
	s.State, s.Latest = e.Type, e.Time
	if e.Artifact != nil {
		s.Artifact = e.Artifact
	}
	if e.Problem != nil {
		s.Problem = e.Problem
	}
	if e.Worker != "" {
		s.Worker = e.Worker
	}
	switch e.Type {
	case Started:
		s.Began = e.Time
	case Stepped:
		if s.Step == 0 {
			s.From, s.First = e.Step-1, e.Time
		}
		s.Step, s.Of = e.Step, e.Of
	}
}

// Stage returns a stage by its name, nil where no event has mentioned it. The next event
// invalidates it.
func (p *Progress) Stage(name string) *StageProgress {
	if i, ok := p.index[name]; ok {
		return &p.Stages[i]
	}
	return nil
}

// Counts counts the stages in each state.
func (p *Progress) Counts() map[EventType]int {
	n := map[EventType]int{}
	for _, s := range p.Stages {
		n[s.State]++
	}
	return n
}
