package dsl

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/words"
	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

// MaxFrames is how many frames a timeline may have, unless Vars say otherwise.
const MaxFrames = 10_000

var (
	timelineGrammar = &grammar{
		what:     "a timeline",
		optional: []string{"duration", "frames", "fps"},
		blocks:   []hcl.BlockHeaderSchema{{Type: "track"}, dynamicBlock},
		many:     []string{"track"},
		later:    []string{"for_each", "count"},
		inside: map[string]string{"target": "track", "keys": "track", "ease": "track", "path": "output", "entities": "render",
			"seed": "render"},
	}
	trackGrammar = &grammar{
		what:     "a track",
		required: []string{"target"},
		optional: []string{"keys", "path", "follow", "ease", "extrapolate"},
		inside:   map[string]string{"fps": "timeline", "duration": "timeline"},
	}
	keyGrammar = &grammar{what: "a key", optional: []string{"at", "value", "ease"}}

	warmGrammar       = &grammar{what: "a warm_start", required: []string{"strength"}, optional: []string{"every"}}
	backgroundGrammar = &grammar{what: "a background", optional: []string{"lock"}}
	inpaintGrammar    = &grammar{what: "an inpaint", optional: []string{"image", "fit", "background", "mode", "feather", "background_weight"},
		inside: map[string]string{"strength": "init", "clean_source": "transfer"}}
)

var (
	easeType = cty.CapsuleWithOps("ease", reflect.TypeOf(eligen.Ease{}), &cty.CapsuleOps{
		GoString:     func(any) string { return "ease" },
		TypeGoString: func(reflect.Type) string { return "ease" },
		RawEquals:    func(a, b any) bool { return reflect.DeepEqual(a, b) },
		HashKey:      func(a any) string { return a.(*eligen.Ease).String() },
	})
	pathType = cty.CapsuleWithOps("path", reflect.TypeOf(eligen.Path{}), &cty.CapsuleOps{
		GoString:     func(any) string { return "path" },
		TypeGoString: func(reflect.Type) string { return "path" },
		RawEquals:    func(a, b any) bool { return reflect.DeepEqual(a, b) },
		HashKey:      func(a any) string { return fmt.Sprint(len(a.(*eligen.Path).Points)) },
	})
	timelineType = cty.Object(map[string]cty.Type{
		"name": cty.String, "address": cty.String, "frames": cty.Number, "fps": cty.Number, identityName: identityType,
	})
)

// easeFunction makes a function of numbers that returns an ease.
func easeFunction(make func(n []float64) (eligen.Ease, error), params ...string) function.Function {
	return function.New(&function.Spec{
		Params: numberParams(params...),
		Type:   function.StaticReturnType(easeType),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			n, err := finite(args)
			if err != nil {
				return cty.NilVal, err
			}
			e, err := make(n)
			if err != nil {
				return cty.NilVal, function.NewArgErrorf(0, "%v", err)
			}
			return cty.CapsuleVal(easeType, &e), nil
		},
	})
}

// pathFunction makes a function that returns a path.
func pathFunction(params []function.Parameter, make func(args []cty.Value) (*eligen.Path, error)) function.Function {
	return function.New(&function.Spec{
		Params: params,
		Type:   function.StaticReturnType(pathType),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			p, err := make(args)
			if err != nil {
				return cty.NilVal, function.NewArgErrorf(0, "%v", err)
			}
			// A canvas of any shape: what has no length on one has none on another.
			if !(p.Length(eligen.Size{W: 1, H: 1}) > 1e-9) {
				return cty.NilVal, function.NewArgErrorf(0, "the path has no length: nothing can move along it")
			}
			return cty.CapsuleVal(pathType, p), nil
		},
	})
}

