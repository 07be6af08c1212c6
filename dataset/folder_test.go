package dataset

import (
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/annotated"
)

func written(t *testing.T, n int) (string, *Composer) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "set")
	c := composer(t, Options{Size: eligen.Size{W: 64, H: 64}})
	if err := Write(dir, c.Sample, n); err != nil {
		t.Fatal(err)
	}
	return dir, c
}

func TestWhatIsWrittenIsReadAgain(t *testing.T) {
	dir, c := written(t, 6)
	f, err := Read(dir, eligen.Size{})
	if err != nil {
		t.Fatal(err)
	}
	if f.Len() != 6 {
		t.Fatalf("%d items", f.Len())
	}
	var samples annotated.Samples = f.Sample
	for i := range 8 { // goes on from the start
		got, err := samples(i)
		if err != nil {
			t.Fatal(err)
		}
		if want := sample(t, c, i%6); digest(t, got) != digest(t, want) || got.Style != want.Style {
			t.Errorf("sample %d: %s", i, cmp.Diff(want.Prompt, got.Prompt))
		}
	}
	if err := Write(dir, c.Sample, 1); err == nil || !strings.Contains(err.Error(), "already holds a dataset") {
		t.Errorf("writing over a dataset: %v", err)
	}
}

// Without the keys that are ours, what the reference trainer knows remains.
func TestReferenceFormat(t *testing.T) {
	dir, c := written(t, 3)
	data, err := os.ReadFile(filepath.Join(dir, "metadata.json"))
	if err != nil {
		t.Fatal(err)
	}
	var items []map[string]any
	if err := json.Unmarshal(data, &items); err != nil {
		t.Fatal(err)
	}
	var lines []byte
	for _, it := range items {
		line, err := json.Marshal(map[string]any{
			"image": it["image"], "prompt": it["prompt"],
			"eligen_entity_prompts": it["eligen_entity_prompts"], "eligen_entity_masks": it["eligen_entity_masks"],
		})
		if err != nil {
			t.Fatal(err)
		}
		lines = append(append(lines, line...), '\n')
	}
	if err := os.Remove(filepath.Join(dir, "metadata.json")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "metadata.jsonl"), lines, 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := Read(dir, eligen.Size{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		want := sample(t, c, i)
		got, err := f.Sample(i)
		if err != nil {
			t.Fatal(err)
		}
		want.Name, want.Background, want.Style = fmt.Sprintf("item-%d", i), "", ""
		for k := range want.Entities {
			want.Entities[k].Class, want.Entities[k].Mask = "", nil
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
	}
	mask := open(t, filepath.Join(dir, "masks", "000000_0.png"))
	if _, ok := mask.(*image.RGBA); !ok {
		t.Errorf("a mask is stored as %T, not as RGB", mask)
	}
}

func open(t *testing.T, path string) image.Image {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	img, _, err := image.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// A region of any shape goes through a mask.
func TestRegionsThatAreNoBoxes(t *testing.T) {
	dir := t.TempDir()
	size := eligen.Size{W: 64, H: 32}
	disc := eligen.Region{Kind: "ellipse", Numbers: []float64{0.3, 0.5, 0.2, 0.4}}
	err := Write(dir, func(int) (annotated.Sample, error) {
		return annotated.Sample{
			Image: image.NewNRGBA(image.Rect(0, 0, 64, 32)), Prompt: "two things",
			Entities: []annotated.Entity{{Prompt: "a disc", Region: disc}, {Prompt: "a box", Region: eligen.Box(0.5, 0.25, 1, 1)}},
		}, nil
	}, 1)
	if err != nil {
		t.Fatal(err)
	}
	f, err := Read(dir, eligen.Size{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := f.Sample(0)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(disc.Mask(size), s.Entities[0].Region.Mask(size)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(eligen.Box(0.5, 0.25, 1, 1), s.Entities[1].Region); d != "" {
		t.Error(d)
	}
	if s.Entities[0].Mask != nil {
		t.Error("an outline from nowhere")
	}
}

// Items may be in lines of their own; an error has the line.
func TestLines(t *testing.T) {
	dir, _ := written(t, 1)
	if err := os.Remove(filepath.Join(dir, "metadata.json")); err != nil {
		t.Fatal(err)
	}
	lines := "\n{\"image\": \"images/000000.png\", \"prompt\": \"a\"}\n{\"image\": \"images/000000.png\",\n \"prompt\": \"b\", " +
		"\"seen_by\": 3}\n"
	for _, c := range []struct{ more, want string }{{"", ""}, {"{\"image\": \"none.png\", \"prompt\": \"c\"}\n",
		"metadata.jsonl:5: item 2: image: there is no file none.png"}, {"{\"image\":", "metadata.jsonl:5: item 2"}} {
		if err := os.WriteFile(filepath.Join(dir, "metadata.jsonl"), []byte(lines+c.more), 0o644); err != nil {
			t.Fatal(err)
		}
		f, err := Read(dir, eligen.Size{})
		switch {
		case c.want == "" && (err != nil || f.Len() != 2):
			t.Error(err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%v\ndoes not say %q", err, c.want)
		}
	}
}

// A picture of 96×64 read at 32×32 is scaled to 48×32, and eight columns go on
// either side.
func TestReadScalesToCoverAndCropsTheCentre(t *testing.T) {
	dir := t.TempDir()
	img := image.NewNRGBA(image.Rect(0, 0, 96, 64))
	for y := range 64 {
		for x := range 96 {
			img.SetNRGBA(x, y, color.NRGBA{uint8(2 * x), uint8(3 * y), 0, 255})
		}
	}
	if err := Write(dir, func(int) (annotated.Sample, error) {
		return annotated.Sample{Image: img, Entities: []annotated.Entity{
			{Prompt: "kept", Region: eligen.Box(0.5, 0, 0.75, 0.5)},
			{Prompt: "cut", Region: eligen.Box(0, 0, 0.5, 1)},
			{Prompt: "gone", Region: eligen.Box(0, 0, 0.125, 1)},
		}}, nil
	}, 1); err != nil {
		t.Fatal(err)
	}
	f, err := Read(dir, eligen.Size{W: 32, H: 32})
	if err != nil {
		t.Fatal(err)
	}
	s, err := f.Sample(0)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []image.Point{{4, 4}, {16, 16}, {27, 20}} {
		c := s.Image.NRGBAAt(p.X, p.Y)
		// The centre of pixel x came from 2(x+8)+1.
		if wantR, wantG := 2*(2*(p.X+8)+1)-1, 3*(2*p.Y+1)-1; abs(int(c.R)-wantR) > 2 || abs(int(c.G)-wantG) > 2 {
			t.Errorf("pixel %v is %v, want about (%d, %d)", p, c, wantR, wantG)
		}
	}
	want := map[string][]float64{"kept": {0.5, 0, 0.875, 0.5}, "cut": {0, 0, 0.5, 1}}
	got := map[string][]float64{}
	for _, e := range s.Entities {
		got[e.Prompt] = e.Region.Numbers
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	// Its own size is kept but for the rest of a division by 16.
	if f, err = Read(dir, eligen.Size{}); err != nil {
		t.Fatal(err)
	}
	if s, err = f.Sample(0); err != nil || s.Image.NRGBAAt(90, 60) != img.NRGBAAt(90, 60) {
		t.Errorf("at its own size: %v", err)
	}
}

func TestBadDatasetsNameFileAndItem(t *testing.T) {
	edit := func(change func(it map[string]any)) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			path := filepath.Join(dir, "metadata.json")
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			var items []map[string]any
			if err := json.Unmarshal(data, &items); err != nil {
				t.Fatal(err)
			}
			change(items[1])
			if data, err = json.Marshal(items); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	file := func(name string, data []byte) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			if err := os.WriteFile(filepath.Join(dir, filepath.FromSlash(name)), data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	remove := func(name string) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, filepath.FromSlash(name))); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, c := range map[string]struct {
		spoil func(t *testing.T, dir string)
		want  []string
	}{
		"no metadata": {remove("metadata.json"), []string{"is no dataset", "metadata.jsonl"}},
		"not JSON":    {file("metadata.json", []byte("[{]")), []string{"metadata.json"}},
		"an item cut off": {file("metadata.json", []byte("[\n{\"image\": \"images/000000.png\", \"prompt\": \"\"},\n{\"image\"")),
			[]string{"metadata.json:3: item 1", "in the middle"}},
		"a list cut off": {file("metadata.json", []byte("[\n{\"image\": \"images/000000.png\", \"prompt\": \"\"}\n")),
			[]string{"metadata.json:3", "has no end"}},
		"no list": {file("metadata.json", []byte(`{"image": "a"}`)), []string{"a list of items"}},
		"a number for a text": {file("metadata.json", []byte("[\n{\"image\": \"images/000000.png\", \"prompt\": \"\"},\n\n{\"image\": 7}]")),
			[]string{"metadata.json:4: item 1", "image is a number; it must be a text"}},
		"prompts that are one text": {edit(func(it map[string]any) { it["eligen_entity_prompts"] = "a dog" }),
			[]string{"item 1", "eligen_entity_prompts is a string; it must be a list"}},
		"a misspelt prompt": {edit(func(it map[string]any) { delete(it, "prompt"); it["promt"] = "a dog" }),
			[]string{"item 1", "there is no prompt"}},
		"misspelt entities": {edit(func(it map[string]any) {
			it["entity_masks"] = it["eligen_entity_masks"]
			delete(it, "eligen_entity_masks")
		}),
			[]string{"item 1", `no key "entity_masks"`, "eligen_entity_masks"}},
		"no items":        {file("metadata.json", []byte("[]")), []string{"lists no pictures"}},
		"missing mask":    {remove("masks/000001_0.png"), []string{"metadata.json", "item 1", "masks/000001_0.png"}},
		"missing picture": {remove("images/000001.png"), []string{"item 1", "images/000001.png"}},
		"broken picture":  {file("images/000001.png", []byte("no")), []string{"item 1", "images/000001.png"}},
		"mask of another size": {file("masks/000001_0.png", ellipse(0)),
			[]string{"item 1", "masks/000001_0.png has 112×112 pixels", "64×64"}},
		"one mask less": {edit(func(it map[string]any) { it["eligen_entity_masks"] = []string{} }), []string{"item 1", "0 entity masks"}},
		"one class more": {edit(func(it map[string]any) { it["entity_classes"] = make([]string, 9) }),
			[]string{"item 1", "9 entity_classes"}},
		"a path outside": {edit(func(it map[string]any) { it["image"] = "../../picture.png" }),
			[]string{"item 1", "leaves the dataset's folder"}},
		"an absolute path": {edit(func(it map[string]any) { it["image"] = "/picture.png" }),
			[]string{"item 1", "leaves the dataset's folder"}},
		"no box": {edit(func(it map[string]any) { it["entity_boxes"].([]any)[0] = []float64{0.5, 0, 0.5, 1} }),
			[]string{"item 1", "entity 0", "box"}},
		"another box than the mask's": {edit(func(it map[string]any) { it["entity_boxes"].([]any)[0] = []float64{0, 0, 1, 0.1} }),
			[]string{"item 1", "entity 0", "disagree", "masks/000001_0.png"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir, _ := written(t, 2)
			c.spoil(t, dir)
			f, err := Read(dir, eligen.Size{})
			if err == nil {
				_, err = f.Sample(1)
			}
			if err == nil {
				t.Fatal("no error")
			}
			for _, w := range append(c.want, dir) {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%v\ndoes not say %q", err, w)
				}
			}
		})
	}
}
