package layouts

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/eligen/eligen"
)

// A View is a render to export: everything that other forms know.
type View struct {
	Name     string
	Size     eligen.Size
	Prompt   string
	Negative string
	Seed     uint64
	Sampler  eligen.Sampler
	Overlap  string
	Entities []eligen.Entity
	Moves    bool     // it is a clip; what is exported is its beginning
	Pictures []string // what it begins with, such as "inpaint"
	Adapters bool     // it names some of its own
}

// An Export is a form of another program: a file, those next to it by their paths, and what the form
// can't hold.
type Export struct {
	Ending string // of the file's name: ".json"
	Text   []byte
	Files  map[string][]byte
	Said   []string
}

// A target is a form to export to.
type target struct {
	name    string
	several bool // renders go into one file
	write   func(*exporter) error
}

var targets = []target{
	{"ideogram4", false, toIdeogram}, {"flux3", false, toFlux3}, {"comfyui", false, toComfy}, {"comfyui-couple", false, toCouple},
	{"diffusers", false, toDiffusers}, {"diffsynth", false, toDiffSynth}, {"coco", true, toCOCO},
}

// Targets lists the forms that can be written.
func Targets() (out []string) {
	for _, t := range targets {
		out = append(out, t.name)
	}
	return out
}

// HoldsSeveral reports whether a form holds several renders in a file.
func HoldsSeveral(to string) bool {
	return slices.ContainsFunc(targets, func(t target) bool { return t.name == to && t.several })
}

// An exporter writes views in one form.
type exporter struct {
	views []View
	base  string // of files next to the written one
	*Export
}

// ExportTo exports renders. base is the file's name without its ending: pictures next to it begin with it.
func ExportTo(to, base string, views []View) (*Export, error) {
	for _, t := range targets {
		if t.name != to {
			continue
		}
		if len(views) != 1 && !t.several {
			return nil, fmt.Errorf("%s holds one render, and there are %d", to, len(views))
		}
		e := &exporter{views: views, base: base, Export: &Export{Files: map[string][]byte{}}}
		for i := range views {
			e.common(&views[i])
		}
		return e.Export, t.write(e)
	}
	return nil, fmt.Errorf("no form %q: eligen writes %s", to, strings.Join(Targets(), ", "))
}

func (e *exporter) say(format string, args ...any) {
	if s := fmt.Sprintf(format, args...); !slices.Contains(e.Said, s) {
		e.Said = append(e.Said, s)
	}
}

// common says what no form holds.
func (e *exporter) common(v *View) {
	if v.Moves {
		e.say("%s moves: its first frame is written", v.Name)
	}
	for _, p := range v.Pictures {
		e.say("%s of %s is not written", p, v.Name)
	}
	if v.Adapters {
		e.say("adapters of %s are not written: load them there", v.Name)
	}
	if v.Overlap != "" && v.Overlap != "blend" {
		e.say("overlap = %q of %s has no counterpart", v.Overlap, v.Name)
	}
	for _, en := range v.Entities {
		if en.Strength != 1 {
			e.say("strength of %s has no counterpart", en.Address)
		}
	}
}

// settings says which settings a form without any leaves out.
func (e *exporter) settings(v *View, seed bool) {
	if !seed && v.Seed != 0 {
		e.say("the seed is not in the form")
	}
	if v.Negative != "" {
		e.say("the negative prompt is not in the form")
	}
	if s := v.Sampler; s.Steps != nil || s.CFG != nil || s.Guidance != nil {
		e.say("the sampler's settings are not in the form")
	}
}

// boxOf returns the box of an entity in fractions; exact is false where its region is another shape.
func boxOf(en eligen.Entity, size eligen.Size) (b [4]float64, exact bool) {
	r := en.Region
	if r.Kind == "box" && len(r.Numbers) == 4 {
		copy(b[:], r.Numbers)
		if r.Pixels {
			b = [4]float64{b[0] / float64(size.W), b[1] / float64(size.H), b[2] / float64(size.W), b[3] / float64(size.H)}
		}
		return cut(b), true
	}
	return maskOf(en, size).bounds(), false
}

// maskOf returns the pixels of an entity's region.
func maskOf(en eligen.Entity, size eligen.Size) *bitmap {
	return &bitmap{size.W, size.H, en.Region.Sample(size, size)}
}

// boxed returns an entity's box, and says where it stands for another shape.
func (e *exporter) boxed(en eligen.Entity, size eligen.Size) [4]float64 {
	b, exact := boxOf(en, size)
	if !exact {
		e.say("the form holds boxes: the box around the region of %s is written", en.Address)
	}
	return b
}

// thousandths writes a box y first.
func thousandths(b [4]float64) []int {
	out := make([]int, 4)
	for i, at := range []int{1, 0, 3, 2} {
		out[i] = int(math.Round(b[at] * 1000))
	}
	return out
}

// encode writes JSON for people: no HTML escapes.
func encode(v any, indent string) ([]byte, error) {
	var b bytes.Buffer
	j := json.NewEncoder(&b)
	j.SetEscapeHTML(false)
	j.SetIndent("", indent)
	err := j.Encode(v)
	return numbersOnly.ReplaceAllFunc(b.Bytes(), func(list []byte) []byte {
		return []byte("[" + strings.Join(strings.Fields(strings.Trim(string(list), "[]")), " ") + "]")
	}), err
}

// numbersOnly is a list of numbers, which is easier to read on one line.
var numbersOnly = regexp.MustCompile(`\[\s+[-0-9.e,\s]+\]`)