// timeFunctions returns the functions that timelines are written with.
func timeFunctions() map[string]function.Function {
	points := []function.Parameter{{Name: "points", Type: cty.DynamicPseudoType}}
	return map[string]function.Function{
		"bezier": easeFunction(func(n []float64) (eligen.Ease, error) {
			return eligen.Bezier(n[0], n[1], n[2], n[3])
		}, "x1", "y1", "x2", "y2"),
		"steps": easeFunction(func(n []float64) (eligen.Ease, error) {
			if n[0] != math.Trunc(n[0]) {
				return eligen.Ease{}, fmt.Errorf("must be a whole number, not %v", n[0])
			}
			return eligen.Steps(int(n[0]))
		}, "n"),
		"spring": easeFunction(func(n []float64) (eligen.Ease, error) { return eligen.Spring(n[0], n[1]) }, "stiffness", "damping"),

		"path": pathFunction([]function.Parameter{{Name: "path", Type: cty.String}}, func(args []cty.Value) (*eligen.Path, error) {
			return openPath(args[0].AsString())
		}),
		"polyline": pathFunction(points, func(args []cty.Value) (*eligen.Path, error) {
			n, err := pointList(args[0])
			return &eligen.Path{Points: n}, err
		}),
		"spline": pathFunction(points, func(args []cty.Value) (*eligen.Path, error) {
			n, err := pointList(args[0])
			if err != nil {
				return nil, err
			}
			return eligen.CatmullRom(n), nil
		}),
		"orbit": pathFunction(numberParams("cx", "cy", "rx", "ry", "from", "turns"), func(args []cty.Value) (*eligen.Path, error) {
			n, err := finite(args)
			if err != nil {
				return nil, err
			}
			if math.Abs(n[5]) > 1000 {
				return nil, fmt.Errorf("an orbit has at most 1000 turns, not %v", n[5])
			}
			return eligen.Orbit(n[0], n[1], n[2], n[3], n[4], n[5]), nil
		}),
	}
}

// pointList reads [[x, y], …].
func pointList(v cty.Value) ([]float64, error) {
	ty := v.Type()
	if !ty.IsTupleType() && !ty.IsListType() {
		return nil, fmt.Errorf("must be a list of points, as [[0.1, 0.5], [0.9, 0.5]]")
	}
	var out []float64
	for it := v.ElementIterator(); it.Next(); {
		_, p := it.Element()
		if p.IsNull() || !p.Type().IsTupleType() && !p.Type().IsListType() || p.LengthInt() != 2 {
			return nil, fmt.Errorf("a point is [x, y], not %s", short(p))
		}
		for c := p.ElementIterator(); c.Next(); {
			_, x := c.Element()
			x, err := toType(x, cty.Number)
			if err != nil || x.IsNull() {
				return nil, fmt.Errorf("a point is two numbers, [x, y]")
			}
			n, err := finite([]cty.Value{x})
			if err != nil {
				return nil, err
			}
			out = append(out, n[0])
		}
	}
	if len(out) < 4 {
		return nil, fmt.Errorf("a path needs at least two points; this has %d", len(out)/2)
	}
	if len(out) > 2*maxPoints {
		return nil, fmt.Errorf("a path has at most %d points; this has %d", maxPoints, len(out)/2)
	}
	return out, nil
}

// openPath reads one line of SVG's path syntax.
func openPath(text string) (*eligen.Path, error) {
	r, err := readPath(text)
	if err != nil {
		return nil, err
	}
	if r.lines > 1 {
		return nil, fmt.Errorf("the path has %d lines (each M begins one), and things move along one", r.lines)
	}
	return &eligen.Path{Points: r.all}, nil
}

// timeline reads a timeline block.
func (l *loader) timeline(block *hcl.Block, n *node) cty.Value {
	b := l.open(block, timelineGrammar)
	t := &eligen.Timeline{Name: n.name, Address: n.address(), FPS: 12, Source: l.source(b.rng)}
	if f, ok := b.number("fps", 0, 1000); !ok && b.has("fps") {
		t.FPS = 0 // nobody knows: then no length is known in frames
	} else if ok {
		t.FPS = f
		if f < 0.1 {
			b.errorf(b.place("fps"), outOfRange, "\"fps\" is the frames of a second, at least 0.1; %v is none.", f)
		}
	}
	end := b.end(t)
	moved := map[string]eligen.Source{}
	for _, inner := range b.blocks {
		if inner.Type == "track" {
			b.track(inner, t, end, moved)
		}
	}
	if len(b.blocks) == 0 && !b.damaged && !b.failed {
		b.errorf(b.rng, missingBlock, "A timeline has at least one track block: what moves, and how.")
	}
	if b.failed {
		return cty.DynamicVal
	}
	n.timeline = t
	return cty.ObjectVal(map[string]cty.Value{
		"name": cty.StringVal(t.Name), "address": cty.StringVal(t.Address), "frames": cty.NumberIntVal(int64(t.Frames)),
		"fps": cty.NumberFloatVal(t.FPS), identityName: cty.CapsuleVal(identityType, n),
	})
}

