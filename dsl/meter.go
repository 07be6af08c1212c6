package dsl

import (
	"context"
	"fmt"
	"reflect"
	"regexp"
	regexpsyntax "regexp/syntax"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/customdecode"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

// Limits of what a scene's expressions cost. HCL evaluates without an end in sight, so
// that a line can ask for years or for all memory: every part of an expression is
// therefore counted while it is evaluated, and every call before it is made.
const (
	maxWork = 40_000_000 // of all expressions, in steps: roughly what 50 ns do
	maxMade = 64 << 20   // bytes of text that all expressions make
)

// maxThinking is how long one expression may take; reading files is not counted. (A
// test of many that do shortens it.)
var maxThinking = 3 * time.Second

// exhausted is what a meter panics with where an expression costs too much. Evaluation is
// the library's recursion, which has no other way out.
type exhausted struct{}

// A meter counts what the expressions of a scene and of its modules cost.
type meter struct {
	ctx   context.Context
	steps int64
	made  int64
	trees map[hcl.Expression]hclsyntax.Expression // as counted, by the parsed one
	from  map[hcl.Expression]hclsyntax.Expression // as parsed, by the counted one

	depth int           // evaluations inside one another, by templatefile
	begun time.Time     // of the outermost
	away  time.Duration // in it, spent reading files
	ticks int

	summary string
	problem string // why evaluation has ended; "" where it goes on
	at      hcl.Range
	spent   bool // for the whole scene, and not for the expression at hand alone
}

func newMeter(ctx context.Context) *meter {
	return &meter{ctx: ctx, trees: map[hcl.Expression]hclsyntax.Expression{}, from: map[hcl.Expression]hclsyntax.Expression{}}
}

// refuse ends the evaluation of the expression at hand, which is too much.
func (m *meter) refuse(at hcl.Range, format string, args ...any) {
	m.end(at, tooComplex, fmt.Sprintf(format, args...))
}

func (m *meter) end(at hcl.Range, summary, problem string) {
	if m.problem == "" {
		m.summary, m.problem, m.at = summary, problem, at
	}
	panic(exhausted{})
}

// work counts steps, and ends the evaluation where they are too many.
func (m *meter) work(at hcl.Range, steps int64) {
	if m.problem != "" {
		panic(exhausted{}) // the library has caught the first one
	}
	m.steps += max(1, steps)
	if m.steps > maxWork || m.steps < 0 {
		m.spent = true
		m.refuse(at, "The expressions of this scene take more than %d steps, the most that eligen computes. Loops inside loops, and calls "+
			"over long lists in loops, are what costs: work it out once, in locals.", maxWork)
	}
	if m.ticks++; m.ticks%64 > 0 && steps < 10_000 {
		return
	}
	if m.ctx.Err() != nil {
		panic(interrupted{})
	}
	if time.Since(m.begun)-m.away > maxThinking {
		m.spent = true
		m.refuse(at, "This expression takes more than %v. Loops inside loops, and calls over long lists in loops, are what costs: work it "+
			"out once, in locals.", maxThinking)
	}
}

// text counts text that is made.
func (m *meter) text(at hcl.Range, bytes int64) {
	m.work(at, bytes/64)
	if bytes > maxText {
		m.refuse(at, "This makes a text of more than %d MiB.", maxText>>20)
	}
	if m.made += bytes; m.made > maxMade {
		m.spent = true
		m.refuse(at, "The expressions of this scene make more than %d MiB of text.", maxMade>>20)
	}
}

// elements refuses a list or an object that would be too long.
func (m *meter) elements(at hcl.Range, n int64) {
	if n > maxElements {
		m.refuse(at, "This value has more than %d elements.", maxElements)
	}
	m.work(at, 2*n)
}

// outside runs f, which waits for a disk and not for an expression.
func (m *meter) outside(f func()) {
	begun := time.Now()
	defer func() { m.away += time.Since(begun) }()
	f()
}

// evaluate returns an expression's value, and counts what it costs. If that is too much,
// the diagnostic says so.
func (m *meter) evaluate(e hcl.Expression, ctx *hcl.EvalContext) (v cty.Value, diags hcl.Diagnostics) {
	if m.depth++; m.depth == 1 {
		m.begun, m.away = time.Now(), 0
	}
	defer func() { m.depth-- }()
	defer func() {
		r := recover()
		if _, ok := r.(exhausted); r != nil && !ok {
			panic(r)
		}
		if m.problem == "" {
			return
		}
		at := m.at // whatever the library, or try(), has made of it
		v, diags = cty.DynamicVal, hcl.Diagnostics{{Severity: hcl.DiagError, Summary: m.summary, Detail: m.problem, Subject: &at}}
		if !m.spent && m.depth == 1 {
			m.problem = "" // the next expression is counted by itself
		}
	}()
	if m.problem != "" {
		panic(exhausted{})
	}
	return m.value(e, ctx)
}

// value evaluates the counted form of an expression. HCL's JSON parses the templates in
// its strings as it evaluates, so that they are taken out of it first.
func (m *meter) value(e hcl.Expression, ctx *hcl.EvalContext) (cty.Value, hcl.Diagnostics) {
	if reflect.TypeOf(e).Kind() != reflect.Pointer {
		return e.Value(ctx) // a value in an expression's place, as hcl.StaticExpr: it costs nothing, and may be no key of a map
	}
	if tree, ok := m.trees[e]; ok {
		return tree.Value(ctx)
	}
	var tree hclsyntax.Expression
	if native, ok := e.(hclsyntax.Expression); ok {
		tree = m.counted(native)
	} else if tree = m.ofJSON(e); tree == nil {
		m.work(e.Range(), 1)
		return e.Value(ctx)
	}
	m.trees[e] = tree
	return tree.Value(ctx)
}

// ofJSON rewrites an expression of HCL's JSON syntax in the native syntax. It returns nil
// where the expression holds no template, and so computes nothing.
func (m *meter) ofJSON(e hcl.Expression) hclsyntax.Expression {
	if list, diags := hcl.ExprList(e); !diags.HasErrors() {
		out := &hclsyntax.TupleConsExpr{SrcRange: e.Range(), OpenRange: e.StartRange()}
		for _, x := range list {
			out.Exprs = append(out.Exprs, m.orAsIs(x))
		}
		return &metered{out, m}
	}
	if pairs, diags := hcl.ExprMap(e); !diags.HasErrors() {
		out := &hclsyntax.ObjectConsExpr{SrcRange: e.Range(), OpenRange: e.StartRange()}
		for _, p := range pairs {
			key := &hclsyntax.ObjectConsKeyExpr{Wrapped: m.orAsIs(p.Key), ForceNonLiteral: true}
			out.Items = append(out.Items, hclsyntax.ObjectConsItem{KeyExpr: key, ValueExpr: m.orAsIs(p.Value)})
		}
		return &metered{out, m}
	}
	text, diags := e.Value(nil) // a string as it is written
	if diags.HasErrors() || text.IsNull() || !text.IsKnown() || text.Type() != cty.String {
		return nil
	}
	at := e.Range()
	start := hcl.Pos{Line: at.Start.Line, Column: at.Start.Column + 1, Byte: at.Start.Byte + 1}
	tree, diags := hclsyntax.ParseTemplate([]byte(text.AsString()), at.Filename, start)
	if diags.HasErrors() {
		return nil // evaluation says so, too
	}
	return m.counted(tree)
}

func (m *meter) orAsIs(e hcl.Expression) hclsyntax.Expression {
	if tree := m.ofJSON(e); tree != nil {
		return tree
	}
	return &plainJSON{&hclsyntax.LiteralValueExpr{SrcRange: e.Range()}, e}
}

// plainJSON is an expression of HCL's JSON syntax among native ones.
type plainJSON struct {
	hclsyntax.Expression
	json hcl.Expression
}

func (p *plainJSON) Value(ctx *hcl.EvalContext) (cty.Value, hcl.Diagnostics) {
	return p.json.Value(ctx)
}

// counted copies an expression, so that each part of it is counted when it is evaluated.
// (What is parsed stays as it is, since it is also read without being evaluated.)
func (m *meter) counted(e hclsyntax.Expression) hclsyntax.Expression {
	switch e := e.(type) {
	case *hclsyntax.ParenthesesExpr:
		c := *e
		c.Expression = m.counted(e.Expression)
		return &c
	case *hclsyntax.TemplateWrapExpr:
		c := *e
		c.Wrapped = m.counted(e.Wrapped)
		return &c
	case *hclsyntax.ObjectConsKeyExpr:
		c := *e
		c.Wrapped = m.counted(e.Wrapped)
		return &c
	case *hclsyntax.FunctionCallExpr:
		c := *e
		c.Args = copied(e.Args, m.counted)
		m.from[&c] = e
		return &call{&c, m}
	}
	out := m.countedOperation(e)
	if out == nil {
		out = m.countedCollection(e)
	}
	if out == nil { // literals, references, and what could not be parsed
		return e
	}
	m.from[out] = e
	return &metered{out, m}
}

func copied(in []hclsyntax.Expression, f func(hclsyntax.Expression) hclsyntax.Expression) []hclsyntax.Expression {
	out := make([]hclsyntax.Expression, len(in))
	for i, x := range in {
		out[i] = f(x)
	}
	return out
}

// countedOperation copies an operator, a condition or a template; it returns nil for others.
func (m *meter) countedOperation(e hclsyntax.Expression) hclsyntax.Expression {
	switch e := e.(type) {
	case *hclsyntax.ConditionalExpr:
		c := *e
		c.Condition, c.TrueResult, c.FalseResult = m.counted(e.Condition), m.converted(e.TrueResult), m.converted(e.FalseResult)
		return &c
	case *hclsyntax.BinaryOpExpr:
		c := *e
		c.LHS, c.RHS = m.measured(e.LHS), m.measured(e.RHS)
		return &c
	case *hclsyntax.UnaryOpExpr:
		c := *e
		c.Val = m.measured(e.Val)
		return &c
	case *hclsyntax.TemplateExpr:
		c := *e
		c.Parts = copied(e.Parts, m.part)
		return &c
	case *hclsyntax.TemplateJoinExpr:
		c := *e
		c.Tuple = m.counted(e.Tuple)
		return &c
	}
	return nil
}

// countedCollection copies an expression that makes a collection, or takes something out
// of one; it returns nil for others.
func (m *meter) countedCollection(e hclsyntax.Expression) hclsyntax.Expression {
	switch e := e.(type) {
	case *hclsyntax.RelativeTraversalExpr:
		c := *e
		c.Source = m.counted(e.Source)
		return &c
	case *hclsyntax.IndexExpr:
		c := *e
		c.Collection, c.Key = m.counted(e.Collection), m.measured(e.Key)
		return &c
	case *hclsyntax.TupleConsExpr:
		c := *e
		c.Exprs = copied(e.Exprs, m.counted)
		return &c
	case *hclsyntax.ObjectConsExpr:
		c := *e
		c.Items = slices.Clone(e.Items)
		for i, item := range c.Items {
			c.Items[i] = hclsyntax.ObjectConsItem{KeyExpr: m.counted(item.KeyExpr), ValueExpr: m.counted(item.ValueExpr)}
		}
		return &c
	case *hclsyntax.ForExpr:
		c := *e
		c.CollExpr, c.ValExpr = &iterated{m.counted(e.CollExpr), m}, &metered{m.counted(e.ValExpr), m}
		if e.KeyExpr != nil {
			c.KeyExpr = m.measured(e.KeyExpr)
		}
		if e.CondExpr != nil {
			c.CondExpr = m.counted(e.CondExpr)
		}
		return &c
	case *hclsyntax.SplatExpr:
		c := *e
		c.Source, c.Each = &iterated{m.counted(e.Source), m}, &metered{m.counted(e.Each), m}
		return &c
	}
	return nil
}

// parsed returns the expression that a counted one was made of.
func (m *meter) parsed(e hcl.Expression) hcl.Expression {
	for {
		switch x := e.(type) {
		case *metered:
			e = x.Expression
		case *weighed:
			e = x.Expression
		case *iterated:
			e = x.Expression
		case *known:
			e = x.Expression
		case *call:
			e = x.FunctionCallExpr
		case *plainJSON:
			return x.json
		default:
			if from, ok := m.from[e]; ok {
				return from
			}
			return e
		}
	}
}

// metered counts an expression, and looks at its value.
type metered struct {
	hclsyntax.Expression
	m *meter
}

func (e *metered) Value(ctx *hcl.EvalContext) (cty.Value, hcl.Diagnostics) {
	e.m.work(e.Range(), 4)
	v, diags := e.Expression.Value(ctx)
	if v.IsKnown() && !v.IsNull() && v.Type() == cty.Number {
		if problem := outOfReach(v); problem != "" {
			if op, ok := e.Expression.(*hclsyntax.BinaryOpExpr); ok && op.Op == hclsyntax.OpDivide && v.AsBigFloat().IsInf() {
				problem = "This divides by zero."
			}
			e.m.end(e.Range(), outOfRange, problem)
		}
	}
	return v, diags
}

// outOfReach says that a number is too large or too small to be computed with, or "".
func outOfReach(v cty.Value) string {
	switch f := v.AsBigFloat(); {
	case f.IsInf():
		return "This number is infinite."
	case f.MantExp(nil) > maxExponent || f.MantExp(nil) < -maxExponent:
		return "This number is out of range."
	}
	return ""
}

// measured wraps an expression whose value is looked at as a whole by what it is part of:
// it is compared, converted or copied.
func (m *meter) measured(e hclsyntax.Expression) hclsyntax.Expression {
	return &weighed{Expression: m.counted(e), m: m}
}

// converted wraps an expression whose value may be converted to the type of another one:
// of a tuple, the library compares each type with each.
func (m *meter) converted(e hclsyntax.Expression) hclsyntax.Expression {
	return &weighed{Expression: m.counted(e), m: m, pairs: true}
}

// part wraps an expression whose value becomes part of a string.
func (m *meter) part(e hclsyntax.Expression) hclsyntax.Expression {
	if _, ok := e.(*hclsyntax.LiteralValueExpr); ok {
		return e
	}
	return &weighed{Expression: m.counted(e), m: m, text: true}
}

type weighed struct {
	hclsyntax.Expression
	m     *meter
	text  bool // it becomes part of one
	pairs bool // its elements' types are compared with one another
}

func (e *weighed) Value(ctx *hcl.EvalContext) (cty.Value, hcl.Diagnostics) {
	v, diags := e.Expression.Value(ctx)
	s := e.m.weigh(e.Range(), v)
	if e.text {
		e.m.text(e.Range(), s.text)
	}
	if n := int64(lengthOf(v)); e.pairs && v.Type().IsTupleType() {
		e.m.work(e.Range(), n*n/2)
	}
	return v, diags
}

// iterated is what a loop goes through.
type iterated struct {
	hclsyntax.Expression
	m *meter
}

func (e *iterated) Value(ctx *hcl.EvalContext) (cty.Value, hcl.Diagnostics) {
	v, diags := e.Expression.Value(ctx)
	n := int64(lengthOf(v))
	if v.Type().IsSetType() {
		n *= 16 // its order is worked out each time
	}
	e.m.elements(e.Range(), min(n, maxElements+1))
	return v, diags
}

// lengthOf returns how many elements a value has, 0 where it has none or is unknown.
func lengthOf(v cty.Value) int {
	ty := v.Type()
	if !v.IsKnown() || v.IsNull() || !ty.IsCollectionType() && !ty.IsTupleType() && !ty.IsObjectType() {
		return 0
	}
	return v.LengthInt()
}

// A weight is how much there is of a value.
type weight struct{ elements, text int64 }

// weigh counts a value with all that is in it, and refuses what is too much, and texts
// that would be numbers without end.
func (m *meter) weigh(at hcl.Range, v cty.Value) (w weight) {
	m.weighInto(at, v, &w, 0)
	m.work(at, w.elements*4+w.text/64)
	return w
}

func (m *meter) weighInto(at hcl.Range, v cty.Value, w *weight, depth int) {
	ty := v.Type()
	w.elements++
	switch {
	case w.elements > maxElements:
		m.refuse(at, "This value has more than %d elements.", maxElements)
	case depth > maxNesting:
		m.refuse(at, "This value is nested more than %d deep.", maxNesting)
	case !v.IsKnown() || v.IsNull():
	case ty == cty.String:
		s := v.AsString()
		if w.text += int64(len(s)); w.text > maxText {
			m.refuse(at, "This value has more than %d MiB of text.", maxText>>20)
		}
		if problem := endless(s); problem != "" {
			m.end(at, outOfRange, problem)
		}
	case ty == cty.Number:
		if problem := outOfReach(v); problem != "" {
			m.end(at, outOfRange, problem)
		}
	case ty == shapeType:
		s := shapeOf(v)
		w.elements += int64(s.leaves) + int64(len(s.region.Numbers))
	case ty.IsCollectionType() || ty.IsTupleType() || ty.IsObjectType():
		for it := v.ElementIterator(); it.Next(); {
			k, e := it.Element()
			if ty.IsMapType() || ty.IsObjectType() {
				w.text += int64(len(k.AsString()))
			}
			m.weighInto(at, e, w, depth+1)
		}
	}
}

// endless says that a text is a number that takes too long to be read, or "". What isn't
// a number is no concern of it.
func endless(s string) string {
	t := strings.TrimLeft(s, "+-")
	if len(t) < 3 || t[0] < '0' || t[0] > '9' {
		return ""
	}
	digits := strings.TrimLeft(t, "0123456789.")
	if digits == "" || digits[0] == 'e' || digits[0] == 'E' {
		return checkDigits(s)
	}
	return ""
}

// call counts a call before it is made, by its arguments.
type call struct {
	*hclsyntax.FunctionCallExpr
	m *meter
}

func (e *call) Value(ctx *hcl.EvalContext) (cty.Value, hcl.Diagnostics) {
	at := e.Range()
	e.m.work(at, 8)
	f, ok := functionOf(ctx, e.Name)
	if !ok || takesExpressions(f) {
		return e.FunctionCallExpr.Value(ctx)
	}
	c := *e.FunctionCallExpr
	c.Args = make([]hclsyntax.Expression, len(e.Args))
	var values []cty.Value
	whole := true
	for i, a := range e.Args {
		v, diags := a.Value(ctx)
		whole = whole && !diags.HasErrors()
		if !diags.HasErrors() {
			e.m.weigh(a.Range(), v)
			v = listed(f, i, v)
		}
		c.Args[i] = &known{a, v, diags}
		if last := i == len(e.Args)-1; last && e.ExpandFinal && lengthOf(v) > 0 && !v.Type().IsObjectType() && !v.Type().IsMapType() {
			values = append(values, v.AsValueSlice()...)
		} else {
			values = append(values, v)
		}
	}
	if whole {
		e.m.before(at, e.Name, values)
	}
	v, diags := c.Value(ctx)
	if !diags.HasErrors() {
		if w := e.m.weigh(at, v); e.Name != "file" { // which is read once
			e.m.text(at, w.text)
		}
	}
	return v, diags
}

// known is an argument that has been evaluated.
type known struct {
	hclsyntax.Expression
	v     cty.Value
	diags hcl.Diagnostics
}

func (e *known) Value(*hcl.EvalContext) (cty.Value, hcl.Diagnostics) { return e.v, e.diags }

func functionOf(ctx *hcl.EvalContext, name string) (function.Function, bool) {
	for ; ctx != nil; ctx = ctx.Parent() {
		if f, ok := ctx.Functions[name]; ok {
			return f, true
		}
	}
	return function.Function{}, false
}

// takesExpressions reports whether a function gets its arguments unevaluated: try and can.
func takesExpressions(f function.Function) bool {
	p := f.VarParam()
	return p != nil && customdecode.CustomExpressionDecoderForType(p.Type) != nil ||
		slices.ContainsFunc(f.Params(), func(p function.Parameter) bool { return customdecode.CustomExpressionDecoderForType(p.Type) != nil })
}

// listed makes a list or a set of a tuple whose elements are of one type, where a
// function wants one. The library compares each type with each other.
func listed(f function.Function, i int, v cty.Value) cty.Value {
	ty := v.Type()
	if !ty.IsTupleType() || !v.IsWhollyKnown() || v.IsNull() || v.LengthInt() == 0 {
		return v
	}
	var want cty.Type
	switch params := f.Params(); {
	case i < len(params):
		want = params[i].Type
	case f.VarParam() != nil:
		want = f.VarParam().Type
	}
	if want == cty.NilType || !want.IsListType() && !want.IsSetType() {
		return v
	}
	types := ty.TupleElementTypes()
	for _, t := range types {
		if !t.Equals(types[0]) {
			return v
		}
	}
	if element := want.ElementType(); element != cty.DynamicPseudoType && !element.Equals(types[0]) {
		return v
	}
	if want.IsSetType() {
		return cty.SetVal(v.AsValueSlice())
	}
	return cty.ListVal(v.AsValueSlice())
}

// before counts what a call will cost by what it is given: what a function makes can be
// far more than that, and what it does, too.
func (m *meter) before(at hcl.Range, name string, args []cty.Value) {
	texts := make([]string, max(2, len(args)))
	total, longest, mixed := int64(0), int64(0), int64(0) // mixed: pairs of types that are compared
	for i, a := range args {
		if a.IsKnown() && !a.IsNull() && a.Type() == cty.String {
			texts[i] = a.AsString()
		}
		n := int64(lengthOf(a))
		total, longest = total+n, max(longest, n)
		if a.Type().IsTupleType() {
			mixed += n * n
		}
	}
	switch name {
	case "tolist", "toset", "tomap", "distinct", "chunklist", "sort", "compact", "coalescelist",
		"setunion", "setintersection", "setsubtract", "setproduct", "sum", "join", "formatlist", "zipmap", "index", "contains":
		m.work(at, mixed/2)
	case "coalesce", "max", "min":
		m.work(at, int64(len(args))*int64(len(args))/2)
	}
	switch name {
	case "setunion", "setintersection", "setsubtract", "toset", "distinct":
		m.work(at, 256*total)
	case "setproduct":
		product := int64(len(args))
		for _, a := range args {
			if product *= max(1, int64(lengthOf(a))); product > maxElements {
				break
			}
		}
		m.elements(at, product)
	case "join":
		bytes, n := int64(0), int64(0)
		for _, a := range args {
			w := weight{}
			m.weighInto(at, a, &w, 0)
			bytes, n = bytes+w.text, n+w.elements
		}
		m.text(at, bytes+n*int64(len(texts[0])))
	case "format", "formatlist":
		m.text(at, max(1, longest)*formattedBytes(texts[0], m.bytesOf(at, args[1:])))
	case "templatefile":
		m.work(at, 1000)
	case "iou", "area":
		for _, a := range args {
			if a.Type() == shapeType && a.IsKnown() && !a.IsNull() {
				m.work(at, int64(counting.W*counting.H/8)*int64(1+shapeOf(a).leaves))
			}
		}
	default:
		m.beforeText(at, name, texts)
	}
}

// beforeText counts what a function of strings will cost. There are two at least: missing
// ones are empty.
func (m *meter) beforeText(at hcl.Range, name string, texts []string) {
	first, second := texts[0], texts[1]
	long := int64(len(first))
	switch name {
	case "split":
		m.elements(at, int64(strings.Count(second, first))+1)
	case "indent":
		m.text(at, int64(len(second))+200*int64(strings.Count(second, "\n")))
	case "trim":
		m.work(at, long*int64(len(second))/64)
	case "strrev", "substr", "title", "length", "chomp":
		m.work(at, long*4)
	case "regex", "regexall":
		m.pattern(at, first, second)
	case "replace":
		if p := second; len(p) > 1 && strings.HasPrefix(p, "/") && strings.HasSuffix(p, "/") {
			m.pattern(at, p[1:len(p)-1], first)
		}
		m.text(at, long)
	case "csvdecode":
		m.elements(at, int64(strings.Count(first, ",")+strings.Count(first, "\n")))
		m.work(at, long)
	case "jsondecode":
		m.elements(at, jsonElements(first))
		m.work(at, long)
	}
}

// bytesOf returns how long values are as strings, at most.
func (m *meter) bytesOf(at hcl.Range, values []cty.Value) (n int64) {
	for _, v := range values {
		w := weight{}
		m.weighInto(at, v, &w, 0)
		n += 2*w.text + 20*w.elements
	}
	return n
}

// formattedBytes returns how long the result of format() can be: each verb may stand for
// any of the arguments, and be as wide as three digits say.
func formattedBytes(format string, arguments int64) int64 {
	verbs, widest := int64(0), int64(0)
	for i, part := range strings.Split(format, "%") {
		if i == 0 {
			continue
		}
		verbs++
		n := int64(0)
		for _, c := range part {
			if c < '0' || c > '9' {
				if c == '[' || c == ']' || c == '.' || c == '+' || c == '-' || c == ' ' || c == '#' {
					n = 0
					continue
				}
				break
			}
			n = min(10*n+int64(c-'0'), 1000)
			widest = max(widest, n)
		}
	}
	each := arguments
	if !strings.Contains(format, "[") && verbs > 0 {
		return int64(len(format)) + verbs*(widest+32) + arguments
	}
	return int64(len(format)) + verbs*(widest+32+each)
}

// pattern counts a search: each character may be looked at by each instruction.
func (m *meter) pattern(at hcl.Range, pattern, text string) {
	m.work(at, int64(len(pattern))*16)
	re, err := regexpsyntax.Parse(pattern, regexpsyntax.Perl)
	if err != nil {
		return // the function says so
	}
	prog, err := regexpsyntax.Compile(re.Simplify())
	if err != nil {
		return
	}
	m.work(at, int64(len(prog.Inst))*(16+int64(len(text))/8))
	if groups := int64(re.MaxCap() + 1); groups*int64(len(text)+1) > maxElements {
		m.matches(at, pattern, text, groups)
	}
}

// matches refuses a search that finds more than a value may hold.
func (m *meter) matches(at hcl.Range, pattern, text string, groups int64) {
	re, err := regexp.Compile(pattern)
	if err != nil {
		return
	}
	most := maxElements/groups + 1
	m.elements(at, groups*int64(len(re.FindAllStringIndex(text, int(most)))))
}

// jsonElements counts the values of a JSON text, roughly.
func jsonElements(s string) (n int64) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case !quoted && (c == ',' || c == '[' || c == '{'):
			n++
		}
	}
	return n
}
