package codes_test

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/dsl"
	"github.com/eligen/eligen/internal/codes"
	"github.com/eligen/eligen/internal/page"
	"github.com/eligen/eligen/model/paint"
	"github.com/eligen/eligen/planner"
)

var update = flag.Bool("update", false, "rewrite the golden and docs/errors.md; read the diff: no code may change its meaning")

const golden = "testdata/codes.txt"

// TestCodesStay holds codes to what they were: people and scripts know them.
func TestCodesStay(t *testing.T) {
	var b strings.Builder
	seen := map[string]string{}
	last := ""
	for _, e := range codes.All() {
		if e.Code <= last || !regexp.MustCompile(`^E\d{4}$`).MatchString(e.Code) {
			t.Errorf("%s is not behind %s", e.Code, last)
		}
		last = e.Code
		for i, s := range append([]string{e.Summary}, e.Also...) {
			if other, taken := seen[s]; taken {
				t.Errorf("%q has two codes, %s and %s", s, other, e.Code)
			}
			seen[s] = e.Code
			if codes.Of(s) != e.Code {
				t.Errorf("Of(%q) is %q", s, codes.Of(s))
			}
			fmt.Fprintf(&b, "%s %s%s\n", e.Code, map[bool]string{true: "  also "}[i > 0], s)
		}
		if found, ok := codes.Find(strings.ToLower(e.Code)); !ok || found.Summary != e.Summary {
			t.Errorf("Find(%s): %v", e.Code, found.Summary)
		}
	}
	if *update {
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("codes have changed (-golden +table):\n%s", diff)
	}
}

// TestSummariesHaveCodes reads the source: every summary that a diagnostic is made with
// is in the table. A summary that isn't written out where it is used must be one that
// this test has been told of.
func TestSummariesHaveCodes(t *testing.T) {
	used := map[string]bool{}
	written := map[string]bool{} // every string of the source
	for dir, p := range packages(t, "../..") {
		for _, f := range p.files {
			ast.Inspect(f, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.CallExpr:
					p.call(t, n, used)
				case *ast.AssignStmt:
					assigned(n, used)
				case *ast.BasicLit:
					if text, err := strconv.Unquote(n.Value); err == nil && filepath.Base(dir) != "codes" {
						written[text] = true
					}
				}
				return true
			})
		}
	}
	for s := range used {
		if codes.Of(s) == "" {
			t.Errorf("%q has no code: add it to the table, or use the words of one that is there", s)
		}
	}
	if len(used) < 80 {
		t.Errorf("only %d summaries were found", len(used))
	}
	for _, e := range codes.All() {
		all := append([]string{e.Summary}, e.Also...)
		if !e.Gone && !slices.ContainsFunc(all, func(s string) bool { return written[s] || ofTheLibrary[s] }) {
			t.Errorf("%s %q is used nowhere: mark it as gone", e.Code, e.Summary)
		}
	}
}

// ofTheLibrary are summaries that the HCL library gives to what we report.
var ofTheLibrary = map[string]bool{
	"Invalid function argument": true, "Not enough function arguments": true, "Error in function call": true, "Unknown variable": true,
	"Invalid operand":     true,
	"Missing map element": true, "Invalid template interpolation value": true,
}

// summaryAt is which argument of a function of the package eligen is a summary. Other packages'
// own functions have a parameter of that name.
var summaryAt = map[string]int{"Errorf": 1, "Warnf": 1, "Problem": 2}

// passedOn are variables that hold summaries of other calls that the test sees, of the
// table, or of the library, which dsl's stock() looks up.
var passedOn = map[string]bool{"summary": true, "c.summary": true, "d.Summary": true, "stock": true, "m.summary": true}

type pkg struct {
	fset   *token.FileSet
	files  []*ast.File
	consts map[string]string
	takes  map[string]int // functions with a parameter "summary", and which it is
}

// function notes which of a function's parameters is a summary.
func (p *pkg) function(name string, f *ast.FuncType) {
	at := 0
	for _, field := range f.Params.List {
		for _, param := range field.Names {
			if param.Name == "summary" {
				p.takes[name] = at
			}
			at++
		}
	}
}

// functions notes the functions of a file that take summaries.
func (p *pkg) functions(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.FuncDecl:
		p.function(n.Name.Name, n.Type)
	case *ast.AssignStmt:
		for i, value := range n.Rhs {
			f, isFunc := value.(*ast.FuncLit)
			if name, ok := n.Lhs[min(i, len(n.Lhs)-1)].(*ast.Ident); ok && isFunc {
				p.function(name.Name, f.Type)
			}
		}
	}
	return true
}

// assigned notes what a variable "summary" is set to.
func assigned(a *ast.AssignStmt, used map[string]bool) {
	for i, value := range a.Rhs {
		lit, isLit := value.(*ast.BasicLit)
		if name, ok := a.Lhs[min(i, len(a.Lhs)-1)].(*ast.Ident); ok && isLit && name.Name == "summary" {
			if text, err := strconv.Unquote(lit.Value); err == nil && text != "" {
				used[text] = true
			}
		}
	}
}

