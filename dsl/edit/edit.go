// Package edit changes single values in the text of a scene, and leaves all else as it is.
package edit

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/dsl"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"
)

// A Text is a scene's text, parsed for changes of single values. Offsets are bytes of it. A
// change gives another text, in which all else is as it was, comments and layout included.
type Text struct {
	name string
	src  []byte
	body *hclsyntax.Body
}

// Parse returns a text that can be edited, or why it can't.
func Parse(filename string, src []byte) (*Text, eligen.Diagnostics) {
	if strings.HasSuffix(strings.ToLower(filename), ".json") {
		var ds eligen.Diagnostics
		ds.Errorf(nil, "JSON scene", "%s is in JSON, which is not edited. Write it as .hcl.", filename)
		return nil, ds
	}
	if ds := dsl.CheckSyntax(filename, src); ds.HasErrors() {
		return nil, ds
	}
	return parse(filename, src)
}

// parse reads a text that is safe to parse.
func parse(filename string, src []byte) (*Text, eligen.Diagnostics) {
	parsed, diags := hclsyntax.ParseConfig(src, filename, hcl.InitialPos)
	if diags.HasErrors() {
		return nil, dsl.CheckSyntax(filename, src)
	}
	return &Text{filename, src, parsed.Body.(*hclsyntax.Body)}, nil
}

// A Span is a part of a text, from one offset up to another.
type Span struct {
	From int `json:"from"`
	To   int `json:"to"`
}

// A Block is where a block stands, and the values that it sets.
type Block struct {
	// Address is "entity.duck", "render.harbor", "render.harbor.sampler"; of blocks with one name the second
	// is "timeline.fall.track[1]".
	Address    string
	Line       int // first line, from 1
	Span           // of the block with its braces
	Attributes []Attribute
}

// An Attribute is a value that a block sets.
type Attribute struct {
	Name string
	Line int
	Span        // of the expression
	Text string // the expression
	// Plain reports whether the expression is a value by itself: a number, a text, a list of such.
	Plain bool
	Refs  []string // what else it hangs on: "var.horizon", "each.value", "entity.cat"
	Shape *Shape   // of a call of a shape's function; nil: it is none
	Items []Item   // of a list of objects, such as a track's keys; nil: it is none
}

// A Shape is a call such as xywh(0.1, var.y, 0.2, 0.2).
type Shape struct {
	Call   string // "xywh", "xyxy", "cxcywh", "ellipse", "polygon"
	Pixels bool   // it is in px(…)
	Slots  []Slot
}

// A Slot is a number of a shape, as it is written.
type Slot struct {
	Span
	Text  string
	Plain bool
	Value float64 // where Plain
	Refs  []string
}

// shapeNumbers are how many numbers shapes have; 0 is a list of points.
var shapeNumbers = map[string]int{"xywh": 4, "xyxy": 4, "cxcywh": 4, "ellipse": 4, "polygon": 0}

// Blocks lists the blocks of the text in its order, those inside a block behind it.
func (t *Text) Blocks() []Block { return t.blocks("", t.body) }

func (t *Text) blocks(path string, body *hclsyntax.Body) []Block {
	var out []Block
	seen := map[string]int{}
	for _, b := range body.Blocks {
		address := strings.TrimPrefix(path+"."+strings.Join(append([]string{b.Type}, b.Labels...), "."), ".")
		n := seen[address]
		if seen[address]++; n > 0 && len(b.Labels) == 0 {
			address = fmt.Sprintf("%s[%d]", address, n)
		}
		block := Block{Address: address, Line: b.TypeRange.Start.Line, Span: Span{b.TypeRange.Start.Byte, b.CloseBraceRange.End.Byte}}
		for _, a := range inOrder(b.Body) {
			block.Attributes = append(block.Attributes, t.attribute(a))
		}
		out = append(append(out, block), t.blocks(address, b.Body)...)
	}
	return out
}

