// Faults runs small inputs on which something once went wrong, and prints what is
// expected of each against what it got. The inputs are a folder beside the repository;
// where it isn't there, nothing is run.
//
//	go run .ci/faults.go -eligen ./eligen ../shared/faults
package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"
)

// A fault is an input, a command over it, and what should come of it.
type fault struct {
	input    string
	args     []string // "FILE" stands for the input
	env      []string
	expected string
	check    func(r result) string // "" if r is as expected, else what it is
}

// A result is what a command did.
type result struct {
	dir            string
	code           int
	stdout, stderr string
	took           time.Duration
	peak           int64 // MiB that were resident at most
}

// got is a result in a few words.
func (r result) got() string {
	said := firstLine(r.stderr)
	if said == "" {
		said = firstLine(r.stdout)
	}
	if n := strings.Count(r.stderr, "Warning: "); n > 1 {
		said += fmt.Sprintf(" (%d warnings)", n)
	}
	return fmt.Sprintf("%d in %.1f s, %d MiB: %s", r.code, r.took.Seconds(), r.peak, said)
}

func (r result) said() string { return r.stdout + r.stderr }

var (
	paint = []string{"apply", "FILE", "--engine", "paint"}
	plan  = []string{"plan", "FILE", "--engine", "paint"}
)

var faults = []fault{
	{input: "1-pillow-six-masks.hcl", args: paint, expected: "text chunks under 1 MiB; show reads it; a second apply knows it",
		check: ownPicture("out/six.png")},
	{input: "2-inpaint-hole.hcl", args: paint, expected: "the painted box is opaque, the rest stays transparent",
		check: pixels("out/hole.png", func(at func(x, y float64) color.NRGBA) string {
			if in, out := at(0.8, 0.8), at(0.1, 0.1); in.A != 255 || out.A != 0 {
				return fmt.Sprintf("alpha %d inside, %d outside", in.A, out.A)
			}
			return ""
		})},
	{input: "3-exif.hcl", args: paint, expected: "turned as viewers show it: blue, red, yellow", check: pixels("out/exif.png", turned)},
	{input: "3b-exif-shape.hcl", args: paint, expected: "128×192, turned", check: pixels("out/exifw.png", turned)},
	{input: "4-icc.hcl", args: paint, expected: "converted to sRGB, or the profile kept", check: profiled("out/icc.png")},
	{input: "5-which-row.hcl", args: []string{"validate", "FILE"}, expected: "both bad rows by their keys", check: says(1, `r37`, `r41`)},
	{input: "5b-which-row.hcl", args: plan, expected: "both bad rows by their keys", check: says(-1, `r37`, `r41`)},
	{input: "6-enter-leave.hcl", args: paint, expected: "a box may begin and end off the canvas", check: says(0, `out/r\.gif`)},
	{input: "7-one-frame.hcl", args: paint, expected: "one frame is accepted", check: says(0)},
	{input: "7b-cascade.hcl", args: []string{"validate", "FILE"}, expected: "one error, about the duration", check: errors(1, `duration`)},
	{input: "7c-key-at-end.hcl", args: paint, expected: "a key at the very end is accepted", check: says(0)},
	{input: "7d-ease-name.hcl", args: paint, expected: "easeInOutCubic is accepted", check: says(0)},
	{input: "8-sixty-overlaps.hcl", args: plan, expected: "at most 10 warnings, and a count", check: func(r result) string {
		if n := strings.Count(r.stderr, "Warning:"); r.code != 0 || n > 10 || n == 0 {
			return fmt.Sprintf("%d warnings, exit code %d", n, r.code)
		}
		return says(0, `more`)(r)
	}},
	{input: "9-keys-collide.hcl", args: plan, expected: "the two keys that collide, not the third", check: func(r result) string {
		if strings.Contains(r.stderr, `"a:b"`) {
			return "the third key is blamed"
		}
		return says(1, `dog & cat`, `dog \+ cat`)(r)
	}},
	{input: "10-cjk-a.hcl", args: []string{"plan", "FILE"}, expected: "a warning with the signs", check: says(0, `no piece for .*青蛙`)},
	{input: "10-cjk-b.hcl", args: []string{"plan", "FILE"}, expected: "a warning with the signs", check: says(0, `no piece for .*房子`)},
	{input: "11-px-default-size.hcl", args: plan, expected: "a warning: the box leaves the default canvas", check: says(0, `Warning: `)},
	{input: "11b-px-fractions.hcl", args: plan, expected: "a hint to leave out px()", check: says(-1, `px\(`)},
	{input: "13-animated-webp.hcl", args: plan, expected: "animated, not damaged", check: says(1, `animat`)},
	{input: "14-nfd.hcl", args: plan, expected: "the file is found, however its name is composed", check: says(0)},
	{input: "crash2.hcl", args: []string{"validate", "FILE"}, expected: "a diagnostic, no crash", check: func(r result) string {
		if strings.Contains(r.said(), "goroutine ") {
			return "a stack"
		}
		return says(1, `crash2\.hcl:\d+`)(r)
	}},
	{input: "ga.hcl", args: []string{"validate", "FILE"}, env: []string{"GITHUB_ACTIONS=true"},
		expected: "no line of the message is a workflow command", check: func(r result) string {
			if m := regexp.MustCompile(`(?m)^::(stop-commands|error file=README).*`).FindString(r.said()); m != "" {
				return "the line " + m
			}
			return says(1, `bad`)(r)
		}},
}

