package dsl

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

var dynamicGrammar = &grammar{
	what:     "a dynamic block",
	required: []string{"for_each"},
	optional: []string{"iterator"},
	blocks:   []hcl.BlockHeaderSchema{{Type: "content"}},
}

// dynamicBlock is how a block that may hold dynamic blocks says so.
var dynamicBlock = hcl.BlockHeaderSchema{Type: "dynamic", LabelNames: []string{"block"}}

// An iteration is what a block made by a dynamic block is evaluated with.
type iteration struct {
	name  string               // of the word that is its element: "output"
	words map[string]cty.Value // with those of the block around it

	element string // as messages call it: output["a"]
	of      int    // how many there are
}

// dynamic lists the blocks that a dynamic block stands for.
func (b *body) dynamic(block *hcl.Block) []*hcl.Block {
	l, kind := b.l, block.Labels[0]
	var kinds []string
	for _, s := range b.g.blocks {
		if s.Type != dynamicBlock.Type {
			kinds = append(kinds, s.Type)
		}
	}
	if !slices.Contains(kinds, kind) {
		b.errorf(block.LabelRanges[0], "Unsupported block type", "%s has no blocks of type %q.%s", capital(b.g.what), kind,
			didYouMean(kind, kinds))
		return nil
	}
	d := l.open(block, dynamicGrammar)
	defer func() { b.failed = b.failed || d.failed }()
	content := d.inner("content")
	if content == nil && !d.damaged {
		d.errorf(d.rng, missingBlock, "A dynamic block says in a block \"content\" what each %s holds:\n\n  dynamic %q {\n    for_each = …\n "+
			"   content {\n      …\n    }\n  }", kind, kind)
	}
	name := kind
	if a := d.attrs["iterator"]; a != nil {
		name = hcl.ExprAsKeyword(a.Expr)
		switch _, taken := roots[name]; {
		case name == "":
			d.errorf(a.Expr.Range(), wrongType, "\"iterator\" must be a name, without quotes: iterator = file.")
		case taken || name == "each" || name == "count" || !hclsyntax.ValidIdentifier(name):
			d.errorf(a.Expr.Range(), "Invalid name", "%q already means something in expressions. Choose another word.", name)
		}
	}
	keys, values, ok := d.elementsOf("for_each")
	if !ok || d.failed || !l.expand(d.rng, len(values)) {
		d.failed = true
		return nil
	}
	if !slices.Contains(b.g.many, kind) && len(values) > 1 {
		d.errorf(d.place("for_each"), duplicateBlock, "%s has at most one %s block; this makes %d.", capital(b.g.what), kind, len(values))
		return nil
	}
	var out []*hcl.Block
	for i, v := range values {
		words := map[string]cty.Value{}
		maps.Copy(words, l.words)
		words[name] = cty.ObjectVal(map[string]cty.Value{"key": keys[i], "value": v})
		made := &hcl.Block{Type: kind, Body: content.Body, DefRange: block.DefRange, TypeRange: block.TypeRange, LabelRanges: block.LabelRanges}
		b.made[made] = &iteration{name, words, fmt.Sprintf("%s[%s]", kind, short(keys[i])), len(values)}
		out = append(out, made)
	}
	return out
}

// elementsOf returns the keys and values of an argument that is any collection.
func (b *body) elementsOf(name string) (keys, values []cty.Value, ok bool) {
	a := b.attrs[name]
	if a == nil {
		return nil, nil, false
	}
	v := b.eval(a.Expr)
	if !v.IsKnown() {
		b.failed = true
		return nil, nil, false
	}
	ty := v.Type()
	if v.IsNull() || !ty.IsCollectionType() && !ty.IsTupleType() && !ty.IsObjectType() {
		b.errorf(a.Expr.Range(), wrongType, "%q must be a list, a set or a map; this is %s.", name, short(v))
		return nil, nil, false
	}
	if n := v.LengthInt(); n > maxInstances {
		b.errorf(a.Expr.Range(), tooComplex, "%q has %d elements; there are at most %d.", name, n, maxInstances)
		return nil, nil, false
	}
	for it := v.ElementIterator(); it.Next(); {
		k, e := it.Element()
		if ty.IsSetType() {
			k = e
		}
		keys, values = append(keys, k), append(values, e)
	}
	return keys, values, true
}

// eval returns the value of an expression of the body's.
func (b *body) eval(e hcl.Expression) (v cty.Value) {
	b.within(func() { v = b.l.eval(e) })
	return v
}

// within runs f where words mean what they mean in the body.
func (b *body) within(f func()) {
	if b.iteration == nil {
		f()
		return
	}
	b.l.named(b.iteration.element, b.iteration.of, func() { b.l.inside(b.iteration.words, f) })
}

// instanceOf returns the address of a block. In one that a dynamic block made, it says
// which instance.
func (b *body) instanceOf(address string) string {
	if b.iteration == nil {
		return address
	}
	key := b.iteration.words[b.iteration.name].GetAttr("key")
	if key.Type() == cty.Number {
		return fmt.Sprintf("%s, %s.key = %s", address, b.iteration.name, plain(key.AsBigFloat()))
	}
	return fmt.Sprintf("%s, %s.key = %s", address, b.iteration.name, short(key))
}

// keyWord returns how a path tells the instances of a block apart.
func (b *body) keyWord() string {
	switch {
	case b.iteration != nil:
		return fmt.Sprintf("${%s.key}", b.iteration.name)
	case b.l.words["count"] != cty.NilVal:
		return "${count.index}"
	case b.l.words["each"] != cty.NilVal:
		return "${each.key}"
	}
	return ""
}

// refuse complains about an argument that people may expect, and that the language won't have;
// the reason is said.
func (b *body) refuse(name string, at hcl.Range) {
	b.errorf(at, "Unsupported argument", "%s has no argument %q. %s", capital(b.g.what), name, strings.ReplaceAll(b.g.never[name], "`", "\""))
}
