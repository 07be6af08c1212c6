package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/app"
	"github.com/eligen/eligen/farm"
	"github.com/eligen/eligen/telemetry"
)

// observed is OpenTelemetry, where its variables are set.
type observed struct{ *telemetry.Telemetry }

// observe has operations be observed where OpenTelemetry's variables say so; else it returns nil. What is wrong with
// them is a warning, since nothing depends on it.
func observe(c *cobra.Command, o *app.Options) *observed {
	t, err := telemetry.Start(context.WithoutCancel(c.Context()), eligen.Version)
	if err != nil {
		fmt.Fprintf(c.ErrOrStderr(), "Warning: no traces and metrics are sent: %v.\n", err)
	}
	if t == nil {
		return nil
	}
	seen := &observed{t}
	o.Observe, o.Worked = func(scene string) app.Observer { return t.Run(scene) }, seen.task
	return seen
}

// count has the queue's tasks be counted, where there is a queue.
func (t *observed) count(a *app.App, o app.Options) {
	if o.Queue.URL == "" {
		return
	}
	_ = t.Queue(func(ctx context.Context) (waiting, making int, err error) {
		runs, err := a.Waiting(ctx)
		for _, r := range runs {
			waiting, making = waiting+r.Queued, making+r.Making
		}
		return waiting, making, err
	})
}

// end sends what is left.
func (t *observed) end(c *cobra.Command) {
	if err := t.Close(); err != nil {
		fmt.Fprintf(c.ErrOrStderr(), "Warning: %v.\n", err)
	}
}

// task tells of a task that this worker has ended.
func (t *observed) task(run, scene string, e farm.WorkEvent) {
	t.Task(telemetry.Task{
		Run: run, Scene: scene, Stage: e.Task, Stages: e.Stages, Seconds: e.Seconds, Trace: e.Trace, Problem: e.Problem,
	})
}