func toIdeogram(e *exporter) (err error) {
	v := &e.views[0]
	type element struct {
		Type string `json:"type"`
		BBox []int  `json:"bbox"`
		Desc string `json:"desc"`
	}
	list := []element{}
	for _, en := range v.Entities {
		list = append(list, element{"obj", thousandths(e.boxed(en, v.Size)), en.Prompt})
	}
	e.settings(v, false)
	e.say("the size, %d×%d, is not in the form: choose it there", v.Size.W, v.Size.H)
	e.Ending = ".json"
	type parts struct {
		Background string    `json:"background"`
		Elements   []element `json:"elements"`
	}
	e.Text, err = encode(struct {
		Words string `json:"high_level_description"`
		Parts parts  `json:"compositional_deconstruction"`
	}{v.Prompt, parts{"", list}}, "  ")
	return err
}

// rowID makes a FLUX 3 row's name: letters and digits, and a number.
func rowID(name string, taken map[string]bool) string {
	base := strings.TrimLeft(strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, strings.ToLower(name)), "0123456789")
	if base == "" {
		base = "obj"
	}
	for n := 1; ; n++ {
		if id := base + "_" + strconv.Itoa(n); !taken[id] {
			taken[id] = true
			return id
		}
	}
}

func toFlux3(e *exporter) error {
	v := &e.views[0]
	type row struct {
		ID   string `json:"id"`
		BBox []int  `json:"bbox"`
		Desc string `json:"desc"`
	}
	rows, taken := []row{}, map[string]bool{}
	for _, en := range v.Entities {
		rows = append(rows, row{rowID(en.Name, taken), thousandths(e.boxed(en, v.Size)), en.Prompt})
	}
	if len(rows) > 24 {
		e.say("%d rows; more than 24 have been refused there", len(rows))
	}
	e.settings(v, false)
	e.say("the size, %d×%d, is not in the form: choose it there", v.Size.W, v.Size.H)
	data, err := encode(rows, "")
	if len(rows) == 0 {
		data = nil
	}
	e.Ending, e.Text = ".txt", append([]byte(tidy(v.Prompt)+" "), data...)
	return err
}

// COCO: a category for each wording.
func toCOCO(e *exporter) (err error) {
	type image struct {
		ID     int    `json:"id"`
		Width  int    `json:"width"`
		Height int    `json:"height"`
		File   string `json:"file_name"`
	}
	type category struct {
		ID   int    `json:"id"`
		Name string `json:"name"`
	}
	type annotation struct {
		ID       int       `json:"id"`
		Image    int       `json:"image_id"`
		Category int       `json:"category_id"`
		Box      []float64 `json:"bbox"`
		Area     float64   `json:"area"`
		Crowd    int       `json:"iscrowd"`
		Segments any       `json:"segmentation"`
	}
	out := struct {
		Images      []image      `json:"images"`
		Categories  []category   `json:"categories"`
		Annotations []annotation `json:"annotations"`
	}{[]image{}, []category{}, []annotation{}}
	index := map[string]int{}
	for i, v := range e.views {
		out.Images = append(out.Images, image{i + 1, v.Size.W, v.Size.H, v.Name + ".png"})
		e.settings(&e.views[i], false)
		for _, en := range v.Entities {
			if index[en.Prompt] == 0 {
				index[en.Prompt] = len(index) + 1
				out.Categories = append(out.Categories, category{index[en.Prompt], en.Prompt})
			}
			b, seg, size := cocoShape(en, v.Size)
			out.Annotations = append(out.Annotations, annotation{ID: len(out.Annotations) + 1, Image: i + 1, Category: index[en.Prompt],
				Box: []float64{b[0], b[1], b[2] - b[0], b[3] - b[1]}, Area: size, Segments: seg})
		}
	}
	e.say("the pictures' prompts are not in the form; the entities' are the categories")
	e.Ending = ".json"
	e.Text, err = encode(out, " ")
	return err
}

// cocoShape returns an entity's box in pixels, its segmentation and its area.
func cocoShape(en eligen.Entity, size eligen.Size) (b [4]float64, seg any, covered float64) {
	b, exact := boxOf(en, size)
	for i, side := range []int{size.W, size.H, size.W, size.H} {
		b[i] = math.Round(b[i]*float64(side)*1e6) / 1e6
	}
	if exact {
		return b, []any{}, area(b)
	}
	if p := en.Region; p.Kind == "polygon" && !p.Pixels {
		out := make([]float64, len(p.Numbers))
		for i, n := range p.Numbers {
			out[i] = math.Round(n*[]float64{float64(size.W), float64(size.H)}[i%2]*1e6) / 1e6
		}
		around := bounds([][][2]float64{pairs(out)})
		return around, [][]float64{out}, surface(pairs(out))
	}
	m := maskOf(en, size)
	runs, on, n := []int{}, false, 0
	for x := range m.w {
		for y := range m.h {
			if m.on[y*m.w+x] != on {
				runs, on, n = append(runs, n), !on, 0
			}
			n++
		}
	}
	return b, map[string]any{"size": []int{m.h, m.w}, "counts": append(runs, n)}, m.share() * float64(len(m.on))
}

// surface returns the area that a polygon encloses, by the shoelace formula.
func surface(p [][2]float64) (twice float64) {
	for i, at := range p {
		next := p[(i+1)%len(p)]
		twice += at[0]*next[1] - at[1]*next[0]
	}
	return math.Abs(twice) / 2
}
