package dsl

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/codes"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	hcljson "github.com/hashicorp/hcl/v2/json"
	"github.com/zclconf/go-cty/cty"
)

// A syntax is a parsed file, with what could not be read of it.
type syntax struct {
	body hcl.Body
	// damaged bodies are those of blocks in which something is misspelt: what
	// is missing there may only be unreadable.
	damaged map[hcl.Body]bool
	// lost reports that whole blocks may be missing from body.
	lost bool
}

// parse reads a file in either syntax. Nothing is parsed that the guard
// refuses; body is nil then.
func parse(f *file) (syntax, eligen.Diagnostics) {
	if isJSON(f.name) {
		src := bytes.TrimPrefix(f.src, byteOrderMark)
		pos := hcl.Pos{Line: 1, Column: 1, Byte: len(f.src) - len(src)}
		if d := guardJSON(f, f.src); d != nil {
			return syntax{}, eligen.Diagnostics{*d}
		}
		hf, diags := hcljson.ParseWithStartPos(src, f.name, pos)
		if diags.HasErrors() {
			return syntax{}, f.jsonMistakes(diags)
		}
		return syntax{body: hf.Body}, nil
	}
	if d := guardConfig(f, f.src, hcl.InitialPos); d != nil {
		return syntax{}, eligen.Diagnostics{*d}
	}
	hf, diags := hclsyntax.ParseConfig(f.src, f.name, hcl.InitialPos)
	if !diags.HasErrors() {
		return syntax{body: hf.Body}, nil
	}
	return salvage(f, diags)
}

// topLevel finds the lines on which a block of the scene's begins. It is asked
// only where the file does not parse: there brackets and quotes can't be trusted.
var topLevel = regexp.MustCompile(`(?m)^(variable|locals|model|adapter|entity|render|recipe|eligen|timeline|check|module|moved)\b[^=\n]*\{`)

// salvage parses a file block by block, so that every block's own mistakes are
// found, and the blocks without any are kept. whole is what was found when the
// file was parsed in one piece.
func salvage(f *file, whole hcl.Diagnostics) (syntax, eligen.Diagnostics) {
	var ds eligen.Diagnostics
	starts := []int{0}
	for _, m := range topLevel.FindAllIndex(f.src, -1) {
		if m[0] > 0 {
			starts = append(starts, m[0])
		}
	}
	all := &hclsyntax.Body{Attributes: hclsyntax.Attributes{}}
	all.SrcRange.Filename = f.name
	out := syntax{body: all, damaged: map[hcl.Body]bool{}}
	line := 1
	for i, from := range starts {
		to := len(f.src)
		if i+1 < len(starts) {
			to = starts[i+1]
		}
		piece, pos := f.src[from:to], hcl.Pos{Line: line, Column: 1, Byte: from}
		line += bytes.Count(piece, []byte("\n"))
		body, problem := out.read(f, &ds, piece, pos)
		if problem != nil {
			return syntax{}, append(ds, *problem)
		}
		all.Blocks = append(all.Blocks, body.Blocks...)
		for name, a := range body.Attributes {
			all.Attributes[name] = a
		}
	}
	if !ds.HasErrors() {
		// Cutting the file up hid the mistake: a heredoc that holds blocks, say.
		for _, d := range whole {
			f.report(&ds, d)
		}
		return syntax{}, ds
	}
	return out, ds
}

// An argument on a line of its own, and a line that can follow one.
var (
	argumentLine = regexp.MustCompile(`^\s*[\pL_][\pL\pN_-]*\s*[=:]`)
	nextLine     = regexp.MustCompile(`^\s*($|#|//|/\*|\}|[\pL_][\pL\pN_-]*\s*[={":])`)
)

// unclosed is how HCL calls a block without its closing brace.
const unclosed = "Unclosed configuration block"

// invalidCharacter is how HCL calls what can't begin a word.
const invalidCharacter = "Invalid character"

// redefined is how HCL calls an argument that is set twice.
const redefined = "Attribute redefined"

// maxRepairs bounds how often one block is parsed.
const maxRepairs = 20

