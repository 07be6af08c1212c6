package planner

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/stage/clip"
	"github.com/eligen/eligen/stage/denoise"
	"github.com/eligen/eligen/stage/still"
)

// frames works out every frame of a clip: where its entities are, and which of them
// have no image token there and are left out.
func (jd *judge) frames(w *work) {
	r := w.render
	if r.Clip == nil || !w.sizeOK() {
		return
	}
	c := r.Clip
	jd.keys(w)
	jd.fixed(w)
	jd.beginnings(r)
	gone := make([][]int, len(r.Entities)) // frames in which an entity has no token
	said := map[string]bool{}
	for n := range c.Timeline.Frames {
		jd.goOn()
		f, err := c.Timeline.At(n, r.Entities, w.size)
		if err != nil {
			jd.diags.Errorf(&c.Timeline.Source, "Invalid timeline", "%v.", err)
			return
		}
		frame := jd.frame(w, n, f)
		if frame == nil {
			return
		}
		before := len(jd.diags)
		for i := range frame.render.Entities {
			e := entity{Entity: &frame.render.Entities[i], strength: frame.render.Entities[i].Strength, text: w.entities[i].text}
			if !finiteRegion(e.Region) {
				jd.diags.Errorf(regionAt(e.Entity), outOfRange, "In frame %d the region of %s holds a number that is not finite.", n, e.Address)
				return
			}
			e.region = e.Region.Round()
			e.tokens = e.region.Tokens(w.size, w.spec.Geometry)
			e.covered = len(e.tokens)
			frame.entities = append(frame.entities, e)
		}
		jd.overlaps(frame)
		for i, e := range frame.entities {
			if len(e.tokens) == 0 && !frame.transparent(e) {
				gone[i] = append(gone[i], n)
			}
		}
		// A frame's mistakes are said once, of the first that has them; its warnings
		// would be hundreds.
		all := slices.Clone(jd.diags[before:])
		jd.diags = jd.diags[:before]
		for _, d := range all {
			if key := d.Summary + d.Source.String(); d.Severity == eligen.Error && !said[key] {
				said[key] = true
				d.Detail = fmt.Sprintf("In frame %d: %s", n, d.Detail)
				jd.diags = append(jd.diags, d)
			}
		}
		w.frames = append(w.frames, frame)
	}
	jd.away(w, gone)
}

// fixed reports tracks of LoRAs whose scale can't move.
func (jd *judge) fixed(w *work) {
	at := 0
	for _, a := range w.render.Adapters {
		// The spec has them in this order, if not all of them.
		if at == len(w.spec.Adapters) || w.spec.Adapters[at].Kind != a.Kind {
			continue
		}
		reason := w.spec.TraitsOf(at).Fixed
		at++
		for i := range w.render.Clip.Timeline.Tracks {
			if t := &w.render.Clip.Timeline.Tracks[i]; reason != "" && t.Target.Block == "adapter."+a.Kind+"."+a.Name {
				jd.diags.Errorf(&t.Source, "Invalid target", "The scale of adapter %q can't move: %s. Remove the track, and set one scale.", a.Name,
					reason)
			}
		}
	}
}

// away reports entities that have no image token, by the frames in which that is so.
func (jd *judge) away(w *work, gone [][]int) {
	r, count := w.render, w.render.Clip.Timeline.Frames
	for i, frames := range gone {
		e := &r.Entities[i]
		switch {
		case len(frames) == 0 || w.entities[i].outside:
		case len(frames) == count:
			jd.onceOf(e, "Region covers no image token", "%s covers no image token (%[4]d×%[4]d pixels each) in any frame of "+
				"%[2]s (%[3]s). Make it larger, or move it into the picture.", e.Address, r.Address, counted(count, "frame"),
				w.spec.Geometry.Token())
		default:
			jd.warn(regionAt(e), "Entity is away", "%s has no image token in %s of %s, and is left out there.", e.Address, ranges(frames), r.Address)
		}
	}
}

