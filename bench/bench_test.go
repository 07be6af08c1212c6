package main

import (
	"encoding/json"
	"image"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/model/flux"
)

// TestPSNR: pictures that differ by a known amount.
func TestPSNR(t *testing.T) {
	a, b := image.NewNRGBA(image.Rect(0, 0, 4, 2)), image.NewNRGBA(image.Rect(0, 0, 4, 2))
	for i := range a.Pix {
		a.Pix[i], b.Pix[i] = 100, 100
		if i%4 == 3 {
			a.Pix[i], b.Pix[i] = 255, 255
		}
	}
	if got := decibels(psnr(a, b)); got != "∞ (the same pixels)" {
		t.Error(got)
	}
	for i := range b.Pix {
		if i%4 != 3 {
			b.Pix[i] = 110
		}
	}
	if got := decibels(psnr(a, b)); got != "28.1" { // 20 log10(255/10)
		t.Error(got)
	}
	if got := decibels(psnr(a, image.NewNRGBA(image.Rect(0, 0, 2, 4)))); got != unknown {
		t.Error(got)
	}
}

func TestTable(t *testing.T) {
	table := table{head: []string{"engine", "ms"}}
	table.add("go", samples{30, 10, 20}.String())
	table.add("xla:cpu", samples{1, 2}.String())
	table.add("PyTorch", "")
	want := strings.TrimPrefix(`
| engine  |               ms |
| ------- | ---------------: |
| go      | 20.0 (10.0–30.0) |
| xla:cpu | 1.50 (1.00–2.00) |
| PyTorch |                – |
`, "\n")
	if diff := cmp.Diff(want, table.String()); diff != "" {
		t.Error(diff)
	}
	if got := (samples{10, 40, 90}).over(samples{10, 20, 30}).median(); got != 2 {
		t.Errorf("the median of the ratios 1, 2 and 3 is %v", got)
	}
	for x, want := range map[float64]string{0.004: "0.00", 1.234: "1.23", 9.999: "10.0", 12.34: "12.3", 99.96: "100", 1234.5: "1234"} {
		if got := digits(x); got != want {
			t.Errorf("%v is printed as %s, expected %s", x, got, want)
		}
	}
}

// Load is the time of all processors less the idle, and less what this program and
// its children took.
func TestLoad(t *testing.T) {
	stat := func(user, idle string) string {
		return "cpu  " + user + " 0 0 " + idle + " 0 0 0 0 99 0\ncpu0 1 2 3 4 5 6 7 8 9 10\n"
	}
	self := func(user, children string) string {
		return "7 (a (b) c) S 1 2 3 4 5 6 7 8 9 10 " + user + " 0 " + children + " 0 20 0 1 0 0"
	}
	then, ok := parseTicks(stat("1000", "5000"), self("10", "20"))
	if !ok {
		t.Fatal("not understood")
	}
	now, ok := parseTicks(stat("1500", "5500"), self("110", "120"))
	if !ok {
		t.Fatal("not understood")
	}
	// 1000 ticks on two processors, half of them used, 200 by ourselves.
	if got := then.others(now, 2); math.Abs(got-0.6) > 1e-9 {
		t.Errorf("other work used %v of 2 processors, expected 0.6", got)
	}
	for _, bad := range []string{"", "cpu 1 2", "intr 1 2 3 4 5 6 7 8 9"} {
		if _, ok := parseTicks(bad, self("1", "1")); ok {
			t.Errorf("%q was understood", bad)
		}
	}
	if _, ok := parseTicks(stat("1", "1"), "7 (x) S"); ok {
		t.Error("half a line was understood")
	}
}

