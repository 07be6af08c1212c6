// Package telemetry tells OpenTelemetry what runs and workers do: a trace of each run, with a span a stage, and
// metrics. It is set up by OpenTelemetry's own variables, and sends nothing where they name no receiver.
package telemetry

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// A Telemetry sends traces and metrics. Its methods may be called concurrently.
type Telemetry struct {
	traces *sdktrace.TracerProvider
	meters *sdkmetric.MeterProvider
	tracer trace.Tracer
	parent context.Context // of all spans: the trace that the program was started in
	instruments

	mu      sync.Mutex
	problem error // the first one
}

// name is the instrumentation's.
const name = "github.com/eligen/eligen"

// Start sets up what OpenTelemetry's variables ask for. It returns nil where they ask for nothing. It waits for
// nobody: whether the receiver is there, Close says.
func Start(ctx context.Context, version string) (*Telemetry, error) {
	spans, err := signal("TRACES", os.Getenv("OTEL_TRACES_EXPORTER"), os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"))
	if err != nil {
		return nil, err
	}
	figures, err := signal("METRICS", os.Getenv("OTEL_METRICS_EXPORTER"), os.Getenv("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"))
	if err != nil || !spans && !figures {
		return nil, err
	}
	about, err := resource.New(ctx, resource.WithHost(), resource.WithTelemetrySDK(),
		resource.WithAttributes(attribute.String("service.name", "eligen"), attribute.String("service.version", version)),
		resource.WithFromEnv()) // the variables have the last word
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	to, of := []sdktrace.TracerProviderOption{sdktrace.WithResource(about)}, []sdkmetric.Option{sdkmetric.WithResource(about)}
	if spans {
		e, err := spanExporter(ctx)
		if err != nil {
			return nil, err
		}
		var more []sdktrace.BatchSpanProcessorOption
		if os.Getenv("OTEL_BSP_MAX_QUEUE_SIZE") == "" {
			more = append(more, sdktrace.WithMaxQueueSize(many))
		}
		to = append(to, sdktrace.WithBatcher(e, more...))
	} else {
		to = append(to, sdktrace.WithSampler(sdktrace.NeverSample()))
	}
	if figures {
		e, err := metricExporter(ctx)
		if err != nil {
			return nil, err
		}
		of = append(of, sdkmetric.WithReader(sdkmetric.NewPeriodicReader(e)))
	}
	t := &Telemetry{traces: sdktrace.NewTracerProvider(to...), meters: sdkmetric.NewMeterProvider(of...)}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(t.fail)) // the SDK has one for the program
	t.tracer = t.traces.Tracer(name, trace.WithInstrumentationVersion(version))
	t.parent = t.within(os.Getenv("TRACEPARENT"))
	t.instruments, err = newInstruments(t.meters.Meter(name))
	return t, err
}

// many is how many spans may wait to be sent: those of a run of small pictures come faster than batches go.
const many = 1 << 16

// signal reports whether a signal is sent: its exporter is otlp, or isn't named, and there is an endpoint.
func signal(name, exporter, endpoint string) (bool, error) {
	if strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") {
		return false, nil
	}
	switch exporter {
	case "none":
		return false, nil
	case "otlp":
		return true, nil
	case "":
		return endpoint != "" || os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "", nil
	}
	return false, fmt.Errorf("OTEL_%s_EXPORTER is %q: eligen has otlp and none", name, exporter)
}

// protocol returns the protocol of a signal: its own, or that of all.
func protocol(own string) (string, error) {
	p := own
	if p == "" {
		p = os.Getenv("OTEL_EXPORTER_OTLP_PROTOCOL")
	}
	if p == "" {
		p = http
	}
	if !slices.Contains([]string{http, grpc}, p) {
		return "", fmt.Errorf("OTEL_EXPORTER_OTLP_PROTOCOL is %q: eligen has %s and %s", p, http, grpc)
	}
	return p, nil
}

// The protocols.
const http, grpc = "http/protobuf", "grpc"

func spanExporter(ctx context.Context) (sdktrace.SpanExporter, error) {
	p, err := protocol(os.Getenv("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"))
	switch {
	case err != nil:
		return nil, err
	case p == grpc:
		return otlptracegrpc.New(ctx)
	}
	return otlptracehttp.New(ctx)
}

func metricExporter(ctx context.Context) (sdkmetric.Exporter, error) {
	p, err := protocol(os.Getenv("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL"))
	switch {
	case err != nil:
		return nil, err
	case p == grpc:
		return otlpmetricgrpc.New(ctx)
	}
	return otlpmetrichttp.New(ctx)
}

// within returns a context in the trace that a traceparent names; what is none begins a trace.
func (t *Telemetry) within(traceparent string) context.Context {
	return propagation.TraceContext{}.Extract(context.Background(), propagation.MapCarrier{"traceparent": traceparent})
}

// parentOf returns the traceparent of what happens within a span.
func parentOf(ctx context.Context) string {
	to := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, to)
	return to["traceparent"]
}

// fail keeps the first error of sending.
func (t *Telemetry) fail(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.problem == nil {
		t.problem = err
	}
}

// patience is how long Close waits for a receiver.
const patience = 5 * time.Second

// Close sends what is left. Its error is the first one of sending, since Start: nothing else depends on it.
func (t *Telemetry) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	err := errors.Join(t.traces.Shutdown(ctx), t.meters.Shutdown(ctx))
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.problem != nil {
		err = t.problem
	}
	if err != nil {
		return fmt.Errorf("OpenTelemetry's receiver didn't get all traces and metrics: %w", err)
	}
	return nil
}
