package dsl

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/words"
	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// Summaries that several places use.
const (
	notYet       = "Not supported yet"
	notYetDetail = "it is part of the language, but this release of eligen can't do it. Remove it, or wait for a release that can"
	undeclared   = "Reference to undeclared name"
	wrongType    = "Incorrect type"
	outOfRange   = "Value out of range"
	missing      = "Missing required argument"

	missingBlock   = "Missing required block"
	conflicting    = "Conflicting arguments"
	notApplicable  = "Argument not applicable"
	duplicate      = "Duplicate declaration"
	duplicateBlock = "Duplicate block"
	circular       = "Circular reference"
	empty          = "Empty value"
)

// A grammar is what a block may hold.
type grammar struct {
	what     string // "a render", for messages
	required []string
	optional []string
	blocks   []hcl.BlockHeaderSchema
	many     []string // blocks that may stand more than once
	// later is what the language has and this release lacks: arguments, and blocks
	// with the names of their labels.
	later       []string
	laterBlocks []hcl.BlockHeaderSchema
	// never is what people may expect and the language won't have, with the reason.
	never map[string]string
	// renamed gives the names of today for those of earlier releases, which still work.
	renamed map[string]string
	// inside says in which block an argument belongs that is often written here.
	inside map[string]string
}

func (g *grammar) arguments() []string { return slices.Concat(g.required, g.optional) }

// A body is the content of a block while it is turned into a type of the root
// package. Its getters complain by themselves; failed says whether one did.
type body struct {
	l       *loader
	g       *grammar
	attrs   hcl.Attributes
	blocks  hcl.Blocks
	rng     hcl.Range // of the block's header
	at      map[string]eligen.Source
	prefix  string          // of names in at: "sampler."
	damaged bool            // something in it could not be read
	guessed map[string]bool // arguments that a misspelt one was probably meant to be
	failed  bool

	made      map[*hcl.Block]*iteration // the blocks among blocks that dynamic blocks stand for
	iteration *iteration                // of the dynamic block that made this one, or nil
}

// header returns the range of a block's header: its type and labels.
func (l *loader) header(b *hcl.Block) hcl.Range {
	if !isJSON(b.DefRange.Filename) {
		return b.DefRange
	}
	if n := len(b.LabelRanges); n > 0 {
		return b.LabelRanges[n-1]
	}
	return b.TypeRange
}

// open reads a block's content against its grammar.
func (l *loader) open(b *hcl.Block, g *grammar) *body {
	out := &body{l: l, g: g, rng: l.header(b), at: map[string]eligen.Source{}}
	out.read(b.Body)
	return out
}

func (b *body) read(from hcl.Body) {
	l, g := b.l, b.g
	b.damaged, b.guessed = l.syntax.damaged[from], map[string]bool{}
	b.failed = b.damaged
	schema := &hcl.BodySchema{Blocks: slices.Concat(g.blocks, g.laterBlocks)}
	for _, name := range slices.Concat(g.required, g.optional, g.later, slices.Sorted(maps.Keys(g.never)),
		slices.Sorted(maps.Keys(g.renamed))) {
		schema.Attributes = append(schema.Attributes, hcl.AttributeSchema{Name: name})
	}
	content, diags := from.Content(schema)
	for _, d := range diags {
		b.failed = b.failed || d.Severity == hcl.DiagError
		b.reportContent(d)
	}
	b.attrs = content.Attributes
	b.rename()
	for _, name := range g.later {
		if a, ok := b.attrs[name]; ok {
			b.errorf(a.NameRange, notYet, "The argument %q of %s: %s.", name, g.what, notYetDetail)
			delete(b.attrs, name)
		}
	}
	for name := range g.never {
		if a, ok := b.attrs[name]; ok {
			b.refuse(name, a.NameRange)
			delete(b.attrs, name)
		}
	}
	seen := map[string]hcl.Range{}
	b.made = map[*hcl.Block]*iteration{}
	var blocks hcl.Blocks
	for _, inner := range content.Blocks {
		if inner.Type == dynamicBlock.Type {
			blocks = append(blocks, b.dynamic(inner)...)
		} else {
			blocks = append(blocks, inner)
		}
	}
	for _, inner := range blocks {
		header := l.header(inner)
		if slices.ContainsFunc(g.laterBlocks, func(s hcl.BlockHeaderSchema) bool { return s.Type == inner.Type }) {
			b.errorf(header, notYet, "The block %q: %s.", inner.Type, notYetDetail)
			continue
		}
		if first, ok := seen[inner.Type]; ok && !slices.Contains(g.many, inner.Type) {
			b.errorf(header, duplicateBlock, "%s has one %s block. Merge the two.", capital(g.what), inner.Type).Note(l.source(first),
				"the first one is here")
			continue
		}
		seen[inner.Type] = header
		b.blocks = append(b.blocks, inner)
	}
	if !b.damaged {
		for _, name := range g.required {
			if _, ok := b.attrs[name]; !ok && !b.guessed[name] {
				b.errorf(b.rng, missing, "%s needs the argument %q.", capital(g.what), name)
			}
		}
	}
}

