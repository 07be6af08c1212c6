package suites

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"io"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/eligen/eligen/internal/pixels"
)

// Limits of files that others write.
const (
	maxDetections = 4 << 20
	maxMasked     = 1 << 28 // pixels of masks
)

// A detected is a line of COCO's results form. Category and FileName stand in for numbers of another file.
type detected struct {
	Image    json.Number     `json:"image_id"`
	FileName string          `json:"file_name"`
	Category json.RawMessage `json:"category_id"`
	Name     string          `json:"category"`
	Box      []float64       `json:"bbox"`
	Score    *float64        `json:"score"`
	Color    string          `json:"color"`
	Segments *runLengths     `json:"segmentation"`
}

type runLengths struct {
	Size   []int           `json:"size"`
	Counts json.RawMessage `json:"counts"`
}

// UnmarshalJSON reads run lengths, and passes over polygons.
func (r *runLengths) UnmarshalJSON(data []byte) error {
	type plain runLengths
	if t := bytes.TrimSpace(data); len(t) > 0 && t[0] == '[' {
		return nil
	}
	return json.Unmarshal(data, (*plain)(r))
}

// images are COCO's images and categories.
type images struct {
	Images []struct {
		ID   json.Number `json:"id"`
		File string      `json:"file_name"`
		W    int         `json:"width"`
		H    int         `json:"height"`
	} `json:"images"`
	Categories []struct {
		ID   json.Number `json:"id"`
		Name string      `json:"name"`
	} `json:"categories"`
}

// whole decodes a file that is one JSON value.
func whole(data []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))))
	d.UseNumber()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the JSON value")
	}
	return nil
}

// Detections reads COCO's results form, and COCO's images and categories, which may be nil where
// detections name their category and picture. name turns a picture's file name and number into an item's
// ID. All pictures that are listed are in the result, those without a detection too.
func Detections(results, listed []byte, name func(file, id string) string) (map[string]Found, error) {
	var list []detected
	if err := whole(results, &list); err != nil {
		return nil, fmt.Errorf("the detections are no list in COCO's results form: %w", err)
	}
	if len(list) > maxDetections {
		return nil, fmt.Errorf("%d detections; %d are the most", len(list), maxDetections)
	}
	var known images
	if listed != nil {
		if err := whole(listed, &known); err != nil {
			return nil, fmt.Errorf("the images are not in COCO's form: %w", err)
		}
	}
	r := &gathered{found: map[string]Found{}, ids: map[string]string{}, names: map[string]string{}}
	for _, img := range known.Images {
		if img.W < 1 || img.H < 1 || img.W > 1<<15 || img.H > 1<<15 {
			return nil, fmt.Errorf("image %s has a size of %d×%d", img.ID, img.W, img.H)
		}
		id := name(img.File, img.ID.String())
		r.ids[img.ID.String()] = id
		r.found[id] = Found{W: img.W, H: img.H}
	}
	for _, c := range known.Categories {
		r.names[c.ID.String()] = c.Name
	}
	for i, d := range list {
		if err := r.add(d, name); err != nil {
			return nil, fmt.Errorf("detection %d: %w", i+1, err)
		}
	}
	return r.found, nil
}

// gathered gathers detections.
type gathered struct {
	found      map[string]Found
	ids, names map[string]string
	masked     int
}

