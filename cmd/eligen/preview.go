package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/page"
	"github.com/eligen/eligen/planner"
	"github.com/eligen/eligen/runtime"
	"github.com/eligen/eligen/stage/clip"
	"github.com/eligen/eligen/stage/still"
	"github.com/eligen/eligen/tui"
)

// previewOptions are the flags of `eligen preview`.
type previewOptions struct {
	planOptions
	force bool
	watch bool
	open  bool
}

func newPreview() *cobra.Command {
	var o previewOptions
	c := &cobra.Command{
		Use:   "preview SCENE",
		Short: "Draw a scene's layout, without a model",
		Long: `Draw a scene's layout, without a model: each region as the planner sees it, in its colour, with its letter, name and prompt. Beside each file that the scene would write, a picture named …-preview.png is written: of a clip, its frames at the timeline's keys, and the ways that entities go. On a terminal the layout is shown too.

A label leaves out what its font can't write (it has Latin, Greek and Cyrillic letters): the letter says which entity it is.

With --watch nothing is written: the layout fills the terminal, and is drawn again whenever the scene is saved. While the scene has mistakes they are listed, and the last good layout stays.`,
		Example: `eligen preview scenes/rain.hcl
eligen preview --open scenes/drive.hcl
eligen preview --watch scenes/rain.hcl`,
		Args:              exactly(1),
		ValidArgsFunction: complete("hcl"),
		RunE:              o.run,
	}
	o.sceneOptions.flags(c)
	c.Flags().StringArrayVar(&o.targets, "target", nil, "only this `RENDER`, as render.name or 'render.name[\"key\"]'; may be repeated")
	completed(c, "target", o.completeTargets)
	c.Flags().BoolVar(&o.watch, "watch", false, "show the layout on the terminal, and again whenever the scene is saved")
	c.Flags().BoolVar(&o.open, "open", false, "open the pictures in the system's viewer")
	c.Flags().BoolVar(&o.force, "force", false, "replace files that eligen did not write")
	c.MarkFlagsMutuallyExclusive("watch", "open")
	return c
}

func (o *previewOptions) run(c *cobra.Command, args []string) (err error) {
	o.engine = "paint"
	e, err := o.planOptions.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.close()) }()
	if o.watch {
		return o.follow(c, e, args[0])
	}
	scene, err := o.load(c, args[0])
	if err != nil {
		return err
	}
	if err := o.target(scene); err != nil {
		return err
	}
	if len(scene.Renders) == 0 {
		return fmt.Errorf("%s has no render block, so it has no layout", args[0])
	}
	scene.Checks = nil // they are about pictures that a model has made
	p, ds, err := planned(c.Context(), scene, e.ID(), e.Spec, planner.Options{})
	if err != nil {
		return err
	}
	if err := ds.Err(); err != nil {
		return err
	}
	diagnose(c.ErrOrStderr(), ds)
	shown := sketched(scene, p)
	previews := previewsOf(shown, p)
	store, err := openStore()
	if err != nil {
		return err
	}
	defer store.Close()
	written := map[string]bool{}
	r := runtime.Runner{Store: store, Engine: e, Force: o.force, Unrecorded: true, Recognise: untouched, Emit: func(e eligen.Event) {
		if e.Type == eligen.Wrote {
			written[e.Path] = true
		}
		if e.Type == eligen.Failed {
			diagnose(c.ErrOrStderr(), eligen.Diagnostics{*e.Problem})
		}
	}}
	if err := r.Apply(c.Context(), previews); err != nil {
		return reported(err)
	}
	draw := screenLook(c)
	var files []string
	for i, f := range previews.Outputs {
		if !written[f.Path] {
			continue
		}
		files = append(files, f.Path)
		if draw != nil {
			fmt.Fprint(page.Bare(c.ErrOrStderr()), tui.Sketch(shown[i].Layout, *draw))
		}
		fmt.Fprintln(c.OutOrStdout(), f.Path)
	}
	if o.open {
		return open(c.Context(), files)
	}
	return nil
}

// A sketch is what is drawn of a render without making it.
type sketch struct {
	tui.Layout
	still  still.Resolved // frame 0's, of a clip
	clip   *clip.Resolved // nil: nothing moves
	path   string         // of the render's first file, from the plan's folder
	source eligen.Source  // of that file
}

