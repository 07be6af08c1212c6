package edit

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// An Item is an object of a list as it is written: { at = "0%", value = 1 }.
type Item struct {
	Span
	Parts []Attribute
}

// Part returns a part of an item, or nil.
func (i *Item) Part(name string) *Attribute {
	for k := range i.Parts {
		if i.Parts[k].Name == name {
			return &i.Parts[k]
		}
	}
	return nil
}

// items reads a list of objects, or returns nil.
func (t *Text) items(e hclsyntax.Expression) []Item {
	list, ok := e.(*hclsyntax.TupleConsExpr)
	if !ok || len(list.Exprs) == 0 {
		return nil
	}
	out := []Item{}
	for _, e := range list.Exprs {
		object, ok := e.(*hclsyntax.ObjectConsExpr)
		if !ok {
			return nil
		}
		item := Item{Span: t.span(object)}
		for _, p := range object.Items {
			name := hcl.ExprAsKeyword(p.KeyExpr)
			if name == "" {
				return nil
			}
			at := t.span(p.ValueExpr)
			item.Parts = append(item.Parts, Attribute{
				Name: name, Line: p.ValueExpr.Range().Start.Line, Span: at, Text: string(t.src[at.From:at.To]),
				Plain: plain(p.ValueExpr), Refs: refs(p.ValueExpr), Shape: t.shape(p.ValueExpr, false),
			})
		}
		out = append(out, item)
	}
	return out
}

// list finds a list of objects, and checks that it has an item.
func (t *Text) list(address, attribute string, item int) (*Attribute, error) {
	_, a, err := t.find(address, attribute)
	if err != nil {
		return nil, err
	}
	if a == nil || a.Items == nil {
		return nil, &DerivedError{address, attribute, -1, textOf(a), refsOf(a)}
	}
	if item < 0 || item >= len(a.Items) {
		return nil, fmt.Errorf("%s.%s has %d items", address, attribute, len(a.Items))
	}
	return a, nil
}

// SetItem gives a part of an item of a list an expression, and adds the part where it is missing; "" removes
// it. A part that is worked out is replaced only if replace says so: else the error is a DerivedError.
func (t *Text) SetItem(address, attribute string, item int, part, expr string, replace bool) ([]byte, error) {
	a, err := t.list(address, attribute, item)
	if err != nil {
		return nil, err
	}
	if !hclsyntax.ValidIdentifier(part) {
		return nil, fmt.Errorf("%q is no name of a part", part)
	}
	if _, diags := hclsyntax.ParseExpression([]byte(expr), "", hcl.InitialPos); expr != "" && diags.HasErrors() {
		return nil, fmt.Errorf("%q is no expression: %s", expr, diags[0].Detail)
	}
	i := &a.Items[item]
	p := i.Part(part)
	switch {
	case p == nil && expr == "":
		return t.src, nil
	case p == nil:
		end := i.Parts[len(i.Parts)-1].To
		return t.formatted(splice(t.src, Span{end, end}, ", "+part+" = "+expr))
	case expr == "":
		from := bytes.LastIndexAny(t.src[:p.From], ",{")
		if from < 0 || t.src[from] != ',' {
			return nil, fmt.Errorf("line %d begins with %s: change it by hand", p.Line, part)
		}
		return t.formatted(splice(t.src, Span{from, p.To}, ""))
	case !replace && !p.Plain && (p.Shape == nil || len(p.Refs) > 0):
		return nil, &DerivedError{address, attribute, -1, p.Text, p.Refs}
	}
	return t.checked(splice(t.src, p.Span, expr))
}

// AddItem writes an object before the item of that number, or behind the last one. It stands on a line of its
// own where the others do.
func (t *Text) AddItem(address, attribute string, before int, object string) ([]byte, error) {
	a, err := t.list(address, attribute, 0)
	if err != nil {
		return nil, err
	}
	if e, diags := hclsyntax.ParseExpression([]byte(object), "", hcl.InitialPos); diags.HasErrors() {
		return nil, fmt.Errorf("%q is no object: %s", object, diags[0].Detail)
	} else if _, ok := e.(*hclsyntax.ObjectConsExpr); !ok {
		return nil, fmt.Errorf("%q is no object", object)
	}
	gap := ", "
	if first := a.Items[0]; bytes.Contains(t.src[a.From:first.From], []byte("\n")) {
		gap = ",\n" + t.indent(first.From)
	}
	if before >= 0 && before < len(a.Items) {
		at := a.Items[before].From
		return t.formatted(splice(t.src, Span{at, at}, object+gap))
	}
	at := a.Items[len(a.Items)-1].To
	return t.formatted(splice(t.src, Span{at, at}, gap+object))
}

// RemoveItem removes an item of a list that has others, with its line where it stands on one of its own.
func (t *Text) RemoveItem(address, attribute string, item int) ([]byte, error) {
	a, err := t.list(address, attribute, item)
	if err != nil {
		return nil, err
	}
	if len(a.Items) == 1 {
		return nil, fmt.Errorf("%s.%s needs one item: remove the whole block", address, attribute)
	}
	from, to := a.Items[item].From, a.Items[item].To
	if item+1 < len(a.Items) {
		next := a.Items[item+1].From
		if i := bytes.IndexByte(t.src[to:next], '\n'); i >= 0 { // a comment behind it goes with it
			line := bytes.LastIndexByte(t.src[:from], '\n') + 1
			if strings.TrimSpace(string(t.src[line:from])) == "" {
				return t.formatted(splice(t.src, Span{line, to + i + 1}, ""))
			}
		}
		return t.formatted(splice(t.src, Span{from, next}, ""))
	}
	return t.formatted(slices.Concat(t.src[:a.Items[item-1].To], t.src[to:]))
}