// end reads how long a timeline is, of which the frames of a second are known, and sets
// its Frames.
func (b *body) end(t *eligen.Timeline) end {
	end := end{unknown: b.has("fps") && !(t.FPS >= 0.1)}
	limit := b.l.maxFrames
	if limit == 0 {
		limit = MaxFrames
	}
	frames, duration := b.has("frames"), b.has("duration")
	switch {
	case frames && duration:
		b.errorf(b.attrs["frames"].NameRange, conflicting, "A timeline has \"duration\" or \"frames\", not both. Remove one of "+
			"the two.").Note(b.l.source(b.attrs["duration"].NameRange), "\"duration\" is here")
	case frames:
		if n, ok := b.whole("frames", 1, int64(limit)); ok {
			t.Frames = int(n)
			end.seconds = float64(n) / t.FPS
		}
	case duration:
		if s, ok := b.seconds("duration"); ok && !end.unknown {
			end.seconds = s
			switch n := math.Round(s * t.FPS); {
			case n > float64(limit):
				b.errorf(b.place("duration"), outOfRange,
					"%v seconds at %v frames a second are %.0f frames; at most %d are rendered, unless --max-frames says otherwise.", s, t.FPS, n, limit)
			case n < 1:
				b.errorf(b.place("duration"), outOfRange, "%v seconds at %v frames a second are no frame.", s, t.FPS)
			default:
				t.Frames = int(n)
			}
		}
	case !b.damaged && !b.guessed["frames"] && !b.guessed["duration"]:
		b.errorf(b.rng, missing, "A timeline needs to know how long it is: duration = \"2s\", or frames = 24.")
	}
	end.unknown = end.unknown || t.Frames == 0
	return end
}

// An end is when a timeline ends.
type end struct {
	unknown bool    // its length is missing or wrong: nothing can be said of when keys are
	seconds float64 // as it was given, not rounded to frames
}

// seconds reads a duration: "1.5s", "1m", "250ms", or a number of seconds.
func (b *body) seconds(name string) (float64, bool) {
	v, ok := b.value(name)
	if !ok {
		return 0, false
	}
	if v.Type() == cty.String {
		s, ok := parseSeconds(v.AsString())
		if ok && s > 0 {
			return s, true
		}
		if ok {
			b.errorf(b.place(name), outOfRange, "%q must be longer than 0 seconds.", name)
			return 0, false
		}
	} else if n, err := toType(v, cty.Number); err == nil {
		if f, _ := n.AsBigFloat().Float64(); f > 0 && f < 1e9 {
			return f, true
		}
	}
	b.errorf(b.place(name), wrongType, "%q is a time, as \"2s\", \"500ms\" or \"1m\"; this is %s.", name, short(v))
	return 0, false
}

func parseSeconds(s string) (float64, bool) {
	for _, unit := range []struct {
		suffix string
		of     float64
	}{{"ms", 0.001}, {"s", 1}, {"m", 60}} {
		if digits, ok := strings.CutSuffix(s, unit.suffix); ok {
			f, err := strconv.ParseFloat(digits, 64)
			return f * unit.of, err == nil && f >= 0 && f < 1e9
		}
	}
	return 0, false
}

// What tracks can move, by the kind of block.
var movable = map[string][]string{
	"entity": {"box", "mask", "region", "center", "strength", "opacity"}, "adapter": {"scale"}, "sampler": {"guidance", "cfg"},
}

// A trackBody is a track block, and a keyBody one of its keys.
type (
	trackBody struct{ *body }
	keyBody   struct{ *body }
)

