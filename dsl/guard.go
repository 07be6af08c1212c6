package dsl

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/eligen/eligen"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// Limits of a scene. HCL's parser and evaluator recurse as deep as their input
// is nested, and Go cannot recover from a full stack, so what is deeper than
// any scene needs is refused while it is still a flat list of tokens.
const (
	maxFile       = 1 << 20 // bytes
	maxNesting    = 64      // brackets, blocks, quotes and templates inside one another
	maxUnary      = 64      // ! and - in a row; also ? and [*] in one expression
	maxExpression = 20_000  // tokens
	maxDirectives = 1_000   // %{ in a file
	maxBlocks     = 10_000
	maxLoops      = 6   // for expressions inside one another: the cost is a product
	maxDigits     = 400 // characters of a number, and its decimal exponent
)

const tooComplex = "Scene too complex"

// A bracket is something open: what it was opened by, and what was counted
// directly inside it.
type bracket struct {
	open      hclsyntax.TokenType
	body      bool // of a block, or the file itself: holds arguments and blocks
	assigned  bool // body only: an equals sign was seen in this item
	loop      bool // a for expression
	first     bool // nothing but newlines seen inside yet
	questions int
	splats    int
}

// A guard walks tokens and remembers the first limit that they pass.
type guard struct {
	file       *file
	stack      []bracket
	unary      int
	item       int // tokens since the item's start
	blocks     int
	directives int
	loops      int // open for expressions and %{ for } directives
	problem    *eligen.Diagnostic
}

// guardConfig checks a whole native-syntax file, or a part of one that starts
// at pos; it returns the problem that keeps it from being parsed, or nil.
func guardConfig(f *file, src []byte, pos hcl.Pos) *eligen.Diagnostic {
	tokens, _ := hclsyntax.LexConfig(src, f.name, pos)
	return guardTokens(f, tokens)
}

func guardTokens(f *file, tokens hclsyntax.Tokens) *eligen.Diagnostic {
	g := &guard{file: f, stack: []bracket{{body: true}}}
	for i := range tokens {
		g.token(tokens, i)
		if g.problem != nil {
			return g.problem
		}
	}
	return nil
}

func (g *guard) refuse(t hclsyntax.Token, detail string, args ...any) {
	at := g.file.source(t.Range)
	var ds eligen.Diagnostics
	ds.Errorf(&at, tooComplex, detail, args...)
	g.problem = &ds[0]
}

func (g *guard) top() *bracket { return &g.stack[len(g.stack)-1] }

func (g *guard) token(tokens hclsyntax.Tokens, i int) {
	t, top := tokens[i], g.top()
	if t.Type == hclsyntax.TokenNewline || t.Type == hclsyntax.TokenComment {
		g.lineEnd(t)
		return
	}
	g.item++
	if g.item > maxExpression {
		g.refuse(t, "This expression has more than %d parts, the most that eligen reads in one. Split it with locals.", maxExpression)
		return
	}
	first := top.first
	top.first = false
	if t.Type != hclsyntax.TokenBang && t.Type != hclsyntax.TokenMinus {
		g.unary = 0
	}
	switch t.Type {
	case hclsyntax.TokenBang, hclsyntax.TokenMinus, hclsyntax.TokenQuestion, hclsyntax.TokenStar:
		g.operator(tokens, i)
	case hclsyntax.TokenComma:
		top.questions, top.splats = 0, 0
	case hclsyntax.TokenEqual:
		if top.body {
			top.assigned = true
		}
	case hclsyntax.TokenNumberLit:
		if problem := checkDigits(string(t.Bytes)); problem != "" {
			g.refuse(t, "%s", problem)
		}
	case hclsyntax.TokenIdent:
		g.word(tokens, i, first)
	default:
		g.bracket(t)
	}
}

// lineEnd begins a new item at the end of a body's line, and a new element at that of an
// object's.
func (g *guard) lineEnd(t hclsyntax.Token) {
	top := g.top()
	switch {
	case t.Type == hclsyntax.TokenComment:
		// A line comment ends with its newline, which the lexer keeps inside it.
		if top.body && bytes.HasSuffix(t.Bytes, []byte("\n")) {
			g.newItem()
		}
	case top.body:
		g.newItem()
	case top.open == hclsyntax.TokenOBrace && !top.loop:
		top.questions, top.splats = 0, 0
	}
}

