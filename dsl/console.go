package dsl

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/eligen/eligen"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"
)

// Evaluate evaluates an expression as an argument of the scene would be, and gives
// its value as a scene writes it. Mistakes are at a line of a file of that name.
type Evaluate func(name string, line int, expr string) (string, eligen.Diagnostics)

// Console reads the scene at path, and calls session once with what evaluates
// expressions against it. A scene with mistakes has no session.
func Console(ctx context.Context, path string, vars Vars, session func(Evaluate)) eligen.Diagnostics {
	vars.loaded = func(l *loader) { session(l.evaluate) }
	_, ds := Load(ctx, path, vars)
	return ds
}

func (l *loader) evaluate(name string, line int, expr string) (string, eligen.Diagnostics) {
	if len(expr) > maxFile {
		return "", tooLarge(name, int64(len(expr)))
	}
	// Empty lines before it, so that it stands at its line.
	f := newFile(name, []byte(strings.Repeat("\n", line-1)+expr))
	pos := hcl.Pos{Line: line, Column: 1, Byte: line - 1}
	before, known := l.files[name]
	kept := l.diags
	l.files[name], l.diags = f, nil
	defer func() {
		l.diags = kept
		if delete(l.files, name); known {
			l.files[name] = before
		}
	}()

	tokens, _ := hclsyntax.LexExpression([]byte(expr), name, pos)
	g := &guard{file: f, stack: []bracket{{body: false}}}
	for i := range tokens {
		if g.token(tokens, i); g.problem != nil {
			return "", eligen.Diagnostics{*g.problem}
		}
	}
	e, diags := hclsyntax.ParseExpression([]byte(expr), name, pos)
	if diags.HasErrors() {
		for _, d := range diags {
			f.report(&l.diags, d)
		}
		return "", tidy(l.diags)
	}
	v := l.eval(e)
	if l.diags.HasErrors() {
		return "", tidy(l.diags)
	}
	return l.show(v, true, 0), tidy(l.diags)
}

// lineWidth is how long a list or an object may be on one line.
const lineWidth = 72

// show writes a value as a scene does. A block inside another value is its address; top
// says that the value was asked for.
func (l *loader) show(v cty.Value, top bool, depth int) string {
	ty := v.Type()
	switch {
	case !v.IsKnown():
		return "unknown"
	case v.IsNull():
		return "null"
	case ty == cty.String:
		return string(hclwrite.TokensForValue(v).Bytes())
	case ty == cty.Number:
		return plain(v.AsBigFloat())
	case ty == cty.Bool:
		return fmt.Sprint(v.True())
	case ty == shapeType:
		return l.showShape(shapeOf(v))
	case ty == trainingType:
		return fmt.Sprintf("lora(%d)", v.EncapsulatedValue().(*training).rank)
	case ty.IsCapsuleType():
		return ty.FriendlyName()
	}
	if n := identityOf(v); n != nil && !top {
		return n.address()
	}
	return l.showCollection(v, top, depth)
}

// showCollection writes a collection on one line, if it fits, or an element a line.
func (l *loader) showCollection(v cty.Value, top bool, depth int) string {
	open, shut, keyed := "[", "]", v.Type().IsObjectType() || v.Type().IsMapType()
	switch {
	case keyed:
		open, shut = "{", "}"
	case v.Type().IsSetType():
		open, shut = "toset([", "])"
	}
	var names, parts []string
	width := 0
	for it := v.ElementIterator(); it.Next(); {
		k, e := it.Element()
		if keyed && k.AsString() == identityName {
			continue
		}
		if keyed {
			name := k.AsString()
			if !hclsyntax.ValidIdentifier(name) {
				name = l.show(k, false, 0)
			}
			names = append(names, name)
			width = max(width, len([]rune(name)))
		}
		parts = append(parts, l.show(e, false, depth+1))
	}
	if len(parts) == 0 {
		return open + shut
	}
	if text, ok := oneLine(names, parts); ok && (!keyed || !top) {
		if keyed {
			return "{ " + text + " }"
		}
		return open + text + shut
	}
	indent := strings.Repeat("  ", depth+1)
	var b strings.Builder
	b.WriteString(open + "\n")
	for i, p := range parts {
		b.WriteString(indent)
		if keyed {
			b.WriteString(names[i] + strings.Repeat(" ", width-len([]rune(names[i]))) + " = " + p + "\n")
		} else {
			b.WriteString(p + ",\n")
		}
	}
	return b.String() + strings.Repeat("  ", depth) + shut
}

// oneLine joins a collection's elements, named if there are names, and reports whether
// they fit on a line.
func oneLine(names, parts []string) (string, bool) {
	all := slices.Clone(parts)
	for i, name := range names {
		all[i] = name + " = " + parts[i]
	}
	text := strings.Join(all, ", ")
	return text, !strings.Contains(text, "\n") && len([]rune(text)) <= lineWidth
}

// showShape writes a shape as its constructor, with the files of its masks.
func (l *loader) showShape(s *shape) string {
	return s.region.Text(func(r eligen.Region) string {
		var names []string
		for name := range l.pictures {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			p := l.pictures[name]
			var options []string
			switch {
			case p.err != nil || r.Bitmap == nil:
				continue
			case p.luminance != nil && p.luminance.Digest == r.Bitmap.Digest:
				if p.varies {
					options = append(options, `channel = "luminance"`)
				}
			case p.alpha != nil && p.alpha.Digest == r.Bitmap.Digest:
				options = append(options, `channel = "alpha"`)
			default:
				continue
			}
			if r.Fit != "" {
				options = append(options, fmt.Sprintf("fit = %q", r.Fit))
			}
			if len(options) > 0 {
				return fmt.Sprintf("image(%q, { %s })", name, strings.Join(options, ", "))
			}
			return fmt.Sprintf("image(%q)", name)
		}
		return r.String()
	})
}