// rename gives arguments with an old name their new one.
func (b *body) rename() {
	for old, name := range b.g.renamed {
		a, ok := b.attrs[old]
		if !ok {
			continue
		}
		delete(b.attrs, old)
		if other, both := b.attrs[name]; both {
			b.errorf(a.NameRange, conflicting, "%q is the old name of %q. Remove it.", old, name).Note(b.l.source(other.NameRange),
				"the new name is here")
			continue
		}
		b.l.warnf(a.NameRange, "Deprecated argument", "%q is called %q now. Rename it: the old name goes in eligen 0.4.", old, name)
		b.attrs[name] = a
	}
}

// reportContent says HCL's complaints about a block's content in our words,
// with better guesses.
func (b *body) reportContent(d *hcl.Diagnostic) {
	if d.Subject == nil {
		b.l.errorf(b.rng, stock(d.Summary), "%s", d.Detail)
		return
	}
	name := strings.Trim(b.l.textOf(*d.Subject), `"`)
	var blocks []string
	for _, s := range b.g.blocks {
		blocks = append(blocks, s.Type)
	}
	arguments := b.g.arguments()
	argument := func(summary string) {
		hint := ""
		if in, ok := b.g.inside[name]; ok {
			hint = fmt.Sprintf(" It belongs in the %s block: %s { … }.", in, in)
		} else if slices.Contains(blocks, name) {
			hint = fmt.Sprintf(" %q is a block: write %s { … }, without the equals sign.", name, name)
		} else if guess := closest(name, slices.DeleteFunc(slices.Clone(arguments), func(s string) bool { return b.attrs[s] != nil })); guess !=
			"" {
			hint = fmt.Sprintf(" Did you mean %q?", guess)
			b.guessed[guess] = true
		} else if guess := closest(name, blocks); guess != "" {
			hint = fmt.Sprintf(" Did you mean the block %q?", guess)
		} else if len(arguments) > 0 {
			hint = fmt.Sprintf(" It may have %s.", words.Quoted(arguments, "and"))
		}
		b.l.errorf(*d.Subject, summary, "%s has no argument %q.%s", capital(b.g.what), name, hidden(name)+hint)
	}
	switch d.Summary {
	case "Unsupported argument", "Extraneous JSON object property":
		argument("Unsupported argument")
	case "Unsupported block type":
		hint := ""
		if slices.Contains(arguments, name) {
			hint = fmt.Sprintf(" %q is an argument: write %s = …", name, name)
		} else if b.g == moduleTopGrammar && slices.Contains(sceneOnly, name) {
			hint = " It belongs in the scene's own file."
		} else if guess := closest(name, blocks); guess != "" {
			hint = fmt.Sprintf(" Did you mean %q?", guess)
		} else if guess := closest(name, arguments); guess != "" {
			hint = fmt.Sprintf(" Did you mean the argument %q?", guess)
		}
		b.l.errorf(*d.Subject, "Unsupported block type", "%s has no blocks of type %q.%s", capital(b.g.what), name, hint)
	default:
		detail := d.Detail
		if strings.HasPrefix(d.Summary, "Missing ") || strings.HasPrefix(d.Summary, "Extraneous label") {
			for _, s := range b.g.blocks {
				if strings.HasSuffix(d.Summary, " for "+s.Type) {
					detail = fmt.Sprintf("Write it as %s { … }.", s.Type+labels(s.LabelNames))
				}
			}
		}
		b.l.errorf(*d.Subject, stock(d.Summary), "%s", detail)
	}
}

// labels writes a block's labels as the reference writes them: ` "FAMILY" "NAME"`.
func labels(names []string) (s string) {
	for _, name := range names {
		s += fmt.Sprintf(" %q", strings.ToUpper(name))
	}
	return s
}

func (b *body) errorf(r hcl.Range, summary, detail string, args ...any) (d *eligen.Diagnostic) {
	b.failed = true
	if i := b.iteration; i != nil && !strings.HasSuffix(b.l.instance.name, i.element) {
		b.l.named(i.element, i.of, func() { d = b.l.errorf(r, summary, detail, args...) })
		return d
	}
	return b.l.errorf(r, summary, detail, args...)
}