// track reads a track block.
func (b *body) track(block *hcl.Block, t *eligen.Timeline, end end, moved map[string]eligen.Source) {
	c := trackBody{&body{l: b.l, g: trackGrammar, rng: b.l.header(block), at: map[string]eligen.Source{}, iteration: b.made[block]}}
	c.read(block.Body)
	defer func() { b.failed = b.failed || c.failed }()
	tr := eligen.Track{Source: b.l.source(c.rng)}
	target, entity, ok := c.target()
	if !ok { // the rest may have mistakes of its own
		ease, _ := c.ease("ease")
		if c.has("keys") {
			c.keys(&tr, t, end, ease)
		}
		return
	}
	tr.Target = target
	at := c.attrs["target"].Expr.Range()
	tr.Source = b.l.source(at)
	// A box and its centre are two ways to move one thing.
	if first, ok := moved[target.String()]; ok {
		c.errorf(at, "Duplicate track", "Two tracks move %s. Put their keys into one.", target).Note(first, "the first track is here")
	} else {
		moved[target.String()] = tr.Source
	}
	tr.Extrapolate, _ = c.choice("extrapolate", "hold", "loop", "mirror", "continue")

	way, ok := c.way(target)
	if !ok {
		return
	}
	if way != "keys" && c.has("extrapolate") {
		c.errorf(c.attrs["extrapolate"].NameRange, notApplicable,
			"\"extrapolate\" says what happens before the first key and after the last, and this track has no keys.")
	}
	ease, eased := c.ease("ease")
	switch way {
	case "path":
		tr.Ease, tr.Path = ease, c.path()
	case "follow":
		if eased {
			c.errorf(c.place("ease"), notApplicable, "A track that follows moves as what it follows; it has no ease of its own.")
		}
		tr.Follow = c.follow(entity)
	default:
		c.keys(&tr, t, end, ease)
	}
	if !c.failed {
		t.Tracks = append(t.Tracks, tr)
	}
}

// way returns by which argument a track moves its target: keys, path or follow.
func (c trackBody) way(target eligen.Target) (way string, ok bool) {
	var given []string
	for _, name := range []string{"keys", "path", "follow"} {
		if c.has(name) {
			given = append(given, name)
		}
	}
	switch {
	case len(given) == 0:
		if !c.damaged && !c.guessed["keys"] && !c.guessed["path"] && !c.guessed["follow"] {
			c.errorf(c.rng, missing,
				"A track says how its target moves: by \"keys\", or a centre along a \"path\" or after what it is to \"follow\".")
		}
		c.failed = true
		return "", false
	case len(given) > 1:
		c.errorf(c.attrs[given[1]].NameRange, conflicting, "A track has one of \"keys\", \"path\" and \"follow\". Remove all "+
			"but one.").Note(c.l.source(c.attrs[given[0]].NameRange), "%q is here", given[0])
		return "", false
	case given[0] != "keys" && target.Attribute != "center":
		c.errorf(c.attrs[given[0]].NameRange, notApplicable, "%q moves a place, and %s is none: set target = %s.center.", given[0], target,
			target.Block)
		return "", false
	}
	return given[0], true
}

// path reads the path that a track moves along.
func (c trackBody) path() *eligen.Path {
	v, ok := c.value("path")
	if !ok {
		return nil
	}
	if v.Type() == pathType {
		return v.EncapsulatedValue().(*eligen.Path)
	}
	hint := ""
	if v.Type() == cty.String {
		hint = " Write path(" + short(v) + ")."
	}
	c.errorf(c.place("path"), wrongType,
		"\"path\" must be a path, as path(\"M 0.1 0.5 L 0.9 0.5\"), polyline(…), spline(…) or orbit(…); this is %s.%s", short(v), hint)
	return nil
}

// follow reads the address of the entity that a track's own entity follows.
func (c trackBody) follow(entity *node) string {
	v, ok := c.value("follow")
	if !ok {
		return ""
	}
	n, ok := c.l.block(c.place("follow"), "entity", v)
	if !ok {
		c.failed = true
		return ""
	}
	if n == entity {
		c.errorf(c.place("follow"), circular, "%s can't follow itself.", n.address())
	}
	return n.address()
}