func (p *pkg) call(t *testing.T, c *ast.CallExpr, used map[string]bool) {
	name := ""
	switch f := c.Fun.(type) {
	case *ast.SelectorExpr:
		if name = f.Sel.Name; fmt.Sprint(f.X) == "fmt" || fmt.Sprint(f.X) == "function" {
			return
		}
	case *ast.Ident:
		name = f.Name
	}
	at, ok := p.takes[name]
	if !ok {
		at, ok = summaryAt[name]
	}
	if !ok || at >= len(c.Args) || len(c.Args) < 2 {
		return // of another type's method, or of no summary
	}
	switch s := c.Args[at].(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(s.Value)
		if err == nil && text != "" {
			used[text] = true
		}
	case *ast.Ident:
		if text, ok := p.consts[s.Name]; ok {
			used[text] = true
		} else if !passedOn[s.Name] {
			t.Errorf("%s: where does the summary %s come from?", p.fset.Position(c.Pos()), s.Name)
		}
	case *ast.SelectorExpr:
		if text := fmt.Sprintf("%v.%s", s.X, s.Sel.Name); !passedOn[text] {
			t.Errorf("%s: where does the summary %s come from?", p.fset.Position(c.Pos()), text)
		}
	case *ast.CallExpr:
		if f, ok := s.Fun.(*ast.Ident); !ok || !passedOn[f.Name] {
			t.Errorf("%s: a summary is stock words, and is not computed", p.fset.Position(c.Pos()))
		}
	default:
		t.Errorf("%s: a summary is stock words, and is not computed", p.fset.Position(c.Pos()))
	}
}

// packages parses the source below a folder, tests aside.
func packages(t *testing.T, root string) map[string]*pkg {
	t.Helper()
	out := map[string]*pkg{}
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || d.Name() == "storetest" ||
			strings.HasPrefix(d.Name(), ".") && !strings.HasPrefix(d.Name(), "..")):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go"):
			return nil
		}
		dir := filepath.Dir(file)
		if out[dir] == nil {
			out[dir] = &pkg{fset: token.NewFileSet(), consts: map[string]string{}, takes: map[string]int{}}
		}
		f, err := parser.ParseFile(out[dir].fset, file, nil, 0)
		if err != nil {
			return err
		}
		out[dir].files = append(out[dir].files, f)
		ast.Inspect(f, out[dir].functions)
		ast.Inspect(f, func(n ast.Node) bool {
			v, ok := n.(*ast.ValueSpec)
			for i := 0; ok && i < len(v.Values); i++ {
				if lit, isLit := v.Values[i].(*ast.BasicLit); isLit && lit.Kind == token.STRING {
					out[dir].consts[v.Names[i].Name], _ = strconv.Unquote(lit.Value)
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// judged returns what eligen validate says of a scene.
func judged(t *testing.T, scene string) eligen.Diagnostics {
	t.Helper()
	scene = strings.TrimLeft(scene, "\n")
	path := filepath.Join(t.TempDir(), "scene.hcl")
	if err := os.WriteFile(path, []byte(scene), 0o644); err != nil {
		t.Fatal(err)
	}
	s, ds := dsl.Load(t.Context(), path, dsl.Vars{})
	if s == nil {
		return ds
	}
	_, more := planner.Build(t.Context(), s, paint.Engine{}.ID(), paint.Engine{}.Spec, planner.Options{})
	return append(ds, more...).Tidy()
}

// TestExamples renders nothing: it reads each entry's scenes. The wrong one has the
// problem, the right one none.
func TestExamples(t *testing.T) {
	shown := 0
	for _, e := range codes.All() {
		if e.Text == "" {
			t.Errorf("%s has no explanation", e.Code)
		}
		e.Wrong, e.Right = strings.TrimLeft(e.Wrong, "\n"), strings.TrimLeft(e.Right, "\n")
		if e.Wrong != "" {
			shown++
			if ds := judged(t, e.Wrong); !slices.ContainsFunc(ds, func(d eligen.Diagnostic) bool { return d.Code == e.Code }) {
				t.Errorf("%s: the wrong example has no such problem:\n%v", e.Code, ds)
			}
			if neat, _ := dsl.Format("x.hcl", []byte(e.Wrong)); neat != nil && string(neat) != e.Wrong {
				t.Errorf("%s: the wrong example is not formatted", e.Code)
			}
		}
		if e.Right != "" {
			if ds := judged(t, e.Right); len(ds) > 0 {
				t.Errorf("%s: the right example is not right:\n%v", e.Code, ds)
			}
			if neat, _ := dsl.Format("x.hcl", []byte(e.Right)); string(neat) != e.Right {
				t.Errorf("%s: the right example is not formatted", e.Code)
			}
		}
	}
	if shown < 50 {
		t.Errorf("only %d entries show an example", shown)
	}
}

// TestErrorsPage holds docs/errors.md to the table.
func TestErrorsPage(t *testing.T) {
	const path = "../../docs/errors.md"
	var b strings.Builder
	prose := func(text string) {
		for line := range strings.SplitSeq(text, "\n") {
			b.WriteString(strings.Join(page.WrapLine(line, 120), "\n") + "\n")
		}
	}
	b.WriteString("# Errors and warnings\n\n")
	prose("Every problem that eligen reports has a code, behind its title and as `code` in JSON. A code never changes " +
		"its meaning, and is never used again. `eligen explain E0101` prints what stands here. This page is made from the same table.")
	for _, e := range codes.All() {
		fmt.Fprintf(&b, "\n## %s %s\n\n", e.Code, e.Summary)
		prose(e.Text)
		if e.Gone {
			b.WriteString("\nNo release reports it any more.\n")
		}
		for _, x := range []struct{ what, scene string }{{"Wrong", e.Wrong}, {"Right", e.Right}} {
			if x.scene != "" {
				fmt.Fprintf(&b, "\n%s:\n\n```hcl\n%s\n```\n", x.what, strings.TrimSpace(x.scene))
			}
		}
	}
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("docs/errors.md is not the table (-page +table; -update rewrites it):\n%s", diff)
	}
}

func TestSearch(t *testing.T) {
	found := codes.Search("unclosed BLOCK")
	if len(found) != 1 || found[0].Code != "E0101" || len(codes.Search("")) > 0 || len(codes.Search("no such words")) > 0 {
		t.Errorf("found %v", found)
	}
}
