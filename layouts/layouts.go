// Package layouts reads layouts that other programs wrote: prompts with boxes, ComfyUI graphs,
// annotations, benchmark suites. A file's form is recognised by its content, and what was taken
// of it, and why, is part of the [Reading]. What two readings fit is an [Ask], never a guess.
//
// It writes scenes of readings, and the forms of others of scenes.
package layouts

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"

	"github.com/eligen/eligen"
)

// The verdicts of a Reading.
const (
	Import = "import" // a scene can be written of it
	Asking = "ask"    // something must be answered first, by a flag
	Refuse = "refuse" // it holds no layout
)

// A Reading is what a file says, in the order in which it says it.
type Reading struct {
	File       string     `json:"file"`
	Format     string     `json:"format"`
	Why        string     `json:"why"` // the file was taken for this format
	Convention Convention `json:"convention"`
	Verdict    string     `json:"verdict"`
	Ask        []string   `json:"ask,omitempty"` // what must be answered, each with its flag
	Said       []string   `json:"said"`          // what a reader must know: what was dropped, cut or taken for granted
	Scenes     []Scene    `json:"scenes"`
	Prompts    int        `json:"prompts,omitempty"` // of a refused file: how many prompts without places it has
}

// A Convention is how a file writes boxes.
type Convention struct {
	Order  string `json:"order"`
	Unit   string `json:"unit"`
	Origin string `json:"origin"`
	Beyond string `json:"beyond canvas"`
	By     string `json:"by"` // who says so: the file, its format, or a flag
}

// A Canvas is the size that a file's boxes are counted on.
type Canvas struct {
	W    int    `json:"width"`
	H    int    `json:"height"`
	From string `json:"from"` // "file", "format", "picture", "flag"
}

// A Scene is one picture's layout.
type Scene struct {
	Name       string    `json:"name"`
	Canvas     *Canvas   `json:"canvas"` // nil: the file has no size
	Prompt     *string   `json:"prompt"` // nil: the file has no words for the whole picture
	Background string    `json:"background,omitempty"`
	Negative   string    `json:"negative,omitempty"`
	ClipPrompt string    `json:"clip_prompt,omitempty"` // FLUX's second text, where it is another one
	Seed       *uint64   `json:"seed,omitempty"`
	Steps      *int      `json:"steps,omitempty"`
	CFG        *float64  `json:"cfg,omitempty"`
	Guidance   *float64  `json:"guidance,omitempty"`
	Category   string    `json:"category,omitempty"`
	Index      *int      `json:"idx,omitempty"`
	Picture    string    `json:"picture,omitempty"` // the annotated or edited one
	Edit       bool      `json:"-"`                 // the picture is painted into
	Clip       *Clip     `json:"clip,omitempty"`
	Active     *Share    `json:"active,omitempty"`
	Style      any       `json:"style,omitempty"`
	Adapters   []Adapter `json:"adapters,omitempty"`
	Entities   []Entity  `json:"entities"`
	Ignored    []Ignored `json:"ignored,omitempty"`
	Ask        []string  `json:"ask,omitempty"`
}

// A Clip is the frames of a video that were annotated.
type Clip struct {
	Frames int `json:"frames"`
	First  int `json:"first"`
	Last   int `json:"last"`
	Step   int `json:"step"`
}

// A Share is the part of the steps in which regions hold.
type Share struct {
	From float64 `json:"from"`
	To   float64 `json:"to"`
}

// An Adapter is named by a file, and not in it.
type Adapter struct {
	Kind   string   `json:"kind"` // "lora", "redux", "reference"
	Name   string   `json:"name,omitempty"`
	Source string   `json:"source,omitempty"`
	Image  string   `json:"image,omitempty"`
	Scale  *float64 `json:"scale,omitempty"`
}

// Ignored is a shape without an inside.
type Ignored struct {
	Kind  string  `json:"kind"`
	Label *string `json:"label"`
}