func main() {
	eligen := flag.String("eligen", "eligen", "the program")
	flag.Parse()
	from := flag.Arg(0)
	if _, err := os.Stat(filepath.Join(from, "scenes")); err != nil {
		fmt.Printf("no inputs at %s\n", from)
		return
	}
	program, err := filepath.Abs(*eligen)
	if err != nil {
		fatal(err)
	}
	work, err := os.MkdirTemp("", "faults-")
	if err != nil {
		fatal(err)
	}
	defer os.RemoveAll(work)
	for _, folder := range []string{"scenes", "attack"} {
		if err := copyInto(work, filepath.Join(from, folder)); err != nil {
			fatal(err)
		}
	}
	failed := 0
	t := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	row := func(input, expected string, r result, wrong string) {
		got := "ok     " + r.got()
		if wrong != "" {
			failed++
			got = "WRONG  " + wrong
		}
		fmt.Fprintf(t, "%s\t%s\t%s\n", input, expected, got)
	}
	fmt.Fprintln(t, "input\texpected\tgot: exit code, seconds, peak, first line")
	for _, f := range faults {
		r := run(program, work, f.input, f.env, f.args)
		row(f.input, f.expected, r, f.check(r))
	}
	for _, expression := range bombs {
		name := "bomb.hcl"
		scene := fmt.Sprintf("locals {\n  %s\n}\nrender \"r\" {\n  prompt = \"${length(jsonencode(local.x))}\"\n}\n", expression)
		if err := os.WriteFile(filepath.Join(work, name), []byte(scene), 0o666); err != nil {
			fatal(err)
		}
		title := expression
		if r := []rune(title); len(r) > 60 {
			title = string(r[:60]) + "…"
		}
		r := run("/bin/sh", work, name, nil, []string{"-c", "ulimit -v 8000000 2>/dev/null; exec " + program + " validate " + name})
		row(strings.ReplaceAll(title, "\n", " "), "an end within 10 s, in 1 GiB", r, refused(r))
	}
	answers := 0
	if stop := serve(work); stop != nil {
		for _, m := range meant {
			r := run(program, work, "", nil, []string{"new", "--endpoint", "http://127.0.0.1:18765/v1", "--model", m, "a cat"})
			why := says(0)(r)
			if why == "" && !strings.Contains(r.stdout, "entity \"") {
				why = "no entity"
			}
			r.stdout, _, _ = strings.Cut(strings.ReplaceAll(r.stdout, "\n", " "), "{")
			row("12-mock.py, "+m, "what is meant is taken", r, why)
			answers++
		}
		stop()
	}
	if err := t.Flush(); err != nil {
		fatal(err)
	}
	fmt.Printf("%d faults, %d wrong\n", len(faults)+len(bombs)+answers, failed)
	if failed > 0 {
		os.Exit(1)
	}
}

