package farm

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/runtime"
	"github.com/eligen/eligen/stage"
)

// format is that of everything that goes through a queue. Programs of another format refuse
// the queue.
const format = 1

// A task is what a message of the work stream holds: stages to make in a row. It names
// inputs, weights and picture files by digest.
type task struct {
	Format int             `json:"format"`
	Run    string          `json:"run"`
	Digest eligen.Digest   `json:"task"` // of the last stage
	Again  bool            `json:"again,omitempty"`
	Repair bool            `json:"repair,omitempty"` // what the store holds of it was found damaged
	Stages json.RawMessage `json:"stages,omitempty"` // definitions
	Body   eligen.Digest   `json:"body,omitempty"`   // of the blob that holds Stages, where they are long
}

// Limits of what comes from a queue.
const (
	maxMessage = 900 << 10 // bytes: NATS servers take a MiB unless they are told otherwise
	maxBody    = 64 << 20  // bytes of a task's stages, where they are in a blob
	maxStages  = 256       // of a task
	maxName    = 256       // bytes of names that are shown
)

// parseTask reads a message, without the stages.
func parseTask(data []byte) (task, error) {
	var t task
	if err := json.Unmarshal(data, &t); err != nil {
		return t, fmt.Errorf("no task of eligen's: %w", err)
	}
	switch {
	case t.Format != format:
		return t, fmt.Errorf("the task has format %d; this version of eligen reads %d", t.Format, format)
	case !runtime.IsKey(t.Digest):
		return t, fmt.Errorf("%.80q is no digest", t.Digest)
	case !isToken(t.Run):
		return t, fmt.Errorf("%.80q is no name of a run", t.Run)
	case (t.Body == "") == (len(t.Stages) == 0) || t.Body != "" && !runtime.IsKey(t.Body):
		return t, errors.New("the task has no stages")
	}
	return t, nil
}

// parseStages reads a task's definitions. Each is consistent, their last one is the task's, and
// each but the last is an input of a later one.
func parseStages(data []byte, of eligen.Digest) ([]stage.Definition, error) {
	var raw []json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		return nil, fmt.Errorf("no stages of eligen's: %w", err)
	}
	if len(raw) == 0 || len(raw) > maxStages {
		return nil, fmt.Errorf("a task of %d stages; from 1 to %d are made in a row", len(raw), maxStages)
	}
	var out []stage.Definition
	wanted := map[eligen.Digest]bool{of: true}
	for i := len(raw) - 1; i >= 0; i-- {
		d, err := stage.Decode(raw[i])
		if err != nil {
			return nil, err
		}
		if !wanted[d.Digest] {
			return nil, fmt.Errorf("the stage %.80q belongs to no task", d.Name)
		}
		if !Makes(d.Op) {
			return nil, fmt.Errorf("workers make no stages of kind %s", d.Op.Kind())
		}
		for _, in := range d.Inputs {
			wanted[in] = true
		}
		out = append([]stage.Definition{d}, out...)
	}
	if out[len(out)-1].Digest != of {
		return nil, errors.New("the task's last stage is another one")
	}
	return out, nil
}

// Makes reports whether workers make stages of an Op's kind: all but those that start other
// programs.
func Makes(op eligen.Op) bool { return !stage.StartsPrograms(op) }

// A note is what a worker tells a run. It may get lost.
type note struct {
	Format  int                `json:"format"`
	Task    eligen.Digest      `json:"task"`
	Worker  string             `json:"worker"`
	Name    string             `json:"name"` // the worker's, for people
	Type    eligen.EventType   `json:"type"` // Started, Stepped, Done and Failed are of stages; Ended is of the task
	Stage   eligen.Digest      `json:"stage,omitempty"`
	Step    int                `json:"step,omitempty"`
	Of      int                `json:"of,omitempty"`
	Size    int64              `json:"size,omitempty"`
	Content eligen.Digest      `json:"content,omitempty"` // of Ended: of the last stage's result
	Problem *eligen.Diagnostic `json:"problem,omitempty"`
	Made    int                `json:"made,omitempty"`  // of Ended: stages that were made, and not found
	Lacks   bool               `json:"lacks,omitempty"` // what the task needs is not in the shared store, or damaged there
}

// A Run is a run whose tasks are in the queue.
type Run struct {
	Format   int           `json:"format"`
	ID       string        `json:"id"`
	Scene    string        `json:"scene"` // the file's name, without its folder
	From     string        `json:"from"`  // the machine that applies it
	Began    time.Time     `json:"began"`
	Priority int           `json:"priority"` // higher goes first
	Classes  []Class       `json:"classes"`
	Mark     eligen.Digest `json:"mark"`            // of a blob in the store that the run's results go to
	Avoid    []string      `json:"avoid,omitempty"` // workers whose results were damaged
	Out      int           `json:"out"`             // tasks that are with the queue
	Done     int           `json:"done"`            // tasks that are made
	Trace    string        `json:"trace,omitempty"` // W3C's traceparent
}

// A Class is tasks that need the same of a worker.
type Class struct {
	ID      string          `json:"id"`
	Engine  string          `json:"engine"`            // ID
	Weights []eligen.Digest `json:"weights,omitempty"` // of networks and adapters
	Memory  int64           `json:"memory,omitempty"`  // bytes at the peak; 0 is not known
}

// A Presence is what a worker says of itself every few seconds.
type Presence struct {
	Format   int       `json:"format"`
	ID       string    `json:"id"`
	Name     string    `json:"name"` // for people: the machine's
	Version  string    `json:"version"`
	Engine   string    `json:"engine"`  // ID
	Backend  string    `json:"backend"` // for people
	Families []string  `json:"families,omitempty"`
	Weights  int       `json:"weights"`          // digests of weights that it has
	Memory   int64     `json:"memory,omitempty"` // bytes that a task may take; 0 is no limit
	Since    time.Time `json:"since"`
	Draining bool      `json:"draining,omitempty"`
	Made     int       `json:"made"` // tasks
	Failed   int       `json:"failed,omitempty"`
	Doing    []Doing   `json:"doing,omitempty"`
	Unfit    string    `json:"unfit,omitempty"` // why it takes nothing of a run that waits
}

// Doing is a task that a worker makes.
type Doing struct {
	Run   string        `json:"run"`
	Task  eligen.Digest `json:"task"`
	Stage string        `json:"stage"` // address
	Step  int           `json:"step,omitempty"`
	Of    int           `json:"of,omitempty"`
	Since time.Time     `json:"since"`
}

// A try is a beginning of a task by a worker that hasn't come to an end.
type try struct {
	Worker string `json:"worker"`
	Name   string `json:"name"`
}

// Aside is a task that was set aside, and why.
type Aside struct {
	Format  int               `json:"format"`
	Run     string            `json:"run"`
	Task    eligen.Digest     `json:"task"`
	Stage   eligen.Digest     `json:"stage"` // that failed
	Name    string            `json:"name"`  // its address
	Problem eligen.Diagnostic `json:"problem"`
	Workers []string          `json:"workers"` // names of those that tried
	Time    time.Time         `json:"time"`
}

// isToken reports whether a string can be a part of a NATS subject.
func isToken(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for _, c := range s {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

// shown returns what somebody else wrote as a line of bounded length.
func shown(s string) string {
	if len(s) > maxName {
		s = s[:maxName]
	}
	return eligen.Printable(s)
}