// target reads what a track moves: an absolute reference, which is not evaluated.
func (c trackBody) target() (t eligen.Target, entity *node, ok bool) {
	a := c.attrs["target"]
	if a == nil {
		return t, nil, false
	}
	l := c.l
	r := a.Expr.Range()
	traversal, diags := hcl.AbsTraversalForExpr(a.Expr)
	if diags.HasErrors() {
		c.errorf(r, "Invalid target",
			"\"target\" is a reference to what moves, written out, as entity.dog.box, entity.bird[\"near\"].center or adapter.lora.eligen.scale.")
		return t, nil, false
	}
	if traversal.RootName() == "sampler" {
		name := ""
		if len(traversal) == 2 {
			name, _ = stepName(traversal[1])
		}
		if !slices.Contains(movable["sampler"], name) {
			c.errorf(r, "Invalid target", "Of the sampler, sampler.guidance and sampler.cfg can move.")
			return t, nil, false
		}
		return eligen.Target{Block: "sampler", Attribute: name}, nil, true
	}
	var bad []hcl.Range
	n, rest := l.follow(traversal, &bad)
	if n == nil {
		c.failed = true
		return t, nil, false
	}
	if movable[n.kind] == nil {
		c.errorf(r, "Invalid target", "What can move are attributes of entities (%s), the scale of adapters, and sampler.guidance and "+
			"sampler.cfg; %s is %s.", strings.Join(movable["entity"], ", "), l.shown(n), an(n.kind))
		return t, nil, false
	}
	n.used = true
	if v := l.resolve(n); !v.IsKnown() || v.Type() == cty.DynamicPseudoType {
		c.failed = true // it has been said why
		return t, nil, false
	}
	if rest < len(traversal) && n.several {
		one := n.instanceAt(traversal[rest])
		if one == nil {
			c.errorf(r, "Reference to a repeated block", "%s is several.%s", l.shown(n), l.whichInstance(n))
			return t, nil, false
		}
		n, rest = one, rest+1
	}
	name := ""
	if rest == len(traversal)-1 {
		name, _ = stepName(traversal[rest])
	}
	if !c.canMove(r, n, name) {
		return t, nil, false
	}
	if n.kind == "entity" {
		entity = n
	}
	return eligen.Target{Block: n.address(), Attribute: name}, entity, true
}

// instanceAt returns the instance of a repeated block that a step of a reference names, or nil.
func (n *node) instanceAt(step hcl.Traverser) (one *node) {
	index, ok := step.(hcl.TraverseIndex)
	if !ok {
		return nil
	}
	n.each(func(i *node) {
		if k := index.Key; k.Type() == cty.String && k.AsString() == i.key || k.Type() == cty.Number && k.AsBigFloat().Text('f', -1) == i.key {
			one = i
		}
	})
	return one
}

// canMove reports whether tracks can move an attribute of a block, "" where none is named.
func (c trackBody) canMove(r hcl.Range, n *node, name string) bool {
	attributes := movable[n.kind]
	switch {
	case name == "":
		c.errorf(r, "Invalid target", "A track moves one attribute: %s.%s.", c.l.shown(n), attributes[0])
	case !slices.Contains(attributes, name):
		c.errorf(r, "Invalid target", "%q of %s can't move; %s can.%s", name, an(n.kind), words.Quoted(attributes, "or"),
			didYouMean(name, attributes))
	case n.kind == "entity" && slices.Contains(regionArguments, name) && n.entity != nil && n.where != name:
		c.errorf(r, "Invalid target", "%s has a %s, and no %s: set target = %s.%s.", c.l.shown(n), n.where, name, c.l.shown(n), n.where)
	default:
		return true
	}
	return false
}

// ease reads the name of an ease, or one that a function made.
func (c *body) ease(name string) (e eligen.Ease, ok bool) {
	v, ok := c.value(name)
	if !ok {
		return e, false
	}
	if v.Type() == easeType {
		return *v.EncapsulatedValue().(*eligen.Ease), true
	}
	if v.Type() != cty.String {
		c.errorf(c.place(name), wrongType,
			"%q must be the name of an ease, as \"cubic-in-out\", or bezier(…), steps(…) or spring(…); this is %s.", name, short(v))
		return e, false
	}
	e, ok = eligen.ParseEase(v.AsString())
	if !ok {
		hint := easeHint(v.AsString())
		if hint == "" {
			hint = didYouMean(v.AsString(), eligen.EaseNames())
		}
		if hint == "" {
			hint = " Names are those of easings.net, as \"sine-in\", \"cubic-out\" or \"bounce-in-out\", CSS's \"ease\", \"ease-in\", " +
				"\"ease-out\" and \"ease-in-out\", \"linear\" and \"hold\"."
		}
		c.errorf(c.place(name), "Unknown value", "There is no ease %q.%s", v.AsString(), hint)
	}
	return e, ok
}