// beginnings refuses a clip that would begin its frames, or keep what is behind them, in two
// ways.
func (jd *judge) beginnings(r *eligen.Render) {
	c := r.Clip
	if (r.Inpaint != nil || r.Transfer != nil) && c.Lock {
		jd.diags.Errorf(r.Where("background"), conflicting,
			"%s keeps the rest of a picture, and background { lock = true } that of frame 0: choose one.",
			map[bool]string{true: "inpaint", false: "transfer"}[r.Inpaint != nil]).
			Note(jd.block(r, "inpaint", "transfer"), "the picture is here")
	}
	if r.Init != nil && c.Warm != nil {
		jd.diags.Errorf(&c.Warm.Source, conflicting,
			"init starts every frame from a picture, and warm_start from the frame before it: choose one.").
			Note(r.Init.Source, "init is here")
	}
	if c.Warm != nil && !(c.Warm.Strength > 0 && c.Warm.Strength < 1) {
		jd.diags.Errorf(r.Where("warm_start.strength"), outOfRange,
			"The strength of warm_start is %v; it must lie between 0 and 1. Small values change little from frame to frame.", c.Warm.Strength)
	}
}

// block returns where the first of some blocks is that a render has.
func (jd *judge) block(r *eligen.Render, names ...string) eligen.Source {
	for _, name := range names {
		if at, ok := r.At[name]; ok {
			return at
		}
	}
	return eligen.Source{}
}

// ranges says which frames: "frames 0–3 and 7".
func ranges(frames []int) string {
	var parts []string
	for i := 0; i < len(frames); {
		j := i
		for j+1 < len(frames) && frames[j+1] == frames[j]+1 {
			j++
		}
		if i == j {
			parts = append(parts, fmt.Sprint(frames[i]))
		} else {
			parts = append(parts, fmt.Sprintf("%d–%d", frames[i], frames[j]))
		}
		i = j + 1
	}
	word := "frames "
	if len(frames) == 1 {
		word = "frame "
	}
	if n := len(parts); n > 1 {
		return word + strings.Join(parts[:n-1], ", ") + " and " + parts[n-1]
	}
	return word + parts[0]
}

// frame returns the work of one frame: the render's, with what has moved.
func (jd *judge) frame(w *work, n int, f eligen.Frame) *work {
	r := *w.render
	r.Address = fmt.Sprintf("%s.frame[%d]", r.Address, n)
	r.Entities = f.Entities
	frame := *w
	frame.moving = true
	frame.render, frame.number, frame.entities, frame.outputs, frame.frames = &r, n, nil, nil, nil
	if f.Guidance != nil {
		frame.guidance = *f.Guidance
	}
	if f.CFG != nil {
		frame.cfg = *f.CFG
	}
	for _, x := range []struct {
		name string
		x    float64
	}{{"guidance", frame.guidance}, {"cfg", frame.cfg}} {
		if !finite(x.x) || x.x < 0 {
			jd.diags.Errorf(&r.Clip.Timeline.Source, outOfRange, "In frame %d %s is %v; it must be a finite number, 0 or above. Some eases, and "+
				"extrapolate = \"continue\", go beyond the keys.", n, x.name, x.x)
			return nil
		}
	}
	frame.negative = w.negative && frame.cfg != 1
	frame.onBoth = w.onBoth && frame.negative
	if len(f.Scales) > 0 {
		r.Adapters, frame.spec.Adapters = slices.Clone(r.Adapters), slices.Clone(w.spec.Adapters)
		at := 0
		for i := range r.Adapters {
			a := &r.Adapters[i]
			// The spec has them in this order, if not all of them.
			if at == len(frame.spec.Adapters) || frame.spec.Adapters[at].Kind != a.Kind {
				continue
			}
			if s, ok := f.Scales["adapter."+a.Kind+"."+a.Name]; ok {
				a.Scale = s
				// Laid into the weights, every scale would be other weights.
				frame.spec.Adapters[at].Scale, frame.spec.Adapters[at].Factors = s, a.Kind == "lora"
			}
			at++
		}
	}
	return &frame
}

// guided reports whether a render, or a frame of its clip, has a negative branch.
func (w *work) guided() bool {
	if c := w.render.Clip; c != nil {
		for i := range c.Timeline.Tracks {
			if tr := &c.Timeline.Tracks[i]; tr.Target.Block == "sampler" && tr.Target.Attribute == "cfg" {
				for n := range c.Timeline.Frames {
					if tr.At(float64(n), c.Timeline.Frames, w.size).Numbers[0] != 1 {
						return true
					}
				}
				return false
			}
		}
	}
	return w.cfg != 1
}

