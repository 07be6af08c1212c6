package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"image"
	"image/png"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/eligen/eligen/internal/page"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/train"
)

var update = flag.Bool("update", false, "rewrite the golden pictures")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"eligen": main, "eligen-peak": peak})
}

// Each scene of the folder scenes has a script beside it, that says what the
// scene is about and runs it. The scripts find the scenes where they run.
func TestScenes(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:       "../../scenes",
		Setup:     setup("../../scenes"),
		Cmds:      commands,
		Condition: condition,
	})
}

// Those of scenes/flux are for weights that nobody has here: their scripts go as far
// as the plan, and the layout.
func TestFluxScenes(t *testing.T) { testScenesOf(t, "../../scenes/flux") }

// So are those of scenes/qwen.
func TestQwenScenes(t *testing.T) { testScenesOf(t, "../../scenes/qwen") }

func testScenesOf(t *testing.T, folder string) {
	testscript.Run(t, testscript.Params{Dir: folder, Setup: setup(folder), Cmds: commands, Condition: condition})
}

// Every scene has its script.
func TestScenesAreTested(t *testing.T) {
	for _, s := range sceneFiles(t) {
		if _, err := os.Stat(strings.TrimSuffix(s, ".hcl") + ".txtar"); err != nil {
			t.Errorf("%s has no script: %v", s, err)
		}
	}
}

// sceneFiles lists the scenes of the folder scenes, those for other weights included.
func sceneFiles(t *testing.T) []string {
	t.Helper()
	var all []string
	for glob, least := range map[string]int{"../../scenes/*.hcl": 10, "../../scenes/flux/*.hcl": 10, "../../scenes/qwen/*.hcl": 2} {
		files, err := filepath.Glob(glob)
		if err != nil || len(files) < least {
			t.Fatalf("%s: %d scenes, %v", glob, len(files), err)
		}
		all = append(all, files...)
	}
	return all
}

// The scripts of testdata/script are the commands' own stories.
func TestCommands(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:       "testdata/script",
		Setup:     setup("testdata/files"),
		Cmds:      commands,
		Condition: condition,
	})
}

// condition knows [cgo], a build that can load XLA plugins; [xla], the variable
// ELIGEN_XLA_CPU naming one; [sprites], ELIGEN_ASSETS naming the unpacked pictures that
// datasets are made of; [slurm], and [python:MODULE], ELIGEN_PYTHON having it.
func condition(name string) (bool, error) {
	switch name {
	case "cgo":
		return cgoBuild, nil
	case "xla":
		return cgoBuild && os.Getenv("ELIGEN_XLA_CPU") != "", nil
	case "sprites":
		return os.Getenv("ELIGEN_ASSETS") != "", nil
	case "otelcol":
		return os.Getenv("ELIGEN_OTELCOL") != "", nil
	case "slurm":
		return hasSlurm(), nil
	}
	if module, ok := strings.CutPrefix(name, "python:"); ok {
		return hasModule(module), nil
	}
	return false, fmt.Errorf("unknown condition %q", name)
}

// setup gives a script a copy of a folder, and a cache of its own.
func setup(folder string) func(*testscript.Env) error {
	return func(e *testscript.Env) error {
		e.Setenv("ELIGEN_CACHE_DIR", filepath.Join(e.WorkDir, ".cache"))
		e.Setenv("ELIGEN_PLUGIN_DIR", filepath.Join(e.WorkDir, ".plugins"))
		for name, folder := range map[string]string{"NANO": "../../model/family/nano/weights", "CI_SCRIPTS": "../../.ci",
			"WEIGHTS": "../../model/testdata/goldens/models"} {
			path, err := filepath.Abs(folder)
			if err != nil {
				return err
			}
			e.Setenv(name, path)
		}
		for _, name := range []string{"ELIGEN_XLA_CPU", "ELIGEN_ASSETS"} {
			e.Setenv(name, os.Getenv(name))
		}
		for _, glob := range []string{"*.hcl", "*/*.hcl", "*/*.tmpl", "*/*.png", "*/*.csv"} {
			files, err := filepath.Glob(filepath.Join(folder, glob))
			if err != nil {
				return err
			}
			for _, f := range files {
				name, err := filepath.Rel(folder, f)
				if err != nil {
					return err
				}
				if filepath.Dir(name) == "out" {
					continue // pictures that somebody has made here
				}
				data, err := os.ReadFile(f)
				if err != nil {
					return err
				}
				to := filepath.Join(e.WorkDir, name)
				if err := errors.Join(os.MkdirAll(filepath.Dir(to), 0o755), os.WriteFile(to, data, 0o644)); err != nil {
					return err
				}
			}
		}
		return nil
	}
}