// inOrder returns a body's attributes as they stand in the text.
func inOrder(body *hclsyntax.Body) []*hclsyntax.Attribute {
	var out []*hclsyntax.Attribute
	for _, a := range body.Attributes {
		out = append(out, a)
	}
	slices.SortFunc(out, func(a, b *hclsyntax.Attribute) int { return a.SrcRange.Start.Byte - b.SrcRange.Start.Byte })
	return out
}

func (t *Text) attribute(a *hclsyntax.Attribute) Attribute {
	at := t.span(a.Expr)
	out := Attribute{Name: a.Name, Line: a.NameRange.Start.Line, Span: at, Text: string(t.src[at.From:at.To])}
	out.Plain, out.Refs, out.Shape = plain(a.Expr), refs(a.Expr), t.shape(a.Expr, false)
	out.Items = t.items(a.Expr)
	return out
}

// span returns where an expression stands, parentheses included; a heredoc without its line's end.
func (t *Text) span(e hclsyntax.Expression) Span {
	r := e.Range()
	return Span{r.Start.Byte, r.Start.Byte + len(bytes.TrimRight(t.src[r.Start.Byte:min(r.End.Byte, len(t.src))], "\r\n"))}
}

// shape reads a call of a shape's function, or returns nil.
func (t *Text) shape(e hclsyntax.Expression, pixels bool) *Shape {
	call, ok := e.(*hclsyntax.FunctionCallExpr)
	if !ok || call.ExpandFinal {
		return nil
	}
	if call.Name == "px" && len(call.Args) == 1 && !pixels {
		return t.shape(call.Args[0], true)
	}
	n, known := shapeNumbers[call.Name]
	if !known {
		return nil
	}
	numbers := call.Args
	if n == 0 {
		if numbers = points(call.Args); numbers == nil {
			return nil
		}
	} else if len(numbers) != n {
		return nil
	}
	s := &Shape{Call: call.Name, Pixels: pixels}
	for _, e := range numbers {
		at := t.span(e)
		slot := Slot{Span: at, Text: string(t.src[at.From:at.To]), Refs: refs(e)}
		slot.Value, slot.Plain = number(e)
		s.Slots = append(s.Slots, slot)
	}
	return s
}

// points returns the numbers of a list of points as it is written, or nil.
func points(args []hclsyntax.Expression) []hclsyntax.Expression {
	if len(args) != 1 {
		return nil
	}
	list, ok := args[0].(*hclsyntax.TupleConsExpr)
	if !ok {
		return nil
	}
	var out []hclsyntax.Expression
	for _, p := range list.Exprs {
		point, ok := p.(*hclsyntax.TupleConsExpr)
		if !ok || len(point.Exprs) != 2 {
			return nil
		}
		out = append(out, point.Exprs...)
	}
	return out
}

// number returns a number that is written as one, its sign included.
func number(e hclsyntax.Expression) (float64, bool) {
	switch e := e.(type) {
	case *hclsyntax.LiteralValueExpr:
		if e.Val.Type() == cty.Number && e.Val.IsKnown() && !e.Val.IsNull() {
			f, _ := e.Val.AsBigFloat().Float64()
			return f, true
		}
	case *hclsyntax.UnaryOpExpr:
		if e.Op == hclsyntax.OpNegate {
			f, ok := number(e.Val)
			return -f, ok
		}
	}
	return 0, false
}

// plain reports whether an expression is a value by itself.
func plain(e hclsyntax.Expression) bool {
	all := func(list []hclsyntax.Expression) bool {
		return !slices.ContainsFunc(list, func(e hclsyntax.Expression) bool { return !plain(e) })
	}
	switch e := e.(type) {
	case *hclsyntax.LiteralValueExpr:
		return true
	case *hclsyntax.UnaryOpExpr:
		_, ok := number(e)
		return ok
	case *hclsyntax.TemplateExpr:
		return all(e.Parts)
	case *hclsyntax.TupleConsExpr:
		return all(e.Exprs)
	}
	return false
}