// easeHint returns what to write for an ease that CSS and others have, and eligen writes
// in another way.
func easeHint(name string) string {
	name = strings.TrimSpace(strings.ToLower(name))
	if rest, ok := strings.CutPrefix(name, "cubic-bezier("); ok {
		return " Write it as a function, without quotes: bezier(" + rest + "."
	}
	for _, f := range []string{"bezier(", "steps(", "spring("} {
		if rest, ok := strings.CutPrefix(name, f); ok {
			arguments, _, _ := strings.Cut(strings.TrimSuffix(rest, ")"), ", ")
			if f != "steps(" { // CSS's may have an end, which is ours
				arguments = strings.TrimSuffix(rest, ")")
			}
			return " Write it as a function, without quotes: " + f + strings.TrimSuffix(arguments, ",") + ")."
		}
	}
	switch name {
	case "spring":
		return " Write it as a function, without quotes: spring()."
	case "bezier", "steps":
		return " Write it as a function, without quotes, with its numbers: " +
			map[string]string{"bezier": "bezier(0.4, 0, 0.2, 1)", "steps": "steps(4)"}[name] + "."
	case "step-end", "step", "discrete", "none", "constant":
		return ` A value that stays until the next key is "hold".`
	case "step-start":
		return ` A value that changes at once is that of the key itself: give it to the key, with ease = "hold".`
	}
	if _, ok := eligen.ParseEase(name + "-in"); ok && name != "ease" {
		return fmt.Sprintf(" It goes %q, %q or %q.", name+"-in", name+"-out", name+"-in-out")
	}
	return ""
}

// keys reads a list of keys, { at = …, value = …, ease = … } each.
func (c trackBody) keys(tr *eligen.Track, t *eligen.Timeline, end end, ease eligen.Ease) {
	list, ranges := c.keyList()
	before := 0.0 // when the key before is
	for i, e := range list {
		one := &body{l: c.l, g: &grammar{what: "a key", optional: []string{"key"}},
			attrs: hcl.Attributes{"key": {Name: "key", Expr: e, Range: ranges[i], NameRange: ranges[i]}},
			at:    map[string]eligen.Source{}, rng: ranges[i], iteration: c.iteration}
		inner, ok := one.object("key", keyGrammar)
		k := keyBody{inner}
		if !ok {
			if !one.failed {
				c.errorf(ranges[i], wrongType, "A key is an object, as { at = \"50%%\", value = … }; this is null.")
			}
			c.failed = true
			continue
		}
		key, at, ok := k.key(tr, t, end, ease)
		c.failed = c.failed || k.failed || one.failed
		if !ok {
			continue
		}
		key.Source = c.l.source(ranges[i])
		if n := len(tr.Keys); n > 0 && at <= before && !end.unknown {
			c.errorf(k.place("at"), "Keys out of order",
				"This key is at frame %s, and the one before it at frame %s: keys come in the order of time, each at a time of its own.",
				plainFloat(round(key.Frame)), plainFloat(round(tr.Keys[n-1].Frame)))
			continue
		}
		before = at
		if i == len(list)-1 && k.has("ease") && !k.failed {
			c.l.warnf(k.place("ease"), "Argument without effect",
				"An ease is that of the way to the next key, and this is the last. Move it to the key before, or remove it.")
		}
		if n := len(tr.Keys); n > 0 && key.Frame == tr.Keys[n-1].Frame {
			continue // of one frame, which shows where everything begins
		}
		tr.Keys = append(tr.Keys, key)
	}
}

// keyList returns the expressions of a track's keys, with the range of each; none where
// their number is wrong.
func (c trackBody) keyList() (list []hcl.Expression, ranges []hcl.Range) {
	if written, diags := hcl.ExprList(c.attrs["keys"].Expr); !diags.HasErrors() {
		for _, e := range written {
			list, ranges = append(list, e), append(ranges, e.Range())
		}
	} else {
		values, places, ok := c.elements("keys", "a list of keys, as [{ at = \"0%\", value = … }, { at = \"100%\", value = … }]")
		if !ok {
			return nil, nil
		}
		for i, v := range values {
			list, ranges = append(list, hcl.StaticExpr(v, places[i])), append(ranges, places[i])
		}
	}
	switch {
	case len(list) == 0:
		c.errorf(c.place("keys"), empty, "A track has at least one key.")
	case len(list) > maxPoints:
		c.errorf(c.place("keys"), outOfRange, "A track has at most %d keys; this has %d.", maxPoints, len(list))
		return nil, nil
	}
	return list, ranges
}

