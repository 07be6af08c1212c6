package dsl

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/eligen/eligen/internal/words"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// repetition are the arguments that make several of one block.
var repetition = []string{"for_each", "count"}

const (
	maxInstances = 10_000  // of one block
	maxExpansion = 100_000 // instances of a scene, blocks of dynamic blocks, and entities of renders
)

// expand counts what a scene becomes. It complains once, where that is too much.
func (l *loader) expand(at hcl.Range, n int) bool {
	before := *l.expanded
	*l.expanded += n
	if before <= maxExpansion && *l.expanded > maxExpansion {
		l.errorf(at, tooComplex, "Here the scene expands to more than %d parts: instances of blocks, and entities of renders.", maxExpansion)
	}
	return *l.expanded <= maxExpansion
}

// An instance is one of the several that a block with for_each or count stands for.
type instance struct {
	key   string               // of for_each, or the number of count
	index string               // as references write it: ["near"], [0]
	words map[string]cty.Value // what each and count are inside
}

// instances evaluates a block's for_each or count; several is false where it
// has neither, and ok where that could not be done.
func (l *loader) instances(b *hcl.Block) (list []instance, keyed, several, ok bool) {
	schema := &hcl.BodySchema{}
	for _, name := range repetition {
		schema.Attributes = append(schema.Attributes, hcl.AttributeSchema{Name: name})
	}
	content, _, _ := b.Body.PartialContent(schema) // what is wrong with the rest, its own reader says
	each, count := content.Attributes["for_each"], content.Attributes["count"]
	switch {
	case each == nil && count == nil:
		return nil, false, false, true
	case each != nil && count != nil:
		l.errorf(count.NameRange, conflicting,
			"A block has \"for_each\" or \"count\", not both. Remove one of the two.").Note(l.source(each.NameRange), "\"for_each\" is here")
		return nil, false, true, false
	case count != nil:
		list, ok = l.counted(count)
		return list, false, true, ok
	}
	list, ok = l.forEach(each)
	return list, true, true, ok
}

func (l *loader) counted(a *hcl.Attribute) ([]instance, bool) {
	v := l.eval(a.Expr)
	if !v.IsWhollyKnown() {
		return nil, false
	}
	number, err := toType(v, cty.Number)
	if err != nil || number.IsNull() {
		l.errorf(a.Expr.Range(), wrongType, "\"count\" must be a whole number; this is %s.", short(v))
		return nil, false
	}
	n, problem := wholeNumber(number, 0, maxInstances)
	if problem != "" {
		l.errorf(a.Expr.Range(), outOfRange, "\"count\" must be %s.", problem)
		return nil, false
	}
	var list []instance
	for i := range n {
		list = append(list, instance{
			key: strconv.FormatInt(i, 10), index: fmt.Sprintf("[%d]", i),
			words: map[string]cty.Value{"count": cty.ObjectVal(map[string]cty.Value{"index": cty.NumberIntVal(i)})},
		})
	}
	return list, true
}

// forEach lists the elements of a map, an object or a set of texts, in the
// order of their keys.
func (l *loader) forEach(a *hcl.Attribute) ([]instance, bool) {
	v := l.eval(a.Expr)
	if !v.IsKnown() {
		return nil, false
	}
	at := a.Expr.Range()
	ty := v.Type()
	switch {
	case v.IsNull():
		l.errorf(at, wrongType, "\"for_each\" must be a map, or a set of texts; this is null.")
		return nil, false
	case ty.IsMapType() || ty.IsObjectType():
	case ty.IsSetType() && ty.ElementType() == cty.String:
	case ty.IsSetType() && v.LengthInt() == 0:
		return nil, true
	default:
		hint := ""
		if ty.IsTupleType() || ty.IsListType() {
			hint = " A list has no keys: write toset( … ) around a list of texts, or { for x in list : x.name => x } for one of objects."
		}
		got := short(v)
		if got == "" {
			got = "something else"
		}
		l.errorf(at, wrongType, "\"for_each\" must be a map, or a set of texts; this is %s.%s", got, hint)
		return nil, false
	}
	if n := v.LengthInt(); n > maxInstances {
		l.errorf(at, tooComplex, "\"for_each\" has %d elements; a block has at most %d.", n, maxInstances)
		return nil, false
	}
	var list []instance
	for it := v.ElementIterator(); it.Next(); {
		k, e := it.Element()
		if ty.IsSetType() {
			k = e
		}
		if k.IsNull() || !k.IsKnown() {
			l.errorf(at, wrongType, "A key of \"for_each\" is null; every key must be a text.")
			return nil, false
		}
		key := k.AsString()
		list = append(list, instance{
			key: key, index: fmt.Sprintf("[%q]", key),
			words: map[string]cty.Value{"each": cty.ObjectVal(map[string]cty.Value{"key": k, "value": e})},
		})
	}
	slices.SortFunc(list, func(a, b instance) int { return strings.Compare(a.key, b.key) })
	return list, true
}

