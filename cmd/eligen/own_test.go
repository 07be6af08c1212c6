package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/dataset"
	"github.com/eligen/eligen/internal/pixels"
)

// strangers writes a folder of pictures as people have them, with captions. It returns a model's list of what is in
// each.
func strangers(t *testing.T, n int) (photos string, tell func(*image.NRGBA) string) {
	t.Helper()
	built, photos := filepath.Join(t.TempDir(), "built"), t.TempDir()
	args := []string{"dataset", "build", built, "--count", fmt.Sprint(n), "--objects", "3", "--styles", "ink=1"}
	if got := run(args); got != exitOK {
		t.Fatalf("exit code %d", got)
	}
	folder, err := dataset.Read(built, eligen.Size{})
	if err != nil {
		t.Fatal(err)
	}
	lists := map[eligen.Digest]string{}
	for i := range folder.Len() {
		s, err := folder.Sample(i)
		if err != nil {
			t.Fatal(err)
		}
		type item struct {
			Label string     `json:"label"`
			Box   [4]float64 `json:"bbox_2d"`
		}
		var list []item
		for _, e := range s.Entities {
			x0, y0, x1, y1, _ := e.Region.Bounds(eligen.Size{W: 1000, H: 1000})
			list = append(list, item{e.Prompt, [4]float64{float64(x0), float64(y0), float64(x1), float64(y1)}})
		}
		text, err := json.Marshal(list)
		name := fmt.Sprintf("%04d", i)
		from := filepath.Join(built, "images", fmt.Sprintf("%06d.png", i))
		data, err2 := os.ReadFile(from)
		if err := errors.Join(err, err2, os.WriteFile(filepath.Join(photos, name+".png"), data, 0o600),
			os.WriteFile(filepath.Join(photos, name+".txt"), []byte(s.Prompt+"\n"), 0o600)); err != nil {
			t.Fatal(err)
		}
		img, err := pixels.Decode(data)
		if err != nil {
			t.Fatal(err)
		}
		lists[eligen.DigestOf(img.Pix)] = string(text)
	}
	return photos, func(img *image.NRGBA) string { return lists[eligen.DigestOf(img.Pix)] }
}

// TestOwn goes the way from a folder of pictures to a LoRA, by the commands of docs/training.md: annotate, train, evaluate
// nano before and after, draw. The pictures are in ink, which nano was taught as a picture's style, and never as a
// prompt's. It takes half an hour, and the sprites of all styles (dataset fetch --styles).
func TestOwn(t *testing.T) {
	if os.Getenv("ELIGEN_OWN") == "" {
		t.Skip("ELIGEN_OWN is not set: no LoRA is trained from pictures that a model annotated")
	}
	photos, tell := strangers(t, 96)
	l, data := newLooker(t, "xyxy/1000"), filepath.Join(t.TempDir(), "data")
	l.tell = tell
	if got := run([]string{"dataset", "annotate", photos, "--endpoint", l.URL + "/v1", "--model", "m", "--out", data}); got != exitOK {
		t.Fatalf("annotate: exit code %d", got)
	}
	out, recipe := filepath.Join(t.TempDir(), "own"), "../../recipes/own.hcl"
	if got := run([]string{"train", recipe, "--var", "pictures=" + data, "--out", out}); got != exitOK {
		t.Fatalf("train: exit code %d", got)
	}
	for _, model := range []string{"", filepath.Join(out, "model")} {
		args := []string{"eval", "--layouts", "24", "--swaps", "0", "--pairs", "0", "--clips", "0", "--inpaints", "0", "--transfers", "0",
			"--styles", "24", "--sheet", filepath.Join(filepath.Dir(out), "sheet-"+filepath.Base(model)+".png")}
		if model != "" {
			args = append(args, "--model", model)
		}
		if got := run(args); got != exitOK {
			t.Fatalf("eval: exit code %d", got)
		}
	}
	var made []string
	if err := filepath.WalkDir(out, func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".safetensors") && strings.Contains(d.Name(), "own") {
			made = append(made, path)
		}
		return err
	}); err != nil || len(made) == 0 {
		t.Fatalf("no LoRA was written: %v", err)
	}
	pictures := t.TempDir()
	scene := "../../scenes/trained.hcl"
	if got := run([]string{"apply", scene, "--var", "lora=" + made[0], "--out", pictures}); got != exitOK {
		t.Fatalf("apply: exit code %d", got)
	}
	was, err := os.ReadFile(filepath.Join(pictures, "out", "untrained.png"))
	is, err2 := os.ReadFile(filepath.Join(pictures, "out", "trained.png"))
	if err := errors.Join(err, err2); err != nil || string(was) == string(is) {
		t.Errorf("the LoRA changes nothing: %v", err)
	}
}