func fatal(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// copyInto copies a folder's files; what is run over them writes beside them.
func copyInto(to, from string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, d.Name()), data, 0o666)
	})
}

// run runs the program for half a minute at most.
func run(program, dir, input string, env, args []string) result {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var words []string
	for _, a := range args {
		if a == "FILE" {
			a = input
		}
		words = append(words, a)
	}
	c := exec.CommandContext(ctx, program, words...)
	c.Dir = dir
	c.Env = append(append(os.Environ(), "ELIGEN_CACHE_DIR="+filepath.Join(dir, "cache"), "NO_COLOR=1", "GITHUB_ACTIONS="), env...)
	var out, problems bytes.Buffer
	c.Stdout, c.Stderr = &out, &problems
	began := time.Now()
	err := c.Run()
	r := result{dir: dir, stdout: out.String(), stderr: problems.String(), took: time.Since(began)}
	if c.ProcessState != nil {
		r.code = c.ProcessState.ExitCode()
		if usage, ok := c.ProcessState.SysUsage().(*syscall.Rusage); ok {
			r.peak = usage.Maxrss >> 10
		}
	} else if err != nil {
		r.code, r.stderr = -1, err.Error()
	}
	return r
}

// says wants an exit code (-1: any) and some patterns in what was said.
func says(code int, patterns ...string) func(result) string {
	return func(r result) string {
		if code >= 0 && r.code != code {
			return fmt.Sprintf("exit code %d: %s", r.code, firstLine(r.stderr))
		}
		for _, p := range patterns {
			if !regexp.MustCompile(p).MatchString(r.said()) {
				return fmt.Sprintf("nothing like %s: %s", p, firstLine(r.stderr))
			}
		}
		return ""
	}
}

// errors wants so many errors, each with a pattern.
func errors(n int, pattern string) func(result) string {
	return func(r result) string {
		if got := strings.Count(r.stderr, "Error: "); got != n {
			return fmt.Sprintf("%d errors: %s", got, firstLine(r.stderr))
		}
		return says(1, pattern)(r)
	}
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line
}

// pixels wants a picture whose pixels, asked for at fractions of it, are right.
func pixels(file string, right func(at func(x, y float64) color.NRGBA) string) func(result) string {
	return func(r result) string {
		if why := says(0)(r); why != "" {
			return why
		}
		img, err := open(filepath.Join(r.dir, file))
		if err != nil {
			return err.Error()
		}
		b := img.Bounds()
		return right(func(x, y float64) color.NRGBA {
			return color.NRGBAModel.Convert(img.At(b.Min.X+int(x*float64(b.Dx())), b.Min.Y+int(y*float64(b.Dy())))).(color.NRGBA)
		})
	}
}

func open(file string) (image.Image, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return png.Decode(f)
}

// turned: red is at the upper left of the file and belongs at the upper right.
func turned(at func(x, y float64) color.NRGBA) string {
	near := func(c color.NRGBA, r, g, b int) bool {
		d := func(x uint8, y int) bool { return int(x)-y < 25 && y-int(x) < 25 }
		return d(c.R, r) && d(c.G, g) && d(c.B, b)
	}
	if a, b, c := at(0.1, 0.1), at(0.9, 0.1), at(0.1, 0.9); !near(a, 30, 30, 220) || !near(b, 220, 30, 30) || !near(c, 240, 220, 40) {
		return fmt.Sprintf("%v, %v, %v", a, b, c)
	}
	return ""
}

// profiled: a picture in Display P3 is converted, or keeps its profile.
func profiled(file string) func(result) string {
	return func(r result) string {
		data, err := os.ReadFile(filepath.Join(r.dir, file))
		if err != nil {
			return firstLine(r.stderr)
		}
		return pixels(file, func(at func(x, y float64) color.NRGBA) string {
			kept := bytes.Contains(data, []byte("iCCP"))
			if c := at(0.1, 0.1); !kept && (c.R < 230 || c.G > 30) || kept && c.R != 220 {
				return fmt.Sprintf("%v, profile %v", c, kept)
			}
			return ""
		})(r)
	}
}