// sketched are the renders of a scene as they are planned: with all of their entities,
// those too that are off the canvas at first.
func sketched(scene *eligen.Scene, p *eligen.Plan) []sketch {
	planned := map[string]sketch{}
	see := func(op eligen.Op) {
		var k sketch
		if r, ok := clip.ResolvedOf(op); ok {
			k.Render, k.Size, k.clip = r.Render, r.Size, &r
			_ = json.Unmarshal(r.First, &k.still) // it was made a moment ago
		} else if r, ok := still.ResolvedOf(op); ok {
			k.Render, k.Size, k.still = r.Render, r.Size, r
		}
		if old, ok := planned[k.Render]; k.Render != "" && (!ok || old.clip == nil) {
			planned[k.Render] = k
		}
	}
	for _, s := range p.Stages {
		see(s.Op)
		if s.Record != nil {
			see(s.Record)
		}
	}
	var out []sketch
	for _, r := range scene.Renders {
		k, ok := planned[r.Address]
		if !ok {
			continue
		}
		k.Prompt, k.Entities = r.Prompt, slices.Clone(r.Entities)
		if r.Overlap != "over" { // elsewhere z says nothing
			for i := range k.Entities {
				k.Entities[i].Z = 0
			}
		}
		if r.Clip != nil {
			k.Timeline = &r.Clip.Timeline
		}
		k.path, k.source = r.Outputs[0].Path, r.Outputs[0].Source
		out = append(out, k)
	}
	return out
}

// previewsOf is a plan of pictures of layouts, in their order, each beside the first
// file of its render.
func previewsOf(shown []sketch, p *eligen.Plan) *eligen.Plan {
	out := eligen.NewPlan(p.Scene, p.Engine)
	taken := map[string]bool{}
	for _, k := range shown {
		var op eligen.Op = still.Preview{Resolved: k.still, Z: heights(k.Entities)}
		if k.clip != nil && k.Timeline != nil {
			op = storyboard(k.Layout, *k.clip)
		}
		stem := strings.TrimRight(numbers.ReplaceAllString(strings.TrimSuffix(k.path, path.Ext(k.path)), ""), "/")
		name := stem + "-preview.png"
		for i := 2; taken[name]; i++ {
			name = fmt.Sprintf("%s-preview-%d.png", stem, i)
		}
		taken[name] = true
		out.Outputs = append(out.Outputs, eligen.PlannedOutput{
			Render: k.Render, Path: filepath.Join(out.Folder, filepath.FromSlash(name)), Stage: out.Add(k.Render+".preview", k.source, op), Source: k.source,
		})
	}
	return out
}

// heights are the z of entities; nil where all are the same.
func heights(entities []eligen.Entity) []float64 {
	var z []float64
	same := true
	for _, e := range entities {
		z = append(z, e.Z)
		same = same && e.Z == z[0]
	}
	if same {
		return nil
	}
	return z
}

// numbers is where a clip's path has the number of a frame.
var numbers = regexp.MustCompile(`[-_.]?%0?[0-9]*d`)

// mostFrames is how many frames a storyboard shows.
const mostFrames = 12

// storyboard is a clip's layout at its keys, and the ways that its entities go.
func storyboard(l tui.Layout, r clip.Resolved) still.Storyboard {
	o := still.Storyboard{Size: l.Size, Z: heights(l.Entities)}
	if about, err := json.Marshal(r); err == nil {
		o.Shown = &still.Shown{Clip: about}
	}
	at := func(frame int) []eligen.Entity {
		if f, err := l.Timeline.At(frame, l.Entities, l.Size); err == nil {
			return f.Entities
		}
		return l.Entities
	}
	for _, n := range keyframes(l.Timeline) {
		f := still.BoardFrame{Number: n, Caption: fmt.Sprintf("frame %d, %.2f s", n, float64(n)/l.Timeline.FPS)}
		for _, e := range at(n) {
			f.Entities = append(f.Entities, still.Entity{Address: e.Address, Prompt: e.Prompt, Region: e.Region, Strength: e.Strength})
		}
		o.Frames = append(o.Frames, f)
	}
	for i, e := range l.Entities {
		w := still.Way{Entity: i}
		for n := range l.Timeline.Frames {
			x, y := at(n)[i].Region.Center(l.Size)
			w.Places = append(w.Places, x, y)
		}
		if e.Region.Kind != "" && moves(w.Places) {
			o.Ways = append(o.Ways, w)
		}
	}
	return o
}

func moves(places []float64) bool {
	for i := 2; i < len(places); i++ {
		if d := places[i] - places[i-2]; d > 1e-6 || d < -1e-6 {
			return true
		}
	}
	return false
}

// keyframes are the first and last frame of a timeline and those at its keys; where
// that is few, frames between them too, and where it is many, some of them.
func keyframes(t *eligen.Timeline) []int {
	last := t.Frames - 1
	frames := []int{0, last}
	for _, track := range t.Tracks {
		for _, k := range track.Keys {
			frames = append(frames, min(last, max(0, int(k.Frame+0.5))))
		}
	}
	slices.Sort(frames)
	frames = slices.Compact(frames)
	for len(frames) < min(t.Frames, mostFrames/2) {
		widest := 1
		for i := 1; i < len(frames); i++ {
			if frames[i]-frames[i-1] > frames[widest]-frames[widest-1] {
				widest = i
			}
		}
		if frames[widest]-frames[widest-1] < 2 {
			break
		}
		frames = slices.Insert(frames, widest, (frames[widest]+frames[widest-1])/2)
	}
	if n := len(frames); n > mostFrames {
		var some []int
		for i := range mostFrames {
			some = append(some, frames[i*(n-1)/(mostFrames-1)])
		}
		frames = some
	}
	return frames
}