// operator counts the operators that the parser recurses at: signs, conditions and splats.
func (g *guard) operator(tokens hclsyntax.Tokens, i int) {
	t, top := tokens[i], g.top()
	switch t.Type {
	case hclsyntax.TokenBang, hclsyntax.TokenMinus:
		if g.unary++; g.unary > maxUnary {
			g.refuse(t, "More than %d operators %q and %q follow one another here.", maxUnary, "!", "-")
		}
	case hclsyntax.TokenQuestion:
		if top.questions++; top.questions > maxUnary {
			g.refuse(t, "This expression has more than %d conditions \"… ? … : …\" in a row. Use a map from cases to values instead.", maxUnary)
		}
	case hclsyntax.TokenStar:
		if i > 0 && (tokens[i-1].Type == hclsyntax.TokenOBrack || tokens[i-1].Type == hclsyntax.TokenDot) {
			in := top
			if tokens[i-1].Type == hclsyntax.TokenOBrack && len(g.stack) > 1 {
				in = &g.stack[len(g.stack)-2]
			}
			if in.splats++; in.splats > maxUnary {
				g.refuse(t, "This expression has more than %d splats [*].", maxUnary)
			}
		}
	}
}

// bracket follows what opens and closes.
func (g *guard) bracket(t hclsyntax.Token) {
	switch t.Type {
	case hclsyntax.TokenTemplateControl:
		if g.directives++; g.directives > maxDirectives {
			g.refuse(t, "The file has more than %d template directives %%{ … }.", maxDirectives)
			return
		}
		g.push(t, bracket{open: t.Type, first: true})
	case hclsyntax.TokenOBrace:
		top, b := g.top(), bracket{open: t.Type, first: true}
		if top.body && !top.assigned {
			b.body = true
			if g.blocks++; g.blocks > maxBlocks {
				g.refuse(t, "The file has more than %d blocks.", maxBlocks)
				return
			}
		}
		g.push(t, b)
		if b.body {
			g.newItem()
		}
	case hclsyntax.TokenOBrack, hclsyntax.TokenOParen, hclsyntax.TokenOQuote, hclsyntax.TokenOHeredoc, hclsyntax.TokenTemplateInterp:
		g.push(t, bracket{open: t.Type, first: true})
	case hclsyntax.TokenCBrace:
		g.pop(hclsyntax.TokenOBrace)
	case hclsyntax.TokenCBrack:
		g.pop(hclsyntax.TokenOBrack)
	case hclsyntax.TokenCParen:
		g.pop(hclsyntax.TokenOParen)
	case hclsyntax.TokenCQuote:
		g.pop(hclsyntax.TokenOQuote)
	case hclsyntax.TokenCHeredoc:
		g.pop(hclsyntax.TokenOHeredoc)
	case hclsyntax.TokenTemplateSeqEnd:
		g.pop(hclsyntax.TokenTemplateInterp, hclsyntax.TokenTemplateControl)
	}
}

// word counts the loops that are open, by the keywords that open and close them.
func (g *guard) word(tokens hclsyntax.Tokens, i int, first bool) {
	top := g.top()
	if !first || top.body {
		return
	}
	switch string(tokens[i].Bytes) {
	case "for":
		switch top.open {
		case hclsyntax.TokenOBrack, hclsyntax.TokenOBrace:
			top.loop = true
		case hclsyntax.TokenTemplateControl:
		default:
			return
		}
		if g.loops++; g.loops > maxLoops {
			g.refuse(tokens[i], "More than %d for expressions are nested here; each multiplies the work. Split them with locals.", maxLoops)
		}
	case "endfor":
		if top.open == hclsyntax.TokenTemplateControl && g.loops > 0 {
			g.loops--
		}
	}
}

// newItem starts the next argument or block of a body.
func (g *guard) newItem() {
	g.item, g.unary, g.loops = 0, 0, 0
	top := g.top()
	top.assigned, top.questions, top.splats = false, 0, 0
}

func (g *guard) push(t hclsyntax.Token, b bracket) {
	if len(g.stack) > maxNesting {
		g.refuse(t, "Blocks, brackets and templates are nested more than %d deep here. Name the inner parts in a locals block.", maxNesting)
		return
	}
	g.stack = append(g.stack, b)
}

// pop closes the innermost bracket that one of open opened, and all that was
// left open inside it. A closer without an opener closes nothing.
func (g *guard) pop(open ...hclsyntax.TokenType) {
	for n := len(g.stack) - 1; n > 0; n-- {
		for _, o := range open {
			if g.stack[n].open != o {
				continue
			}
			for _, b := range g.stack[n:] {
				if b.loop && g.loops > 0 {
					g.loops--
				}
			}
			body := g.stack[n].body
			g.stack = g.stack[:n]
			if body {
				g.newItem()
			}
			return
		}
	}
}

