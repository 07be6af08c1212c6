package telemetry

import (
	"context"
	"errors"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/eligen/eligen"
)

// instruments are the metrics.
type instruments struct {
	stages, files, tasks metric.Int64Counter
	bytes                metric.Int64Counter
	waiting, running     metric.Int64UpDownCounter
	seconds, taskSeconds metric.Float64Histogram
	queue                metric.Int64ObservableGauge
	meter                metric.Meter
}

func newInstruments(m metric.Meter) (i instruments, err error) {
	var errs [9]error
	i.meter = m
	i.stages, errs[0] = m.Int64Counter("eligen.stages", metric.WithUnit("{stage}"),
		metric.WithDescription("Stages by how they ended: done, cached, failed or skipped"))
	i.files, errs[1] = m.Int64Counter("eligen.files", metric.WithUnit("{file}"), metric.WithDescription("Files written"))
	i.bytes, errs[2] = m.Int64Counter("eligen.result.size", metric.WithUnit("By"),
		metric.WithDescription("Size of results that were made, or were in the store"))
	i.waiting, errs[3] = m.Int64UpDownCounter("eligen.stages.waiting", metric.WithUnit("{stage}"),
		metric.WithDescription("Stages of runs that nobody has begun"))
	i.running, errs[4] = m.Int64UpDownCounter("eligen.stages.running", metric.WithUnit("{stage}"),
		metric.WithDescription("Stages that are being made"))
	edges := metric.WithExplicitBucketBoundaries(0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3000)
	i.seconds, errs[5] = m.Float64Histogram("eligen.stage.duration", metric.WithUnit("s"), edges,
		metric.WithDescription("Time that a stage took"))
	i.tasks, errs[6] = m.Int64Counter("eligen.worker.tasks", metric.WithUnit("{task}"),
		metric.WithDescription("Tasks of a queue that this worker made, or failed at"))
	i.taskSeconds, errs[7] = m.Float64Histogram("eligen.worker.task.duration", metric.WithUnit("s"), edges,
		metric.WithDescription("Time that a task took on this worker"))
	i.queue, errs[8] = m.Int64ObservableGauge("eligen.queue.tasks", metric.WithUnit("{task}"),
		metric.WithDescription("Tasks in the queue: waiting for a worker, or being made"))
	return i, errors.Join(errs[:]...)
}

// A Run is what a run is told to.
type Run struct {
	t     *Telemetry
	ctx   context.Context // of the run's span
	span  trace.Span
	open  map[string]*stage
	count map[eligen.EventType]int
	files int
	ended bool
}

// A stage is one that has not ended.
type stage struct {
	kind  attribute.KeyValue
	began time.Time
	span  trace.Span // nil before it begins
}

// Run begins the trace of a run of a scene. It is told the run's events, and ended.
func (t *Telemetry) Run(scene string) *Run {
	r := &Run{t: t, open: map[string]*stage{}, count: map[eligen.EventType]int{}}
	r.ctx, r.span = t.tracer.Start(t.parent, "apply", trace.WithAttributes(attribute.String("eligen.scene", scene)))
	return r
}

// Trace returns the run's place in its trace, for workers' spans: W3C's traceparent.
func (r *Run) Trace() string { return parentOf(r.ctx) }

// kindOf returns the attribute of a kind of stages, without its version.
func kindOf(kind string) attribute.KeyValue {
	kind, _, _ = strings.Cut(kind, "/")
	return attribute.String("eligen.kind", kind)
}

// Event takes the run's next event.
func (r *Run) Event(e eligen.Event) {
	s := r.open[e.Stage]
	switch e.Type {
	case eligen.Opened:
		r.span.SetAttributes(attribute.String("eligen.engine", e.Engine))
	case eligen.Planned:
		r.open[e.Stage] = &stage{kind: kindOf(e.Kind)}
		r.t.waiting.Add(r.ctx, 1)
	case eligen.Wrote:
		r.files++
		r.t.files.Add(r.ctx, 1)
	case eligen.Reported:
		if e.Problem != nil {
			r.span.AddEvent("warning", trace.WithTimestamp(e.Time), trace.WithAttributes(said(e.Problem)...))
		}
	case eligen.Started:
		if s != nil {
			r.begin(s, e)
		}
	case eligen.Cached, eligen.Done, eligen.Failed, eligen.Skipped:
		if s != nil {
			r.finish(s, e)
		}
	}
}

// said are the attributes of a problem.
func said(d *eligen.Diagnostic) []attribute.KeyValue {
	return []attribute.KeyValue{attribute.String("eligen.code", d.Code), attribute.String("eligen.summary", d.Summary),
		attribute.String("eligen.detail", d.Detail)}
}

