package studio

import (
	"bytes"
	"context"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/app"
	"github.com/eligen/eligen/dsl/edit"
)

// A State is a scene as the page shows it: its text, and what the text comes to.
type State struct {
	Serial      int                 `json:"serial"`  // counts what the server has read: of two, the later is the newer
	Version     string              `json:"version"` // of the text
	Name        string              `json:"name"`    // of the file
	Folder      string              `json:"folder"`
	Text        string              `json:"text"`
	ReadOnly    string              `json:"readOnly"` // why nothing can be saved; "" if it can
	Gone        bool                `json:"gone"`     // the file is not there any more
	Undo        string              `json:"undo"`     // name of the last change; "" is none
	Redo        string              `json:"redo"`
	Outside     string              `json:"outside"` // the last change, where it came from outside
	Blocks      []Block             `json:"blocks"`
	Renders     []Render            `json:"renders"`
	Stale       bool                `json:"stale"` // Renders are those of an earlier text, as this one has mistakes
	Diagnostics []eligen.Diagnostic `json:"diagnostics"`
}

// A Block is where a block stands in the text. Offsets are UTF-16 units, as the page counts.
type Block struct {
	Address    string      `json:"address"`
	Line       int         `json:"line"`
	Last       int         `json:"last"` // line
	Attributes []Attribute `json:"attributes"`
}

// An Attribute is a value that a block sets.
type Attribute struct {
	Name  string   `json:"name"`
	Line  int      `json:"line"`
	From  int      `json:"from"`
	To    int      `json:"to"`
	Text  string   `json:"text"`
	Plain bool     `json:"plain"` // it is a value by itself
	Refs  []string `json:"refs"`  // what else it hangs on
	Shape *Shape   `json:"shape"`

	Items [][]Attribute `json:"items"` // the parts of a list's objects
}

// A Shape is a call of a shape's function.
type Shape struct {
	Call   string `json:"call"`
	Pixels bool   `json:"pixels"`
	Slots  []Slot `json:"slots"`
}

// A Slot is a number of a shape as it is written.
type Slot struct {
	From  int      `json:"from"`
	To    int      `json:"to"`
	Text  string   `json:"text"`
	Plain bool     `json:"plain"`
	Refs  []string `json:"refs"`
}

// A Render is a picture's layout.
type Render struct {
	Address  string   `json:"address"`
	Block    string   `json:"block"` // that declares it; "" is none of this file
	Width    int      `json:"width"`
	Height   int      `json:"height"`
	Token    int      `json:"token"`  // side of an image token in pixels
	Latent   int      `json:"latent"` // side of a latent in pixels
	Prompt   string   `json:"prompt"`
	Entities []Entity `json:"entities"`

	Timeline *Timeline `json:"timeline"` // nil: one picture
}

// An Entity is an entity of a render.
type Entity struct {
	Address   string  `json:"address"`
	Block     string  `json:"block"`
	Attribute string  `json:"attribute"` // that says where it is: "box", "region", "mask"
	Prompt    string  `json:"prompt"`
	Figure    Figure  `json:"figure"`
	Tokens    int     `json:"tokens"`
	Cells     []int32 `json:"cells"` // tokens of an outline: pairs of the first and how many follow it in its row
	Z         float64 `json:"z"`
	Strength  float64 `json:"strength"`
}

// A Figure is a region as it is drawn, in fractions of the canvas: a box, an ellipse or a polygon by its
// numbers, any other by its outline in pixels.
type Figure struct {
	Kind    string     `json:"kind"` // "box", "ellipse", "polygon", "outline"
	Numbers []float64  `json:"numbers"`
	Path    string     `json:"path"` // of an outline, as SVG writes paths
	Bounds  [4]float64 `json:"bounds"`
}