// key reads one key, and when it is: a number that rises from key to key.
func (k keyBody) key(tr *eligen.Track, t *eligen.Timeline, end end, ease eligen.Ease) (out eligen.Key, when float64, ok bool) {
	for _, name := range []string{"at", "value"} {
		if !k.has(name) {
			k.errorf(k.rng, missing, "A key needs the part %q, as { at = \"50%%\", value = … }.", name)
			return out, 0, false
		}
	}
	out.Ease = ease
	if e, ok := k.ease("ease"); ok {
		out.Ease = e
	}
	if out.Frame, when, ok = k.frame(t, end); !ok {
		return out, 0, false
	}
	v, ok := k.value("value")
	if !ok {
		k.failed = true
		return out, 0, false
	}
	at := k.place("value")
	switch name := tr.Target.Attribute; name {
	case "": // nobody knows what it should be
	case "box", "mask", "region":
		s := k.shape(name, v)
		if s == nil {
			return out, 0, false
		}
		out.Value.Region = s.region
	case "center":
		p, err := pointOf(v)
		if err != nil {
			k.errorf(at, wrongType, "The value of a center is a point, [x, y] in fractions of the canvas; this is %s.", short(v))
			return out, 0, false
		}
		out.Value.Numbers = p
	default:
		n, err := toType(v, cty.Number)
		if err != nil || n.IsNull() {
			k.errorf(at, wrongType, "The value of a %s is a number; this is %s.", name, short(v))
			return out, 0, false
		}
		low, high := 0.0, 1000.0
		if name == "scale" {
			low, high = -100, 100
		}
		f, _ := n.AsBigFloat().Float64()
		if !(f >= low && f <= high) {
			k.errorf(at, outOfRange, "A %s is %s, not %s.", name, span("a number", low, high), plainFloat(f))
			return out, 0, false
		}
		out.Value.Numbers = []float64{f}
	}
	return out, when, true
}

func pointOf(v cty.Value) ([]float64, error) {
	if ty := v.Type(); (ty.IsTupleType() || ty.IsListType()) && v.LengthInt() == 2 {
		var out []float64
		for it := v.ElementIterator(); it.Next(); {
			_, x := it.Element()
			n, err := toType(x, cty.Number)
			if err != nil || n.IsNull() {
				return nil, fmt.Errorf("no number")
			}
			f, err := finite([]cty.Value{n})
			if err != nil {
				return nil, err
			}
			out = append(out, f[0])
		}
		return out, nil
	}
	return nil, fmt.Errorf("no point")
}

// frame reads when a key is: "1.2s", "40%" of the way to the last frame, or a frame.
// when orders keys: in a timeline of one frame, "0%" and "100%" are both frame 0.
func (k keyBody) frame(t *eligen.Timeline, end end) (frame, when float64, ok bool) {
	v, ok := k.value("at")
	if !ok {
		k.failed = true
		return 0, 0, false
	}
	last := float64(max(0, t.Frames-1))
	at := k.place("at")
	inside := false
	switch s := ""; {
	case v.Type() == cty.Number:
		frame, _ = v.AsBigFloat().Float64()
		when, inside = frame, frame >= 0 && frame <= last+1e-9
	case v.Type() == cty.String:
		s = v.AsString()
		if share, ok := parsePercent(s); ok {
			frame, inside = share*last, share >= 0 && share <= 1
			if when = frame; last == 0 {
				when = share
			}
			break
		}
		if seconds, ok := parseSeconds(s); ok {
			frame = seconds * t.FPS
			when, inside = frame, seconds <= max(end.seconds, last/t.FPS)+1e-9
			if !inside && !end.unknown {
				k.errorf(at, outOfRange, "This is after the end: the timeline is %s long, %d frames at %v a second.", plainSeconds(end.seconds),
					t.Frames, t.FPS)
				return 0, 0, false
			}
			break
		}
		fallthrough
	default:
		k.errorf(at, wrongType, "\"at\" is a time, as \"1.2s\", a part of the timeline, as \"40%%\", or the number of a frame; this is %s.",
			short(v))
		return 0, 0, false
	}
	if !inside && !end.unknown {
		k.errorf(at, outOfRange, "This is frame %s, and the timeline has the frames 0 to %s.", plainFloat(round(frame)), plainFloat(last))
		return 0, 0, false
	}
	return frame, when, true
}