// read parses a piece of the file. A mistake on the line of an argument is
// reported and the line left out, so that the next mistake is found too: after
// the first, HCL's parser keeps silent.
func (s *syntax) read(f *file, ds *eligen.Diagnostics, piece []byte, pos hcl.Pos) (*hclsyntax.Body, *eligen.Diagnostic) {
	src := bytes.Clone(piece)
	var without []hcl.Range // lines left out
	for {
		if d := guardConfig(f, src, pos); d != nil {
			return nil, d
		}
		hf, diags := hclsyntax.ParseConfig(src, f.name, pos)
		body := hf.Body.(*hclsyntax.Body)
		var first *hcl.Diagnostic
		for _, d := range diags {
			if d.Severity == hcl.DiagError && d.Subject != nil && (first == nil || d.Subject.Start.Byte < first.Subject.Start.Byte) {
				first = d
			}
		}
		if first != nil && len(without) < maxRepairs {
			if line, ok := argumentAt(src, first.Subject.Start.Byte-pos.Byte); ok {
				f.report(ds, first)
				for i := line[0]; i < line[1]; i++ {
					src[i] = ' '
				}
				if first.Summary != redefined { // there the first definition stands
					without = append(without, *first.Subject)
				}
				continue
			}
		}
		seen := map[int]bool{}
		strays := map[int]bool{} // where the lexer found them
		for _, d := range diags {
			if d.Subject != nil && d.Summary == invalidCharacter {
				strays[d.Subject.Start.Byte] = true
			}
		}
		for _, d := range diags {
			if d.Severity == hcl.DiagError {
				s.damage(body, d.Subject, d.Summary)
			}
			// The lexer and the parser complain about the same character, and the parser
			// about the word before it, too.
			if d.Subject == nil || !seen[d.Subject.Start.Byte] && !strays[d.Subject.End.Byte] {
				f.report(ds, d)
			}
			if d.Subject != nil {
				seen[d.Subject.Start.Byte] = true
			}
		}
		for i := range without {
			s.damage(body, &without[i], "")
		}
		return body, nil
	}
}

// argumentAt returns the line that holds offset at, if an argument begins and ends on it.
func argumentAt(src []byte, at int) (line [2]int, ok bool) {
	at = min(max(0, at), len(src))
	from := bytes.LastIndexByte(src[:at], '\n') + 1
	to := len(src)
	if i := bytes.IndexByte(src[at:], '\n'); i >= 0 {
		to = at + i
	}
	next := src[min(to+1, len(src)):]
	if i := bytes.IndexByte(next, '\n'); i >= 0 {
		next = next[:i]
	}
	return [2]int{from, to}, argumentLine.Match(src[from:to]) && nextLine.Match(next)
}

// damage marks what a syntax error makes doubtful.
func (s *syntax) damage(body *hclsyntax.Body, at *hcl.Range, summary string) {
	if at == nil {
		s.lost = true
		return
	}
	for _, b := range body.Blocks {
		r := hcl.RangeBetween(b.TypeRange, b.CloseBraceRange)
		if at.Start.Byte < r.Start.Byte || at.Start.Byte > r.End.Byte && summary != unclosed {
			continue
		}
		if summary == unclosed {
			// What follows in the file was read as a part of this block.
			b.Body.Attributes, b.Body.Blocks = hclsyntax.Attributes{}, nil
		}
		s.markBody(b.Body, *at)
		return
	}
	s.lost = true
}

func (s *syntax) markBody(b *hclsyntax.Body, at hcl.Range) {
	s.damaged[b] = true
	for _, a := range b.Attributes {
		if a.SrcRange.Start.Line <= at.Start.Line && at.Start.Line <= max(a.SrcRange.End.Line, a.Expr.Range().End.Line) {
			a.Expr = &hclsyntax.LiteralValueExpr{Val: cty.DynamicVal, SrcRange: a.Expr.Range()}
		}
	}
	for _, inner := range b.Blocks {
		s.markBody(inner.Body, at)
	}
}

// jsonMistakes converts diagnostics of HCL's JSON parser, without those that say
// of everything around a mistake that it does not end.
func (f *file) jsonMistakes(diags hcl.Diagnostics) eligen.Diagnostics {
	var all, ds eligen.Diagnostics
	for _, d := range diags {
		f.report(&all, d)
		if d.Summary != "Unclosed object" && d.Summary != "Root value must be object" {
			f.report(&ds, d)
		}
	}
	if ds.HasErrors() {
		return ds
	}
	return all
}

