package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/files"
	"github.com/eligen/eligen/internal/page"
	"github.com/eligen/eligen/tui"
)

// replayOptions are the flags of `eligen replay`.
type replayOptions struct {
	progressOptions
	list  bool
	speed float64
}

func newReplay() *cobra.Command {
	var o replayOptions
	c := &cobra.Command{
		Use:   "replay [RUN|FILE|latest]",
		Short: "Show an earlier run again",
		Long: `Show an earlier run again, as it was shown while it ran: from its journal, a file of events in the store's folder "runs". A run is named by what --list prints, or the beginning of it; without a name it is the latest.

On a terminal it takes as long as the run did, unless --speed says otherwise; lines and JSON come at once, unless --speed is given.`,
		Example: `eligen replay
eligen replay --list
eligen replay 20261122T1432 --speed 10
eligen replay latest --json`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 1 {
				return exactly(1)(c, args)
			}
			return nil
		},
		ValidArgsFunction: completeRuns,
		RunE:              o.run,
	}
	o.flags(c)
	f := c.Flags()
	f.BoolVar(&o.list, "list", false, "list the runs, the latest at the end")
	f.Float64Var(&o.speed, "speed", 1, "play it `X` times as fast as the run was")
	return c
}

func (o *replayOptions) run(c *cobra.Command, args []string) error {
	if !(o.speed > 0 && o.speed <= 1e6) {
		return usageError{fmt.Errorf("--speed %v: choose a number above 0; 1 is as fast as the run was", o.speed)}
	}
	display, err := o.display(c)
	if err != nil {
		return err
	}
	if o.list {
		return o.print(c)
	}
	name := "latest"
	if len(args) == 1 {
		name = args[0]
	}
	events, err := findRun(name)
	if err != nil {
		return err
	}
	if display == tui.TUI {
		return o.live(c, events)
	}
	show, done, err := o.frontEnd(c)
	if err != nil {
		return err
	}
	began := time.Now()
	for _, e := range events {
		if c.Flags().Changed("speed") {
			select {
			case <-c.Context().Done():
				done()
				return c.Context().Err()
			case <-time.After(time.Until(began.Add(o.after(events, e.Time)))):
			}
		}
		show(e)
	}
	done()
	return nil
}

// after is how long after the beginning of the replay a time of the run comes.
func (o *replayOptions) after(events []eligen.Event, t time.Time) time.Duration {
	return time.Duration(float64(t.Sub(events[0].Time)) / o.speed)
}

// live replays on a screen, by a clock that goes as the run's did.
func (o *replayOptions) live(c *cobra.Command, events []eligen.Event) error {
	began := time.Now()
	options := screenOptions(c, nil) // there is nothing to interrupt: q leaves
	options.Stay = true
	options.Clock = func() time.Time {
		return events[0].Time.Add(time.Duration(float64(time.Since(began)) * o.speed))
	}
	l := tui.Start(options)
	for _, e := range events {
		select {
		case <-l.Left():
		case <-c.Context().Done():
		case <-time.After(time.Until(began.Add(o.after(events, e.Time)))):
			l.Add(e)
			continue
		}
		break
	}
	l.Close()
	return c.Context().Err()
}

// A pastRun is a journal in the store, and what it adds up to.
type pastRun struct {
	Name    string                   `json:"name"`
	Scene   string                   `json:"scene"`
	Engine  string                   `json:"engine"`
	Began   time.Time                `json:"began"`
	Seconds float64                  `json:"seconds"`
	State   string                   `json:"state"` // "ended", "running", "broken off"
	Stages  map[eligen.EventType]int `json:"stages"`
	Files   []string                 `json:"files"`
	path    string
}

// pastRuns lists the store's journals, the latest at the end. Their events are read
// where each is asked for.
func pastRuns() ([]pastRun, error) {
	store, err := openStore()
	if err != nil {
		return nil, err
	}
	defer store.Close()
	entries, err := store.Entries()
	if err != nil {
		return nil, err
	}
	var out []pastRun
	for _, e := range entries {
		if e.Kind != "run" || path.Ext(e.Name) != ".jsonl" {
			continue
		}
		r := pastRun{Name: strings.TrimSuffix(path.Base(e.Name), ".jsonl"), path: filepath.Join(store.Dir(), filepath.FromSlash(e.Name)), State: "broken off"}
		if e.Live {
			r.State = "running"
		}
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b pastRun) int { return cmp.Compare(a.Name, b.Name) }) // names begin with the time
	return out, nil
}