// read makes a State of the document, and remembers its renders for texts with mistakes.
func (s *Server) read(ctx context.Context) (*State, error) {
	v := s.doc.view()
	out := &State{
		Version: versionOf(v.text), Name: filepath.Base(s.doc.path), Folder: filepath.Base(filepath.Dir(s.doc.path)), Text: string(v.text),
		ReadOnly: s.doc.readOnly, Gone: v.gone, Undo: v.undo, Redo: v.redo, Outside: v.outside,
		Blocks: []Block{},
	}
	if text, ds := s.parsed.parse(s.doc.path, v.text); !ds.HasErrors() {
		out.Blocks = blocksOf(text.Blocks(), v.text)
	}
	layouts, ds, err := s.app.Layouts(ctx, app.LayoutRequest{Input: s.input(v.text)})
	if err != nil {
		return nil, err
	}
	if out.Diagnostics = inUnits(ds); ds.HasErrors() {
		s.mu.Lock()
		defer s.mu.Unlock()
		out.Renders, out.Stale = s.good, true
		return out, nil
	}
	out.Renders = []Render{}
	for _, l := range layouts {
		out.Renders = append(out.Renders, renderOf(l, out.Blocks))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.good, s.layouts = out.Renders, layouts
	return out, nil
}

// A parsed is the text that was parsed last: a change begins with the text that the change before has ended with.
type parsed struct {
	mu   sync.Mutex
	src  []byte
	text *edit.Text
}

func (p *parsed) parse(file string, src []byte) (*edit.Text, eligen.Diagnostics) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.text != nil && bytes.Equal(p.src, src) {
		return p.text, nil
	}
	text, ds := edit.Parse(file, src)
	if !ds.HasErrors() {
		p.src, p.text = bytes.Clone(src), text
	}
	return text, ds
}

// input is the scene with a text that may not be on the disk any more.
func (s *Server) input(text []byte) app.Input {
	in := s.request.Input
	in.Unsaved = map[string][]byte{in.Path: text}
	return in
}

// blocksOf turns offsets in bytes into those of the page.
func blocksOf(list []edit.Block, text []byte) []Block {
	at := units(text)
	out := []Block{}
	for _, b := range list {
		block := Block{Address: b.Address, Line: b.Line, Last: b.Line + bytes.Count(text[b.From:b.To], []byte("\n")), Attributes: []Attribute{}}
		for _, a := range b.Attributes {
			block.Attributes = append(block.Attributes, attributeOf(a, at))
		}
		out = append(out, block)
	}
	return out
}

func attributeOf(a edit.Attribute, at func(int) int) Attribute {
	out := Attribute{
		Name: a.Name, Line: a.Line, From: at(a.From), To: at(a.To), Text: a.Text, Plain: a.Plain, Refs: some(a.Refs), Items: [][]Attribute{},
	}
	if a.Shape != nil {
		out.Shape = &Shape{Call: a.Shape.Call, Pixels: a.Shape.Pixels, Slots: []Slot{}}
		for _, s := range a.Shape.Slots {
			out.Shape.Slots = append(out.Shape.Slots, Slot{From: at(s.From), To: at(s.To), Text: s.Text, Plain: s.Plain, Refs: some(s.Refs)})
		}
	}
	for _, i := range a.Items {
		parts := []Attribute{}
		for _, p := range i.Parts {
			parts = append(parts, attributeOf(p, at))
		}
		out.Items = append(out.Items, parts)
	}
	return out
}

// some is a list that JSON doesn't write as null.
func some[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// units returns what turns an offset in bytes into one in UTF-16 units.
func units(text []byte) func(int) int {
	if !slices.ContainsFunc(text, func(c byte) bool { return c >= utf8.RuneSelf }) {
		return func(at int) int { return at }
	}
	all := make([]int32, len(text)+1)
	n := int32(0)
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		for k := range size {
			all[i+k] = n
		}
		if n++; r > 0xffff {
			n++
		}
		i += size
	}
	all[len(text)] = n
	return func(at int) int { return int(all[at]) }
}