var commands = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	"code":      code,
	"colour":    colour,
	"cut":       cut,
	"deep":      deep,
	"flip":      flip,
	"hub":       startHub,
	"interrupt": interrupt,
	"named":     nameFile,
	"pictured":  pictured,
	"photo":     photo,
	"pixels":    pixelsOf,
	"signal":    signalAt,
	"spoil":     spoil,

	"behind": behind,
	"masks":  masks,
	"most":   most,
	"reword": reword,
	"snake":  snake,
	"wide":   wide,
}

// code N COMMAND… runs a command, which must exit with N.
func code(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N COMMAND…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var e *exec.ExitError
		if !errors.As(err, &e) {
			ts.Fatalf("%v", err)
		}
		got = e.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// cut FILE N leaves the first N bytes of a file, or all but the last −N.
func cut(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: cut FILE N")
	}
	data := []byte(ts.ReadFile(args[0]))
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	if n < 0 {
		n += len(data)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), data[:n], 0o644))
}

// flip FILE N changes byte N of a file.
func flip(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: flip FILE N")
	}
	files, err := filepath.Glob(ts.MkAbs(args[0])) // the first, of several
	if err != nil || len(files) == 0 {
		ts.Fatalf("no file %s: %v", args[0], err)
	}
	data, err := os.ReadFile(files[0])
	ts.Check(err)
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	data[n] ^= 0x55
	ts.Check(os.WriteFile(files[0], data, 0o644))
}

// spoil FILE TENSOR makes the first number of a tensor of bfloat16 one that is none.
func spoil(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: spoil FILE TENSOR")
	}
	data := []byte(ts.ReadFile(args[0]))
	infos, _, err := tensor.ReadHeader(bytes.NewReader(data), int64(len(data)))
	ts.Check(err)
	for _, t := range infos {
		if t.Name == args[1] {
			data[t.Offset], data[t.Offset+1] = 0xff, 0x7f
			ts.Check(os.WriteFile(ts.MkAbs(args[0]), data, 0o644))
			return
		}
	}
	ts.Fatalf("%s has no tensor %s", args[0], args[1])
}

// deep FILE N writes a scene whose one expression is N parentheses deep.
func deep(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: deep FILE N")
	}
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	text := "locals {\n  a = " + strings.Repeat("(", n) + "1" + strings.Repeat(")", n) + "\n}\n"
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o644))
}

// signal INT|TERM FIFO COMMAND… makes a named pipe, runs a command, and sends it the
// signal when it reads from the pipe, which says nothing. The command must end soon, as
// after that signal.
func signalAt(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: signal INT|TERM FIFO COMMAND…")
	}
	signal, want := syscall.SIGINT, exitInterrupted
	if args[0] == "TERM" {
		signal, want = syscall.SIGTERM, exitTerminated
	}
	fifo := ts.MkAbs(args[1])
	_ = os.Remove(fifo)
	ts.Check(exec.Command("mkfifo", fifo).Run())
	c := command(ts, args[2:])
	var errs bytes.Buffer
	c.Stderr = &errs
	ts.Check(c.Start())
	ended := make(chan struct{})
	go func() {
		_ = c.Wait() // the exit code is looked at below
		close(ended)
	}()
	var w *os.File
	for w == nil { // until somebody reads
		select {
		case <-ended:
			ts.Fatalf("it ended without reading: %s", errs.Bytes())
		case <-time.After(time.Millisecond):
			w, _ = os.OpenFile(fifo, os.O_WRONLY|syscall.O_NONBLOCK, 0)
		}
	}
	began := time.Now()
	ts.Check(c.Process.Signal(signal))
	<-ended
	took := time.Since(began)
	ts.Check(w.Close())
	ts.Logf("%s", errs.Bytes())
	if got := c.ProcessState.ExitCode(); got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
	if took > 10*time.Second {
		ts.Fatalf("it took %v to end", took)
	}
	if !strings.Contains(errs.String(), "Interrupted") {
		ts.Fatalf("nothing was said")
	}
}

// command prepares a command of a script, in its folder.
func command(ts *testscript.TestScript, args []string) *exec.Cmd {
	var path string
	for _, dir := range filepath.SplitList(ts.Getenv("PATH")) {
		if p, err := exec.LookPath(filepath.Join(dir, args[0])); err == nil {
			path = p
			break
		}
	}
	c := exec.Command(path, args[1:]...)
	c.Dir = ts.MkAbs(".")
	for _, name := range []string{"PATH", "HOME", "ELIGEN_CACHE_DIR", "ELIGEN_PLUGIN_DIR"} {
		c.Env = append(c.Env, name+"="+ts.Getenv(name))
	}
	return c
}

// interrupt TEXT COMMAND… runs a command, interrupts it as soon as it has
// written TEXT to standard output, and expects exit code 130.
func interrupt(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: interrupt TEXT COMMAND…")
	}
	c := command(ts, args[1:])
	var errs bytes.Buffer
	c.Stderr = &errs
	out, err := c.StdoutPipe()
	ts.Check(err)
	ts.Check(c.Start())
	var seen []byte
	buf := make([]byte, 4096)
	for sent := false; ; {
		n, err := out.Read(buf)
		seen = append(seen, buf[:n]...)
		if !sent && bytes.Contains(seen, []byte(args[0])) {
			sent = true
			ts.Check(c.Process.Signal(os.Interrupt))
		}
		if err != nil {
			break
		}
	}
	_ = c.Wait()
	ts.Logf("%s%s", seen, errs.Bytes())
	if got := c.ProcessState.ExitCode(); got != exitInterrupted {
		ts.Fatalf("exit code %d, want %d", got, exitInterrupted)
	}
}