// refs lists what an expression hangs on, as people would name it.
func refs(e hclsyntax.Expression) []string {
	var out []string
	for _, v := range e.Variables() {
		var names []string
		for _, step := range v {
			switch s := step.(type) {
			case hcl.TraverseRoot:
				names = append(names, s.Name)
			case hcl.TraverseAttr:
				names = append(names, s.Name)
			}
		}
		if r := strings.Join(names[:min(2, len(names))], "."); !slices.Contains(out, r) {
			out = append(out, r)
		}
	}
	return out
}

// A DerivedError says that a value is worked out, and was not overwritten.
type DerivedError struct {
	Address, Attribute string
	Slot               int // of a shape; -1 is the whole value
	Text               string
	Refs               []string
}

func (e *DerivedError) Error() string {
	what := e.Address + "." + e.Attribute
	if len(e.Refs) == 0 {
		return fmt.Sprintf("%s is worked out: %s. Replace it, or change the expression", what, e.Text)
	}
	return fmt.Sprintf("%s hangs on %s. Change that, or replace %s here", what, strings.Join(e.Refs, ", "), e.Text)
}

// find returns a block and an attribute of it, which may be missing.
func (t *Text) find(address, attribute string) (Block, *Attribute, error) {
	for _, b := range t.Blocks() {
		if b.Address != address {
			continue
		}
		for i := range b.Attributes {
			if b.Attributes[i].Name == attribute {
				return b, &b.Attributes[i], nil
			}
		}
		return b, nil, nil
	}
	return Block{}, nil, fmt.Errorf("%s has no block %s", t.name, address)
}

// SetNumbers changes numbers of a shape to texts of numbers; "" leaves one as it is. A number that is
// worked out is replaced only if replace says so: else the error is a DerivedError.
func (t *Text) SetNumbers(address, attribute string, numbers []string, replace bool) ([]byte, error) {
	_, a, err := t.find(address, attribute)
	if err != nil {
		return nil, err
	}
	if a == nil || a.Shape == nil {
		return nil, &DerivedError{address, attribute, -1, textOf(a), refsOf(a)}
	}
	if len(numbers) != len(a.Shape.Slots) {
		return nil, fmt.Errorf("%s.%s has %d numbers, not %d", address, attribute, len(a.Shape.Slots), len(numbers))
	}
	out := t.src
	for i, s := range slices.Backward(a.Shape.Slots) {
		if numbers[i] == "" {
			continue
		}
		if !s.Plain && !replace {
			return nil, &DerivedError{address, attribute, i, s.Text, s.Refs}
		}
		if err := isNumber(numbers[i]); err != nil {
			return nil, err
		}
		out = splice(out, s.Span, numbers[i])
	}
	return t.checked(out)
}

func textOf(a *Attribute) string {
	if a == nil {
		return ""
	}
	return a.Text
}

func refsOf(a *Attribute) []string {
	if a == nil {
		return nil
	}
	return a.Refs
}

// isNumber returns an error for what is no number as HCL writes it.
func isNumber(text string) error {
	e, diags := hclsyntax.ParseExpression([]byte(text), "", hcl.InitialPos)
	if !diags.HasErrors() {
		if _, ok := number(e); ok {
			return nil
		}
	}
	return fmt.Errorf("%q is no number", text)
}

// splice replaces a span of a text.
func splice(src []byte, at Span, with string) []byte {
	return slices.Concat(src[:at.From], []byte(with), src[at.To:])
}

// cut splits the address of a block inside a render's or a timeline's: "render.harbor.sampler".
func cut(address string) (block, inner string) {
	if i := strings.LastIndexByte(address, '.'); strings.Count(address, ".") == 2 && hclsyntax.ValidIdentifier(address[i+1:]) {
		return address[:i], address[i+1:]
	}
	return address, ""
}

