package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/model/flux"
)

// Whoever is measured runs in a process of its own, so that its memory is its own
// and its threads sleep while others are timed. Requests and answers are lines of
// JSON; eligen's own workers and reference.py speak the same.

// A request is "hello" (what is there?), "open" (prepare a job and run it once), "run" (run
// it again, and time it) or "close" (how much memory?).
type request struct {
	Do        string            `json:"do"`
	Job       string            `json:"job,omitempty"` // "matmul", "step", "dense" (eligen's own step, under a mask), "train"
	Size      int               `json:"size,omitempty"`
	Config    flux.Config       `json:"config,omitzero"`
	Weights   string            `json:"weights,omitempty"` // safetensors
	Inputs    string            `json:"inputs,omitempty"`  // safetensors
	Output    string            `json:"output,omitempty"`  // where a step's velocity goes, bare float32
	Runs      int               `json:"runs,omitempty"`    // how many will follow
	Optimizer *eligen.Optimizer `json:"optimizer,omitempty"`
}

type answer struct {
	About   string  `json:"about,omitempty"`
	Missing string  `json:"missing,omitempty"` // what isn't installed
	Error   string  `json:"error,omitempty"`
	MS      float64 `json:"ms,omitempty"`
	Once    float64 `json:"once,omitempty"` // ms of a picture's first step and of all that comes before it
	Loss    float64 `json:"loss,omitempty"`
	Base    int64   `json:"base,omitempty"` // bytes of memory before a job's weights are read
	Peak    int64   `json:"peak,omitempty"`
}

//go:embed reference.py
var referencePy []byte

//go:embed gpu/flux.py
var fluxPy []byte

// A contender is one way to run the same mathematics.
type contender struct {
	Name    string
	Backend string // of eligen's own; "" for Python's
	About   string
	Missing string // why it can't be measured; "" where it can
	command []string
}

// contenders returns eligen's backends, then PyTorch, then the reference implementation.
func contenders(ctx context.Context, dir string, backends []string, python string) ([]*contender, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	script := filepath.Join(dir, "reference.py")
	if err := os.WriteFile(script, referencePy, 0o644); err != nil {
		return nil, err
	}
	var all []*contender
	for _, b := range backends {
		all = append(all, &contender{Name: b, Backend: b, command: []string{self, "-worker", b}})
	}
	all = append(all,
		&contender{Name: "PyTorch", command: []string{python, "-u", script, "plain"}},
		&contender{Name: "reference", command: []string{python, "-u", script, "diffsynth"}})
	for _, c := range all {
		p, err := c.start(ctx)
		if err != nil {
			c.Missing = firstLine(err)
			continue
		}
		p.stop()
	}
	return all, nil
}

// A worker is a contender's running process.
type worker struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	answers *json.Decoder
	errors  *tail
}

// start runs a contender's process and greets it.
func (c *contender) start(ctx context.Context) (*worker, error) {
	w := &worker{cmd: exec.CommandContext(ctx, c.command[0], c.command[1:]...), errors: &tail{}}
	w.cmd.Stderr = w.errors
	in, err := w.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := w.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	w.in, w.answers = in, json.NewDecoder(out)
	if err := w.cmd.Start(); err != nil {
		return nil, err
	}
	a, err := w.ask(request{Do: "hello"})
	if err == nil && a.Missing != "" {
		err = errors.New(a.Missing)
	}
	if err != nil {
		w.stop()
		return nil, err
	}
	c.About = a.About
	return w, nil
}

func (w *worker) ask(r request) (a answer, err error) {
	if err := json.NewEncoder(w.in).Encode(r); err != nil {
		return a, w.died(err)
	}
	if err := w.answers.Decode(&a); err != nil {
		return a, w.died(err)
	}
	if a.Error != "" {
		return a, errors.New(a.Error)
	}
	return a, nil
}

// died returns a broken pipe with the process's last words.
func (w *worker) died(err error) error {
	if last := w.errors.last(); last != "" {
		return errors.New(last)
	}
	return fmt.Errorf("the process of this measurement ended: %w", err)
}

// stop ends the process, which has nothing to lose.
func (w *worker) stop() {
	w.in.Close()
	_ = w.cmd.Wait()
}

// A tail keeps the end of its input.
type tail struct{ data []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.data = append(t.data, p...)
	if over := len(t.data) - 4096; over > 0 {
		t.data = append([]byte(nil), t.data[over:]...)
	}
	return len(p), nil
}

// last returns the last line that isn't empty.
func (t *tail) last() string {
	lines := strings.Split(strings.TrimSpace(string(t.data)), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}

// serve answers requests until in ends: the process of one of eligen's backends.
func serve(backend string, in io.Reader, out io.Writer) error {
	requests, answers := json.NewDecoder(in), json.NewEncoder(out)
	var e *backendEngine
	var j job
	for {
		var r request
		if err := requests.Decode(&r); err != nil {
			if j != nil {
				j.close()
			}
			if err == io.EOF {
				return nil
			}
			return err
		}
		var a answer
		var err error
		switch r.Do {
		case "hello":
			if e, err = openEngine(backend); err != nil {
				a, err = answer{Missing: strings.Join(strings.Fields(err.Error()), " ")}, nil
				break
			}
			a.About = e.about()
		case "open":
			base := peakMemory()
			if j != nil {
				j.close()
			}
			if j, err = e.open(r); err == nil {
				a, err = j.run()
			}
			a.Base = base
		case "run":
			if j == nil {
				err = errors.New("there is no job to run")
				break
			}
			began := time.Now()
			if a, err = j.run(); a.MS == 0 {
				a.MS = milliseconds(time.Since(began))
			}
		case "close":
			a.Peak = peakMemory()
		default:
			err = fmt.Errorf("no such request: %q", r.Do)
		}
		if err != nil {
			a.Error = firstLine(err)
		}
		if err := answers.Encode(a); err != nil {
			return err
		}
	}
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func firstLine(err error) string {
	s, _, _ := strings.Cut(strings.TrimSpace(err.Error()), "\n")
	return s
}