// place returns the range of an argument's value, or of the block's header where it isn't
// set.
func (b *body) place(name string) hcl.Range {
	if a, ok := b.attrs[name]; ok {
		return a.Expr.Range()
	}
	return b.rng
}

// has reports whether an argument is given. Null leaves it out, as if it weren't written.
func (b *body) has(name string) bool {
	a, set := b.attrs[name]
	if !set {
		return false
	}
	if _, diags := hcl.ExprList(a.Expr); !diags.HasErrors() {
		return true // it is written out, and its elements are not all looked at
	}
	if v := b.eval(a.Expr); v.IsKnown() && v.IsNull() {
		delete(b.attrs, name)
		return false
	}
	return true
}

// value evaluates an argument. ok is false where it is unset, null or failed.
func (b *body) value(name string) (v cty.Value, ok bool) {
	a, set := b.attrs[name]
	if !set {
		return cty.NilVal, false
	}
	b.at[b.prefix+name] = b.l.source(a.Expr.Range())
	v = b.eval(a.Expr)
	if !v.IsWhollyKnown() {
		b.failed = true
		return v, false
	}
	if v.IsNull() {
		delete(b.at, b.prefix+name)
		if slices.Contains(b.g.required, name) {
			b.errorf(a.Expr.Range(), missing, "%s needs the argument %q; null leaves it out.", capital(b.g.what), name)
		}
		return v, false
	}
	return v, true
}

// uses returns what an argument's expression used, with where it was set.
func (b *body) uses(name string) (notes []eligen.Note) {
	a := b.attrs[name]
	if a == nil {
		return nil
	}
	b.within(func() {
		if ctx, bad := b.l.scope(a.Expr); len(bad) == 0 {
			notes = b.l.uses(a.Expr, ctx)
		}
	})
	return notes
}

// wrong reports an argument's value, with what it was computed from.
func (b *body) wrong(name string, at hcl.Range, summary, detail string, args ...any) {
	notes := b.uses(name)
	b.errorf(at, summary, detail, args...).Notes = notes
}

func (b *body) convert(name string, ty cty.Type, want string) (cty.Value, bool) {
	v, ok := b.value(name)
	if !ok {
		return v, false
	}
	got := short(v)
	c, err := toType(v, ty)
	if err != nil || c.IsNull() || !c.IsWhollyKnown() {
		if got == "" {
			got = "something else"
		}
		b.wrong(name, b.place(name), wrongType, "%q must be %s; this is %s.", name, want, got)
		return v, false
	}
	return c, true
}

// text reads a string argument.
func (b *body) text(name string) (string, bool) {
	v, ok := b.convert(name, cty.String, "a text in quotes")
	if !ok {
		return "", false
	}
	return v.AsString(), true
}

// choice reads a string argument that has only some values.
func (b *body) choice(name string, values ...string) (string, bool) {
	s, ok := b.text(name)
	if ok && !slices.Contains(values, s) {
		b.errorf(b.place(name), "Unknown value", "%q can be %s, not %q.%s", name, words.Quoted(values, "or"), s, didYouMean(s, values))
		return "", false
	}
	return s, ok
}

func (b *body) boolean(name string) (bool, bool) {
	v, ok := b.convert(name, cty.Bool, "true or false")
	return ok && v.True(), ok
}

// number reads a finite number between low and high, both included.
func (b *body) number(name string, low, high float64) (float64, bool) {
	v, ok := b.convert(name, cty.Number, "a number")
	if !ok {
		return 0, false
	}
	f, _ := v.AsBigFloat().Float64()
	if math.IsInf(f, 0) || f < low || f > high {
		b.wrong(name, b.place(name), outOfRange, "%q must be %s, not %s.", name, span("a number", low, high), plain(v.AsBigFloat()))
		return 0, false
	}
	return f, true
}

// whole reads a whole number between low and high, both included.
func (b *body) whole(name string, low, high int64) (int64, bool) {
	v, ok := b.convert(name, cty.Number, "a whole number")
	if !ok {
		return 0, false
	}
	n, problem := wholeNumber(v, low, high)
	if problem != "" {
		b.wrong(name, b.place(name), outOfRange, "%q must be %s.", name, problem)
		return 0, false
	}
	return n, true
}

func wholeNumber(v cty.Value, low, high int64) (n int64, problem string) {
	f := v.AsBigFloat()
	n, _ = f.Int64()
	if f.IsInf() || !f.IsInt() || f.MantExp(nil) > 63 || n < low || n > high {
		return 0, fmt.Sprintf("%s, not %s", span("a whole number", float64(low), float64(high)), plain(f))
	}
	return n, ""
}

