package suites

import (
	"encoding/json"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What testdata/reference.py computed of the same detections, by the arithmetic of the benchmarks' own scripts.
func expected(t *testing.T, suite string) map[string]float64 {
	t.Helper()
	var all map[string]json.RawMessage
	var out map[string]float64
	if err := json.Unmarshal(data(t, "expected.json"), &all); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(all[suite], &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func data(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func detections(t *testing.T, suite string, name func(file, id string) string) map[string]Found {
	t.Helper()
	found, err := Detections(data(t, suite+"-detections.json"), data(t, suite+"-images.json"), name)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func compare(t *testing.T, got []Figure, err error, want map[string]float64) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(want) {
		t.Errorf("%d figures, want %d", len(got), len(want))
	}
	for _, f := range got {
		if w, ok := want[f.Name]; !ok || math.Abs(f.Value-w) > 1e-6 {
			t.Errorf("%s is %v, want %v", f.Name, f.Value, w)
		}
	}
}

func TestCOCOMIG(t *testing.T) {
	items, err := MIGItems(data(t, "mig-items.json"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := MIG{Picture: func(id string) (image.Image, error) {
		f, err := os.Open(filepath.Join("testdata", "mig-"+id+".png"))
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return png.Decode(f)
	}}.Rate(items, detections(t, "mig", MIGName))
	compare(t, got, err, expected(t, "cocomig"))
}

func TestGenEval(t *testing.T) {
	lines, err := WantedLines(data(t, "geneval.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	found := detections(t, "geneval", GenEvalName)
	var pictures []Picture
	for _, id := range sortedKeys(found) {
		n, err := PromptOf(id)
		if err != nil {
			t.Fatal(err)
		}
		pictures = append(pictures, Picture{id, lines[n]})
	}
	got, err := GenEval(pictures, found)
	compare(t, got, err, expected(t, "geneval"))
	for id, f := range found { // without a classifier there are no figures
		for i := range f.Detections {
			f.Detections[i].Color = ""
		}
		found[id] = f
	}
	if _, err := GenEval(pictures, found); err == nil || !strings.Contains(err.Error(), "has no color") {
		t.Errorf("scored without colours: %v", err)
	}
}

func TestT2ICompBench(t *testing.T) {
	got, err := Spatial(PromptLines(data(t, "spatial.txt")), detections(t, "spatial", T2IName))
	compare(t, got, err, expected(t, "spatial"))
	nouns, err := ReadNouns(data(t, "objects.txt"))
	if err != nil {
		t.Fatal(err)
	}
	got, err = Numeracy(PromptLines(data(t, "numeracy.txt")), nouns, detections(t, "numeracy", T2IName))
	compare(t, got, err, expected(t, "numeracy"))
}

func TestOverLayBench(t *testing.T) {
	items, err := OverlaidItems(data(t, "overlay-items.json"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := OverLay(items, 512, detections(t, "overlay", StemName))
	compare(t, got, err, expected(t, "overlay"))
}

// TestOpenCV: every colour has OpenCV's hue, saturation and value, and resized pictures have its bytes.
func TestOpenCV(t *testing.T) {
	var all struct {
		OpenCV struct {
			HSV   uint64
			Sizes map[string]uint64
		}
	}
	if err := json.Unmarshal(data(t, "expected.json"), &all); err != nil {
		t.Fatal(err)
	}
	sum := uint64(0)
	for i := range 1 << 24 {
		p := hsvOf(uint8(i>>16), uint8(i>>8), uint8(i))
		sum += (uint64(p[0])<<16 + uint64(p[1])<<8 + uint64(p[2])) * uint64(i&0xffff%251+1)
	}
	if sum != all.OpenCV.HSV {
		t.Errorf("colours: %d, want %d", sum, all.OpenCV.HSV)
	}
	for _, c := range []struct {
		name string
		w, h int
	}{{"1024x1024", 1024, 1024}, {"700x500", 700, 500}, {"300x411", 300, 411}, {"768x1344", 768, 1344}} {
		img := image.NewNRGBA(image.Rect(0, 0, c.w, c.h))
		for y := range c.h {
			for x := range c.w { // OpenCV's blue is first
				img.SetNRGBA(x, y, color.NRGBA{R: uint8(x * y), G: uint8(x*x + y), B: uint8(x*7 + y*3), A: 255})
			}
		}
		small, sum := smallBGR(img).pix, uint64(0)
		for i := range small {
			sum += uint64(small[i/3*3+2-i%3]) * uint64(i%251+1)
		}
		if sum != all.OpenCV.Sizes[c.name] {
			t.Errorf("%s: %d, want %d", c.name, sum, all.OpenCV.Sizes[c.name])
		}
	}
}

// TestDetections: what is no list of detections is an error that says what is wrong.
func TestDetections(t *testing.T) {
	const images = `{"images": [{"id": 1, "width": 4, "height": 2, "file_name": "a_1.png"}], "categories": [{"id": 3, "name": "cat"}]}`
	for _, c := range []struct{ results, images, want string }{
		{`{}`, images, "no list in COCO's results form"},
		{`[] []`, images, "something follows"},
		{`[{"image_id": 2, "category_id": 3, "bbox": [0,0,1,1], "score": 1}]`, images, "its image 2 is not among the images"},
		{`[{"image_id": 1, "category_id": 9, "bbox": [0,0,1,1], "score": 1}]`, images, "its category 9 has no name"},
		{`[{"image_id": 1, "category_id": 3, "bbox": [0,0,1,1], "score": 1}]`, "", "its category 3 has no name"},
		{`[{"image_id": 1, "category_id": 3, "bbox": [0,0,1], "score": 1}]`, images, "is not left, top, width and height"},
		{`[{"image_id": 1, "category_id": 3, "bbox": [0,0,-1,1], "score": 1}]`, images, "is not left, top, width and height"},
		{`[{"image_id": 1, "category_id": 3, "bbox": [0,0,1,1]}]`, images, "no score from 0 to 1"},
		{`[{"image_id": 1, "category_id": 3, "bbox": [0,0,1,1], "score": 7}]`, images, "no score from 0 to 1"},
		{`[{"image_id": 1, "category_id": 3, "bbox": [0,0,1,1], "score": 1, "segmentation": {"size": [2, 4], "counts": [9]}}]`, images,
			"runs don't fit"},
		{`[{"image_id": 1, "category_id": 3, "bbox": [0,0,1,1], "score": 1, "segmentation": {"size": [99999, 99999], "counts": [9]}}]`, images,
			"mask has a size"},
		{`[]`, `{"images": [{"id": 1, "width": 0, "height": 2}]}`, "has a size of 0×2"},
	} {
		var listed []byte
		if c.images != "" {
			listed = []byte(c.images)
		}
		if _, err := Detections([]byte(c.results), listed, MIGName); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.results, err, c.want)
		}
	}
	found, err := Detections([]byte(`[{"image_id": 1, "category_id": 3, "bbox": [1, 0, 2, 2], "score": 0.5, "segmentation":
		{"size": [2, 4], "counts": [2, 4, 2]}}]`), []byte(images), MIGName)
	if err != nil {
		t.Fatal(err)
	}
	d := found["1"].Detections[0]
	if d.Label != "cat" || d.Box != (Box{1, 0, 3, 2}) || string(d.Mask.Pix) != "\x00\xff\xff\x00\x00\xff\xff\x00" {
		t.Errorf("read as %v", d)
	}
}

// FuzzDetections: whatever files hold, they are read or refused.
func FuzzDetections(f *testing.F) {
	f.Add([]byte(`[{"image_id": 1, "category": "cat", "bbox": [1, 0, 2, 2], "score": 0.5,
		"segmentation": {"size": [2, 4], "counts": "242"}}]`),
		[]byte(`{"images": []}`))
	f.Fuzz(func(_ *testing.T, results, listed []byte) {
		if found, err := Detections(results, listed, GenEvalName); err == nil {
			_, _ = Spatial([]Item{{ID: "1", Prompt: "a cat near a dog"}}, found)
		}
	})
}