// report converts a diagnostic of HCL's.
func (f *file) report(ds *eligen.Diagnostics, d *hcl.Diagnostic) {
	severity, summary, detail := eligen.Error, stock(d.Summary), inColumns.ReplaceAllString(d.Detail, "$1")
	if plainer := f.plainer(d); plainer != "" {
		detail = plainer
	}
	if d.Summary == redefined {
		summary = "Duplicate argument"
	}
	if d.Severity == hcl.DiagError && d.Subject != nil {
		if stray := f.stray(*d.Subject); stray != "" {
			detail = stray
			if !strings.HasPrefix(summary, invalidCharacter) {
				summary = invalidCharacter
			}
		}
	}
	if d.Severity == hcl.DiagWarning {
		severity = eligen.Warning
	}
	var at *eligen.Source
	if d.Subject != nil {
		s := f.source(*d.Subject)
		at = &s
	}
	p := eligen.Problem(severity, at, summary, detail)
	if m := setAlready.FindStringSubmatch(d.Detail); d.Summary == redefined && d.Subject != nil && m != nil {
		p.Note(f.line(m[1], f.text(*d.Subject)), "set first here")
	}
	*ds = append(*ds, p)
}

// line returns where a line of the file, by its number, holds a word.
func (f *file) line(number, word string) eligen.Source {
	n, err := strconv.Atoi(number)
	if err != nil || n < 1 || n > len(f.lines) {
		return eligen.Source{}
	}
	from := f.lines[n-1]
	start := from + max(0, bytes.Index(f.src[from:], []byte(word)))
	return f.source(hcl.Range{Start: hcl.Pos{Byte: start}, End: hcl.Pos{Byte: start + len(word)}})
}

// stock rewrites a summary of the HCL library's in stock words: some of its summaries
// hold names, and a later release of it may have new ones.
func stock(summary string) string {
	switch {
	case codes.Of(summary) != "":
		return summary
	case strings.HasPrefix(summary, "Missing ") && strings.Contains(summary,
		" for "), summary == "Missing block label", strings.HasPrefix(summary, "Extraneous label"):
		return "Wrong number of labels"
	case strings.HasPrefix(summary, "Unexpected ") && strings.HasSuffix(summary, " block"):
		return "Unsupported block type"
	case strings.HasSuffix(summary, " directive"), strings.HasSuffix(summary, " marker"):
		return "Invalid template"
	}
	return "Syntax error"
}

var (
	setAlready = regexp.MustCompile(`was already set at .+:(\d+),\d+`)
	// inColumns is a place as HCL writes it; here it is file:line, as everywhere.
	inColumns = regexp.MustCompile(`(:\d+),\d+-(\d+,)?\d+`)
)

// plainer says what HCL says in words for somebody who does not know its grammar,
// where that is needed.
func (f *file) plainer(d *hcl.Diagnostic) string {
	switch d.Summary {
	case unclosed:
		return "There is no closing brace for this block."
	case redefined:
		if d.Subject != nil {
			return fmt.Sprintf("%q is set twice. Remove one of the two.", f.text(*d.Subject))
		}
	case "Invalid multi-line string":
		return "This text has no closing quote on its line. One of several lines is written <<EOT … EOT."
	case "Missing argument separator":
		return "Before this, a comma or a closing parenthesis is missing."
	case "Unexpected comma after argument":
		return "Each argument stands on a line of its own, without a comma."
	case "Invalid single-argument block definition":
		return "A block on one line has one argument at most. Give each argument a line of its own."
	case "Invalid expression":
		if d.Subject != nil {
			at := min(max(0, d.Subject.Start.Byte), len(f.src))
			rest, _, _ := bytes.Cut(f.src[at:], []byte("\n"))
			if len(bytes.TrimSpace(rest)) == 0 && bytes.HasSuffix(bytes.TrimRight(f.src[:at], " \t"), []byte("=")) {
				return "After the equals sign, a value is missing."
			}
		}
	}
	return ""
}

// tidy puts diagnostics in the order of the file and drops repetitions: one
// expression may be evaluated for every element of a loop. What is wrong with some
// instances of a block is said once, with the key of each.
func tidy(ds eligen.Diagnostics) eligen.Diagnostics {
	seen := map[string]int{}
	var out eligen.Diagnostics
	var instances [][]named // of each of out
	for _, d := range ds {
		detail, instance := unmark(d.Detail)
		d.Detail = printable(detail)
		d.Notes = slices.Clone(d.Notes)
		for i := range d.Notes {
			d.Notes[i].Text = printable(d.Notes[i].Text)
		}
		text := d.String()
		i, ok := seen[text]
		if !ok {
			i = len(out)
			seen[text] = i
			out, instances = append(out, d), append(instances, nil)
		}
		if !slices.Contains(instances[i], instance) {
			instances[i] = append(instances[i], instance)
		}
	}
	for i := range out {
		out[i].Detail += printable(inWhich(instances[i]))
	}
	return out.Tidy()
}