// checkDigits says what is wrong with a number as it is written: arithmetic
// and printing would take time and space by its size, not its length.
func checkDigits(s string) string {
	if len(s) > maxDigits {
		return fmt.Sprintf("A number of %d characters; at most %d are read.", len(s), maxDigits)
	}
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		if e, err := strconv.Atoi(strings.TrimPrefix(s[i+1:], "+")); err != nil || e > maxDigits || e < -maxDigits {
			return fmt.Sprintf("The exponent of this number is out of range: at most %d.", maxDigits)
		}
	}
	return ""
}

// A jsonGuard walks a file in HCL's JSON syntax.
type jsonGuard struct {
	file       *file
	src        []byte
	open       []byte
	objects    int
	directives int
}

// guardJSON checks a file in HCL's JSON syntax: its depth, its numbers, and
// every string as the template that it may be evaluated as.
func guardJSON(f *file, src []byte) *eligen.Diagnostic {
	g := &jsonGuard{file: f, src: src}
	for i := 0; i < len(src); {
		n, problem := 1, (*eligen.Diagnostic)(nil)
		switch c := src[i]; {
		case c == '{' || c == '[':
			problem = g.push(i)
		case c == '}' || c == ']':
			if n := bytes.LastIndexByte(g.open, c-2); n >= 0 {
				g.open = g.open[:n]
			}
		case c == '"':
			n = jsonString(src[i:])
			problem = g.template(i, n)
		case c == '-' || c == '+' || c == '.' || c >= '0' && c <= '9':
			for i+n < len(src) && strings.IndexByte("+-.eE0123456789", src[i+n]) >= 0 {
				n++
			}
			if digits := checkDigits(string(src[i : i+n])); digits != "" {
				problem = g.refuse(i, i+n, "%s", digits)
			}
		}
		if problem != nil {
			return problem
		}
		i += n
	}
	return nil
}

func (g *jsonGuard) refuse(from, to int, detail string, args ...any) *eligen.Diagnostic {
	at := g.file.source(hcl.Range{Filename: g.file.name, Start: hcl.Pos{Byte: from}, End: hcl.Pos{Byte: to}})
	var ds eligen.Diagnostics
	ds.Errorf(&at, tooComplex, detail, args...)
	return &ds[0]
}

// push opens the object or the array that begins at i.
func (g *jsonGuard) push(i int) *eligen.Diagnostic {
	if g.open = append(g.open, g.src[i]); len(g.open) > maxNesting {
		return g.refuse(i, i+1, "Objects and arrays are nested more than %d deep here.", maxNesting)
	}
	if g.src[i] == '{' {
		if g.objects++; g.objects > maxBlocks {
			return g.refuse(i, i+1, "The file has more than %d objects.", maxBlocks)
		}
	}
	return nil
}

// template checks the string of n bytes at i as a template and as an expression.
func (g *jsonGuard) template(i, n int) *eligen.Diagnostic {
	var s string
	if json.Unmarshal(g.src[i:i+n], &s) != nil {
		return nil
	}
	// The template's places are those of the string without its escapes.
	pos := hcl.Pos{Line: 1, Column: 1, Byte: i + 1}
	tokens, _ := hclsyntax.LexTemplate([]byte(s), g.file.name, pos)
	t := &guard{file: g.file, stack: []bracket{{body: false}}, directives: g.directives}
	for k := range tokens {
		if t.token(tokens, k); t.problem != nil {
			return t.problem
		}
	}
	// Types and traversals are read from strings as expressions.
	tokens, _ = hclsyntax.LexExpression([]byte(s), g.file.name, pos)
	e := &guard{file: g.file, stack: []bracket{{body: false}}, directives: g.directives}
	for k := range tokens {
		if e.token(tokens, k); e.problem != nil && e.problem.Summary == tooComplex {
			return e.problem
		}
	}
	g.directives = t.directives
	return nil
}

// jsonString returns the length of the string literal that b starts with, closing quote
// included, as HCL's JSON scanner finds it.
func jsonString(b []byte) int {
	escaped := false
	for i := 1; i < len(b); i++ {
		switch c := b[i]; {
		case c == '\\':
			escaped = !escaped
		case c == '"':
			if !escaped {
				return i + 1
			}
			escaped = false
		case c < ' ':
			return i
		default:
			escaped = false
		}
	}
	return len(b)
}