// open writes a new block at the end of another one.
func (t *Text) open(b Block, name, line string) ([]byte, error) {
	head := bytes.TrimRight(t.src[:b.To-1], " \t\r\n")
	indent := t.indent(b.From)
	gap := "\n\n"
	if head[len(head)-1] == '{' {
		gap = "\n"
	}
	block := fmt.Sprintf("%s%s  %s {\n%s    %s\n%s  }\n%s", gap, indent, name, indent, line, indent, indent)
	if first := bytes.IndexByte(t.src[b.From:], '{') + b.From + 1; !bytes.Contains(t.src[first:b.To], []byte("\n")) {
		head = slices.Concat(t.src[:first], []byte("\n"+indent+"  "), bytes.TrimSpace(head[first:]))
	}
	return t.formatted(slices.Concat(head, []byte(block), t.src[b.To-1:]))
}

// Set gives an attribute of a block an expression, and adds the attribute, and the block inside a block,
// where it is missing. A value that is worked out is replaced only if replace says so: else the error is a
// DerivedError.
func (t *Text) Set(address, attribute, expr string, replace bool) ([]byte, error) {
	if _, diags := hclsyntax.ParseExpression([]byte(expr+"\n"), "", hcl.InitialPos); diags.HasErrors() {
		return nil, fmt.Errorf("%q is no expression: %s", expr, diags[0].Detail)
	}
	if !hclsyntax.ValidIdentifier(attribute) {
		return nil, fmt.Errorf("%q is no name of an argument", attribute)
	}
	b, a, err := t.find(address, attribute)
	if err != nil {
		if inside, inner := cut(address); inner != "" {
			if b, _, outer := t.find(inside, ""); outer == nil {
				return t.open(b, inner, attribute+" = "+expr)
			}
		}
		return nil, err
	}
	if a == nil {
		return t.add(b, attribute, expr)
	}
	if !replace && !a.Plain && (a.Shape == nil || len(a.Refs) > 0) {
		return nil, &DerivedError{address, attribute, -1, a.Text, a.Refs}
	}
	return t.checked(splice(t.src, a.Span, expr))
}

// Quote returns a string as an expression.
func Quote(s string) string { return string(hclwrite.TokensForValue(cty.StringVal(s)).Bytes()) }

// add writes a new attribute behind a block's last one. What was formatted stays formatted.
func (t *Text) add(b Block, attribute, expr string) ([]byte, error) {
	line := attribute + " = " + expr
	at, indent := bytes.IndexByte(t.src[b.From:], '{')+b.From+1, t.indent(b.From)+"  "
	if n := len(b.Attributes); n > 0 {
		at, indent = b.Attributes[n-1].To, t.indent(b.Attributes[n-1].From)
	}
	end := at
	for end < len(t.src) && t.src[end] != '\n' && end < b.To-1 { // a comment stays with its line
		end++
	}
	if end == b.To-1 { // the block is one line
		head, tail := bytes.TrimRight(t.src[:end], " \t"), t.src[end:]
		if n := len(b.Attributes); n > 0 {
			first := bytes.IndexByte(t.src[b.From:], '{') + b.From + 1
			head = slices.Concat(t.src[:first], []byte("\n  "), bytes.TrimSpace(head[first:]))
		}
		return t.formatted(slices.Concat(head, []byte("\n  "+line+"\n"), tail))
	}
	return t.formatted(slices.Concat(t.src[:end], []byte("\n"+indent+line), t.src[end:]))
}

// indent returns the white space at the beginning of an offset's line.
func (t *Text) indent(at int) string {
	line := t.src[bytes.LastIndexByte(t.src[:at], '\n')+1:]
	return string(line[:len(line)-len(bytes.TrimLeft(line, " \t"))])
}

// Unset removes an attribute, with its line, and a block inside a block with its last attribute. What is
// missing is removed.
func (t *Text) Unset(address, attribute string) ([]byte, error) {
	b, a, err := t.find(address, attribute)
	_, inner := cut(address)
	if err != nil && inner != "" {
		return t.src, nil
	}
	if err != nil || a == nil {
		return t.src, err
	}
	if inner != "" && len(b.Attributes) == 1 {
		head := bytes.TrimRight(t.src[:b.From], " \t\r\n")
		return t.formatted(slices.Concat(head, t.src[b.To:]))
	}
	from, to := bytes.LastIndexByte(t.src[:a.From], '\n')+1, a.To
	if i := bytes.IndexByte(t.src[to:], '\n'); i >= 0 {
		to += i + 1
	}
	if !strings.HasPrefix(strings.TrimSpace(string(t.src[from:a.From])), attribute) {
		return nil, fmt.Errorf("line %d holds more than %s: change it by hand", a.Line, attribute)
	}
	return t.formatted(splice(t.src, Span{from, to}, ""))
}

