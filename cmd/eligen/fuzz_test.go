package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/dsl"
)

// Whatever a scene says, the commands that look at it end with an answer: none panics,
// and none finds a bug in itself.
func FuzzCommands(f *testing.F) {
	for _, glob := range []string{"../../scenes/*.hcl", "../../dsl/testdata/*.hcl"} {
		files, err := filepath.Glob(glob)
		if err != nil || len(files) == 0 {
			f.Fatal(glob, err)
		}
		for _, file := range files {
			src, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(string(src), false)
		}
	}
	for _, src := range mistaken {
		f.Add(src, false)
	}
	f.Add(`{"render": {"a": {"prompt": "x ${1 + 1}", "timeline": "${timeline.t}"}}, "timeline": {"t": {"frames": 2, "track": {"target": `+
		`"${sampler.cfg}", "keys": [{"at": 0, "value": 2}]}}}}`, true)
	dir := f.TempDir()
	f.Setenv("ELIGEN_CACHE_DIR", filepath.Join(dir, ".cache"))
	f.Fuzz(func(t *testing.T, src string, json bool) {
		if len(src) > 1<<14 {
			return
		}
		path := filepath.Join(dir, "scene.hcl")
		if json {
			path = filepath.Join(dir, "scene.json")
		}
		if err := os.WriteFile(path, []byte(src), 0o644); err != nil {
			t.Fatal(err)
		}
		scene, _ := dsl.Load(t.Context(), path, dsl.Vars{MaxFrames: 20})
		commands := [][]string{{"validate", "--max-frames", "20", path}}
		if scene == nil || pixelsToLookAt(scene) < 1<<24 { // a large one may be good, and takes long
			commands = append(commands, []string{"plan", "--engine", "paint", "--max-frames", "20", path},
				[]string{"keys", "--format", "csv", "--max-frames", "20", path}, []string{"keys", "--max-frames", "20", path})
		}
		for _, args := range commands {
			said, err := inProcess(t.Context(), args...)
			var ds eligen.Diagnostics
			if errors.As(err, &ds) {
				said += ds.Error()
			}
			if strings.Contains(said+fmt.Sprint(err), "bug in eligen") {
				t.Fatalf("%v: %s %v", args, said, err)
			}
			if scene == nil && err == nil {
				t.Fatalf("%v: the scene has mistakes, and the command took it", args)
			}
		}
	})
}

// Scenes with plain mistakes, each of which ended a command with a stack once, or might.
var mistaken = []string{
	"entity \"cat\" {\n  prompt = \"a cat\"\n  box = xywh(0, 0, 1, 1)\n}\n\ntimeline \"walk\" {\n  frames = 4\n  track {\n    target = " +
		"entity.cat.box\n    keys\n  }\n}\n\nrender \"x\" {\n  prompt = \"x\"\n  timeline = timeline.walk\n}\n",
	"entity \"cat\" {\n  prompt = \"a cat\"\n  box = xywh(0, 0, 1, 1)\n}\n\ntimeline \"walk\" {\n  frames = 4\n  track {\n    target = " +
		"entity.cat.center\n    key = []\n    keys = [null, { at = null, value = null }]\n  }\n}\n\nrender \"x\" {\n  prompt = \"x\"\n  " +
		"timeline = timeline.walk\n}\n",
	"locals {\n  a = 1 / 0 % 1\n  b = setproduct([], null)\n}\nrender \"x\" {\n  prompt = \"${local.a}\"\n}\n",
	"render \"x\" {\n  prompt = \"x\"\n  size = null\n  timeline = null\n  entities = null\n  adapters = [null]\n  dynamic \"output\" {\n " +
		"   for_each = { a = null }\n    content {\n      path = output.value\n    }\n  }\n}\n",
}

// pixelsToLookAt estimates how many pixels of regions a plan looks at.
func pixelsToLookAt(s *eligen.Scene) int {
	n := 0
	for _, r := range s.Renders {
		size, frames := r.Size.W*r.Size.H, 1
		if size == 0 {
			size = 1 << 20
		}
		if r.Clip != nil {
			frames = r.Clip.Timeline.Frames
		}
		n += size * frames * (1 + len(r.Entities))
	}
	return n
}

// inProcess runs a command without a process of its own, and gives what it said of
// itself.
func inProcess(ctx context.Context, args ...string) (string, error) {
	var said bytes.Buffer
	root := newRoot()
	root.SilenceErrors, root.SilenceUsage = true, true
	root.SetArgs(args)
	root.SetOut(io.Discard)
	root.SetErr(&said)
	err := root.ExecuteContext(ctx)
	return said.String(), err
}

// Null leaves an argument out: a scene is as good with one that is null as without it,
// whichever it is, and no command fails on it in another way.
func TestNullIsAbsent(t *testing.T) {
	t.Setenv("ELIGEN_CACHE_DIR", t.TempDir())
	argument := regexp.MustCompile(`(?m)^ +([a-z_]+) *= .*$`)
	tried := 0
	for _, scene := range []string{"bounce", "growth", "dressed"} {
		src, err := os.ReadFile("../../scenes/" + scene + ".hcl")
		if err != nil {
			t.Fatal(err)
		}
		text := string(src)
		for _, at := range argument.FindAllStringSubmatchIndex(text, -1) {
			name := text[at[2]:at[3]]
			if line := text[at[0]:at[1]]; strings.HasSuffix(line, "[") || strings.HasSuffix(line, "{") || strings.HasSuffix(line, "(") ||
				name == "default" || name == "type" {
				continue // of several lines; or a value that may be null
			}
			tried++
			look := func(line string) string {
				changed := text[:at[0]] + line + text[at[1]:]
				path := filepath.Join(t.TempDir(), "scene.hcl")
				if err := os.WriteFile(path, []byte(changed), 0o644); err != nil {
					t.Fatal(err)
				}
				out := ""
				for _, args := range [][]string{{"validate", path}, {"plan", "--engine", "paint", path}, {"keys", path}} {
					_, err := inProcess(t.Context(), args...)
					out += fmt.Sprintf("%s %v\n", args[0], err != nil)
				}
				return out
			}
			if without, null := look(""), look("  "+name+" = null"); without != null {
				t.Errorf("%s without %q:\n%swith null:\n%s", scene, text[at[0]:at[1]], without, null)
			}
		}
	}
	if tried < 20 {
		t.Errorf("%d arguments", tried)
	}
}
