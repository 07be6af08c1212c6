package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func init() {
	commands["collector"] = collectorOf
	commands["collected"] = collected
}

// collectorConfig has OpenTelemetry's collector print all that it gets.
const collectorConfig = `
receivers:
  otlp:
    protocols:
      http: {endpoint: %[1]s}
      grpc: {endpoint: %[2]s}
exporters:
  debug: {verbosity: detailed, sampling_initial: 1000000}
service:
  telemetry: {metrics: {level: none}}
  pipelines:
    traces: {receivers: [otlp], exporters: [debug]}
    metrics: {receivers: [otlp], exporters: [debug]}
`

// collectorOf runs OpenTelemetry's collector, the program ELIGEN_OTELCOL, until the script ends. $OTLP_HTTP and $OTLP_GRPC
// are its addresses. Without one, the script is skipped.
func collectorOf(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: collector")
	}
	addresses := make([]string, 2)
	for i := range addresses {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		ts.Check(err)
		addresses[i] = l.Addr().String()
		ts.Check(l.Close())
	}
	config, seen := ts.MkAbs(".collector.yaml"), ts.MkAbs(".collected")
	ts.Check(os.WriteFile(config, fmt.Appendf(nil, collectorConfig, addresses[0], addresses[1]), 0o600))
	out, err := os.Create(seen)
	ts.Check(err)
	c := exec.Command(os.Getenv("ELIGEN_OTELCOL"), "--config", config)
	c.Dir, c.Stdout, c.Stderr = filepath.Dir(config), out, out
	ts.Check(c.Start())
	ts.Defer(func() {
		_ = c.Process.Signal(syscall.SIGTERM)
		_ = c.Wait()
		ts.Check(out.Close())
	})
	for began := time.Now(); ; {
		text, err := os.ReadFile(seen)
		ts.Check(err)
		if strings.Contains(string(text), "Everything is ready") {
			break
		}
		if c.Process.Signal(syscall.Signal(0)) != nil || time.Since(began) > time.Minute {
			ts.Fatalf("the collector doesn't start:\n%s", text)
		}
		time.Sleep(10 * time.Millisecond)
	}
	ts.Setenv("OTLP_HTTP", "http://"+addresses[0])
	ts.Setenv("OTLP_GRPC", "http://"+addresses[1])
}

// heads are what the collector begins a span and a metric with.
var heads = regexp.MustCompile(`(?m)^(Span|Metric|Resource(Spans|Metrics)) #\d+$`)

// collected span|metric NAME REGEXP… reports whether the collector has got a span or a metric of the name that matches all
// expressions. It waits for one: the collector prints what it has taken a moment later.
func collected(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: collected span|metric NAME REGEXP…")
	}
	want := []*regexp.Regexp{regexp.MustCompile(`Name +: ` + regexp.QuoteMeta(args[1]) + "\n")}
	if args[0] == "metric" {
		want[0] = regexp.MustCompile(`Name: ` + regexp.QuoteMeta(args[1]) + "\n")
	}
	for _, a := range args[2:] {
		want = append(want, regexp.MustCompile(a))
	}
	for began := time.Now(); ; {
		text := ts.ReadFile(".collected")
		at, near := heads.FindAllStringIndex(text, -1), []string{}
		for i, a := range at {
			end := len(text)
			if i+1 < len(at) {
				end = at[i+1][0]
			}
			block := text[a[0]:end]
			if !strings.HasPrefix(strings.ToLower(block), args[0]) || !want[0].MatchString(block) {
				continue
			}
			if all(want, block) {
				return
			}
			near = append(near, block)
		}
		if time.Since(began) > 10*time.Second {
			ts.Fatalf("the collector has no such %s; of this name it has\n%s", args[0], strings.Join(near, ""))
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// all reports whether a text matches all expressions.
func all(want []*regexp.Regexp, text string) bool {
	for _, w := range want {
		if !w.MatchString(text) {
			return false
		}
	}
	return true
}