// begin takes a stage's Started, which comes again where another worker begins it anew.
func (r *Run) begin(s *stage, e eligen.Event) {
	worker := attribute.String("eligen.worker", e.Worker)
	if s.span != nil {
		s.span.AddEvent("begun again", trace.WithTimestamp(e.Time), trace.WithAttributes(worker))
		return
	}
	s.began = e.Time
	_, s.span = r.t.tracer.Start(r.ctx, s.kind.Value.AsString(), trace.WithTimestamp(e.Time),
		trace.WithAttributes(s.kind, attribute.String("eligen.stage", e.Stage)))
	if e.Worker != "" {
		s.span.SetAttributes(worker)
	}
	r.t.waiting.Add(r.ctx, -1)
	r.t.running.Add(r.ctx, 1)
}

// finish takes the event that a stage ends with.
func (r *Run) finish(s *stage, e eligen.Event) {
	delete(r.open, e.Stage)
	r.count[e.Type]++
	state := attribute.String("eligen.state", string(e.Type))
	r.t.stages.Add(r.ctx, 1, metric.WithAttributes(s.kind, state))
	if e.Artifact != nil {
		r.t.bytes.Add(r.ctx, e.Artifact.Size, metric.WithAttributes(s.kind, state))
	}
	if s.span == nil {
		r.t.waiting.Add(r.ctx, -1)
		return
	}
	r.t.running.Add(r.ctx, -1)
	if e.Type == eligen.Done {
		r.t.seconds.Record(r.ctx, e.Time.Sub(s.began).Seconds(), metric.WithAttributes(s.kind))
	}
	s.span.SetAttributes(state)
	if e.Worker != "" {
		s.span.SetAttributes(attribute.String("eligen.worker", e.Worker))
	}
	if e.Artifact != nil {
		s.span.SetAttributes(attribute.Int64("eligen.result.size", e.Artifact.Size))
	}
	if e.Problem != nil {
		s.span.SetAttributes(said(e.Problem)...)
		s.span.SetStatus(codes.Error, e.Problem.Summary+": "+e.Problem.Detail)
	}
	s.span.End(trace.WithTimestamp(e.Time))
}

// End ends the trace. It may be called again.
func (r *Run) End(err error) {
	if r.ended {
		return
	}
	r.ended = true
	for _, s := range r.open { // where the run ended before them
		if s.span == nil {
			r.t.waiting.Add(r.ctx, -1)
			continue
		}
		r.t.running.Add(r.ctx, -1)
		s.span.End()
	}
	r.span.SetAttributes(attribute.Int("eligen.stages.done", r.count[eligen.Done]),
		attribute.Int("eligen.stages.cached", r.count[eligen.Cached]),
		attribute.Int("eligen.stages.failed", r.count[eligen.Failed]), attribute.Int("eligen.files", r.files))
	if err != nil {
		r.span.SetStatus(codes.Error, err.Error())
	}
	r.span.End()
}

// A Task is what a worker did for a run.
type Task struct {
	Run, Scene string
	Stage      string // address of the task's last stage
	Stages     int    // that were made
	Seconds    float64
	Trace      string // of the run
	Problem    string // "" where it was made
}

// Task takes a task that a worker has just ended. Its span is in the trace of the run.
func (t *Telemetry) Task(task Task) {
	now := time.Now()
	parent := t.within(task.Trace)
	_, span := t.tracer.Start(parent, "task", trace.WithSpanKind(trace.SpanKindConsumer),
		trace.WithTimestamp(now.Add(-time.Duration(task.Seconds*float64(time.Second)))),
		trace.WithAttributes(attribute.String("eligen.run", task.Run), attribute.String("eligen.scene", task.Scene),
			attribute.String("eligen.stage", task.Stage), attribute.Int("eligen.stages.done", task.Stages)))
	state := attribute.String("eligen.state", string(eligen.Done))
	if task.Problem != "" {
		state = attribute.String("eligen.state", string(eligen.Failed))
		span.SetStatus(codes.Error, task.Problem)
	}
	span.End(trace.WithTimestamp(now))
	t.tasks.Add(parent, 1, metric.WithAttributes(state))
	t.taskSeconds.Record(parent, task.Seconds, metric.WithAttributes(state))
}

// Queue has the tasks in a queue be counted by a function, whenever metrics are sent.
func (t *Telemetry) Queue(count func(context.Context) (waiting, making int, err error)) error {
	state := func(s string) metric.ObserveOption { return metric.WithAttributes(attribute.String("eligen.state", s)) }
	_, err := t.meter.RegisterCallback(func(ctx context.Context, o metric.Observer) error {
		waiting, making, err := count(ctx)
		if err != nil {
			return err
		}
		o.ObserveInt64(t.queue, int64(waiting), state("waiting"))
		o.ObserveInt64(t.queue, int64(making), state("making"))
		return nil
	}, t.queue)
	return err
}
