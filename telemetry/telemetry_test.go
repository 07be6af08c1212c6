package telemetry

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/eligen/eligen"
)

// quiet unsets OpenTelemetry's variables.
func quiet(t *testing.T) {
	for _, name := range []string{"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
		"OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER", "OTEL_SDK_DISABLED", "OTEL_EXPORTER_OTLP_PROTOCOL", "TRACEPARENT"} {
		t.Setenv(name, "")
	}
	t.Setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "500")
}

// TestOff: without a receiver there is nothing, and nothing to pay for.
func TestOff(t *testing.T) {
	const receiver = "http://127.0.0.1:1"
	for _, c := range []struct {
		env string // names and values
		on  bool
		err string
	}{
		{"", false, ""},
		{"TRACEPARENT=00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", false, ""},
		{"OTEL_EXPORTER_OTLP_PROTOCOL=grpc", false, ""},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=" + receiver + " OTEL_SDK_DISABLED=True", false, ""},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=" + receiver + " OTEL_TRACES_EXPORTER=none OTEL_METRICS_EXPORTER=none", false, ""},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=" + receiver, true, ""},
		{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=" + receiver, true, ""},
		{"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=" + receiver, true, ""},
		{"OTEL_TRACES_EXPORTER=otlp", true, ""},
		{"OTEL_METRICS_EXPORTER=prometheus", false, "eligen has otlp and none"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=" + receiver + " OTEL_EXPORTER_OTLP_PROTOCOL=http/json", false, "eligen has http/protobuf and grpc"},
	} {
		t.Run(c.env, func(t *testing.T) {
			quiet(t)
			for set := range strings.FieldsSeq(c.env) {
				name, value, _ := strings.Cut(set, "=")
				t.Setenv(name, value)
			}
			got, err := Start(t.Context(), "test")
			if (got != nil) != c.on || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("%v, %v", got, err)
			}
			if got != nil {
				_ = got.Close() // nobody is there
			}
		})
	}
}

// TestNobodyThere: a receiver that isn't there is an error at the end, and holds up nothing before.
func TestNobodyThere(t *testing.T) {
	quiet(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
	got, err := Start(t.Context(), "test")
	if err != nil {
		t.Fatal(err)
	}
	r := got.Run("walk.hcl")
	now := time.Now()
	for _, e := range []eligen.Event{
		{Type: eligen.Opened, Engine: "paint/1"},
		{Type: eligen.Started, Stage: "of nobody's plan"},
		{Type: eligen.Planned, Stage: "a", Kind: "denoise/1"},
		{Type: eligen.Planned, Stage: "b", Kind: "decode/1"},
		{Type: eligen.Started, Stage: "a", Worker: "anvil", Time: now},
		{Type: eligen.Started, Stage: "a", Worker: "bellows", Time: now},
		{Type: eligen.Done, Stage: "a", Worker: "bellows", Time: now},
		{Type: eligen.Done, Stage: "a", Time: now},
		{Type: eligen.Reported},
	} {
		r.Event(e)
	}
	if r.count[eligen.Done] != 1 || len(r.open) != 1 {
		t.Errorf("%v, and %d stages are open", r.count, len(r.open))
	}
	r.End(errors.New("interrupted"))
	r.End(nil)
	for _, trace := range []string{"", "nonsense", "00-zz-zz-zz", strings.Repeat("0", 1<<16), r.Trace()} { // as anybody may write it
		got.Task(Task{Run: "r", Trace: trace, Seconds: 1})
	}
	if err := got.Close(); err == nil || !strings.Contains(err.Error(), "127.0.0.1:1") {
		t.Errorf("Close: %v", err)
	}
}

// TestTrace: a run belongs to the trace that the program was started in.
func TestTrace(t *testing.T) {
	quiet(t)
	t.Setenv("OTEL_TRACES_EXPORTER", "otlp")
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
	t.Setenv("TRACEPARENT", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	got, err := Start(t.Context(), "test")
	if err != nil {
		t.Fatal(err)
	}
	trace := got.Run("walk.hcl").Trace()
	if !strings.HasPrefix(trace, "00-4bf92f3577b34da6a3ce929d0e0e4736-") || strings.Contains(trace, "00f067aa0ba902b7") {
		t.Error(trace)
	}
	_ = got.Close() // nobody is there
}
