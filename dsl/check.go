package dsl

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/words"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

var (
	checkGrammar = &grammar{
		what:   "a check",
		blocks: []hcl.BlockHeaderSchema{{Type: "assert"}, dynamicBlock},
		many:   []string{"assert"},
		inside: map[string]string{"condition": "assert", "error_message": "assert"},
	}
	assertGrammar = &grammar{what: "an assert", required: []string{"condition", "error_message"}}
	movedGrammar  = &grammar{what: "a moved block", required: []string{"from", "to"}}
)

// metricNames are the functions that measure a finished picture. They stand in
// the conditions and messages of checks.
var metricNames = []string{"locality", "placement", "psnr"}

// check reads a check block. Its conditions are evaluated once now, with unknown
// numbers in place of what is measured, so that mistakes come before any
// picture; and again when the numbers are known.
func (l *loader) check(block *hcl.Block) {
	b := l.open(block, checkGrammar)
	c := eligen.Check{Name: block.Labels[0], Address: l.address + "check." + block.Labels[0], Source: l.source(b.rng)}
	for _, inner := range b.blocks {
		if a, ok := b.assert(inner); ok {
			c.Asserts = append(c.Asserts, a)
		} else {
			b.failed = true
		}
	}
	if len(b.blocks) == 0 && !b.failed {
		b.errorf(b.rng, missingBlock, "A check says what must hold of the pictures, as\n\n  assert {\n    condition     = "+
			"placement(render.poster, entity.cat) > 0.5\n    error_message = \"The cat is not where it was asked for.\"\n  }")
	}
	if !b.failed {
		l.checks = append(l.checks, c)
	}
}

func (b *body) assert(block *hcl.Block) (out eligen.Assert, ok bool) {
	a := &body{l: b.l, g: assertGrammar, rng: b.l.header(block), at: map[string]eligen.Source{}, iteration: b.made[block]}
	a.read(block.Body)
	if a.attrs["condition"] == nil || a.attrs["error_message"] == nil || a.failed {
		return out, false
	}
	m := &metrics{body: a}
	condition, message := a.attrs["condition"].Expr, a.attrs["error_message"].Expr
	var met cty.Value
	var ctx, messageContext *hcl.EvalContext
	a.within(func() {
		met, ctx = m.look(condition, cty.Bool, "a condition: true or false")
		_, messageContext = m.look(message, cty.String, "a text")
	})
	if a.failed {
		return out, false
	}
	if met.IsKnown() && len(m.calls) == 0 {
		a.errorf(condition.Range(), "Invalid condition", "This condition measures nothing, so it is %s whatever is drawn. Use %s; to check a "+
			"variable, write a validation block into it.", short(met), words.Quoted(metricNames, "and"))
		return out, false
	}
	out.Metrics, out.Source = m.calls, b.l.source(condition.Range())
	out.Test = func(values []float64) (bool, string, error) {
		met, err := m.evaluate(condition, ctx, cty.Bool, values)
		if err != nil {
			return false, "", err
		}
		text, err := m.evaluate(message, messageContext, cty.String, values)
		if err != nil {
			return met.True(), "", err
		}
		return met.True(), text.AsString(), nil
	}
	return out, true
}

// metrics gathers what the expressions of one assert measure.
type metrics struct {
	*body
	calls []eligen.MetricCall
}

// look evaluates an expression with unknown numbers, and notes its calls.
func (m *metrics) look(e hcl.Expression, ty cty.Type, want string) (cty.Value, *hcl.EvalContext) {
	l := m.l
	plain := l.functions
	l.functions = m.functions(func(c eligen.MetricCall) (cty.Value, error) {
		c.Source = l.source(m.callRange(e, c))
		if m.index(c) < 0 {
			m.calls = append(m.calls, c)
		}
		return cty.UnknownVal(cty.Number), nil
	})
	defer func() { l.functions = plain }()
	before := len(l.diags)
	v := l.eval(e)
	if slices.ContainsFunc(l.diags[before:], func(d eligen.Diagnostic) bool { return d.Severity == eligen.Error }) {
		m.failed = true
		return v, nil
	}
	if _, err := toType(v, ty); err != nil || v.IsKnown() && v.IsNull() {
		got := short(v)
		if got == "" {
			got = v.Type().FriendlyName()
		}
		m.errorf(e.Range(), wrongType, "Here must be %s; this is %s.", want, got)
		return v, nil
	}
	ctx, _ := l.scope(e)
	return v, ctx
}