// Append adds a block at the end of the text.
func (t *Text) Append(block string) ([]byte, error) {
	head := bytes.TrimRight(t.src, " \t\r\n")
	gap := "\n\n"
	if len(head) == 0 {
		gap = ""
	}
	return t.formatted(slices.Concat(head, []byte(gap+strings.TrimSpace(block)+"\n")))
}

// Remove removes a block, the comment over it, unless that begins the text, and an empty line.
func (t *Text) Remove(address string) ([]byte, error) {
	b, _, err := t.find(address, "")
	if err != nil {
		return nil, err
	}
	from, to := t.comment(b.From), b.To
	for range 2 {
		if i := bytes.IndexByte(t.src[to:], '\n'); i >= 0 && len(bytes.TrimSpace(t.src[to:to+i])) == 0 {
			to += i + 1
		}
	}
	head, tail, gap := bytes.TrimRight(t.src[:from], "\r\n"), t.src[to:], "\n\n"
	switch {
	case len(head) == 0:
		gap = ""
	case len(bytes.TrimSpace(tail)) == 0:
		gap, tail = "\n", nil
	}
	return t.formatted(slices.Concat(head, []byte(gap), tail))
}

// comment returns where the comment right over a block begins, or the block's line where there is none
// or where it begins the text.
func (t *Text) comment(block int) int {
	line := func(at int) int { return bytes.LastIndexByte(t.src[:at], '\n') + 1 }
	blank := func(from, to int) bool { return len(bytes.TrimSpace(t.src[from:to])) == 0 }
	tokens, _ := hclsyntax.LexConfig(t.src, t.name, hcl.InitialPos)
	from := line(block)
	for _, k := range slices.Backward(tokens) {
		if k.Type != hclsyntax.TokenComment || k.Range.Start.Byte >= from {
			continue
		}
		start, end := k.Range.Start.Byte, k.Range.Start.Byte+len(bytes.TrimRight(k.Bytes, "\r\n"))
		if !blank(line(start), start) || !blank(end, from) || bytes.Count(t.src[end:from], []byte("\n")) > 1 {
			break
		}
		if from = line(start); blank(0, from) {
			return line(block)
		}
	}
	return from
}

// lineEnd is how the text ends its lines: as Windows does where it does so throughout.
func (t *Text) lineEnd() string {
	if n := bytes.Count(t.src, []byte("\n")); n > 0 && n == bytes.Count(t.src, []byte("\r\n")) {
		return "\r\n"
	}
	return "\n"
}

// unix returns a text with the line ends that HCL writes.
func unix(src []byte) []byte { return bytes.ReplaceAll(src, []byte("\r\n"), []byte("\n")) }

// formatted formats a changed text whose original was.
func (t *Text) formatted(out []byte) ([]byte, error) {
	src, changed := t.src, out
	if t.lineEnd() != "\n" {
		src, changed = unix(src), unix(out)
	}
	if was, _ := dsl.Format(t.name, src); bytes.Equal(was, src) {
		if now, ds := dsl.Format(t.name, changed); !ds.HasErrors() {
			out = now
		}
	}
	return t.checked(out)
}

// checked returns a changed text with the line ends of the original, unless it is none that can be read.
func (t *Text) checked(out []byte) ([]byte, error) {
	if end := t.lineEnd(); end != "\n" {
		out = bytes.ReplaceAll(unix(out), []byte("\n"), []byte(end))
	}
	if _, ds := Parse(t.name, out); ds.HasErrors() {
		return nil, fmt.Errorf("%s is written in a way that can't be changed there: change it by hand", t.name)
	}
	return out, nil
}
