package app

import (
	"cmp"
	"slices"
	"time"

	"github.com/eligen/eligen"
)

// A Report is what a run came to, for people who look at it afterwards and programs.
type Report struct {
	Format  int            `json:"format"` // 1
	Scene   string         `json:"scene"`  // path of the scene, or of the folder that several are in
	Engine  string         `json:"engine"`
	Began   time.Time      `json:"began"`
	Seconds float64        `json:"seconds"`
	Stages  Tally          `json:"stages"`
	Files   int            `json:"files"` // written
	Hours   float64        `json:"machine_hours"`
	Workers []WorkerReport `json:"workers"` // the busiest first
	Scenes  []SceneReport  `json:"scenes"`
}

// A Tally counts stages by how they ended.
type Tally struct {
	Made    int `json:"made"`
	Cached  int `json:"cached"`
	Failed  int `json:"failed"`
	Skipped int `json:"skipped"` // something that they need failed, or the run ended before
}

func (t *Tally) add(state eligen.EventType) {
	switch state {
	case eligen.Done:
		t.Made++
	case eligen.Cached:
		t.Cached++
	case eligen.Failed:
		t.Failed++
	default:
		t.Skipped++
	}
}

// ThisMachine is, among a report's workers, the machine of the run itself.
const ThisMachine = "this machine"

// A WorkerReport is what a machine made in a run.
type WorkerReport struct {
	Worker string  `json:"worker"`
	Stages int     `json:"stages"` // made
	Hours  float64 `json:"hours"`  // in which at least one stage was being made
}

// A SceneReport is what came of a scene.
type SceneReport struct {
	Scene    string             `json:"scene"` // path
	State    string             `json:"state"` // "made", "cached", "failed", or "unfinished": the run ended before
	Stages   Tally              `json:"stages"`
	Problems eligen.Diagnostics `json:"problems,omitempty"` // errors
}

// Failed counts the scenes that failed.
func (r *Report) Failed() (n int) {
	for _, s := range r.Scenes {
		if s.State == sceneFailed {
			n++
		}
	}
	return n
}

// The states of a SceneReport.
const (
	sceneMade       = "made"
	sceneCached     = "cached"
	sceneFailed     = "failed"
	sceneUnfinished = "unfinished"
)

// A reporter makes a Report of events.
type reporter struct {
	plan  *Plan
	index map[string]int // of the plan's stages, by their names

	states   []eligen.EventType
	problems map[int]eligen.Diagnostics
	files    int
	began    time.Time
	latest   time.Time
	maker    map[int]string // of stages that are being made
	workers  map[string]*busy
}

// busy is how long a worker was making stages.
type busy struct {
	stages, now int
	since       time.Time
	total       time.Duration
}

func newReporter(p *Plan) *reporter {
	r := &reporter{plan: p, index: make(map[string]int, len(p.Stages)), states: make([]eligen.EventType, len(p.Stages)),
		problems: map[int]eligen.Diagnostics{}, maker: map[int]string{}, workers: map[string]*busy{}}
	for i, s := range p.Stages {
		r.index[s.Name] = i
	}
	return r
}

// add takes the next event into account.
func (r *reporter) add(e eligen.Event) {
	r.latest = e.Time
	switch e.Type {
	case eligen.Opened:
		r.began = e.Time
	case eligen.Wrote:
		r.files++
	case eligen.Started:
		r.ends(e)
		r.starts(e)
	case eligen.Done, eligen.Cached, eligen.Failed, eligen.Skipped:
		r.ends(e)
		i, ok := r.index[e.Stage]
		if !ok {
			return
		}
		if e.Type == eligen.Done {
			r.worker(e.Worker).stages++
		}
		if r.states[i] != eligen.Failed { // a file of a stage that is done can fail
			r.states[i] = e.Type
		}
		if e.Problem != nil {
			r.problems[i] = append(r.problems[i], *e.Problem)
		}
	}
}

func (r *reporter) worker(name string) *busy {
	name = cmp.Or(name, ThisMachine)
	if r.workers[name] == nil {
		r.workers[name] = &busy{}
	}
	return r.workers[name]
}

func (r *reporter) starts(e eligen.Event) {
	if i, ok := r.index[e.Stage]; ok {
		r.maker[i] = e.Worker
		if w := r.worker(e.Worker); w.now == 0 {
			w.now, w.since = 1, e.Time
		} else {
			w.now++
		}
	}
}

// ends ends what is being made of a stage, if it is: it may begin anew on another worker.
func (r *reporter) ends(e eligen.Event) {
	i, ok := r.index[e.Stage]
	if !ok {
		return
	}
	name, making := r.maker[i]
	if !making {
		return
	}
	delete(r.maker, i)
	if w := r.worker(name); w.now > 0 {
		if w.now--; w.now == 0 {
			w.total += e.Time.Sub(w.since)
		}
	}
}

// report returns what the events add up to.
func (r *reporter) report() *Report {
	out := &Report{Format: 1, Scene: r.plan.Plan.Scene, Engine: r.plan.Engine, Began: r.began, Seconds: r.latest.Sub(r.began).Seconds(),
		Files: r.files, Workers: []WorkerReport{}}
	for _, state := range r.states {
		out.Stages.add(state)
	}
	for name, w := range r.workers {
		if w.now > 0 {
			w.total += r.latest.Sub(w.since)
		}
		out.Workers = append(out.Workers, WorkerReport{name, w.stages, w.total.Hours()})
		out.Hours += w.total.Hours()
	}
	slices.SortFunc(out.Workers, func(a, b WorkerReport) int {
		return cmp.Or(cmp.Compare(b.Hours, a.Hours), cmp.Compare(a.Worker, b.Worker))
	})
	scenes := r.plan.Scenes
	if len(scenes) == 0 && r.plan.Scene != nil {
		all := make([]eligen.Ref, len(r.plan.Stages))
		for i := range all {
			all[i] = eligen.Ref(i)
		}
		scenes = []eligen.PlannedScene{{Path: r.plan.Plan.Scene, Stages: all}}
	}
	for _, s := range scenes {
		out.Scenes = append(out.Scenes, r.scene(s))
	}
	for _, left := range r.plan.Left {
		out.Scenes = append(out.Scenes, SceneReport{Scene: left.Path, State: sceneFailed, Problems: left.Problems})
	}
	slices.SortStableFunc(out.Scenes, func(a, b SceneReport) int { return cmp.Compare(a.Scene, b.Scene) })
	return out
}

// scene returns what came of a scene.
func (r *reporter) scene(s eligen.PlannedScene) SceneReport {
	out := SceneReport{Scene: s.Path}
	for _, i := range s.Stages {
		out.Stages.add(r.states[i])
		out.Problems = append(out.Problems, r.problems[int(i)]...)
	}
	switch t := out.Stages; {
	case len(out.Problems) > 0:
		out.State = sceneFailed
	case t.Skipped > 0:
		out.State = sceneUnfinished
	case t.Made > 0:
		out.State = sceneMade
	default:
		out.State = sceneCached
	}
	return out
}