// What can't be measured is said in the tables, and stops nothing.
func TestMissing(t *testing.T) {
	all, err := contenders(t.Context(), t.TempDir(), nil, filepath.Join(t.TempDir(), "no-python"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range all {
		if !strings.Contains(c.Missing, "no-python") {
			t.Errorf("%s: missing is %q", c.Name, c.Missing)
		}
	}
	b := &bench{ctx: t.Context(), all: all}
	got, err := b.compare(1, func(*contender) (request, string) { return request{Do: "open"}, "" }, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range got {
		if m.problem != notInstalled || len(m.ms) != 0 {
			t.Errorf("%s: problem %q, times %v", m.Name, m.problem, m.ms)
		}
	}
}

// tiny is small enough for a test; texts are of one length, as the reference wants.
var tiny = shape{
	Name: "tiny",
	Config: flux.Config{
		Dim: 32, Heads: 2, Axes: [3]int{4, 6, 6}, Double: 1, Single: 2,
		TextDim: 12, PooledDim: 8, Guidance: true, MLPRatio: 4, LatentChannels: 16,
	},
	Rows: 6, Columns: 8, Text: 5, EntityText: 5,
}

// A talk is with a process of a contender, or with what would run in one.
type talk func(request) (answer, error)

func talkTo(t *testing.T, backend string) talk {
	requests, in := io.Pipe()
	out, answers := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- serve(backend, requests, answers) }()
	w := &worker{in: in, answers: json.NewDecoder(out), errors: &tail{}}
	t.Cleanup(func() {
		in.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	if _, err := w.ask(request{Do: "hello"}); err != nil {
		t.Fatal(err)
	}
	return w.ask
}

// Every implementation answers the same requests, and computes the same: eligen by
// blocks, eligen under a mask, and, where they are installed, PyTorch and the
// reference. So do the trainings: the losses of all steps are equal.
func TestSame(t *testing.T) {
	dir := t.TempDir()
	ask := map[string]talk{"go": talkTo(t, "go")}
	python, err := exec.LookPath("python3")
	if p := os.Getenv("ELIGEN_BENCH_PYTHON"); p != "" {
		python, err = p, nil
	}
	if err == nil {
		all, err := contenders(t.Context(), dir, nil, python)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range all {
			if c.Missing != "" {
				t.Logf("%s is not compared: %s (ELIGEN_BENCH_PYTHON names a Python that has it)", c.Name, c.Missing)
				continue
			}
			w, err := c.start(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(w.stop)
			ask[c.Name] = w.ask
		}
	}
	weights, inputs, output := filepath.Join(dir, "weights"), filepath.Join(dir, "inputs"), filepath.Join(dir, "output")
	if _, err := writeWeights(weights, tiny); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 3} {
		if err := writeInputs(inputs, tiny, n, 1); err != nil {
			t.Fatal(err)
		}
		velocity := func(who, job string) []float32 {
			r := request{Do: "open", Job: job, Config: tiny.Config, Weights: weights, Inputs: inputs, Output: output, Runs: 2}
			if _, err := ask[who](r); err != nil {
				t.Fatalf("%s, %s: %v", who, job, err)
			}
			v, err := readFloats(output)
			if err != nil {
				t.Fatal(err)
			}
			if job == "step" {
				for range 2 {
					if a, err := ask[who](request{Do: "run"}); err != nil || !(a.MS > 0) {
						t.Errorf("%s: a run took %v ms, %v", who, a.MS, err)
					}
				}
			}
			return v
		}
		masked := velocity("go", "dense")
		if size := largest(masked); !(size > 0.1) {
			t.Fatalf("the largest number of the velocity is %g", size)
		}
		for who := range ask {
			if d := distance(velocity(who, "step"), masked); !(d <= 2e-5) {
				t.Errorf("%s, %d entities: differs from eligen under a mask by %g", who, n, d)
			}
		}
	}

	if err := writeInputs(inputs, tiny, 3, 2); err != nil {
		t.Fatal(err)
	}
	o := &eligen.Optimizer{Rate: 1e-2, Decay: "constant", Weight: 0.1, Clip: 1, Betas: [2]float64{0.9, 0.99}, Epsilon: 1e-8}
	losses := map[string][]float64{}
	for who, ask := range ask {
		if who == "reference" {
			continue
		}
		a, err := ask(request{Do: "open", Job: "train", Config: tiny.Config, Weights: weights, Inputs: inputs,
			Output: filepath.Join(dir, "train"), Optimizer: o})
		for i := 0; i < 3 && err == nil; i++ {
			losses[who] = append(losses[who], a.Loss)
			a, err = ask(request{Do: "run"})
		}
		if err != nil {
			t.Fatalf("%s: %v", who, err)
		}
		for i, l := range losses[who] {
			if want := losses["go"]; len(want) > i && !(math.Abs(l-want[i]) <= 1e-4*want[i]) {
				t.Errorf("%s: the loss of step %d is %v, eligen's %v", who, i, l, want[i])
			}
		}
	}
	if l := losses["go"]; !(l[2] < l[0]) {
		t.Errorf("losses %v don't fall", l)
	}
	t.Log(losses)
}

// A request that fails is answered, and the next one is served.
func TestFailure(t *testing.T) {
	ask := talkTo(t, "go")
	for _, r := range []request{{Do: "open", Job: "nothing"}, {Do: "open", Job: "step", Weights: filepath.Join(t.TempDir(), "none")},
		{Do: "sing"}} {
		if _, err := ask(r); err == nil {
			t.Errorf("%+v didn't fail", r)
		}
	}
	if _, err := ask(request{Do: "open", Job: "matmul", Size: 8}); err != nil {
		t.Error(err)
	}
	if a, err := ask(request{Do: "run"}); err != nil || !(a.MS > 0) {
		t.Errorf("a run took %v ms, %v", a.MS, err)
	}
}

// The second of two runs has found its stages in the store; what went wrong in one
// that failed is told in a line.
func TestEvents(t *testing.T) {
	first := `{"type":"opened"}
{"type":"done","stage":"a"}
{"type":"cached","stage":"b"}
{"type":"done","stage":"c"}
`
	if got := stagesRun([]byte(first)); got != 2 {
		t.Errorf("%d stages ran, expected 2", got)
	}
	failed := `{"type":"failed","diagnostic":{"severity":"error","summary":"Out of memory","detail":"So it is.\nIndeed."}}`
	if got := cause([]byte(failed), "Error"); got != "Out of memory: So it is." {
		t.Errorf("the cause is %q", got)
	}
	if got := cause(nil, "Error: this\n\nThat is why.\n"); got != "That is why." {
		t.Errorf("the cause is %q", got)
	}
}

// Pictures to measure the memory of are named by model, side and entities, and what else
// they have.
func TestReadMemoryCases(t *testing.T) {
	got, err := readMemoryCases([]string{"256/0", "flux/1024/200", "flux-2-4/256/1/negative/inpaint"})
	want := []memoryCase{
		{side: 256}, {flux: fluxShape{19, 38}, side: 1024, entities: 200},
		{flux: fluxShape{2, 4}, side: 256, entities: 1, more: []string{"negative", "inpaint"}},
	}
	same := func(a, b memoryCase) bool { return a.String() == b.String() }
	if err != nil || !slices.EqualFunc(got, want, same) {
		t.Errorf("%v, %v", got, err)
	}
	for _, s := range []string{"", "256", "x/4", "0/4", "256/-1", "flux-0-4/256/0", "flux", "256/0/inpaint", "256/0/upside"} {
		if got, err := readMemoryCases([]string{s}); err == nil {
			t.Errorf("%q is %v", s, got)
		}
	}
}
