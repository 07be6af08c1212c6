// Command bench measures eligen against PyTorch and against the reference's own
// blocks, with the same weights, on this machine, in one run:
//
//	make bench
//	go run ./bench -quick -force            # does everything work?
//	go run ./bench -python venv/bin/python  # PyTorch, diffsynth and einops are there
//	go run ./bench -only approximations     # PSNR of the step cache and of tiles
//	go run ./bench -only quantised          # a block over int8 and int4 against bfloat16 and float32
//	go run ./bench -only memory             # what plans promise, and what runs take
//	go run ./bench -only memory -backend xla:cpu -memory flux/256/2/random,flux/256/2/random/stream,flux/256/2/random/int8
//	                                        # FLUX.1 whole, of random weights that it writes: 50 GB in TMPDIR
//	go run ./bench -only learning -backend xla:cpu -memory flux/128/1/random/stream
//	                                        # a LoRA's steps over FLUX.1 whole
//	go run ./bench -only reading            # how fast each kind of file is read
//	go run ./bench -card                    # a graphics card, in ten minutes: see bench/gpu
//
// Whoever is compared takes turns, a step each (A B A B …), each in its own process;
// ratios are taken within a turn. Before anything is timed, results are compared.
// Nothing is asserted: what was reached stands beside the goal.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/model/backend"
)

// maxLoad is how many processors other work may use during timings.
const maxLoad = 0.3

const notInstalled = "not installed"

// How far results may lie apart, relative to the largest number in them: eligen's
// two forms of the same sum, and eligen and another implementation.
const (
	sameForm = 1e-5
	sameStep = 1e-4
)

