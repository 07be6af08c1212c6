package dsl

import (
	"maps"
	"slices"
	"strings"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/words"
	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

var modelGrammar = &grammar{
	what:     "a model",
	optional: []string{"source", "revision", "file", "clip", "t5", "text", "vae", "dtype"},
	never: map[string]string{
		"autoencoder":    "Name the autoencoder's file with `vae`.",
		"text_encoder":   "Name the text encoders' files with `clip` and `t5`, or `text` where the family has one.",
		"text_encoder_2": "Name the text encoders' files with `clip` and `t5`, or `text` where the family has one.",
		"transformer":    "Name the transformer's file with `source`.",
		"unet":           "Name the transformer's file with `source`.",
	},
	inside: map[string]string{"steps": "sampler", "cfg": "sampler", "guidance": "sampler", "schedule": "sampler", "scale": "adapter"},
}

var adapterGrammar = &grammar{
	what:     "an adapter",
	optional: []string{"source", "revision", "file", "scale", "alpha", "encoder", "image", "images", "background", "for_each", "count"},
}

// adapterKinds are the kinds of adapter, each with the arguments that others don't take.
var adapterKinds = map[string][]string{"lora": {"alpha"}, "ip": {"encoder", "image", "images", "background"}}

// maxImagePrompts is the most pictures of one adapter.
const maxImagePrompts = 64

// predeclare adds model.nano.base, the model that is embedded in eligen.
func (l *loader) predeclare() {
	n := &node{kind: "model", name: "nano.base", state: done, used: true}
	n.model = &eligen.Model{Family: "nano", Name: "base"}
	n.value = modelValue(n)
	l.nodes[n.local()] = n
	l.order = append(l.order, n)
}

func modelValue(n *node) cty.Value {
	return cty.ObjectVal(map[string]cty.Value{
		"name": cty.StringVal(n.model.Name), "address": cty.StringVal(n.address()), "family": cty.StringVal(n.model.Family),
		"source": orNull(n.model.Path), "dtype": orNull(n.model.DType), identityName: cty.CapsuleVal(identityType, n),
	})
}

func orNull(s string) cty.Value {
	if s == "" {
		return cty.NullVal(cty.String)
	}
	return cty.StringVal(s)
}

func (l *loader) model(block *hcl.Block, n *node) cty.Value {
	b := l.open(block, modelGrammar)
	m := &eligen.Model{Family: block.Labels[0], Name: block.Labels[1], Source: l.source(b.rng), At: b.at}
	f := b.family(m.Family, block.LabelRanges[0])
	m.Path = b.weights()
	m.Parts = b.parts(f)
	m.DType, _ = b.choice("dtype", "float32", "bfloat16", "int8", "int4")
	if b.failed {
		return cty.DynamicVal
	}
	n.model = m
	return modelValue(n)
}

// family checks the name of a model's family, and that it has the source that the family
// needs. It returns nil where the family isn't known.
func (b *body) family(name string, at hcl.Range) *eligen.Family {
	if b.l.families == nil {
		return nil
	}
	var names []string
	for _, f := range b.l.families {
		if f.Name == name {
			if f.Source != "" && !b.has("source") && !b.damaged {
				b.errorf(b.rng, missing, "A %s model needs the argument \"source\": %s.", name, f.Source)
			}
			return &f
		}
		names = append(names, f.Name)
	}
	b.errorf(at, "Unknown value", "There is no model family %q; there is %s.%s", name, words.Quoted(names, "or"), didYouMean(name, names))
	return nil
}

// parts reads the parts of a model that have arguments of their own.
func (b *body) parts(f *eligen.Family) map[string]string {
	out := map[string]string{}
	for _, name := range []string{eligen.PartCLIP, eligen.PartT5, eligen.PartVAE} {
		if f != nil && b.has(name) && !slices.Contains(f.Parts, name) {
			b.errorf(b.attrs[name].NameRange, notApplicable, "A model of the family %s has no part %q of its own.", f.Name, name)
			continue
		}
		if path, ok := b.weightsOf(name); ok {
			out[name] = path
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

func (l *loader) adapter(block *hcl.Block, n *node) cty.Value {
	kind := block.Labels[0]
	if adapterKinds[kind] == nil {
		if kind == "controlnet" {
			l.errorf(block.LabelRanges[0], notYet, "Adapters of kind %q: %s.", kind, notYetDetail)
		} else {
			kinds := slices.Sorted(maps.Keys(adapterKinds))
			l.errorf(block.LabelRanges[0], "Unknown value", "There is no adapter kind %q; there is %s.%s", kind, words.Quoted(kinds, "or"),
				didYouMean(kind, kinds))
		}
		return cty.DynamicVal
	}
	b := l.open(block, adapterGrammar)
	for other, names := range adapterKinds {
		for _, name := range names {
			if a := b.attrs[name]; other != kind && b.has(name) {
				b.errorf(a.NameRange, notApplicable, "%q is an argument of adapter %q; this is an adapter %q.", name, other, kind)
			}
		}
	}
	a := &eligen.Adapter{Kind: kind, Name: strings.TrimPrefix(n.name, kind+"."), Scale: 1, Source: l.source(b.rng), At: b.at}
	var own []string
	if kind == "lora" {
		own = []string{eligen.InContext}
	}
	a.Path = b.weights(own...)
	if f, ok := b.number("scale", -100, 100); ok {
		a.Scale = f
	}
	alpha := cty.NullVal(cty.String)
	switch kind {
	case "lora":
		a.Alpha = "file"
		if s, ok := b.choice("alpha", "file", "ignore"); ok {
			a.Alpha = s
		}
		alpha = cty.StringVal(a.Alpha)
	case "ip":
		a.Encoder, _ = b.weightsOf("encoder")
		a.Images = b.imagePrompts()
		for i := range a.Images {
			b.background(&a.Images[i])
		}
	}
	if b.failed {
		return cty.DynamicVal
	}
	n.adapter = a
	return cty.ObjectVal(map[string]cty.Value{
		"name": cty.StringVal(a.Name), "address": cty.StringVal(n.address()), "kind": cty.StringVal(a.Kind), "source": orNull(a.Path),
		"scale": cty.NumberFloatVal(a.Scale), "alpha": alpha, identityName: cty.CapsuleVal(identityType, n),
	})
}

// imagePrompts reads the pictures that an IP-Adapter brings in, one or a list.
func (b *body) imagePrompts() (out []eligen.Picture) {
	one, several := b.attrs["image"], b.attrs["images"]
	if one != nil && several != nil && b.has("image") && b.has("images") {
		b.errorf(several.NameRange, conflicting, "An adapter has \"image\", or \"images\" with a list of them. Put all into the list.")
	}
	if p := b.picture("image"); p != nil {
		out = append(out, *p)
	}
	values, places, ok := b.elements("images", "a list of pictures, as [image(\"refs/painting.jpg\")]")
	for i, v := range values {
		if !v.IsWhollyKnown() {
			b.failed = true
			continue
		}
		if p := b.pictureOf(v, "An element of \"images\"", places[i]); p != nil {
			out = append(out, *p)
		}
	}
	if at, set := b.at["images"]; set {
		b.at["image"] = at
	}
	if len(out) == 0 && !b.failed {
		at := b.rng
		if ok {
			at = b.place("images")
		}
		b.errorf(at, missing, "An adapter \"ip\" needs the argument \"image\": the picture that it brings in, as "+
			"image(\"refs/painting.jpg\"); or \"images\" with a list of them.")
	}
	if len(out) > maxImagePrompts {
		b.errorf(b.place("images"), outOfRange, "An adapter brings in at most %d pictures; these are %d.", maxImagePrompts, len(out))
	}
	return out
}
