package edit

import (
	"fmt"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// Rename gives an entity, of an address such as "entity.duck", another name, and changes each reference to it.
func (t *Text) Rename(address, name string) ([]byte, error) {
	b := t.entity(address)
	if b == nil {
		return nil, fmt.Errorf("there is no block %s", address)
	}
	switch {
	case "entity."+name == address:
		return t.src, nil
	case !hclsyntax.ValidIdentifier(name):
		return nil, fmt.Errorf("%q is no name: use letters, digits, _ and -, and begin with a letter", name)
	case t.entity("entity."+name) != nil:
		return nil, fmt.Errorf("there is an entity %s already", name)
	}
	label := spanOf(b.LabelRanges[0])
	spans := []Span{{label.From + 1, label.To - 1}} // without the quotes
	if t.src[label.From] != '"' {
		spans[0] = label
	}
	_ = hclsyntax.VisitAll(t.body, func(n hclsyntax.Node) hcl.Diagnostics {
		e, ok := n.(*hclsyntax.ScopeTraversalExpr)
		if !ok || len(e.Traversal) < 2 || e.Traversal.RootName() != "entity" {
			return nil
		}
		if a, ok := e.Traversal[1].(hcl.TraverseAttr); ok && "entity."+a.Name == address {
			at := spanOf(a.SrcRange)
			spans = append(spans, Span{at.To - len(a.Name), at.To}) // without the dot
		}
		return nil
	})
	slices.SortFunc(spans, func(a, b Span) int { return b.From - a.From })
	out := t.src
	for _, s := range slices.Compact(spans) {
		out = splice(out, s, name)
	}
	return t.formatted(out)
}

// entity returns the block of an entity, or nil.
func (t *Text) entity(address string) *hclsyntax.Block {
	for _, b := range t.body.Blocks {
		if b.Type == "entity" && len(b.Labels) == 1 && "entity."+b.Labels[0] == address {
			return b
		}
	}
	return nil
}

func spanOf(r hcl.Range) Span { return Span{r.Start.Byte, r.End.Byte} }