// inUnits returns diagnostics whose columns are UTF-16 units of their line, as the page counts.
func inUnits(ds []eligen.Diagnostic) []eligen.Diagnostic {
	source := func(s *eligen.Source) *eligen.Source {
		if s == nil {
			return nil
		}
		out, code := *s, []rune(s.Code)
		at := func(n int) int { // columns may be behind the line
			n = max(0, n)
			return len(utf16.Encode(code[:min(n, len(code))])) + max(0, n-len(code))
		}
		out.Start, out.End = at(s.Start), at(s.End)
		return &out
	}
	out := some(slices.Clone(ds))
	for i := range out {
		out[i].Source, out[i].Notes = source(out[i].Source), slices.Clone(out[i].Notes)
		for k := range out[i].Notes {
			out[i].Notes[k].Source = source(out[i].Notes[k].Source)
		}
	}
	return out
}

// blockOf returns the address of the block of a file that declares a thing, or "" where none does.
func blockOf(address string, blocks []Block) string {
	name, _, _ := strings.Cut(address, "[")
	if slices.ContainsFunc(blocks, func(b Block) bool { return b.Address == name }) {
		return name
	}
	return ""
}

// where are the attributes that say where an entity is.
var where = []string{"box", "region", "mask"}

func renderOf(l app.Layout, blocks []Block) Render {
	out := Render{
		Address: l.Render, Block: blockOf(l.Render, blocks), Width: l.Size.W, Height: l.Size.H,
		Token: l.Geometry.Token(), Latent: l.Geometry.Factor,
		Prompt: l.Prompt, Entities: []Entity{}, Timeline: timelineOf(l, blocks),
	}
	for _, e := range l.Entities {
		tokens := e.Region.Tokens(l.Size, l.Geometry)
		entity := Entity{
			Address: e.Address, Block: blockOf(e.Address, blocks), Prompt: e.Prompt, Figure: figureOf(e.Region, l.Size),
			Tokens: len(tokens), Cells: []int32{}, Z: e.Z, Strength: e.Strength,
		}
		if entity.Figure.Kind == "outline" {
			entity.Cells = spansOf(tokens, int32(l.Geometry.Grid(l.Size).W))
		}
		for _, name := range where {
			if _, ok := e.At[name]; ok {
				entity.Attribute = name
			}
		}
		out.Entities = append(out.Entities, entity)
	}
	return out
}

// spansOf turns tokens of a grid, ascending, into pairs of a first one and how many there are in its row.
func spansOf(tokens []int32, columns int32) []int32 {
	out := []int32{}
	for _, t := range tokens {
		if n := len(out); n > 0 && t%columns != 0 && out[n-2]+out[n-1] == t {
			out[n-1]++
			continue
		}
		out = append(out, t, 1)
	}
	return out
}

// figureOf returns a region as it is drawn on a canvas.
func figureOf(r eligen.Region, canvas eligen.Size) Figure {
	w, h := float64(canvas.W), float64(canvas.H)
	f := Figure{Kind: r.Kind, Numbers: slices.Clone(r.Numbers)}
	switch r.Kind {
	case "box", "ellipse", "polygon":
		if r.Pixels {
			for i := range f.Numbers {
				f.Numbers[i] /= []float64{w, h}[i%2]
			}
		}
	default:
		f.Kind, f.Numbers, f.Path = "outline", []float64{}, outline(r, canvas)
	}
	if b, pixels, problem := r.Box(); problem == "" {
		if pixels {
			b = [4]float64{b[0] / w, b[1] / h, b[2] / w, b[3] / h}
		}
		f.Bounds = b
	} else if x0, y0, x1, y1, ok := r.Bounds(canvas); ok {
		f.Bounds = [4]float64{float64(x0) / w, float64(y0) / h, float64(x1) / w, float64(y1) / h}
	}
	return f
}