// An Entity is one thing of a layout.
type Entity struct {
	ID         string      `json:"id"`
	Prompt     *string     `json:"prompt"` // nil: the file has no words for it
	Kind       string      `json:"kind"`   // box, polygon, polygons, ellipse, mask, point, none
	XYXY       []float64   `json:"xyxy,omitempty"`
	Raw        []float64   `json:"raw,omitempty"` // XYXY before it was cut at the canvas
	PX         []float64   `json:"px,omitempty"`  // in place of XYXY: pixels of a canvas that nobody knows
	Points     [][]float64 `json:"points,omitempty"`
	Pieces     any         `json:"polygons,omitempty"`
	Center     []float64   `json:"center,omitempty"`
	Radii      []float64   `json:"radii,omitempty"`
	At         []float64   `json:"at,omitempty"`
	Mask       string      `json:"mask,omitempty"` // a file's name, where one is written
	Area       float64     `json:"area,omitempty"` // of a mask: the share of the canvas
	Empty      bool        `json:"empty,omitempty"`
	Box        []float64   `json:"box,omitempty"` // the file's box, where a mask or polygon is taken
	BoxRaw     []float64   `json:"box_raw,omitempty"`
	Name       string      `json:"name,omitempty"`
	Node       string      `json:"node,omitempty"`
	Label      string      `json:"label,omitempty"`
	Type       string      `json:"type,omitempty"`
	Text       string      `json:"text,omitempty"` // literal text to be painted
	Palette    []string    `json:"palette,omitempty"`
	Z          *float64    `json:"z,omitempty"`
	Occludes   []string    `json:"occludes,omitempty"`
	Occluded   *bool       `json:"occluded,omitempty"`
	Strength   *float64    `json:"strength,omitempty"`
	Score      *float64    `json:"score,omitempty"`
	Category   *int        `json:"category,omitempty"`
	Crowd      *bool       `json:"crowd,omitempty"`
	Color      []int       `json:"color,omitempty"`
	Source     string      `json:"source,omitempty"` // the mask's file
	Track      string      `json:"track,omitempty"`
	Keys       []Key       `json:"keys,omitempty"`
	Edit       string      `json:"edit,omitempty"` // new, keep, move, remove
	Candidates []string    `json:"prompt_candidates,omitempty"`
	Adapters   []Adapter   `json:"adapters,omitempty"`

	shape shape
}

// A Key is a track's box at a frame.
type Key struct {
	Frame   int       `json:"frame"`
	XYXY    []float64 `json:"xyxy"`
	Outside bool      `json:"outside"`
}

// A shape is where an entity is, in fractions of the canvas, uncut.
type shape struct {
	kind   string
	box    [4]float64 // x0 y0 x1 y1
	pieces [][][2]float64
	mask   *bitmap
	pixels bool // of an unknown canvas
}

// An Answer is what somebody said on the command line to what files leave open.
type Answer struct {
	Convention string                // an order, a unit, or both: "xyxy", "yxyx/1000", "SR"
	Size       eligen.Size           // of the canvas where a file has none, and of the renders
	Words      []string              // for entities without, in their order
	Places     map[string][4]float64 // x0 y0 x1 y1, for entities without, by name or number
	Radius     float64               // of a region around a point, as a share of the shorter side
	Picture    string                // that an edit paints into
	Images     string                // the file with the sizes and names of a results file
	Score      float64               // detections below it are left out
	Crowds     bool                  // take crowds as entities
}

// text returns a pointer to a string.
func text(s string) *string { return &s }

// round4 rounds to four decimals, as readings print numbers.
func round4(v float64) float64 { return math.Round(v*1e4) / 1e4 }

func rounded(in ...float64) []float64 {
	out := make([]float64, len(in))
	for i, v := range in {
		if out[i] = round4(v); out[i] == 0 {
			out[i] = 0 // no −0
		}
	}
	return out
}

// JSON returns the reading for programs.
func (r *Reading) JSON() ([]byte, error) {
	if r.Said == nil {
		r.Said = []string{}
	}
	if r.Scenes == nil {
		r.Scenes = []Scene{}
	}
	for i := range r.Scenes {
		if r.Scenes[i].Entities == nil {
			r.Scenes[i].Entities = []Entity{}
		}
	}
	out, err := json.MarshalIndent(r, "", "  ")
	return append(out, '\n'), err
}

// say adds what a reader must know, once.
func (r *Reading) say(format string, args ...any) {
	s := fmt.Sprintf(format, args...)
	for _, old := range r.Said {
		if old == s {
			return
		}
	}
	r.Said = append(r.Said, s)
}

// ask adds a question; flag answers it.
func (r *Reading) ask(flag, format string, args ...any) {
	s := fmt.Sprintf(format, args...) + ": pass " + flag
	for _, old := range r.Ask {
		if old == s {
			return
		}
	}
	r.Ask = append(r.Ask, s)
	if r.Verdict != Refuse {
		r.Verdict = Asking
	}
}

// refuse says that the file holds no layout.
func (r *Reading) refuse(format string, args ...any) {
	r.Verdict = Refuse
	r.Ask = append(r.Ask, fmt.Sprintf(format, args...))
}

// some joins strings as a list for people, the first few of them.
func some(list []string) string {
	const most = 8
	if len(list) > most {
		return strings.Join(list[:most], ", ") + fmt.Sprintf(" and %d more", len(list)-most)
	}
	return strings.Join(list, ", ")
}