func (r *gathered) add(d detected, name func(file, id string) string) error {
	id, ok := r.ids[d.Image.String()]
	if !ok {
		if len(r.ids) > 0 {
			return fmt.Errorf("its image %s is not among the images", d.Image)
		}
		id = name(d.FileName, d.Image.String())
	}
	label := d.Name
	if number := strings.Trim(string(d.Category), `"`); label == "" {
		if label = r.names[number]; label == "" {
			return fmt.Errorf("its category %s has no name: pass the file with COCO's images and categories, or name it in “category”", number)
		}
	}
	if len(d.Box) != 4 || !(d.Box[2] >= 0 && d.Box[3] >= 0) || slices.ContainsFunc(d.Box, func(v float64) bool {
		return math.Abs(v) > 1e6
	}) {
		return fmt.Errorf("its bbox %v is not left, top, width and height", d.Box)
	}
	if d.Score == nil || !(*d.Score >= 0 && *d.Score <= 1) {
		return errors.New("it has no score from 0 to 1")
	}
	out := Detection{Label: label, Box: Box{d.Box[0], d.Box[1], d.Box[0] + d.Box[2], d.Box[1] + d.Box[3]}, Score: *d.Score, Color: d.Color}
	if d.Segments != nil && d.Segments.Size != nil {
		var err error
		if out.Mask, err = r.mask(*d.Segments); err != nil {
			return err
		}
	}
	f := r.found[id]
	f.Detections = append(f.Detections, out)
	r.found[id] = f
	return nil
}

// mask draws run lengths, columns first.
func (r *gathered) mask(s runLengths) (*image.Alpha, error) {
	if len(s.Size) != 2 || min(s.Size[0], s.Size[1]) < 1 || s.Size[0] > pixels.MaxPixels/s.Size[1] {
		return nil, fmt.Errorf("its mask has a size of %v", s.Size)
	}
	h, w := s.Size[0], s.Size[1]
	if r.masked += w * h; r.masked > maxMasked {
		return nil, fmt.Errorf("the masks have more than %d pixels together", maxMasked)
	}
	var runs []int
	var text string
	err := json.Unmarshal(s.Counts, &runs)
	if err != nil && json.Unmarshal(s.Counts, &text) == nil {
		runs, err = pixels.Runs(text)
	}
	if err != nil {
		return nil, errors.New("its mask's counts are no run lengths")
	}
	m := image.NewAlpha(image.Rect(0, 0, w, h))
	at := 0
	for i, n := range runs {
		if n < 0 || n > w*h-at {
			return nil, errors.New("its mask's runs don't fit the size")
		}
		for k := at; k < at+n && i%2 == 1; k++ {
			m.Pix[k%h*m.Stride+k/h] = 255
		}
		at += n
	}
	if at != w*h {
		return nil, errors.New("its mask's runs don't fit the size")
	}
	return m, nil
}

// How suites name pictures.

// MIGName returns what follows the last underscore of a file's name, as COCO-MIG names pictures, or the number.
func MIGName(file, id string) string {
	if file == "" {
		return id
	}
	stem, _, _ := strings.Cut(file[strings.LastIndex(file, "_")+1:], ".")
	return stem
}

// GenEvalName returns PROMPT/PICTURE, of 00012/samples/0003.png; else the number.
func GenEvalName(file, id string) string {
	parts := strings.Split(file, "/")
	if n := len(parts); n >= 3 && parts[n-2] == "samples" {
		if _, err := strconv.Atoi(parts[n-3]); err == nil {
			return parts[n-3] + "/" + strings.TrimSuffix(parts[n-1], path.Ext(parts[n-1]))
		}
	}
	return id
}

// PromptOf returns the number of a picture's prompt, of a [GenEvalName].
func PromptOf(id string) (int, error) {
	prompt, _, _ := strings.Cut(id, "/")
	n, err := strconv.Atoi(prompt)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("the picture %q does not say which prompt it is of: name it 00000/samples/0000.png", id)
	}
	return n, nil
}

// T2IName returns the number behind the last underscore of PROMPT_000012.png; else the picture's number.
func T2IName(file, id string) string {
	if file == "" {
		return id
	}
	stem, _, _ := strings.Cut(file[strings.LastIndex(file, "_")+1:], ".")
	if n, err := strconv.Atoi(stem); err == nil {
		return strconv.Itoa(n)
	}
	return id
}

// StemName returns a file's name without folders and ending; without one the number.
func StemName(file, id string) string {
	if file == "" {
		return id
	}
	base := path.Base(file)
	return strings.TrimSuffix(base, path.Ext(base))
}