// clip plans the frames of a clip that are asked for, those that they need, and the
// files that are made of them.
func (b *builder) clip(w *work) {
	c := w.render.Clip
	type drawn struct{ latents, picture eligen.Ref }
	done := map[int]drawn{}
	var draw func(n int) drawn
	draw = func(n int) drawn {
		if d, ok := done[n]; ok {
			return d
		}
		frame := *w.frames[n]
		if w.rereads() {
			b.read(&frame)
		} else {
			frame.prompt, frame.negativePrompt, frame.entityPrompts = w.prompt, w.negativePrompt, w.entityPrompts
			frame.entityNegatives = w.entityNegatives
		}
		var prompts []eligen.Ref
		var entities []entity
		for i, e := range frame.entities {
			if len(e.tokens) > 0 {
				prompts, entities = append(prompts, frame.entityPrompts[i]), append(entities, e)
			}
		}
		all := frame.entities
		frame.entities = entities
		var start []eligen.Ref
		if warm := c.Warm; warm != nil && n > 0 && (warm.Every == 0 || n%warm.Every != 0) {
			start = append(start, draw(n-1).latents)
			frame.schedule.Strength = warm.Strength
		}
		var p *plate
		switch {
		case w.render.Inpaint != nil || w.render.Transfer != nil:
			p = b.plate(&frame)
		case c.Lock && n > 0:
			first := draw(0)
			p = &plate{latents: first.latents, exact: true, picture: first.picture,
				region: w.tokensOf(append(regions(w.frames[0].entities), regions(all)...))}
			p.fusion = denoise.Fusion{Paint: w.touched(p.region)}
		}
		var d drawn
		d.latents, d.picture = b.draw(&frame, prompts, "", start, p)
		done[n] = d
		return d
	}
	var pictures []eligen.Ref
	var frames []*work
	for n, frame := range w.frames {
		if b.options.Frames == nil || b.options.Frames(n) {
			pictures, frames = append(pictures, draw(n).picture), append(frames, frame)
		}
	}
	if w.shown = frames; len(frames) > 0 {
		w.picture = pictures[len(pictures)/2]
	}
	b.clipOutputs(w, frames, pictures)
}

// tokensOf returns the region of all of the image tokens that regions cover. The model
// draws an entity into whole tokens: what it leaves when it moves away are tokens, too.
func (w *work) tokensOf(regions []eligen.Region) eligen.Region {
	grid := w.spec.Geometry.Grid(w.size)
	on := make([]bool, grid.W*grid.H)
	for _, r := range regions {
		for _, t := range r.Tokens(w.size, w.spec.Geometry) {
			on[t] = true
		}
	}
	return eligen.Region{Kind: "image", Fit: "stretch", Bitmap: eligen.NewBitmap(grid.W, grid.H,
		func(x, y int) bool { return on[y*grid.W+x] })}
}

func regions(entities []entity) (out []eligen.Region) {
	for _, e := range entities {
		if len(e.tokens) > 0 {
			out = append(out, e.region)
		}
	}
	return out
}

// clipOutputs plans the files that are made of a clip's frames.
func (b *builder) clipOutputs(w *work, frames []*work, pictures []eligen.Ref) {
	r := w.render
	t := r.Clip.Timeline
	whole := false
	for _, o := range w.outputs {
		if strings.Contains(o.local, "%") {
			for i, frame := range frames {
				b.still(frame, o, fmt.Sprintf(o.local, frame.number), b.resolved(frame), pictures[i])
			}
			continue
		}
		if len(frames) < t.Frames {
			b.warn(&o.Source, "Clip is left alone", "%s is made of all %d frames, and %d were asked for: it is not written.", o.Path, t.Frames,
				len(frames))
			continue
		}
		var op eligen.Op
		if o.Sheet {
			sheet := still.Sheet{Size: w.size, Background: b.resolved(w.frames[0]).Background(), Mark: b.mark(w, o.Output)}
			if !o.StripMetadata {
				sheet.Shown = &still.Shown{Clip: encoded(b.resolvedClip(w, 0))}
			}
			for _, f := range frames {
				sheet.Captions = append(sheet.Captions, fmt.Sprint("frame ", f.number))
			}
			op = sheet
		} else {
			op, whole = b.clipOp(w, o), true
		}
		ref := b.add(w, r.Address+".clip"+o.ext, o.Source, op, pictures...)
		b.plan.Outputs = append(b.plan.Outputs, eligen.PlannedOutput{Render: r.Address, Path: o.local, Stage: ref, Source: o.Source})
	}
	if !whole && len(pictures) > 0 { // no file says what moves, and a screen shows it
		b.plan.Stages[pictures[0]].Record = clip.GIF{Resolved: b.resolvedClip(w, 0), Timeline: t.Address}
	}
}

