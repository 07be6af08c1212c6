package tui

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/eligen/eligen"
)

// A timelinePane draws the frames as a ruler with the playhead, and below it each track
// with its keys and the curves between them.
type timelinePane struct {
	timeline *eligen.Timeline // nil: frames without one
	frames   int
	frame    int
	made     map[int]bool // frames whose pictures are there
	layout   bool         // there is no run that could make any
	playing  bool
	selected string // address of the entity whose tracks come first
	look     Look
}

// levels are heights of a curve, from 0 to 1.
var levels = []rune("▁▂▃▄▅▆▇█")

// column returns a frame's column on a ruler.
func column(frame float64, frames, width int) int {
	if frames < 2 {
		return 0
	}
	return min(width-1, max(0, int(frame*float64(width-1)/float64(frames-1)+0.5)))
}

// View draws the timeline in so many lines.
func (p *timelinePane) View(width, height int) []string {
	name, times := "frames", ""
	if p.timeline != nil {
		if name = shortName(p.timeline.Address); name == "" {
			name = "timeline" // journals of before don't say which
		}
		if p.timeline.FPS > 0 {
			times = fmt.Sprintf(" · %.2f s · %g fps", float64(p.frame)/p.timeline.FPS, p.timeline.FPS)
		}
	}
	state := ""
	if p.playing {
		state = "▶ playing"
	}
	where := fmt.Sprintf("%s · frame %d of %d", name, p.frame, p.frames)
	if len([]rune(where+times+state))+4 <= width {
		where += times
	}
	lines := []string{title(where, state, width, p.look)}

	gutter := min(24, max(10, width/4))
	ruler := width - gutter - 1
	head := column(float64(p.frame), p.frames, ruler)
	row := func(left string, cells []rune, colour string) string {
		l := left + strings.Repeat(" ", max(0, gutter-len([]rune(left)))) + " "
		return l + paint(p.look, colour, string(cells[:head])) + bold(p.look, string(cells[head])) + paint(p.look, colour, string(cells[head+1:]))
	}
	cells := []rune(strings.Repeat("─", ruler))
	for f := range p.made {
		for x := column(float64(f)-0.5, p.frames, ruler); x <= column(float64(f)+0.5, p.frames, ruler); x++ {
			cells[x] = '━'
		}
	}
	cells[head] = '▼'
	count := fmt.Sprintf("%d of %d made", len(p.made), p.frames)
	if p.layout && len(p.made) == 0 {
		count = fmt.Sprintf("%d frames", p.frames)
	}
	lines = append(lines, row(count, cells, theme.quiet))
	if p.timeline == nil {
		return fit(lines, width, height)
	}

	tracks := slices.Clone(p.timeline.Tracks)
	slices.SortStableFunc(tracks, func(a, b eligen.Track) int {
		return rank(a, p.selected) - rank(b, p.selected)
	})
	for i := range tracks {
		t := &tracks[i]
		keys := []rune(strings.Repeat(" ", ruler))
		keys[head] = '│'
		for _, f := range keyFrames(t, p.frames) {
			keys[column(f, p.frames, ruler)] = '◆'
		}
		lines = append(lines, row(cutLeft(shortName(t.Target.String()), gutter), keys, theme.name))
		curve, name := p.curve(t, ruler)
		lines = append(lines, row(cut("  "+name, gutter), curve, theme.value))
	}
	return fit(lines, width, height)
}

// rank sorts the selected entity's tracks first.
func rank(t eligen.Track, selected string) int {
	if t.Target.Block == selected {
		return 0
	}
	return 1
}

// keyFrames returns the frames of a track's keys.
func keyFrames(t *eligen.Track, frames int) []float64 {
	if len(t.Keys) == 0 {
		return []float64{0, float64(frames - 1)}
	}
	var out []float64
	for _, k := range t.Keys {
		out = append(out, k.Frame)
	}
	return out
}

// curve returns, for each column, how far the value has moved from one key to the next, and
// the name of the ease at the playhead.
func (p *timelinePane) curve(t *eligen.Track, width int) (cells []rune, name string) {
	cells = []rune(strings.Repeat(" ", width))
	if t.Follow != "" {
		return cells, "follows " + shortName(t.Follow)
	}
	at := func(frame float64) (float64, string, bool) {
		if t.Path != nil {
			return t.Ease.At(frame / float64(max(1, p.frames-1))), "path " + t.Ease.String(), true
		}
		for i := 0; i+1 < len(t.Keys); i++ {
			a, b := t.Keys[i], t.Keys[i+1]
			if frame >= a.Frame && frame <= b.Frame && b.Frame > a.Frame {
				return a.Ease.At((frame - a.Frame) / (b.Frame - a.Frame)), a.Ease.String(), true
			}
		}
		return 0, "holds", false
	}
	for x := range cells {
		if v, _, ok := at(float64(x) * float64(p.frames-1) / float64(max(1, width-1))); ok {
			cells[x] = levels[int(math.Round(min(1, max(0, v))*float64(len(levels)-1)))]
		}
	}
	_, name, _ = at(float64(p.frame))
	return cells, name
}