// pictured FOLDER writes the embedded model with an IP-Adapter and a vision tower of
// random numbers: pictures change what it draws, in no good way.
func pictured(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: pictured FOLDER")
	}
	trainee, err := train.OpenTrainee("", nil)
	ts.Check(err)
	start, err := trainee.Start()
	ts.Check(err)
	rng := rand.New(rand.NewPCG(1, 2))
	tower, adapter := map[string]tensor.Tensor{}, map[string]tensor.Tensor{}
	add := func(weights map[string]tensor.Tensor, name string, shape []int) {
		x := tensor.New(shape...)
		for i := range x.Data {
			x.Data[i] = float32(rng.NormFloat64() / math.Sqrt(float64(shape[len(shape)-1])))
		}
		weights[name] = x
	}
	for _, w := range start.Vision.Weights() {
		add(tower, "vision."+w.Name, w.Shape)
	}
	for _, w := range start.IP.Weights() {
		add(adapter, "ip."+w.Name, w.Shape)
	}
	ts.Check(trainee.Take("vision", tower, nil, nil))
	ts.Check(trainee.Take("ip", adapter, nil, nil))
	ts.Check(trainee.Write(ts.MkAbs(args[0])))
}

// pixels PICTURE GOLDEN compares a picture with one of scenes/golden, pixel by
// pixel.
func pixelsOf(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: pixels PICTURE GOLDEN")
	}
	data := ts.ReadFile(args[0])
	got, err := png.Decode(strings.NewReader(data))
	ts.Check(err)
	golden := filepath.Join("../../scenes/golden", args[1])
	if *update {
		var b bytes.Buffer // without the metadata
		ts.Check(png.Encode(&b, got))
		ts.Check(os.WriteFile(golden, b.Bytes(), 0o644))
		return
	}
	f, err := os.Open(golden)
	ts.Check(err)
	defer f.Close()
	want, err := png.Decode(f)
	ts.Check(err)
	if got.Bounds() != want.Bounds() {
		ts.Fatalf("%s has %v, %s has %v", args[0], got.Bounds(), args[1], want.Bounds())
	}
	differ := 0
	var first image.Point
	b := got.Bounds()
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			r, g, bl, a := got.At(x, y).RGBA()
			r2, g2, bl2, a2 := want.At(x, y).RGBA()
			if r != r2 || g != g2 || bl != bl2 || a != a2 {
				if differ == 0 {
					first = image.Pt(x, y)
				}
				differ++
			}
		}
	}
	if differ > 0 {
		ts.Fatalf("%s differs from %s in %d pixels, the first at %v. -update rewrites it", args[0], args[1], differ, first)
	}
}

// named FILE NAME gives a file another name, in which escapes stand for characters as in
// Go. The name is in $NAMED then.
func nameFile(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: named FILE NAME")
	}
	name, err := strconv.Unquote(`"` + args[1] + `"`)
	ts.Check(err)
	ts.Check(os.Rename(ts.MkAbs(args[0]), ts.MkAbs(name)))
	ts.Setenv("NAMED", name)
}

// wide N checks that no line of standard output takes more than N cells of a terminal.
func wide(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: wide N")
	}
	most, err := strconv.Atoi(args[0])
	ts.Check(err)
	colours := regexp.MustCompile("\x1b\\[[0-9;]*m")
	for line := range strings.Lines(colours.ReplaceAllString(ts.ReadFile("stdout"), "")) {
		if n := page.Width(strings.TrimRight(line, "\n")); n > most {
			ts.Fatalf("%d cells: %s", n, line)
		}
	}
}

// snake checks that standard output is JSON, one value or several, and that every key in
// it is in lower_snake.
func snake(ts *testscript.TestScript, neg bool, args []string) {
	key := regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	var check func(path string, v any)
	check = func(path string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for name, inner := range v {
				if !key.MatchString(name) {
					ts.Fatalf("the key %s.%s is not in lower_snake", path, name)
				}
				check(path+"."+name, inner)
			}
		case []any:
			for _, inner := range v {
				check(path+"[]", inner)
			}
		}
	}
	dec := json.NewDecoder(strings.NewReader(ts.ReadFile("stdout")))
	n := 0
	for ; ; n++ {
		var v any
		if err := dec.Decode(&v); err == io.EOF {
			break
		} else {
			ts.Check(err)
		}
		check("", v)
	}
	if n == 0 {
		ts.Fatalf("standard output is empty")
	}
}
