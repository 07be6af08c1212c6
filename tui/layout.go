package tui

import (
	"cmp"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/eligen/eligen"
)

// A Layout is what a render's picture holds, and where: what the canvas draws.
type Layout struct {
	Render   string // address
	Size     eligen.Size
	Geometry eligen.Geometry // of the model; zero is eligen.DefaultGeometry
	Prompt   string
	Entities []eligen.Entity
	Timeline *eligen.Timeline // nil: nothing moves, or frames come as layouts of their own
}

// frameOf is the render's address and the frame's number of a frame's address,
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

// A place is where a picture belongs.
type place struct {
	render string
	frame  int
}

// A take is a render as the screen knows it.
type take struct {
	Layout
	frames   map[int][]eligen.Entity // of frames with layouts of their own
	moved    map[int][]eligen.Entity // of others, as far as they were looked at
	locality map[string]float64      // by the entity's address, where it was measured
}

// count is how many frames there are; 1 is a still.
func (t *take) count() int {
	n := 1
	if t.Timeline != nil {
		n = max(n, t.Timeline.Frames)
	}
	for f := range t.frames {
		n = max(n, f+1)
	}
	return n
}

// at is the entities at a frame. A timeline that can't be followed leaves them where
// the scene has them: the plan has said why.
func (t *take) at(frame int) []eligen.Entity {
	if own, ok := t.frames[frame]; ok {
		return own
	}
	if t.Timeline == nil {
		return t.Entities
	}
	if _, ok := t.moved[frame]; !ok {
		t.moved[frame] = t.move(frame)
	}
	return t.moved[frame]
}

func (t *take) move(frame int) (entities []eligen.Entity) {
	entities = t.Entities
	defer func() {
		_ = recover() // a journal is a file that anybody may have written, and no timeline that was checked
	}()
	if f, err := t.Timeline.At(frame, t.Entities, t.Size); err == nil {
		entities = f.Entities
	}
	return entities
}

// takes are the renders of a run or a scene.
type takes []*take

// add takes a layout into account.
func (ts *takes) add(l Layout) {
	render, frame, isFrame := frameOf(l.Render)
	l.Render = render
	for _, t := range *ts {
		if t.Render == render {
			if isFrame {
				t.frames[frame] = l.Entities
			} else {
				t.Layout, t.moved = l, map[int][]eligen.Entity{}
			}
			return
		}
	}
	t := &take{Layout: l, frames: map[int][]eligen.Entity{}, moved: map[int][]eligen.Entity{}, locality: map[string]float64{}}
	if isFrame {
		t.frames[frame] = l.Entities
	}
	*ts = append(*ts, t)
}

// find is which render a stage is about, at which frame, and what it does there:
// "decode" of "render.clip.frame[3].decode".
func (ts takes) find(stage string) (t *take, frame int, what string) {
	for _, other := range ts {
		if rest, ok := strings.CutPrefix(stage, other.Render+"."); ok && (t == nil || len(other.Render) > len(t.Render)) {
			t, what = other, rest
		}
	}
	if head, tail, ok := strings.Cut(what, "]."); ok {
		if n, ok := frameNumber(head); ok {
			return t, n, tail
		}
	}
	return t, 0, what
}

// maxFrame is the last frame that the screen believes in.
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

// same reports whether a render looks the same at two frames: the plan then makes one
// picture for both. It does so where entities cover the same image tokens.
func (t *take) same(a, b int) bool {
	return slices.EqualFunc(t.at(a), t.at(b), func(x, y eligen.Entity) bool {
		if x.Strength != y.Strength || x.Prompt != y.Prompt {
			return false
		}
		return reflect.DeepEqual(x.Region, y.Region) || x.Region.Kind != "" && y.Region.Kind != "" && slices.Equal(t.tokens(x.Region), t.tokens(y.Region))
	})
}
