package dsl

import (
	"fmt"
	"slices"
	"strings"

	"github.com/eligen/eligen"
	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

var entityGrammar = &grammar{
	what:     "an entity",
	required: []string{"prompt"},
	optional: []string{"box", "mask", "region", "negative", "auto_negative", "strength", "z", "occludes", "opacity", "feather",
		"for_each", "count"},
	blocks: []hcl.BlockHeaderSchema{{Type: "schedule"}},
	inside: map[string]string{"size": "render", "seed": "render"},
}

// regionArguments say where an entity is; it has exactly one of them.
var regionArguments = []string{"box", "mask", "region"}

func (l *loader) entity(block *hcl.Block, n *node) cty.Value {
	b := l.open(block, entityGrammar)
	e := &eligen.Entity{Name: n.name, Address: n.address(), Strength: 1, Source: l.source(b.rng), At: b.at}

	if s, ok := b.text("prompt"); ok {
		e.Prompt = s
		if strings.TrimSpace(s) == "" {
			b.errorf(b.place("prompt"), empty, "An entity's prompt says what is drawn in its region, as \"a dog\"; this one is empty.")
		}
	}
	if s, ok := b.text("negative"); ok {
		if e.Negative = s; strings.TrimSpace(s) == "" {
			b.errorf(b.place("negative"), empty, "An entity's negative prompt says what is not drawn in its region; this one is empty.")
		}
	}
	if v, ok := b.boolean("auto_negative"); ok {
		e.AutoNegative = v
	}
	if f, ok := b.number("strength", 0, 1000); ok {
		e.Strength = f
		if f == 0 {
			b.errorf(b.place("strength"), outOfRange, "\"strength\" must be greater than 0: its logarithm is added to the attention. To leave "+
				"the entity out, remove it from the render's entities.")
		}
	}
	if f, ok := b.number("z", -1e6, 1e6); ok {
		e.Z = f
	}
	b.occludes(e)
	if f, ok := b.number("opacity", 0, 1); ok {
		e.Opacity = &f
		if f == 0 {
			b.errorf(b.place("opacity"), outOfRange, "\"opacity\" must be greater than 0: at 0 nothing is seen of the entity. To leave it out, "+
				"remove it from the render's entities; a track may lead to 0.")
		}
	}
	if f, ok := b.number("feather", 0, maxSide); ok {
		e.Feather = f
	}
	b.strengths(&e.Schedule)
	name, where := b.region()
	if b.failed || where == nil {
		return cty.DynamicVal
	}
	e.Region = where.region
	n.entity, n.where = e, name

	v := map[string]cty.Value{
		"name": cty.StringVal(e.Name), "address": cty.StringVal(e.Address), "prompt": cty.StringVal(e.Prompt),
		"strength": cty.NumberFloatVal(e.Strength), "z": cty.NumberFloatVal(e.Z), "center": cty.NullVal(cty.List(cty.Number)),
		"box": cty.NullVal(shapeType), "mask": cty.NullVal(shapeType), "region": cty.NullVal(shapeType),
		identityName: cty.CapsuleVal(identityType, n),
	}
	v[name] = cty.CapsuleVal(shapeType, where)
	v["opacity"] = cty.NumberFloatVal(1)
	if e.Opacity != nil {
		v["opacity"] = cty.NumberFloatVal(*e.Opacity)
	}
	if at, _, problem := boundsOf(where); problem == "" {
		v["center"] = cty.ListVal([]cty.Value{cty.NumberFloatVal((at[0] + at[2]) / 2), cty.NumberFloatVal((at[1] + at[3]) / 2)})
	}
	return cty.ObjectVal(v)
}

// occludes reads what an entity lies above. That it is above itself, directly or through others, is a circle of
// references.
func (b *body) occludes(e *eligen.Entity) {
	values, places, _ := b.elements("occludes", "a list of entities, as [entity.house, entity.tree]")
	for i, v := range values {
		n, ok := b.l.block(places[i], "entity", v)
		if !ok || n.entity == nil {
			b.failed = true
			continue
		}
		if slices.Contains(e.Occludes, n.entity.Address) {
			b.errorf(places[i], "Entity listed twice", "%s is in this list already.", b.l.shown(n))
			continue
		}
		e.Occludes = append(e.Occludes, n.entity.Address)
	}
}

// region reads where an entity is, and by which argument.
func (b *body) region() (name string, where *shape) {
	var set []string
	var value cty.Value
	for _, name := range regionArguments {
		v, ok := b.value(name)
		if ok {
			set, value = append(set, name), v
		} else if a := b.attrs[name]; a != nil && !v.IsKnown() {
			set = append(set, name)
		}
	}
	switch {
	case len(set) > 1:
		first := b.attrs[set[0]]
		for _, other := range set[1:] {
			b.errorf(b.attrs[other].NameRange, conflicting,
				"An entity has exactly one of \"box\", \"mask\" and \"region\". Remove all but one, or put shapes together with union().").
				Note(b.l.source(first.NameRange), "%q was set first", set[0])
		}
	case len(set) == 0 && !b.damaged && !b.guessed["box"] && !b.guessed["mask"] && !b.guessed["region"]:
		b.errorf(b.rng, missing,
			"An entity needs to know where it is: exactly one of \"box\", \"mask\" and \"region\", as box = xywh(0.1, 0.2, 0.3, 0.4).")
	case len(set) == 1 && value != cty.NilVal:
		return set[0], b.shape(set[0], value)
	}
	return "", nil
}

// shape checks the value of one of regionArguments. Whether it lies on the canvas is
// for the renders that show it: what moves may begin outside.
func (b *body) shape(name string, v cty.Value) *shape {
	r := b.place(name)
	if v.Type() != shapeType {
		hint := ""
		if ty := v.Type(); (ty.IsTupleType() || ty.IsListType()) && v.LengthInt() == 4 {
			hint = " Four numbers alone could mean several boxes: xywh(left, top, width, height), xyxy(left, top, right, bottom) or " +
				"cxcywh(centre, centre, width, height), in fractions of the canvas; px(…) around it for pixels."
		} else if v.Type() == cty.String && strings.Contains(v.AsString(), "(") {
			hint = " A shape is written without quotes"
			if isJSON(r.Filename) {
				hint = " In JSON, an expression stands in ${ … }"
			}
			hint += "."
		} else if v.Type() == cty.String {
			hint = fmt.Sprintf(" A mask picture is image(%s).", short(v))
		}
		b.errorf(r, wrongType, "%q must be a shape, as %s; this is %s.%s", name, map[string]string{
			"box": "xywh(0.1, 0.2, 0.3, 0.4)", "mask": `image("mask.png")`, "region": "ellipse(0.5, 0.5, 0.2, 0.1)"}[name], short(v), hint)
		return nil
	}
	s := shapeOf(v)
	kind := s.region.Kind
	switch {
	case s.trouble != "":
		b.errorf(r, "Unusable mask", "%s.", capital(s.trouble))
		return nil
	case name == "box" && kind != "box":
		want := "region"
		if kind == "image" {
			want = "mask"
		}
		b.errorf(r, wrongType, "\"box\" takes xywh(), xyxy() or cxcywh(); for this shape, of kind %s, write %s = … instead.", kind, want)
		return nil
	case name == "mask" && kind != "image":
		want := "region"
		if kind == "box" {
			want = "box"
		}
		b.errorf(r, wrongType, "\"mask\" takes a picture, image(\"…\"); for this shape, of kind %s, write %s = … instead.", kind, want)
		return nil
	}
	if _, _, problem := boundsOf(s); strings.HasSuffix(problem, "empty") {
		b.errorf(r, "Empty region", "%s.", capital(problem))
	}
	return s
}

// round rounds for messages: 0.1 + 0.2 reads 0.3.
func round(f float64) float64 {
	if f > -1e9 && f < 1e9 {
		n := f * 1e6
		if n < 0 {
			n -= 0.5
		} else {
			n += 0.5
		}
		return float64(int64(n)) / 1e6
	}
	return f
}
