package tui

import (
	"cmp"
	"image"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/eligen/eligen"
)

// A Layout holds a render's entities and their regions: what the canvas draws.
type Layout struct {
	Render   string // address
	Size     eligen.Size
	Geometry eligen.Geometry // of the model; zero is eligen.DefaultGeometry
	Prompt   string
	Entities []eligen.Entity
	Timeline *eligen.Timeline // nil: nothing moves, or each frame has its own layout
}

// frameOf returns the render's address and the frame's number of an address such as
// "render.clip.frame[3]".
func frameOf(address string) (render string, frame int, ok bool) {
	if head, found := strings.CutSuffix(address, "]"); found {
		if i := strings.LastIndex(head, ".frame["); i >= 0 {
			if n, ok := frameNumber(head[i+1:]); ok {
				return head[:i], n, true
			}
		}
	}
	return address, 0, false
}

// A frameID names the frame of a render that a picture shows.
type frameID struct {
	render string
	frame  int
}

// A renderView is a render as the screen knows it.
type renderView struct {
	Layout
	frames   map[int][]eligen.Entity // of frames with their own layouts
	moved    map[int][]eligen.Entity // of other frames, once shown
	locality map[string]float64      // by the entity's address, if measured
}

// count returns the number of frames, 1 for a still.
func (v *renderView) count() int {
	n := 1
	if v.Timeline != nil {
		n = max(n, v.Timeline.Frames)
	}
	for f := range v.frames {
		n = max(n, f+1)
	}
	return n
}

// at returns the entities at a frame. A timeline that fails leaves them where the scene
// has them: the plan has reported why.
func (v *renderView) at(frame int) []eligen.Entity {
	if own, ok := v.frames[frame]; ok {
		return own
	}
	if v.Timeline == nil {
		return v.Entities
	}
	if _, ok := v.moved[frame]; !ok {
		v.moved[frame] = v.move(frame)
	}
	return v.moved[frame]
}

func (v *renderView) move(frame int) (entities []eligen.Entity) {
	entities = v.Entities
	defer func() {
		_ = recover() // the timeline of somebody's journal is unchecked
	}()
	if f, err := v.Timeline.At(frame, v.Entities, v.Size); err == nil {
		entities = f.Entities
	}
	return entities
}

// renderViews are the renders of a run or a scene: there may be tens of thousands.
type renderViews struct {
	list []*renderView
	at   map[string]int // in the list, by address
}

// add adds a layout, or replaces the one of its render or frame.
func (vs *renderViews) add(l Layout) {
	render, frame, isFrame := frameOf(l.Render)
	l.Render = render
	if i, ok := vs.at[render]; ok {
		if v := vs.list[i]; isFrame {
			v.frames[frame] = l.Entities
		} else {
			v.Layout, v.moved = l, map[int][]eligen.Entity{}
		}
		return
	}
	v := &renderView{
		Layout: l, frames: map[int][]eligen.Entity{}, moved: map[int][]eligen.Entity{}, locality: map[string]float64{},
	}
	if isFrame {
		v.frames[frame] = l.Entities
	}
	if vs.at == nil {
		vs.at = map[string]int{}
	}
	vs.at[render] = len(vs.list)
	vs.list = append(vs.list, v)
}

// within returns a render's address as its stage has it: in a run of several scenes, it begins with the
// scene's name.
func within(stage, render string) string {
	if i := strings.Index(stage, ":"+render+"."); i > 0 {
		return stage[:i+1] + render
	}
	return render
}

// find returns the render and the frame that a stage belongs to, and the rest of its
// address: "decode" for "render.clip.frame[3].decode".
func (vs *renderViews) find(stage string) (v *renderView, frame int, what string) {
	for end := strings.LastIndexByte(stage, '.'); end > 0; end = strings.LastIndexByte(stage[:end], '.') {
		if i, ok := vs.at[stage[:end]]; ok {
			v, what = vs.list[i], stage[end+1:]
			break
		}
	}
	if head, tail, ok := strings.Cut(what, "]."); ok {
		if n, ok := frameNumber(head); ok {
			return v, n, tail
		}
	}
	return v, 0, what
}

// maxFrame is the largest frame number that the screen accepts.
const maxFrame = 100_000

// frameNumber reads "frame[3".
func frameNumber(s string) (int, bool) {
	s, ok := strings.CutPrefix(s, "frame[")
	n, err := strconv.Atoi(s)
	return n, ok && err == nil && n >= 0 && n <= maxFrame
}

// tokens lists the image tokens that a region covers.
func (l *Layout) tokens(r eligen.Region) []int32 {
	return r.Tokens(l.Size, cmp.Or(l.Geometry, eligen.DefaultGeometry))
}

// part returns the part of a step's picture, a pixel a latent, that shows the render: all of it, or the right
// panel of two. It returns nil of a picture of something else, such as a window.
func (l *Layout) part(img *image.NRGBA) *image.NRGBA {
	factor := cmp.Or(l.Geometry, eligen.DefaultGeometry).Factor
	b := img.Bounds()
	if b.Dx() == 2*l.Size.W/factor {
		b.Min.X += b.Dx() / 2
	}
	if b.Dx() != l.Size.W/factor || b.Dy() != l.Size.H/factor {
		return nil
	}
	part, _ := img.SubImage(b).(*image.NRGBA)
	return part
}

// same reports whether a render looks the same at two frames: the entities cover the same
// image tokens, so the plan renders one picture for both.
func (v *renderView) same(a, b int) bool {
	return slices.EqualFunc(v.at(a), v.at(b), func(x, y eligen.Entity) bool {
		if x.Strength != y.Strength || !reflect.DeepEqual(x.Opacity, y.Opacity) || x.Prompt != y.Prompt {
			return false
		}
		if reflect.DeepEqual(x.Region, y.Region) {
			return true
		}
		return x.Region.Kind != "" && y.Region.Kind != "" &&
			slices.Equal(v.tokens(x.Region), v.tokens(y.Region))
	})
}
