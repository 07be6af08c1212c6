package dsl

import (
	"cmp"
	"fmt"
	"maps"
	"math/big"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/bug"
	"github.com/eligen/eligen/internal/words"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// A node is something in the scene that can be referred to. It is evaluated
// when it is first needed.
type node struct {
	kind    string // "var", "local", "entity", "model", "adapter", "render", "module"
	name    string // "dog", "flux.base", `bird["near"]`
	key     string // of an instance: "near"
	module  string // whose it is: "module.birds.", or "" for the scene's own
	at      eligen.Source
	rng     hcl.Range
	state   int
	value   cty.Value
	compute func(*node) cty.Value
	used    bool
	again   bool      // its name was taken
	set     hcl.Range // of a variable or a local value: what it was set to

	several   bool    // it has for_each or count
	broken    bool    // they could not be evaluated
	instances []*node // in the order of their keys

	// What a block of the kind became; nil until it has been evaluated well.
	entity   *eligen.Entity
	where    string // which of box, mask and region the entity has
	model    *eligen.Model
	adapter  *eligen.Adapter
	render   *eligen.Render
	draft    *eligen.Render // of a render with mistakes: as far as it could be read
	timeline *eligen.Timeline
	shown    []*node // the entities of the render
	part     *loader // of a module
}

const (
	waiting = iota
	running
	done
)

// address returns the node's name in the whole scene; local its name in its own file.
func (n *node) address() string { return n.module + n.local() }

func (n *node) local() string { return n.kind + "." + n.name }

// identityName is the attribute of an entity, model or adapter value that says
// which block it is. It can't be written in a scene.
const identityName = " identity"

var identityType = cty.Capsule("identity", nodeType)

var (
	entityType = cty.Object(map[string]cty.Type{
		"name": cty.String, "address": cty.String, "prompt": cty.String, "strength": cty.Number, "z": cty.Number, "opacity": cty.Number,
		"box": shapeType, "mask": shapeType, "region": shapeType, "center": cty.List(cty.Number), identityName: identityType,
	})
	modelType = cty.Object(map[string]cty.Type{
		"name": cty.String, "address": cty.String, "family": cty.String, "source": cty.String, "dtype": cty.String, identityName: identityType,
	})
	adapterType = cty.Object(map[string]cty.Type{
		"name": cty.String, "address": cty.String, "kind": cty.String, "source": cty.String, "scale": cty.Number, "alpha": cty.String,
		identityName: identityType,
	})
	renderType = cty.Object(map[string]cty.Type{
		"name": cty.String, "address": cty.String, "prompt": cty.String, "negative": cty.String, "seed": cty.Number, "size": cty.List(cty.Number),
		identityName: identityType,
	})
	typeOfKind = map[string]cty.Type{"entity": entityType, "model": modelType, "adapter": adapterType, "render": renderType,
		"timeline": timelineType}
)

// roots are the first words of references, with how many names follow.
var roots = map[string]int{"var": 1, "local": 1, "entity": 1, "model": 2, "adapter": 2, "render": 1, "timeline": 1, "module": 1}

// declare adds a node. Of two with one name the first is referred to; the
// second is only looked at for further mistakes.
func (l *loader) declare(n *node) {
	n.at, n.module = l.source(n.rng), l.address
	l.order = append(l.order, n)
	if first, ok := l.nodes[n.local()]; ok {
		n.again = true
		if first.at.File == "" {
			l.errorf(n.rng, duplicate, "%s is predeclared: the model that is embedded in eligen. Choose another name.", first.local())
		} else {
			l.errorf(n.rng, duplicate, "%s is declared twice. Rename one of the two.", first.local()).Note(first.at, "first declared here")
		}
		return
	}
	l.nodes[n.local()] = n
}

// names lists what is declared of a kind, in file order.
func (l *declared) names(kind string) []string {
	var out []string
	for _, n := range l.order {
		if n.kind == kind && !n.again {
			out = append(out, n.name)
		}
	}
	return out
}

// resolve returns the node's value, evaluated now if it has not been.
func (l *loader) resolve(n *node) cty.Value {
	l.goOn()
	switch n.state {
	case done:
		return n.value
	case running:
		from := slices.Index(l.path, n)
		var cycle []string
		for _, m := range l.path[from:] {
			cycle = append(cycle, m.local())
		}
		l.errorf(n.rng, circular, "%s needs itself: %s → %s. Break the circle by writing one of these values out.",
			n.local(), strings.Join(cycle, " → "), n.local())
		return cty.DynamicVal
	}
	n.state = running
	l.path = append(l.path, n)
	var v cty.Value
	outer := l.instance
	l.instance = named{}
	l.inside(nil, func() { v = n.compute(n) }) // each and count are the words of one block
	l.instance = outer
	l.path = l.path[:len(l.path)-1]
	if n.state != done {
		n.value, n.state = v, done
	}
	return n.value
}

// eval returns the value of an expression, or an unknown one where it has problems.
func (l *loader) eval(e hcl.Expression) cty.Value {
	l.goOn()
	if l.checkCalls(e) {
		return cty.DynamicVal // what is measured can't be referred to yet
	}
	ctx, bad := l.scope(e)
	v, diags := l.safely(e, ctx)
	failed := len(bad) > 0
	for _, d := range diags {
		failed = failed || d.Severity == hcl.DiagError
		if d.Subject == nil || !slices.ContainsFunc(bad, func(r hcl.Range) bool { return r.Overlaps(*d.Subject) }) {
			l.reportEval(d)
		}
	}
	if failed {
		return cty.DynamicVal
	}
	return l.within(e, v)
}

// safely evaluates, and makes a diagnostic of a panic in the libraries.
func (l *evaluator) safely(e hcl.Expression, ctx *hcl.EvalContext) (v cty.Value, diags hcl.Diagnostics) {
	defer func() {
		r := recover()
		if _, ok := r.(interrupted); ok {
			panic(r)
		}
		if b := bug.From(r); b != nil {
			at := e.Range()
			v, diags = cty.DynamicVal, hcl.Diagnostics{{Severity: hcl.DiagError, Summary: "Evaluation failed",
				Detail: fmt.Sprintf("This expression can't be evaluated: %v.", b), Subject: &at}}
		}
	}()
	return l.meter.evaluate(e, ctx)
}

// Limits of one value: a chain of local values that each hold the one before
// twice would otherwise fill any memory.
const (
	maxElements = 100_000
	maxText     = 4 << 20 // bytes of all its strings
	maxExponent = 2048    // of a number, binary
	maxRange    = 1024    // numbers of range(), a limit of the library's
)

// within passes v on, unless it is larger than any scene needs.
func (l *evaluator) within(e hcl.Expression, v cty.Value) cty.Value {
	elements, text, problem := 0, 0, ""
	// Its error is the problem, which is said below.
	_ = cty.Walk(v, func(p cty.Path, v cty.Value) (bool, error) {
		elements++
		switch {
		case elements > maxElements:
			problem = fmt.Sprintf("This value has more than %d elements.", maxElements)
		case len(p) > maxNesting:
			problem = fmt.Sprintf("This value is nested more than %d deep.", maxNesting)
		case !v.IsKnown() || v.IsNull():
		case v.Type() == cty.String:
			if text += len(v.AsString()); text > maxText {
				problem = fmt.Sprintf("This value has more than %d MiB of text.", maxText>>20)
			}
		case v.Type() == cty.Number:
			if f := v.AsBigFloat(); !f.IsInf() && (f.MantExp(nil) > maxExponent || f.MantExp(nil) < -maxExponent) {
				problem = "This number is out of range."
			}
		}
		if problem != "" {
			return false, fmt.Errorf("%s", problem)
		}
		return true, nil
	})
	if problem != "" {
		l.errorf(e.Range(), tooComplex, "%s", problem)
		return cty.DynamicVal
	}
	return v
}

// scope holds exactly what the expression refers to. Every reference is walked
// here first, since HCL suggests other names for its first word only; bad are
// the ranges that have been complained about.
func (l *loader) scope(e hcl.Expression) (ctx *hcl.EvalContext, bad []hcl.Range) {
	one := map[string]map[string]cty.Value{}
	two := map[string]map[string]map[string]cty.Value{}
	words := map[string]cty.Value{}
	attempts := tries(e)
	for _, t := range e.Variables() {
		root := t.RootName()
		tried := slices.ContainsFunc(attempts, t.SourceRange().Overlaps)
		if _, ok := l.words[root]; ok || root == "each" || root == "count" {
			words[root] = l.word(t, tried, &bad)
			continue
		}
		n, rest := l.follow(t, &bad)
		depth, known := roots[root]
		if !known {
			one[root] = nil // unknown
			continue
		}
		value := cty.DynamicVal
		var names []string
		for _, s := range t[1:] {
			name, ok := stepName(s)
			if !ok || len(names) == depth {
				break
			}
			names = append(names, name)
		}
		if n != nil {
			n.used = true
			value = l.resolve(n)
			if !tried {
				l.walk(value, n, t, rest, &bad)
			}
		}
		switch {
		case len(names) < depth:
			continue
		case depth == 1:
			if one[root] == nil {
				one[root] = map[string]cty.Value{}
			}
			one[root][names[0]] = value
		default:
			if two[root] == nil {
				two[root] = map[string]map[string]cty.Value{}
			}
			if two[root][names[0]] == nil {
				two[root][names[0]] = map[string]cty.Value{}
			}
			two[root][names[0]][names[1]] = value
		}
	}
	return l.context(one, two, words), bad
}

// context holds values by the words that references begin with, with one name behind
// them or two, and words of their own.
func (e *evaluator) context(
	one map[string]map[string]cty.Value, two map[string]map[string]map[string]cty.Value, words map[string]cty.Value,
) *hcl.EvalContext {
	ctx := &hcl.EvalContext{Variables: map[string]cty.Value{}, Functions: e.functions}
	for root, values := range one {
		if values == nil {
			ctx.Variables[root] = cty.DynamicVal
		} else {
			ctx.Variables[root] = cty.ObjectVal(values)
		}
	}
	for root, families := range two {
		values := map[string]cty.Value{}
		for family, named := range families {
			values[family] = cty.ObjectVal(named)
		}
		ctx.Variables[root] = cty.ObjectVal(values)
	}
	maps.Copy(ctx.Variables, words)
	for root := range roots {
		if _, ok := ctx.Variables[root]; !ok {
			ctx.Variables[root] = cty.DynamicVal
		}
	}
	return ctx
}

// word returns the value of each, of count, or of a dynamic block's element; an unknown
// one where the block has none.
func (l *loader) word(t hcl.Traversal, tried bool, bad *[]hcl.Range) cty.Value {
	root := t.RootName()
	v, ok := l.words[root]
	if !ok {
		argument := map[string]string{"each": "for_each", "count": "count"}[root]
		*bad = append(*bad, t.SourceRange())
		l.errorf(t.SourceRange(), "Reference outside a repetition", "%q has a meaning only inside a block with the argument %q.", root, argument)
		return cty.DynamicVal
	}
	if len(t) > 1 && !tried {
		if a, ok := t[1].(hcl.TraverseAttr); ok {
			if problem := noAttribute(root, v, a.Name); problem != "" {
				*bad = append(*bad, t.SourceRange())
				l.errorf(l.stepRange(a), "Unsupported attribute", "%s", problem)
				return cty.DynamicVal
			}
		}
	}
	return v
}

// tries lists the ranges of calls of try() and can(), whose arguments may fail.
func tries(e hcl.Expression) (out []hcl.Range) {
	root, ok := e.(hclsyntax.Node)
	if !ok {
		return nil
	}
	_ = hclsyntax.VisitAll(root, func(n hclsyntax.Node) hcl.Diagnostics {
		if call, ok := n.(*hclsyntax.FunctionCallExpr); ok && (call.Name == "try" || call.Name == "can") {
			out = append(out, call.Range())
		}
		return nil
	})
	return out
}

// stepName returns the name that a step of a traversal gives: .name or ["name"].
func stepName(s hcl.Traverser) (string, bool) {
	switch s := s.(type) {
	case hcl.TraverseAttr:
		return s.Name, true
	case hcl.TraverseIndex:
		if s.Key.Type() == cty.String && s.Key.IsKnown() && !s.Key.IsNull() {
			return s.Key.AsString(), true
		}
	}
	return "", false
}

// stepRange returns the range of a step, without its dot.
func (l *log) stepRange(s hcl.Traverser) hcl.Range {
	r := s.SourceRange()
	if _, ok := s.(hcl.TraverseAttr); ok && strings.HasPrefix(l.textOf(r), ".") {
		r.Start.Byte++
		r.Start.Column++
	}
	return r
}

func (l *log) textOf(r hcl.Range) string {
	if f := l.files[r.Filename]; f != nil {
		return f.text(r)
	}
	return ""
}

// follow finds the node that a traversal begins with, and how many steps it
// takes. It complains about names that nothing has.
func (l *loader) follow(t hcl.Traversal, bad *[]hcl.Range) (n *node, rest int) {
	complain := func(r hcl.Range, summary, detail string, args ...any) {
		*bad = append(*bad, t.SourceRange())
		if !l.syntax.lost || summary != undeclared {
			l.errorf(r, summary, detail, args...)
		}
	}
	root := t.RootName()
	rootRange := t[0].SourceRange()
	depth, ok := roots[root]
	if !ok {
		complain(rootRange, undeclared, "Nothing is called %q here.%s", root, l.rootHint(root))
		return nil, 0
	}
	var names []string
	at := rootRange
	for i := 1; i <= depth; i++ {
		if i >= len(t) {
			complain(t.SourceRange(), "Incomplete reference", "%q must be followed by the name of a block, as in %s.", root, example(root))
			return nil, 0
		}
		name, ok := stepName(t[i])
		if !ok {
			complain(t.SourceRange(), "Incomplete reference",
				"%q must be followed by the name of a block, as in %s; an index or [*] can't stand there.", root, example(root))
			return nil, 0
		}
		names = append(names, name)
		if r := l.stepRange(t[i]); i == 1 {
			at = r
		} else {
			at = hcl.RangeBetween(at, r)
		}
	}
	name := strings.Join(names, ".")
	if n := l.nodes[root+"."+name]; n != nil {
		return n, 1 + depth
	}
	if l.stray[names[len(names)-1]] {
		*bad = append(*bad, t.SourceRange())
		return nil, 0
	}
	what, hint := l.undeclaredHint(root, name)
	complain(at, undeclared, "There is no %s %q.%s", what, name, hint)
	return nil, 0
}

// rootHint says what a reference may begin with, where it begins with something else.
func (d *declared) rootHint(root string) string {
	// A bare name, such as an entity's, is the most likely slip.
	for _, kind := range []string{"entity", "local", "var"} {
		if _, ok := d.nodes[kind+"."+root]; ok {
			return fmt.Sprintf(" Did you mean %q?", kind+"."+root)
		}
	}
	first := slices.Sorted(maps.Keys(roots))
	if guess := closest(root, first); guess != "" {
		return fmt.Sprintf(" Did you mean %q?", guess)
	}
	return fmt.Sprintf(" A reference starts with %s; a text goes in quotes.", words.Quoted(first, "or"))
}

// undeclaredHint says what a kind of block is called, and what of it is declared that
// somebody who wrote name may have meant.
func (d *declared) undeclaredHint(kind, name string) (what, hint string) {
	what = cmp.Or(map[string]string{"var": "variable", "local": "local value"}[kind], kind)
	known := d.names(kind)
	guess, other := closest(name, known), d.kindOf(name)
	switch {
	case guess != "":
		hint = fmt.Sprintf(" Did you mean %q?", kind+"."+guess)
	case other != "":
		hint = fmt.Sprintf(" Did you mean %q?", other+"."+name)
	case len(known) == 0:
		hint = fmt.Sprintf(" This file declares no %s.", what)
	case len(known) <= 8:
		hint = fmt.Sprintf(" There is %s.", words.Quoted(known, "or"))
	}
	return what, hint
}

// kindOf returns the kind under which a name is declared, where it is not the one that
// was asked for.
func (l *declared) kindOf(name string) string {
	for _, kind := range []string{"entity", "local", "var", "model", "adapter", "render"} {
		if _, ok := l.nodes[kind+"."+name]; ok {
			return kind
		}
	}
	return ""
}

func example(root string) string {
	switch root {
	case "model":
		return "model.nano.base"
	case "adapter":
		return "adapter.lora.eligen"
	case "entity":
		return "entity.dog"
	case "render":
		return "render.poster"
	case "module":
		return "module.birds.entity.heron"
	}
	return root + ".name"
}

// walk checks the attributes along the rest of a traversal.
func (l *loader) walk(v cty.Value, n *node, t hcl.Traversal, rest int, bad *[]hcl.Range) {
	path := n.local()
	name := path
	for _, s := range t[rest:] {
		if v.Type() == cty.DynamicPseudoType {
			// A block that failed still has the attributes of its kind.
			ty, ok := typeOfKind[n.kind]
			if !ok || path != name || n.several {
				return
			}
			v = cty.UnknownVal(ty)
		}
		a, ok := s.(hcl.TraverseAttr)
		if !ok {
			i, ok := s.(hcl.TraverseIndex)
			if !ok || !v.IsKnown() || v.IsNull() || !i.Key.IsWhollyKnown() {
				return
			}
			if problem := noKey(path, v, i.Key); problem != "" {
				*bad = append(*bad, t.SourceRange())
				l.errorf(l.stepRange(s), "Invalid index", "%s", problem)
				return
			}
			next, diags := hcl.Index(v, i.Key, nil)
			if diags.HasErrors() {
				return // HCL says so itself
			}
			v, path = next, path+"["+short(i.Key)+"]"
			continue
		}
		if n.several && path == name && (!v.Type().IsObjectType() || !v.Type().HasAttribute(a.Name)) {
			if v.IsKnown() {
				*bad = append(*bad, t.SourceRange())
				l.errorf(l.stepRange(s), "Reference to a repeated block", "%s is several.%s", path, l.whichInstance(n))
			}
			return
		}
		if problem := noAttribute(path, v, a.Name); problem != "" {
			*bad = append(*bad, t.SourceRange())
			l.errorf(l.stepRange(s), "Unsupported attribute", "%s", problem)
			return
		}
		if !v.Type().IsObjectType() || v.IsNull() {
			return // maps, and null values: HCL says so itself
		}
		v, path = v.GetAttr(a.Name), path+"."+a.Name
	}
}

// noAttribute says why v, which is called path, has no such attribute, or "".
func noAttribute(path string, v cty.Value, name string) string {
	ty := v.Type()
	switch {
	case ty == shapeType:
		return fmt.Sprintf("%s is a shape, which has no attributes. bounds(%s).%s may be what you want: it has the numbers x, y, w, h, x0, "+
			"y0, x1, y1, cx and cy.", path, path, name)
	case ty.IsPrimitiveType():
		return fmt.Sprintf("%s is a %s, which has no attributes.", path, ty.FriendlyName())
	case ty.IsObjectType() && !ty.HasAttribute(name):
		known := attributesOf(ty)
		hint := didYouMean(name, known)
		if hint == "" && len(known) > 0 && len(known) <= 12 {
			hint = " It has " + words.Quoted(known, "and") + "."
		}
		return fmt.Sprintf("%s has no attribute %q.%s", path, name, hint)
	}
	return ""
}

func attributesOf(ty cty.Type) []string {
	names := slices.Sorted(maps.Keys(ty.AttributeTypes()))
	return slices.DeleteFunc(names, func(s string) bool { return s == identityName })
}

// checkCalls complains about functions that don't exist, also in parts of an
// expression that evaluation does not reach. misplaced says that one measures,
// outside a check.
func (l *evaluator) checkCalls(e hcl.Expression) (misplaced bool) {
	root, ok := e.(hclsyntax.Node)
	if !ok {
		return false
	}
	_ = hclsyntax.VisitAll(root, func(n hclsyntax.Node) hcl.Diagnostics {
		if call, ok := n.(*hclsyntax.FunctionCallExpr); ok {
			if _, ok := l.functions[call.Name]; !ok {
				l.unknownFunction(call.NameRange, call.Name)
				misplaced = misplaced || slices.Contains(metricNames, call.Name)
			}
		}
		return nil
	})
	return misplaced
}

func (l *evaluator) unknownFunction(at hcl.Range, name string) {
	if slices.Contains(laterFunctions, name) {
		l.errorf(at, notYet, "The function %s: %s.", name, notYetDetail)
		return
	}
	if slices.Contains(metricNames, name) {
		l.errorf(at, "Measure outside a check",
			"%s() measures a finished picture, so it can only stand in a check block's condition or error_message.", name)
		return
	}
	if slices.Contains(impureFunctions, name) {
		l.errorf(at, "Call to unknown function", "There is no function %q. A scene is data: it reads no clock, no environment, no network, "+
			"and of files only those that image(), file() and templatefile() name. Pass such a value in as a variable.", name)
		return
	}
	known := slices.Sorted(maps.Keys(l.functions))
	// Shapes first: where two names are as close, a scene more often means one.
	known = append(slices.Clone(shapeNames), known...)
	l.errorf(at, "Call to unknown function", "There is no function %q.%s", name, didYouMean(name, known))
}

// reportEval converts a diagnostic of an evaluation, and adds the values that
// the failing expression used.
func (l *evaluator) reportEval(d *hcl.Diagnostic) {
	if d.Subject == nil {
		l.errorf(hcl.Range{}, stock(d.Summary), "%s", d.Detail)
		return
	}
	if extra, ok := hcl.DiagnosticExtra[hclsyntax.FunctionCallUnknownDiagExtra](d); ok {
		l.unknownFunction(*d.Subject, extra.CalledFunctionNamespace()+extra.CalledFunctionName())
		return
	}
	at, detail := *d.Subject, d.Detail
	if d.Expression != nil {
		d.Expression = l.meter.parsed(d.Expression)
	}
	if first, _, panicked := strings.Cut(detail, "panic in function implementation"); panicked {
		detail = strings.TrimSuffix(strings.TrimSpace(first), ":") + ". This is a bug in eligen."
	}
	if d.Summary == "Unsupported attribute" {
		if r, problem := l.relativeAttribute(d); problem != "" {
			at, detail = r, problem
		}
	}
	if d.Summary == "Invalid function argument" || d.Summary == "Error in function call" {
		// HCL adds a full stop to whatever a function said.
		detail = strings.Replace(detail, "?.", "?", 1)
		if strings.HasSuffix(detail, "..") {
			detail = strings.TrimSuffix(detail, ".")
		}
		if d.Context != nil && d.Expression != nil && d.Summary == "Invalid function argument" {
			at = d.Expression.Range()
		}
		detail = argumentMistake(detail)
	}
	if m := calledFunction.FindStringSubmatch(detail); m != nil && strings.HasSuffix(d.Summary, "function arguments") {
		if f, ok := l.functions[m[1]]; ok {
			detail = fmt.Sprintf("It is called as %s.", signature(m[1], f))
		}
	}
	var notes []eligen.Note
	if d.Expression != nil && d.EvalContext != nil {
		notes = l.uses(d.Expression, d.EvalContext)
	}
	l.errorf(at, stock(d.Summary), "%s", detail).Notes = notes
}

var (
	calledFunction = regexp.MustCompile(`^Function "(\w+)" expects`)
	aboutArgument  = regexp.MustCompile(`(?s)^Invalid value for "(\w+)" parameter: (.*)$`)
)

// argumentMistake says what a function said of an argument, at which a diagnostic
// points, as a sentence.
func argumentMistake(detail string) string {
	m := aboutArgument.FindStringSubmatch(detail)
	if m == nil {
		return detail
	}
	first, _, _ := strings.Cut(m[2], " ")
	switch {
	case first == "must" || first == "is" || first == "has" || first == "can't":
		return fmt.Sprintf("%q %s", m[1], m[2])
	case first == m[1] || strings.ContainsFunc(first, func(r rune) bool { return !unicode.IsLetter(r) }):
		return m[2] // a name
	}
	return capital(m[2])
}

// relativeAttribute finds the step that failed in a traversal of something
// other than a named block, such as a loop's variable.
func (l *evaluator) relativeAttribute(d *hcl.Diagnostic) (hcl.Range, string) {
	var v cty.Value
	var steps hcl.Traversal
	path := "This object"
	switch e := d.Expression.(type) {
	case *hclsyntax.RelativeTraversalExpr:
		v, _ = l.safely(e.Source, d.EvalContext)
		steps = e.Traversal
	case *hclsyntax.ScopeTraversalExpr:
		found := false
		for ctx := d.EvalContext; ctx != nil && !found; ctx = ctx.Parent() {
			v, found = ctx.Variables[e.Traversal.RootName()]
		}
		if !found {
			return hcl.Range{}, ""
		}
		path, steps = e.Traversal.RootName(), e.Traversal[1:]
	default:
		return hcl.Range{}, ""
	}
	for _, s := range steps {
		if a, ok := s.(hcl.TraverseAttr); ok {
			if problem := noAttribute(path, v, a.Name); problem != "" {
				return l.stepRange(s), problem
			}
			path += "." + a.Name
		} else {
			path += "[…]"
		}
		next, diags := s.TraversalStep(v)
		if diags.HasErrors() {
			return hcl.Range{}, ""
		}
		v = next
	}
	return hcl.Range{}, ""
}

// maxUses is how many values that an expression used are shown.
const maxUses = 4

// uses returns the plain values that an expression used, with where they were set.
func (l *evaluator) uses(e hcl.Expression, ctx *hcl.EvalContext) (notes []eligen.Note) {
	for _, t := range e.Variables() {
		if len(t) < 2 && ctx.Parent() == nil {
			continue
		}
		v, diags := t.TraverseAbs(ctx)
		if diags.HasErrors() || !v.IsWhollyKnown() {
			continue
		}
		name := written(t)
		text := name + " is " + short(v)
		known := slices.ContainsFunc(notes, func(n eligen.Note) bool { return n.Text == text })
		if s := short(v); s == "" || s == name || known {
			continue
		}
		if notes = append(notes, eligen.Note{Text: text, Source: l.setAt(t)}); len(notes) == maxUses {
			break
		}
	}
	return notes
}

// setAt returns where the value was set that a reference begins with: a variable's
// default, or what was given in its place; nil where no file says it.
func (l *evaluator) setAt(t hcl.Traversal) *eligen.Source {
	if len(t) < 2 {
		return nil
	}
	name, _ := stepName(t[1])
	n := l.nodes[t.RootName()+"."+name]
	if n == nil || n.set.Filename == "" {
		return nil
	}
	at := l.source(n.set)
	return &at
}

// short shows a value in few characters, or not at all.
func short(v cty.Value) string {
	if v.IsNull() {
		return "null"
	}
	if !v.IsKnown() {
		return ""
	}
	switch v.Type() {
	case cty.String:
		s := []rune(v.AsString())
		if len(s) > 40 {
			s = append(s[:40], '…')
		}
		return fmt.Sprintf("%q", string(s))
	case cty.Number:
		return plain(v.AsBigFloat())
	case cty.Bool:
		return fmt.Sprint(v.True())
	case shapeType:
		return "a shape"
	}
	switch ty := v.Type(); {
	case ty.IsCapsuleType():
		return "a " + ty.FriendlyName()
	case ty.IsTupleType() || ty.IsListType() || ty.IsSetType():
		if v.LengthInt() <= 4 {
			var parts []string
			for it := v.ElementIterator(); it.Next(); {
				_, e := it.Element()
				if !e.Type().IsPrimitiveType() {
					break
				}
				parts = append(parts, short(e))
			}
			if len(parts) == v.LengthInt() {
				return "[" + strings.Join(parts, ", ") + "]"
			}
		}
		return fmt.Sprintf("a list of %d", v.LengthInt())
	case ty.IsMapType():
		return "a map"
	case ty.IsObjectType():
		if n := identityOf(v); n != nil {
			return n.address()
		}
		return "an object"
	}
	return ""
}

// plain writes a number as a person would.
func plain(f *big.Float) string {
	if f.IsInf() {
		return "infinite"
	}
	if f.IsInt() && f.MantExp(nil) < 64 {
		return f.Text('f', 0)
	}
	return f.Text('g', 10)
}

func written(t hcl.Traversal) string {
	var b strings.Builder
	for _, s := range t {
		switch s := s.(type) {
		case hcl.TraverseRoot:
			b.WriteString(s.Name)
		case hcl.TraverseAttr:
			b.WriteString("." + s.Name)
		case hcl.TraverseIndex:
			b.WriteString("[" + short(s.Key) + "]")
		}
	}
	return b.String()
}

// identityOf returns the block that a value is, or nil.
func identityOf(v cty.Value) *node {
	if v.IsNull() || !v.IsKnown() || !v.Type().IsObjectType() || !v.Type().HasAttribute(identityName) {
		return nil
	}
	id := v.GetAttr(identityName)
	if id.IsNull() || !id.IsKnown() || id.Type() != identityType {
		return nil
	}
	n, _ := id.EncapsulatedValue().(*node)
	return n
}

// block finds the block of a kind that v is, or complains at r. ok is false
// without a complaint where v is the result of something that failed.
func (l *loader) block(r hcl.Range, kind string, v cty.Value) (n *node, ok bool) {
	if !v.IsKnown() {
		return nil, false
	}
	n = identityOf(v)
	switch {
	case n == nil && !v.IsNull() && v.Type() == cty.String:
		hint := ""
		if s := v.AsString(); l.nodes[kind+"."+s] != nil {
			hint = fmt.Sprintf(" Write %s.%s, without quotes.", kind, s)
		} else if guess := closest(s, l.names(kind)); guess != "" {
			hint = fmt.Sprintf(" Did you mean %s.%s, without quotes?", kind, guess)
		}
		if isJSON(r.Filename) {
			hint = l.jsonReference(kind, v.AsString())
		}
		l.errorf(r, "Incorrect reference", "Here must be a reference to %s, as %s; a text can't stand for one.%s", an(kind), example(kind), hint)
	case n == nil && l.whole(v) != nil:
		many := l.whole(v)
		l.errorf(r, "Incorrect reference", "%s is several.%s%s", l.shown(many), l.whichInstance(many), l.allInstances(many))
	case n == nil:
		got := short(v)
		if got == "" {
			got = "something else"
		}
		l.errorf(r, "Incorrect reference", "Here must be a reference to %s, as %s; it is %s.", an(kind), example(kind), got)
	case n.kind != kind:
		l.errorf(r, "Incorrect reference", "%s is %s; here must be a reference to %s, as %s.", l.shown(n), an(n.kind), an(kind), example(kind))
	case !v.RawEquals(n.value):
		l.errorf(r, "Altered block", "This is %s with other attributes. What is drawn is always what the block says, so a changed copy can't "+
			"be used: write a second %s block.", l.shown(n), kind)
	default:
		n.used = true
		return n, true
	}
	return nil, false
}

// jsonReference returns what to write in HCL's JSON syntax for a string that should be a
// reference: an expression there stands in ${ … }.
func (l *loader) jsonReference(kind, s string) string {
	name := strings.TrimPrefix(s, kind+".")
	if l.nodes[kind+"."+name] == nil {
		if name = closest(name, l.names(kind)); name == "" {
			return " In JSON, an expression stands in ${ … }."
		}
	}
	return fmt.Sprintf(" In JSON, an expression stands in ${ … }: write %q.", "${"+kind+"."+name+"}")
}

// whole returns the repeated block whose instances together are v, or nil.
func (l *declared) whole(v cty.Value) *node {
	if v.IsNull() || !v.IsKnown() || !v.Type().IsObjectType() && !v.Type().IsTupleType() || v.LengthInt() == 0 {
		return nil
	}
	var found *node
	l.all(func(n *node) {
		if found == nil && n.several && n.state == done && n.value.IsKnown() && n.value.RawEquals(v) {
			found = n
		}
	})
	return found
}

func an(word string) string {
	if strings.ContainsRune("aeiou", rune(word[0])) {
		return "an " + word
	}
	return "a " + word
}

// toType converts v, or says what is wrong.
func toType(v cty.Value, ty cty.Type) (cty.Value, error) {
	v, err := convert.Convert(v, ty)
	if err != nil {
		return cty.DynamicVal, err
	}
	return v, nil
}