// ownPicture wants a PNG that strict readers open and eligen knows as its own.
func ownPicture(file string) func(result) string {
	return func(r result) string {
		if why := says(0)(r); why != "" {
			return why
		}
		data, err := os.ReadFile(filepath.Join(r.dir, file))
		if err != nil {
			return err.Error()
		}
		for at := 8; at+8 <= len(data); {
			n, kind := int(binary.BigEndian.Uint32(data[at:])), string(data[at+4:at+8])
			if kind != "IDAT" && n > 1<<20 {
				return fmt.Sprintf("a chunk %s of %d bytes", kind, n)
			}
			at += 12 + n
		}
		if again := run(program(), r.dir, file, nil, []string{"show", "FILE"}); again.code != 0 {
			return "show: " + firstLine(again.stderr)
		}
		if again := run(program(), r.dir, "1-pillow-six-masks.hcl", nil, paint); again.code != 0 {
			return "again: " + firstLine(again.stderr)
		}
		return ""
	}
}

func program() string {
	p, err := filepath.Abs(flag.Lookup("eligen").Value.String())
	if err != nil {
		fatal(err)
	}
	return p
}

// serve starts the language model's stand-in, where Python can run it.
func serve(dir string) func() {
	c := exec.Command("python3", "12-mock.py")
	c.Dir = dir
	if err := c.Start(); err != nil {
		fmt.Println("12-mock.py is left out:", err)
		return nil
	}
	for range 50 {
		if conn, err := net.Dial("tcp", "127.0.0.1:18765"); err == nil {
			_ = conn.Close()
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	return func() {
		_ = c.Process.Kill()
		_ = c.Wait()
	}
}

// meant are the stand-in's answers that say what to draw, in one way or another.
var meant = strings.Fields(`good fence fenceupper fenceplain fencetilde intro outro introraw outroraw think thinkfence thinknoopen thinking
	thought reasonclosed thinkempty bomc array string trailingcomma single comments strnums dup dupcase upper hyphen uniname emptyname quotes
	extra edge keycase dupkey noschema noformat ollama500 grammar sse once reasoning parts tool`)

// bombs are expressions that cost much more than they are long.
var bombs = []string{
	`a = join("", [for i in range(1000): "` + strings.Repeat("a", 100) + `"])` + "\n  " + `x = replace(local.a, "a", local.a)`,
	`x = setproduct(range(1000), range(1000), range(1000))`,
	`x = [for a in range(1000): [for b in range(1000): [for c in range(1000): a]]]`,
	`x = "%{ for a in range(1000) }%{ for b in range(1000) }%{ for c in range(1000) }x%{ endfor }%{ endfor }%{ endfor }"`,
	`x = [for a in range(100): length([for b in range(100): length([for c in range(100): length([for d in range(100): length([for e in ` +
		`range(100): length([for f in range(100): 1])])])])])]`,
	`b = flatten([for i in range(300): range(300)])` + "\n  " + `x = distinct(local.b)`,
	`b = flatten([for i in range(300): range(300)])` + "\n  " + `x = chunklist(local.b, 1)`,
	`b = flatten([for i in range(300): [for j in range(300): "k${i}-${j}"]])` + "\n  " + `x = setsubtract(local.b, local.b)`,
	`b = flatten([for i in range(300): [for j in range(300): "k${i}-${j}"]])` + "\n  " + `x = sort(local.b)`,
	`x = tostring(tonumber("1e99999999"))`,
	`x = setproduct(range(1000), range(1000), range(1000), range(1000), range(1000), range(1000), range(1000), range(1000), range(1000), ` +
		`range(1000))`,
	`x = 1/0 % 1`,
}

// refused wants an end within seconds: a diagnostic, or a result if it was cheap.
func refused(r result) string {
	switch {
	case r.took > 10*time.Second:
		return fmt.Sprintf("%.1f s", r.took.Seconds())
	case r.peak > 1<<10:
		return fmt.Sprintf("%d MiB", r.peak)
	case strings.Contains(r.said(), "goroutine "):
		return "a stack"
	case r.code != 0 && r.code != 1:
		return fmt.Sprintf("exit code %d: %s", r.code, firstLine(r.stderr))
	}
	return ""
}