// evaluate returns an expression's value, given the values of the calls.
func (m *metrics) evaluate(e hcl.Expression, ctx *hcl.EvalContext, ty cty.Type, values []float64) (cty.Value, error) {
	ctx = &hcl.EvalContext{Variables: ctx.Variables, Functions: m.functions(func(c eligen.MetricCall) (cty.Value, error) {
		i := m.index(c)
		if i < 0 || i >= len(values) {
			return cty.NilVal, fmt.Errorf("it was not measured. This is a bug in eligen")
		}
		return cty.NumberFloatVal(values[i]), nil
	})}
	v, diags := m.l.safely(e, ctx)
	if diags.HasErrors() {
		return v, fmt.Errorf("%s: %s", diags[0].Summary, diags[0].Detail)
	}
	v, err := toType(v, ty)
	if err == nil && (v.IsNull() || !v.IsKnown()) {
		err = fmt.Errorf("the value is not known")
	}
	return v, err
}

func (m *metrics) index(c eligen.MetricCall) int {
	return slices.IndexFunc(m.calls, func(o eligen.MetricCall) bool {
		samePicture := (o.Picture == nil) == (c.Picture == nil) && (c.Picture == nil || o.Picture.Digest == c.Picture.Digest)
		return o.Name == c.Name && o.Render == c.Render && o.Entity == c.Entity && o.Other == c.Other && samePicture
	})
}

// callRange returns where a metric is called, as far as its name tells.
func (m *metrics) callRange(e hcl.Expression, c eligen.MetricCall) hcl.Range {
	at := e.Range()
	if root, ok := e.(hclsyntax.Node); ok {
		_ = hclsyntax.VisitAll(root, func(n hclsyntax.Node) hcl.Diagnostics {
			if call, ok := n.(*hclsyntax.FunctionCallExpr); ok && call.Name == c.Name {
				at = call.Range()
			}
			return nil
		})
	}
	return at
}

// functions returns all functions of expressions, and those that measure.
func (m *metrics) functions(measure func(eligen.MetricCall) (cty.Value, error)) map[string]function.Function {
	out := maps.Clone(m.l.functions)
	metric := func(name string, second string, make func(c *eligen.MetricCall, r *eligen.Render, v cty.Value) error) function.Function {
		return function.New(&function.Spec{
			Params: []function.Parameter{
				{Name: "render", Type: cty.DynamicPseudoType}, {Name: second, Type: cty.DynamicPseudoType},
			},
			Type: func(args []cty.Value) (cty.Type, error) {
				_, _, err := m.call(name, args, make)
				return cty.Number, err
			},
			Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
				c, known, err := m.call(name, args, make)
				if err != nil || !known {
					return cty.UnknownVal(cty.Number), err
				}
				return measure(c)
			},
		})
	}
	entity := func(c *eligen.MetricCall, r *eligen.Render, v cty.Value) error {
		n := identityOf(v)
		if n == nil || n.kind != "entity" {
			return function.NewArgErrorf(1, "must be a reference to an entity, as entity.cat")
		}
		if !slices.ContainsFunc(r.Entities, func(e eligen.Entity) bool { return e.Address == n.address() }) {
			return function.NewArgErrorf(1, "%s is not among the entities of %s", m.l.shown(n), strings.TrimPrefix(c.Render, m.l.address))
		}
		c.Entity = n.address()
		return nil
	}
	out["placement"] = metric("placement", "entity", entity)
	out["locality"] = metric("locality", "entity", entity)
	out["psnr"] = metric("psnr", "other", func(c *eligen.MetricCall, _ *eligen.Render, v cty.Value) error {
		switch n := identityOf(v); {
		case n != nil && n.kind == "render" && n.render != nil:
			if n.address() == c.Render {
				return function.NewArgErrorf(1, "is the same render: a picture equals itself")
			}
			c.Other = n.address()
			return nil
		case v.Type() == shapeType && !v.IsNull() && shapeOf(v).picture != nil:
			c.Picture = shapeOf(v).picture
			return nil
		}
		return function.NewArgErrorf(1, "must be a render, as render.poster, or a picture, as image(\"poster.png\")")
	})
	return out
}