// within runs f where each and count have an instance's values.
func (l *loader) inside(words map[string]cty.Value, f func()) {
	outer := l.words
	l.words = words
	defer func() { l.words = outer }()
	f()
}

// repeat returns the value of a block: its own, or an object or a list of those of its
// instances.
func (l *loader) repeat(b *hcl.Block, n *node, compute func(*loader, *hcl.Block, *node) cty.Value) cty.Value {
	list, keyed, several, ok := l.instances(b)
	if !several {
		return compute(l, b, n)
	}
	n.several = true
	if !ok || !l.expand(l.header(b), len(list)) {
		n.broken = true
		return cty.DynamicVal
	}
	values := map[string]cty.Value{}
	var inOrder []cty.Value
	for _, i := range list {
		one := &node{kind: n.kind, module: n.module, name: n.name + i.index, key: i.key, rng: n.rng, at: n.at, state: running}
		l.named(l.shown(one), len(list), func() {
			l.inside(i.words, func() { one.value = compute(l, b, one) })
		})
		one.state = done
		n.instances = append(n.instances, one)
		values[i.key] = one.value
		inOrder = append(inOrder, one.value)
	}
	if keyed {
		return cty.ObjectVal(values)
	}
	return cty.TupleVal(inOrder)
}

// each calls f for every instance of a node: for itself, where it is not repeated.
func (n *node) each(f func(*node)) {
	if !n.several {
		f(n)
		return
	}
	for _, one := range n.instances {
		f(one)
	}
}

// whichInstance explains a reference to a repeated block without an index.
func (l *declared) whichInstance(n *node) string {
	var keys []string
	for _, one := range n.instances {
		keys = append(keys, l.shown(one))
	}
	switch {
	case len(keys) == 0:
		return " It is repeated no times."
	case len(keys) > 6:
		keys = append(keys[:5], "…")
	}
	return " The block is repeated: name one of " + strings.Join(keys, ", ") + "."
}

// allInstances says how a list of all instances is written.
func (l *declared) allInstances(n *node) string {
	if n.value.Type().IsTupleType() {
		return fmt.Sprintf(" %s, without brackets, is the list of all.", l.shown(n))
	}
	return fmt.Sprintf(" All of them are values(%s).", l.shown(n))
}

// noKey says why a value, which is called path, has no such element.
func noKey(path string, v, key cty.Value) string {
	ty := v.Type()
	if key.Type() != cty.String || !ty.IsObjectType() && !ty.IsMapType() {
		return ""
	}
	var known []string
	if ty.IsObjectType() {
		known = attributesOf(ty)
	} else {
		known = slices.Sorted(maps.Keys(v.AsValueMap()))
	}
	k := key.AsString()
	if slices.Contains(known, k) {
		return ""
	}
	hint := didYouMean(k, known)
	if hint == "" && len(known) > 0 && len(known) <= 12 {
		hint = " It has " + words.Quoted(known, "and") + "."
	}
	return fmt.Sprintf("%s has no element %q.%s", path, k, hint)
}

// A named block is one of several that one text stands for. What is wrong with it alone
// is said with its name.
type named struct {
	name string // entity.bird["near"]; "" where the text stands for one block
	of   int    // how many there are
}

// named runs f, whose mistakes are those of one of several blocks.
func (l *log) named(name string, of int, f func()) {
	outer := l.instance
	if of > 1 {
		if outer.name != "" {
			name = outer.name + ", " + name
			of *= outer.of
		}
		l.instance = named{name, of}
	}
	defer func() { l.instance = outer }()
	f()
}

const markOfName = "\x00in\x00"

// mark returns what a diagnostic's detail ends with until all are there; unmark removes
// it.
func (n named) mark() string {
	if n.name == "" {
		return ""
	}
	return fmt.Sprintf("%s%d\x00%s", markOfName, n.of, n.name)
}

func unmark(detail string) (string, named) {
	detail, mark, ok := strings.Cut(detail, markOfName)
	of, name, _ := strings.Cut(mark, "\x00")
	n, err := strconv.Atoi(of)
	if !ok || err != nil {
		return detail, named{}
	}
	return detail, named{name, n}
}

// maxNamed is how many instances one message names.
const maxNamed = 100

// inWhich says which of several blocks something is wrong with: " In entity.bird["near"].",
// or nothing where it is all of them.
func inWhich(list []named) string {
	list = slices.DeleteFunc(slices.Clone(list), func(n named) bool { return n.name == "" })
	if len(list) == 0 || len(list) >= list[0].of {
		return ""
	}
	var names []string
	for _, n := range list[:min(len(list), maxNamed)] {
		names = append(names, n.name)
	}
	last := ""
	switch more := len(list) - len(names); {
	case more > 0:
		last = fmt.Sprintf(", and %d more", more)
	case len(names) > 1:
		last = " and " + names[len(names)-1]
		names = names[:len(names)-1]
	}
	return "\nIn " + strings.Join(names, ", ") + last + "."
}