// resolvedClip returns a clip with nothing left open.
func (b *builder) resolvedClip(w *work, loop int) clip.Resolved {
	t := w.render.Clip.Timeline
	first := b.resolved(w.frames[0])
	return clip.Resolved{
		Format: 1, Version: eligen.Version, Render: w.render.Address, Size: w.size, FPS: t.FPS, Frames: t.Frames, Loop: loop,
		Background: first.Background(), Timeline: describe(t), First: encoded(first),
	}
}

// clipOp returns the stage that writes a clip's format.
func (b *builder) clipOp(w *work, o output) eligen.Op {
	t := w.render.Clip.Timeline
	resolved := b.resolvedClip(w, o.Loop) // of a file that doesn't hold it, records and screens read it
	mark := b.mark(w, o.Output)
	var check error
	var op eligen.Op
	switch o.ext {
	case ".gif":
		dither := o.Dither
		if dither == "" {
			dither = clip.FloydSteinberg
		}
		gif := clip.GIF{Resolved: resolved, Timeline: t.Address, Strip: o.StripMetadata, Mark: mark, Dither: dither}
		op, check = gif, gif.Check()
	case ".apng":
		apng := clip.APNG{Resolved: resolved, Timeline: t.Address, Strip: o.StripMetadata, Mark: mark}
		op, check = apng, apng.Check()
	case ".webp":
		webp := clip.WebP{Resolved: resolved, Timeline: t.Address, Strip: o.StripMetadata, Mark: mark}
		op, check = webp, webp.Check()
	default:
		video := clip.Video{Resolved: resolved, Timeline: t.Address, Strip: o.StripMetadata, Mark: mark, Format: strings.TrimPrefix(o.ext, "."),
			FFmpeg: b.video}
		op, check = video, video.Check()
	}
	if check != nil {
		b.diags.Errorf(&o.Source, "Clip can't be written", "%s.", sentence(check))
	}
	return op
}

// describe writes a timeline as a clip's metadata has it: what moves, and when.
func describe(t eligen.Timeline) json.RawMessage {
	type key struct {
		Frame  float64        `json:"frame"`
		Region *eligen.Region `json:"region,omitempty"`
		Value  []float64      `json:"value,omitempty"`
		Ease   string         `json:"ease,omitempty"`
	}
	type track struct {
		Target      string    `json:"target"`
		Keys        []key     `json:"keys,omitempty"`
		Extrapolate string    `json:"extrapolate,omitempty"`
		Path        []float64 `json:"path,omitempty"`
		Ease        string    `json:"ease,omitempty"`
		Follow      string    `json:"follow,omitempty"`
	}
	var out []track
	for _, tr := range t.Tracks {
		x := track{Target: tr.Target.String(), Extrapolate: tr.Extrapolate, Follow: tr.Follow}
		if tr.Path != nil {
			x.Path, x.Ease = tr.Path.Points, tr.Ease.String()
		}
		for _, k := range tr.Keys {
			y := key{Frame: k.Frame, Value: k.Value.Numbers, Ease: k.Ease.String()}
			if k.Value.Region.Kind != "" {
				r := k.Value.Region
				y.Region = &r
			}
			x.Keys = append(x.Keys, y)
		}
		out = append(out, x)
	}
	return encoded(out)
}

func encoded(v any) json.RawMessage {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err) // plain structs of finite numbers
	}
	return data
}