// call reads a metric's arguments; known is false where one of them is the
// result of something that failed.
func (m *metrics) call(name string, args []cty.Value, second func(*eligen.MetricCall, *eligen.Render,
	cty.Value) error) (c eligen.MetricCall, known bool, err error) {
	for _, a := range args {
		if !a.IsKnown() {
			return c, false, nil
		}
	}
	n := identityOf(args[0])
	if n == nil || n.kind != "render" || n.render == nil {
		return c, false, function.NewArgErrorf(0, "must be a reference to a render, as render.poster")
	}
	c = eligen.MetricCall{Name: name, Render: n.address()}
	if args[1].IsNull() {
		return c, false, function.NewArgErrorf(1, "must not be null")
	}
	return c, true, second(&c, n.render, args[1])
}

// moved reads a moved block: two addresses, the first of which nothing has any more.
func (l *loader) moved(block *hcl.Block) {
	b := l.open(block, movedGrammar)
	from, fromRange, ok1 := b.address("from")
	to, toRange, ok2 := b.address("to")
	if !ok1 || !ok2 {
		return
	}
	kind := func(s string) string { // what comes after modules
		for {
			k, rest, _ := strings.Cut(s, ".")
			if k != "module" {
				return k
			}
			_, s, _ = strings.Cut(rest, ".")
		}
	}
	switch {
	case kind(from) != kind(to):
		b.errorf(toRange, "Invalid move", "%s can't become %s: both must be of one kind.", from, to)
	case from == to:
		b.errorf(toRange, "Invalid move", "%s is moved to itself. Remove the block.", from)
	case l.at(from) != nil && !l.at(from).several: // a block that is now repeated was one
		b.errorf(fromRange, "Invalid move", "%s is still declared. A move names what is gone: remove the block, or the declaration.",
			from).Note(l.at(from).at, "declared here")
	case l.at(to) == nil:
		b.errorf(toRange, "Invalid move", "Nothing is declared as %s.%s", to, didYouMean(to, l.addresses(kind(to))))
	}
	for _, m := range l.moves {
		if m.From == from {
			b.errorf(fromRange, "Invalid move", "%s is moved already. Remove one of the two blocks.", from).Note(m.Source, "moved here")
		}
	}
	if !b.failed {
		l.moves = append(l.moves, eligen.Move{From: from, To: to, Source: l.source(b.rng)})
	}
}

// address reads an argument as an address, without looking it up.
func (b *body) address(name string) (string, hcl.Range, bool) {
	a := b.attrs[name]
	if a == nil {
		return "", hcl.Range{}, false
	}
	at := a.Expr.Range()
	t, diags := hcl.AbsTraversalForExpr(a.Expr)
	wrong := func() (string, hcl.Range, bool) {
		b.errorf(at, wrongType, "%q must be an address, as entity.dog or render.poster[\"dawn\"].", name)
		return "", at, false
	}
	if diags.HasErrors() {
		return wrong()
	}
	var names []string
	for _, s := range t {
		switch s := s.(type) {
		case hcl.TraverseRoot:
			names = append(names, s.Name)
		case hcl.TraverseAttr:
			names = append(names, s.Name)
		}
	}
	out, kind := strings.Join(names, "."), 0
	for kind+2 < len(names) && names[kind] == "module" {
		kind += 2
	}
	if len(names) != kind+2 || len(t) > len(names)+1 || names[kind] != "entity" && names[kind] != "render" {
		return wrong()
	}
	if len(t) > len(names) {
		i, ok := t[len(names)].(hcl.TraverseIndex)
		switch {
		case !ok:
			return wrong()
		case i.Key.Type() == cty.String:
			out += fmt.Sprintf("[%q]", i.Key.AsString())
		case i.Key.Type() == cty.Number && i.Key.AsBigFloat().IsInt():
			out += "[" + plain(i.Key.AsBigFloat()) + "]"
		default:
			return wrong()
		}
	}
	return out, at, true
}

// at returns the node or instance of an address, or nil.
func (l *declared) at(address string) (found *node) {
	l.all(func(n *node) {
		for _, one := range append([]*node{n}, n.instances...) {
			if found == nil && one.address() == address {
				found = one
			}
		}
	})
	return found
}

func (l *declared) addresses(kind string) (out []string) {
	l.all(func(n *node) {
		if n.kind == kind {
			n.each(func(one *node) { out = append(out, one.address()) })
		}
	})
	return out
}