func main() {
	backends := flag.String("backend", "go,xla:cpu", "eligen's backends to measure, separated by commas")
	quick := flag.Bool("quick", false, "less of everything, to see that it works")
	python := flag.String("python", "python3", "the Python that has PyTorch, and diffsynth and einops for the reference")
	force := flag.Bool("force", false, "measure in spite of other work on the machine")
	only := flag.String("only", "", "measure only these parts, separated by commas: "+strings.Join(partNames(), ", "))
	memory := flag.String("memory", "",
		"pictures to measure the memory of, separated by commas, each a side in pixels and a number of entities, as 1024/4 (else all)")
	devices := flag.Int("devices", 1, "with -only learning: hold steps on as many devices against those on one, too")
	asWorker := flag.String("worker", "", "serve measurements on a backend (what this program starts itself as)")
	first := flag.String("first", "", "tell where the time of a scene's first picture goes on a backend (what this program starts itself as)")
	gpu := flag.Bool("card", false, "measure a graphics card in ten minutes instead, as bench/gpu/run.sh does")
	c := &card{counts: []int{0, 4, 8}, out: os.Stdout}
	part := flag.String("card-part", "", "measure one part on a card (what this program starts itself as)")
	flag.StringVar(&c.plugin, "card-plugin", "", "path of the card's XLA plugin (default eligen's own, else JAX's)")
	flag.StringVar(&c.kit, "card-kit", ".", "folder of the kit's files")
	limit := flag.Duration("card-limit", 10*time.Minute, "time that all parts of a card may take")
	flag.Parse()
	c.python, c.small = *python, *quick
	if *part != "" {
		exit(runPart(context.Background(), c, *part, *limit))
	}
	if *first != "" {
		exit(tellFirst(context.Background(), flag.Arg(0), *first, os.Stdout))
	}
	if *asWorker != "" {
		exit(serve(*asWorker, os.Stdin, os.Stdout))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	list := func(s string) []string {
		return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' })
	}
	if *gpu {
		exit(measureCard(ctx, os.Stdout, c, *limit, list(*only)))
	}
	cases, err := readMemoryCases(list(*memory))
	if err != nil {
		exit(err)
	}
	if len(cases) == 0 {
		cases = memoryCases(*quick)
	}
	exit(run(ctx, os.Stdout, list(*backends), list(*only), *python, *quick, *force, cases, *devices))
}

// parts are the measurements, in order.
var parts = []struct {
	name string
	do   func(b *bench) error
}{
	{"matmul", (*bench).matmuls},
	{"steps", (*bench).allSteps},
	{"training", (*bench).training},
	{"pictures", (*bench).pictures},
	{"clips", (*bench).clips},
	{"approximations", (*bench).compareApproximations},
	{"quantised", (*bench).quantised},
	{"memory", (*bench).promises},
	{"learning", (*bench).learning},
	{"reading", (*bench).reading},
}

func partNames() (names []string) {
	for _, p := range parts {
		names = append(names, p.name)
	}
	return names
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// A bench is one run of this program.
type bench struct {
	ctx      context.Context
	out      io.Writer
	dir      string
	all      []*contender
	rounds   int
	entities []int
	shapes   []shape
	matmul   int                // size
	peak     map[string]float64 // FLOP a second of a matrix product
	goals    table

	memoryCases []memoryCase
	devices     int // that learning is measured on, too
}

func run(
	ctx context.Context, out io.Writer, backends, only []string, python string, quick, force bool, cases []memoryCase, devices int,
) error {
	for _, name := range only {
		if !slices.Contains(partNames(), name) {
			return fmt.Errorf("-only %s: there is no such part; there are %s", name, strings.Join(partNames(), ", "))
		}
	}
	timed := !slices.Equal(only, []string{"memory"})
	busy, known := 0.0, false
	if timed {
		busy, known = load(3 * time.Second)
	}
	if known && busy > maxLoad && !force {
		return fmt.Errorf("other work uses %.2f processors; times taken now would say nothing. Stop it, or measure all the same with -force "+
			"(the limit is %.1f)", busy, maxLoad)
	}
	dir, err := os.MkdirTemp("", "eligen-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := newBench(ctx, out, dir, quick, cases)
	b.devices = devices
	if b.all, err = contenders(ctx, dir, backends, python); err != nil {
		return err
	}
	before, _ := readTicks()

	b.introduce(busy, known, timed)
	for _, p := range parts {
		if len(only) > 0 && !slices.Contains(only, p.name) {
			continue
		}
		if err := p.do(b); err != nil {
			return err
		}
	}
	if len(b.goals.rows) > 0 {
		slices.SortStableFunc(b.goals.rows, func(x, y []string) int { return strings.Compare(x[0], y[0]) })
		b.section("Goals", &b.goals)
	}
	if after, ok := readTicks(); ok && timed {
		b.print("\nOther work used %.2f processors while this was measured.", before.others(after, runtime.NumCPU()))
	}
	return nil
}

// newBench returns a bench with its sizes: quick ones show that it works.
func newBench(ctx context.Context, out io.Writer, dir string, quick bool, cases []memoryCase) *bench {
	b := &bench{
		ctx: ctx, out: out, dir: dir, rounds: 7, entities: []int{0, 4, 8, 12}, matmul: 2048,
		peak: map[string]float64{}, memoryCases: cases,
	}
	b.goals.head = []string{"goal", "of", "reached", "asked for"}
	b.shapes = []shape{wide, nano}
	if quick {
		small := wide
		small.Name += " (1 + 1 blocks)"
		small.Config.Double, small.Config.Single = 1, 1
		b.shapes = []shape{nano, small}
		b.rounds, b.entities, b.matmul = 2, []int{0, 4}, 512
	}
	return b
}

// introduce prints the machine, its load, and what is compared.
func (b *bench) introduce(busy float64, known, timed bool) {
	b.print("machine    %s", machine())
	if runtime.GOARCH == "amd64" && !backend.SIMD {
		b.print("build      without Go's vector instructions, which make the Go backend seven times faster: use make bench")
	}
	switch {
	case known:
		b.print("load       %.2f processors used by other work before the start; load average %s", busy, loadAverage())
	case timed:
		b.print("load       %s", unknown)
	}
	for _, c := range b.all {
		about := c.About
		if c.Missing != "" {
			about = notInstalled + ": " + c.Missing
		}
		b.print("%-10s %s", c.Name, about)
	}
}

// progress prints the current measurement, for whoever waits.
func (b *bench) progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, time.Now().Format("15:04:05")+" "+format+"\n", args...)
}

func (b *bench) print(format string, args ...any) { fmt.Fprintf(b.out, format+"\n", args...) }

func (b *bench) section(title string, t *table) {
	b.print("\n%s\n\n%s", title, strings.TrimSuffix(t.String(), "\n"))
}

// matmuls measures the best that the machine can do.
func (b *bench) matmuls() error {
	n := b.matmul
	flop := 2 * math.Pow(float64(n), 3)
	t := table{head: []string{"engine", "ms", "GFLOPS"}}
	b.progress("matrix product")
	all, err := b.compare(b.rounds, func(c *contender) (r request, whyNot string) {
		if c.Name == "reference" {
			whyNot = "is PyTorch's"
		}
		return request{Do: "open", Job: "matmul", Size: n}, whyNot
	}, nil)
	for _, m := range all {
		if len(m.ms) == 0 {
			t.add(m.Name, m.problem, "")
			continue
		}
		best := m.ms[0]
		for _, ms := range m.ms {
			best = min(best, ms)
		}
		b.peak[m.Name] = flop / best * 1e3
		t.add(m.Name, m.ms.String(), digits(b.peak[m.Name]/1e9))
	}
	b.peak["reference"] = b.peak["PyTorch"]
	b.section(fmt.Sprintf("Matrix product, float32, %d×%d×%d: the median and range in ms, GFLOPS of the best", n, n, n), &t)
	return err
}

// allSteps compares steps of each shape.
func (b *bench) allSteps() error {
	if len(b.peak) == 0 { // the part before was left out
		if err := b.matmuls(); err != nil {
			return err
		}
	}
	for _, s := range b.shapes {
		if err := b.steps(s); err != nil {
			return err
		}
	}
	return nil
}

// machinePeak returns the best of all matrix products.
func (b *bench) machinePeak() float64 {
	best := 0.0
	for _, p := range b.peak {
		best = max(best, p)
	}
	return best
}

// training compares a step of AdamW on all weights of nano's transformer.
func (b *bench) training() error {
	const batch, entities = 16, 4
	s := training
	weights, inputs := filepath.Join(b.dir, "weights.safetensors"), filepath.Join(b.dir, "inputs.safetensors")
	if _, err := writeWeights(weights, s); err != nil {
		return err
	}
	if err := writeInputs(inputs, s, entities, batch); err != nil {
		return err
	}
	o := &eligen.Optimizer{Rate: 1e-4, Decay: "constant", Weight: 0.01, Clip: 1, Betas: [2]float64{0.9, 0.99}, Epsilon: 1e-8}
	b.progress("training")
	all, err := b.compare(b.rounds, func(c *contender) (r request, whyNot string) {
		if c.Name == "reference" {
			whyNot = "is PyTorch's"
		}
		return request{Do: "open", Job: "train", Config: s.Config, Weights: weights, Inputs: inputs,
			Output: filepath.Join(b.dir, "train-"+strings.ReplaceAll(c.Name, "/", "-")), Optimizer: o}, whyNot
	}, nil)
	if err != nil {
		return err
	}
	t := table{head: []string{"engine", "ms", "GFLOPS", "loss, step by step", "PyTorch / it", "peak MiB"}}
	var torch samples
	for _, m := range all {
		if m.Name == "PyTorch" {
			torch = m.ms
		}
	}
	for _, m := range all {
		if len(m.ms) == 0 {
			t.add(m.Name, m.problem, "", "", "", "")
			continue
		}
		var losses []string
		for _, l := range m.losses[:min(3, len(m.losses))] {
			losses = append(losses, fmt.Sprintf("%.6f", l))
		}
		ratio := torch.over(m.ms).String()
		t.add(m.Name, m.ms.String(), digits(s.trainingFLOP(entities, batch)/m.ms.median()/1e6), strings.Join(losses, " "), ratio,
			mebibytes(m.peak))
		if m.ours() && ratio != "" {
			b.goals.add("P9", s.Name+", "+m.Name+": times PyTorch's speed", ratio, "≥ 0.8")
		}
	}
	b.section(fmt.Sprintf("A training step: %s, %d pictures, %d entities each, all weights of the transformer, under a mask; AdamW. Equal "+
		"losses are the equality here.", s.Name, batch, entities), &t)
	return nil
}

// pictures times the whole program.
func (b *bench) pictures() error {
	var ready []string
	t := table{head: []string{"backend", "first, s", "with kept programs, s", "again, s", "stages run again"}}
	for _, c := range b.all {
		switch {
		case c.Backend == "":
		case c.Missing != "":
			t.add(c.Name, notInstalled, "", "", "")
		default:
			ready = append(ready, c.Backend)
		}
	}
	b.progress("eligen apply")
	rounds := (b.rounds + 1) / 2
	for _, p := range pictures(b.ctx, b.dir, ready, rounds) {
		if p.problem != "" {
			t.add(p.backend, p.problem, "", "", "")
			continue
		}
		t.add(p.backend, p.first.String(), p.kept.String(), p.second.String(), fmt.Sprint(p.ran))
		asked := "≤ 4 s"
		if p.backend == "go" {
			asked = "≤ 5 s, with SIMD"
		}
		b.goals.add("P7", p.backend+": first picture of a fresh process, s", p.first.String(), asked)
		if len(p.kept) > 0 {
			b.goals.add("P7", p.backend+": the same, with programs that a process before compiled, s", p.kept.String(), asked)
		}
		b.goals.add("P7", p.backend+": again, from the store, s", p.second.String(), "≤ 0.15 s")
	}
	b.section("eligen apply, two entities, all else default, process start included: an empty store; an empty store beside XLA's kept "+
		"programs; and again from the store", &t)
	return b.firsts(ready)
}
