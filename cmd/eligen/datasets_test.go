package main

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/dataset"
)

// TestDatasetsForOthers: the libraries of other programs read what dataset export and import write, and see in it what
// is there: DiffSynth-Studio's trainer in EliGen's form and in ours, which has more keys, pycocotools in COCO's.
func TestDatasetsForOthers(t *testing.T) {
	dir := t.TempDir()
	scene := filepath.Join(dir, "pond.hcl")
	text := `variable "size" { default = [256, 192] }
render "pond" {
  prompt = "a duck and a sun over a pond"
  size   = var.size
}
render "night" {
  prompt   = "a duck at night"
  size     = var.size
  entities = [entity.duck]
}
entity "duck" {
  prompt = "a duck"
  box    = xyxy(0.125, 0.25, 0.5, 0.75)
}
entity "sun" {
  prompt = "a \"sun\""
  region = ellipse(0.75, 0.3, 0.2, 0.2)
}
`
	if err := os.WriteFile(scene, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(dir, "data")
	for _, args := range [][]string{{"apply", "--engine", "paint", scene}, {"dataset", "import", scene, "--out", data},
		{"dataset", "export", data, "--to", "eligen", "--out", filepath.Join(dir, "eligen")},
		{"dataset", "export", data, "--to", "coco", "--out", filepath.Join(dir, "coco")}} {
		if stderr, code := captured(t, args); code != exitOK {
			t.Fatal(args, stderr)
		}
	}
	type seen struct {
		Size     [2]int
		Prompt   string
		Entities []string
		Pixels   []int
		Keys     []string
	}
	var want []seen
	folder, err := dataset.Read(data, eligen.Size{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range folder.Len() {
		s, err := folder.Sample(i)
		if err != nil {
			t.Fatal(err)
		}
		one := seen{Size: [2]int{s.Image.Rect.Dx(), s.Image.Rect.Dy()}, Prompt: s.Prompt}
		for _, e := range s.Entities {
			n := 0
			for _, on := range e.Region.Mask(eligen.Size{W: one.Size[0], H: one.Size[1]}) {
				if on {
					n++
				}
			}
			one.Entities, one.Pixels = append(one.Entities, e.Prompt), append(one.Pixels, n)
		}
		want = append(want, one)
	}
	if len(want) != 2 || len(want[1].Entities)+len(want[0].Entities) != 3 {
		t.Fatalf("%v", want)
	}
	var got [][]seen
	read := reads(t, "coco", filepath.Join(dir, "coco"), "eligen", filepath.Join(dir, "eligen"), "eligen", data)
	if err := json.Unmarshal(read, &got); err != nil {
		t.Fatal(err)
	}
	for k, name := range []string{"COCO's form", "EliGen's form", "our folder"} {
		for i := range got[k] {
			if k == 1 && len(got[k][i].Keys) != 4 {
				t.Errorf("%s has the keys %v", name, got[k][i].Keys)
			}
			if got[k][i].Keys = nil; k == 0 { // it has no captions
				got[k][i].Prompt = want[i].Prompt
			}
		}
		if !reflect.DeepEqual(got[k], want) {
			t.Errorf("%s is read as %v, of %v", name, got[k], want)
		}
	}
}

// reads runs testdata/datasets.py, or skips where a library is missing.
func reads(t *testing.T, args ...string) []byte {
	t.Helper()
	interpreter := os.Getenv("ELIGEN_PYTHON")
	find := "import importlib.util as u, sys; sys.exit(not all(map(u.find_spec, sys.argv[1:])))"
	if interpreter == "" || exec.Command(interpreter, "-c", find, "pycocotools", "diffsynth", "torchvision", "pandas").Run() != nil {
		t.Skip("ELIGEN_PYTHON has not all of pycocotools, diffsynth, torchvision and pandas")
	}
	out, err := exec.Command(interpreter, append([]string{"testdata/datasets.py"}, args...)...).Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		t.Fatalf("%v\n%s", err, exit.Stderr)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}
