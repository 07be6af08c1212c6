package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/app"
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
		Short: "Replay an earlier run",
		Long: `Replay an earlier run from its journal, a file of events in the store's folder "runs". Name a run as --list
prints it, or by the beginning of its name; without a name, the latest run is replayed.

On a terminal a replay takes as long as the run did, unless you pass --speed. Plain lines and JSON come at once,
unless you pass --speed.`,
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
		RunE:              withApp(o.run),
	}
	o.flags(c)
	f := c.Flags()
	f.BoolVar(&o.list, "list", false, "list the runs, latest last")
	f.Float64Var(&o.speed, "speed", 1, "replay `X` times as fast as the run")
	return c
}

func (o *replayOptions) run(c *cobra.Command, a *app.App, args []string) error {
	if !(o.speed > 0 && o.speed <= 1e6) {
		return usageError{fmt.Errorf("--speed %v: pass a number above 0; 1 is as fast as the run", o.speed)}
	}
	display, err := o.display(c)
	if err != nil {
		return err
	}
	if o.list {
		return o.print(c, a)
	}
	name := "latest"
	if len(args) == 1 {
		name = args[0]
	}
	events, err := a.RunEvents(name)
	if err != nil {
		return err
	}
	if display == tui.TUI {
		return o.live(c, a, events)
	}
	return o.lines(c, events)
}

// lines replays in lines, or as JSON: at once, unless --speed is given.
func (o *replayOptions) lines(c *cobra.Command, events []eligen.Event) error {
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

// after returns how long after the beginning of the replay a time of the run comes.
func (o *replayOptions) after(events []eligen.Event, t time.Time) time.Duration {
	return time.Duration(float64(t.Sub(events[0].Time)) / o.speed)
}

// live replays on a screen, by a clock that goes as the run's did.
func (o *replayOptions) live(c *cobra.Command, a *app.App, events []eligen.Event) error {
	began := time.Now()
	options := screenOptions(c, a, nil) // there is nothing to interrupt: q leaves
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

// print lists the runs.
func (o *replayOptions) print(c *cobra.Command, a *app.App) error {
	runs, err := a.Runs()
	if err != nil {
		return err
	}
	if o.json {
		return page.JSON(c.OutOrStdout(), runs)
	}
	return printRuns(c.OutOrStdout(), runs)
}

func printRuns(w io.Writer, runs []app.PastRun) error {
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
		began := r.Began.Local().Format("2006-01-02 15:04")
		rows = append(rows, []string{page.Name.Of(r.Name), page.Quiet.Of(began), r.Scene, strings.Join(parts, ", ")})
	}
	columns := []page.Column{{}, {}, {Fit: page.CutLeft}, {Fit: page.Wrap}}
	if _, err := io.WriteString(w, page.Table(rows, page.Columns(w), columns...)); err != nil {
		return err
	}
	if len(runs) == 0 {
		_, err := fmt.Fprintln(w, app.ErrNoRuns)
		return err
	}
	return nil
}