func parsePercent(s string) (share float64, ok bool) {
	digits, ok := strings.CutSuffix(s, "%")
	f, err := strconv.ParseFloat(digits, 64)
	return f / 100, ok && err == nil
}

func plainSeconds(s float64) string { return plainFloat(round(s)) + " s" }

// clip reads what makes a render a sequence of frames. known is false where it has
// a timeline with mistakes: then nothing can be said of what only clips have.
func (b renderBody) clip(r *eligen.Render, shown []*node) (known bool) {
	if v, ok := b.value("timeline"); !ok && b.attrs["timeline"] != nil && (!v.IsKnown() || !v.IsNull()) {
		return false
	} else if ok {
		n, ok := b.l.block(b.place("timeline"), "timeline", v)
		if !ok || n.timeline == nil {
			b.failed = true
			return false
		}
		r.Clip = &eligen.Clip{Timeline: *n.timeline}
	} else if r.Clip != nil { // of the render that this one is a variant of
		c := *r.Clip
		r.Clip = &c
	}
	warm, background := b.inner("warm_start"), b.inner("background")
	if r.Clip == nil {
		for _, block := range []*hcl.Block{warm, background} {
			if block != nil {
				b.errorf(b.l.header(block), notApplicable, "%q is for a render with a timeline: set timeline = timeline.name.", block.Type)
			}
		}
		return true
	}
	if warm != nil {
		w := b.child(warm, warmGrammar)
		out := &eligen.WarmStart{Source: b.l.source(w.rng)}
		if f, ok := w.number("strength", 0, 1); ok {
			out.Strength = f
			if f == 0 || f == 1 {
				w.errorf(w.place("strength"), outOfRange,
					"\"strength\" lies between 0 and 1: at 0 nothing would change from frame to frame, at 1 a frame would begin from noise alone.")
			}
		}
		if n, ok := w.whole("every", 1, MaxFrames); ok {
			out.Every = int(n)
		}
		b.failed = b.failed || w.failed
		r.Clip.Warm = out
	}
	if background != nil {
		g := b.child(background, backgroundGrammar)
		if lock, ok := g.boolean("lock"); ok {
			r.Clip.Lock = lock
		}
		b.failed = b.failed || g.failed
	}
	if b.failed {
		return true // what is shown may be what failed
	}
	for _, tr := range r.Clip.Timeline.Tracks {
		if missing := b.unmoved(tr, r, shown); missing != "" {
			b.errorf(b.place("timeline"), "Nothing to move", "%s moves %s, and %s is not in this render. Add it, or remove the track.",
				r.Clip.Timeline.Address, tr.Target, missing).Note(tr.Source, "the track is here")
		}
	}
	return true
}

// unmoved returns what a track needs and the render lacks, or "".
func (b renderBody) unmoved(tr eligen.Track, r *eligen.Render, shown []*node) string {
	has := func(address string) bool {
		return slices.ContainsFunc(shown, func(n *node) bool { return n.address() == address })
	}
	switch block := tr.Target.Block; {
	case strings.Contains("."+block, ".adapter."):
		if !slices.ContainsFunc(r.Adapters, func(a eligen.Adapter) bool { return strings.HasSuffix(block, "adapter."+a.Kind+"."+a.Name) }) {
			return block
		}
	case block == "sampler":
	case !has(block):
		return block
	case tr.Follow != "" && !has(tr.Follow):
		return tr.Follow
	}
	return ""
}

// inpaint reads the picture that a render paints into.
func (b renderBody) inpaint(r *eligen.Render) {
	block := b.inner("inpaint")
	if block == nil {
		return
	}
	i := b.child(block, inpaintGrammar)
	defer func() { b.failed = b.failed || i.failed }()
	out := &eligen.Inpaint{Source: b.l.source(i.rng)}
	if r.Inpaint != nil {
		*out = *r.Inpaint
	} else if !i.has("image") && !i.damaged && !i.guessed["image"] {
		i.errorf(i.rng, missing, "An inpaint needs the argument \"image\": the picture that is painted into.")
	}
	if p := i.picture("image"); p != nil {
		p.Background = out.Image.Background
		out.Image = *p
	}
	i.background(&out.Image)
	if s, ok := i.choice("fit", fits...); ok {
		out.Fit = s
	}
	i.keeping(&out.Keeping)
	i.kept("image", out.Image, out.Keeping)
	r.Inpaint = out
}