// MIGItems reads the form of MIG_Bench's sample_prompt_color_split.json.
func MIGItems(data []byte) ([]Item, error) {
	var raw map[string]struct {
		Caption string `json:"caption"`
		Segment []struct {
			Label string    `json:"label"`
			Box   []float64 `json:"bbox"`
		} `json:"segment"`
	}
	if err := whole(data, &raw); err != nil {
		return nil, err
	}
	var out []Item
	for _, id := range sortedKeys(raw) {
		it := Item{ID: id, Prompt: raw[id].Caption}
		for _, s := range raw[id].Segment {
			if len(s.Box) != 4 {
				return nil, fmt.Errorf("item %s: the box of %q is %v", id, s.Label, s.Box)
			}
			it.Entities = append(it.Entities, Entity{s.Label, Box(s.Box)})
		}
		if len(it.Entities) == 0 {
			return nil, fmt.Errorf("item %s has no segment", id)
		}
		out = append(out, it)
	}
	return out, nil
}

// WantedLines reads GenEval's evaluation_metadata.jsonl.
func WantedLines(data []byte) ([]Wanted, error) {
	var out []Wanted
	d := json.NewDecoder(bytes.NewReader(data))
	for {
		var w Wanted
		if err := d.Decode(&w); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("line %d: %w", len(out)+1, err)
		}
		if w.Tag == "" || len(w.Include) == 0 {
			return nil, fmt.Errorf("line %d has no tag, or includes nothing", len(out)+1)
		}
		out = append(out, w)
	}
	if len(out) == 0 {
		return nil, errors.New("there are no lines")
	}
	return out, nil
}

// PromptLines reads T2I-CompBench's prompts, one a line.
func PromptLines(data []byte) (out []Item) {
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(line); line != "" {
			out = append(out, Item{ID: strconv.Itoa(len(out)), Prompt: line})
		}
	}
	return out
}

// OverlaidItems reads OverLayBench's annotations, by the pictures' names.
func OverlaidItems(data []byte) ([]Overlaid, error) {
	var raw map[string]struct {
		Annotations json.RawMessage `json:"annotations"`
		Overlaps    []struct {
			Box []int `json:"overlap_box"`
		} `json:"valid_overlap"`
	}
	if err := whole(data, &raw); err != nil {
		return nil, err
	}
	var out []Overlaid
	for _, id := range sortedKeys(raw) {
		it := Overlaid{ID: id}
		if err := members(raw[id].Annotations, func(_ string, v json.RawMessage) error {
			var e struct {
				Category string    `json:"category"`
				Box      []float64 `json:"bbox"`
			}
			if err := json.Unmarshal(v, &e); err != nil || len(e.Box) != 4 {
				return fmt.Errorf("%s has no category and bbox", v)
			}
			b := Box{}
			for i, n := range e.Box {
				b[i] = math.Trunc(n)
			}
			it.Entities = append(it.Entities, Entity{e.Category, b})
			return nil
		}); err != nil {
			return nil, fmt.Errorf("picture %s: %w", id, err)
		}
		for _, o := range raw[id].Overlaps {
			if len(o.Box) != 2 {
				return nil, fmt.Errorf("picture %s: overlap_box %v is no pair", id, o.Box)
			}
			it.Pairs = append(it.Pairs, [2]int(o.Box))
		}
		out = append(out, it)
	}
	return out, nil
}

// members calls do for the members of an object, in their order.
func members(data []byte, do func(name string, v json.RawMessage) error) error {
	d := json.NewDecoder(bytes.NewReader(data))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return errors.New("the annotations are no object")
	}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return err
		}
		var v json.RawMessage
		if err := d.Decode(&v); err != nil {
			return err
		}
		name, _ := t.(string)
		if err := do(name, v); err != nil {
			return err
		}
	}
	return nil
}

func sortedKeys[V any](m map[string]V) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	slices.SortFunc(out, func(a, b string) int { // numbers by their value
		if len(a) != len(b) && digits(a) && digits(b) {
			return len(a) - len(b)
		}
		return strings.Compare(a, b)
	})
	return out
}

func digits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