func span(what string, low, high float64) string {
	unlimited := high >= math.MaxInt32*8
	switch {
	case unlimited && math.IsInf(low, -1):
		return what
	case unlimited:
		return fmt.Sprintf("%s of at least %v", what, low)
	}
	return fmt.Sprintf("%s from %v to %s", what, low, plainFloat(high))
}

func plainFloat(f float64) string {
	if f == math.Trunc(f) && math.Abs(f) < 1e15 {
		return fmt.Sprintf("%.0f", f)
	}
	return fmt.Sprint(f)
}

// elements reads a list argument: its values, with the range of each. A single value is
// no list. The elements of a list that is written out are evaluated one by one, so that a
// mistake in one does not hide those in others; a failed one is unknown.
func (b *body) elements(name, want string) (values []cty.Value, places []hcl.Range, ok bool) {
	a, set := b.attrs[name]
	if !set {
		return nil, nil, false
	}
	if written, diags := hcl.ExprList(a.Expr); !diags.HasErrors() {
		b.at[b.prefix+name] = b.l.source(a.Expr.Range())
		for _, e := range written {
			v := b.eval(e)
			if !v.IsWhollyKnown() {
				b.failed = true
			}
			values, places = append(values, v), append(places, e.Range())
		}
		return values, places, true
	}
	v, ok := b.value(name)
	if !ok {
		return nil, nil, false
	}
	ty := v.Type()
	if !ty.IsTupleType() && !ty.IsListType() && !ty.IsSetType() {
		hint := ""
		if n := identityOf(v); n != nil {
			hint = fmt.Sprintf(" Write [%s].", b.l.shown(n))
		}
		b.errorf(b.place(name), wrongType, "%q must be %s; this is %s.%s", name, want, short(v), hint)
		return nil, nil, false
	}
	for it := v.ElementIterator(); it.Next(); {
		_, e := it.Element()
		values, places = append(values, e), append(places, b.place(name))
	}
	return values, places, true
}

// object returns an argument { a = …, b = … } as a body of its own, so that its parts are
// read like arguments.
func (b *body) object(name string, g *grammar) (*body, bool) {
	a, set := b.attrs[name]
	if !set {
		return nil, false
	}
	pairs, diags := hcl.ExprMap(a.Expr)
	if diags.HasErrors() {
		// A reference to an object, or something that is none.
		v, ok := b.value(name)
		if !ok {
			return nil, false
		}
		if !v.Type().IsObjectType() && !v.Type().IsMapType() {
			b.errorf(a.Expr.Range(), wrongType, "%q must be an object, as { %s = … }; this is %s.", name, g.optional[0], short(v))
			return nil, false
		}
		inner := &body{l: b.l, g: g, attrs: hcl.Attributes{}, rng: a.Expr.Range(), at: b.at, prefix: b.prefix + name + ".",
			iteration: b.iteration}
		for it := v.ElementIterator(); it.Next(); {
			k, e := it.Element()
			inner.part(k.AsString(), hcl.StaticExpr(e, a.Expr.Range()), a.Expr.Range())
		}
		return inner, true
	}
	b.at[b.prefix+name] = b.l.source(a.Expr.Range())
	inner := &body{l: b.l, g: g, attrs: hcl.Attributes{}, rng: a.Expr.Range(), at: b.at, prefix: b.prefix + name + ".", iteration: b.iteration}
	for _, p := range pairs {
		k := b.eval(p.Key)
		if !k.IsKnown() {
			inner.failed = true
			continue
		}
		if k.IsNull() || k.Type() != cty.String {
			inner.errorf(p.Key.Range(), wrongType, "Here must be a name.")
			continue
		}
		inner.part(k.AsString(), p.Value, p.Key.Range())
	}
	return inner, true
}

func (b *body) part(name string, e hcl.Expression, at hcl.Range) {
	if !slices.Contains(b.g.arguments(), name) {
		b.errorf(at, "Unsupported argument", "%s has no part %q.%s", capital(b.g.what), name, didYouMean(name, b.g.arguments()))
		return
	}
	b.attrs[name] = &hcl.Attribute{Name: name, Expr: e, Range: e.Range(), NameRange: at}
}

// inner returns the first block of a type, or nil.
func (b *body) inner(kind string) *hcl.Block {
	for _, x := range b.blocks {
		if x.Type == kind {
			return x
		}
	}
	return nil
}

// capital begins a sentence: paths and names keep their case.
func capital(s string) string {
	return words.Capital(s)
}