// findRun reads the events of a run by its name, the beginning of one, "latest", or
// the path of a journal.
func findRun(name string) ([]eligen.Event, error) {
	if path.Ext(name) == ".jsonl" {
		return readRun(name)
	}
	runs, err := pastRuns()
	if err != nil {
		return nil, err
	}
	if len(runs) == 0 {
		return nil, errors.New("there are no runs yet; eligen apply makes one")
	}
	if name == "latest" {
		return readRun(runs[len(runs)-1].path)
	}
	var found []pastRun
	for _, r := range runs {
		if r.Name == name {
			return readRun(r.path)
		}
		if strings.HasPrefix(r.Name, name) {
			found = append(found, r)
		}
	}
	switch len(found) {
	case 0:
		return nil, fmt.Errorf("there is no run %s. eligen replay --list says which there are", name)
	case 1:
		return readRun(found[0].path)
	}
	return nil, fmt.Errorf("%s is the beginning of %d runs' names, from %s to %s; write more of it", name, len(found), found[0].Name, found[len(found)-1].Name)
}

// maxEvent is the longest line of a journal that is read: a recipe may hold masks.
const maxEvent = 64 << 20

// readRun reads a journal. Lines that are no events are passed over: a run that was
// killed ends in half of one.
func readRun(file string) ([]eligen.Event, error) {
	f, err := files.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var out []eligen.Event
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, maxEvent)
	for lines.Scan() {
		var e eligen.Event
		if json.Unmarshal(lines.Bytes(), &e) == nil && e.Type != "" {
			out = append(out, e)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s can't be read: %w", file, err)
	}
	if len(out) == 0 || out[0].Type != eligen.Opened {
		return nil, fmt.Errorf("%s is no journal of a run: it does not begin with an event of the type opened", file)
	}
	return out, nil
}

// print lists the runs.
func (o *replayOptions) print(c *cobra.Command) error {
	runs, err := pastRuns()
	if err != nil {
		return err
	}
	listed := []pastRun{}
	for _, r := range runs {
		events, err := readRun(r.path)
		if err != nil {
			continue // empty: its run was killed at once
		}
		var p eligen.Progress
		for _, e := range events {
			p.Add(e)
		}
		r.Scene, r.Engine, r.Began, r.Seconds, r.Stages, r.Files = p.Scene, p.Engine, p.Began, p.Latest.Sub(p.Began).Seconds(), p.Counts(), p.Files
		if p.Ended {
			r.State = "ended"
		}
		listed = append(listed, r)
	}
	if o.json {
		return page.JSON(c.OutOrStdout(), listed)
	}
	return printRuns(c.OutOrStdout(), listed)
}

func printRuns(w io.Writer, runs []pastRun) error {
	var rows [][]string
	for _, r := range runs {
		var parts []string
		if r.State != "ended" {
			parts = append(parts, r.State)
		}
		for _, state := range []eligen.EventType{eligen.Done, eligen.Cached, eligen.Failed, eligen.Skipped} {
			if n := r.Stages[state]; n > 0 {
				parts = append(parts, fmt.Sprintf("%d %s", n, state))
			}
		}
		rows = append(rows, []string{page.Name.Of(r.Name), page.Quiet.Of(r.Began.Local().Format("2006-01-02 15:04")), r.Scene, strings.Join(parts, ", ")})
	}
	if _, err := io.WriteString(w, page.Table(rows, page.Columns(w), page.Column{}, page.Column{}, page.Column{Fit: page.CutLeft}, page.Column{Fit: page.Wrap})); err != nil {
		return err
	}
	if len(runs) == 0 {
		_, err := fmt.Fprintln(w, "there are no runs yet; eligen apply makes one")
		return err
	}
	return nil
}
