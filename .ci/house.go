// House prints the figures of the code's structure: lines by folder, the largest files
// and packages, the types with the most methods, functions over 60 lines, and how many
// packages import one another. Tests are left out.
//
//	go run .ci/house.go [DIR]
package main

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
)

const (
	module  = "github.com/eligen/eligen"
	longest = 60  // lines of a function that is not counted
	widest  = 140 // columns of a line that is not counted
)

// figures are counts by name.
type figures map[string]int

type house struct {
	folders, packages, files, methods, long figures
	imports                                 map[string]bool // "from to" of packages
	wide                                    int
}

func main() {
	dir := "."
	if len(os.Args) > 1 {
		dir = os.Args[1]
	}
	h := &house{figures{}, figures{}, figures{}, figures{}, figures{}, map[string]bool{}, 0}
	if err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") && name != "."):
			return fs.SkipDir
		case strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go"):
			return h.file(dir, name)
		}
		return nil
	}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	h.print()
}

// file counts what is in a file.
func (h *house) file(dir, name string) error {
	src, err := os.ReadFile(path.Join(dir, name))
	if err != nil {
		return err
	}
	set := token.NewFileSet()
	f, err := parser.ParseFile(set, name, src, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	lines := strings.Count(string(src), "\n")
	in := path.Dir(name)
	top, _, _ := strings.Cut(in, "/")
	h.folders[top] += lines
	h.packages[in] += lines
	h.files[name] = lines
	for line := range strings.Lines(string(src)) {
		if len([]rune(strings.TrimRight(line, "\n"))) > widest {
			h.wide++
		}
	}
	for _, spec := range f.Imports {
		if to, ours := strings.CutPrefix(strings.Trim(spec.Path.Value, `"`), module); ours {
			h.imports[in+" "+cmp.Or(strings.TrimPrefix(to, "/"), ".")] = true
		}
	}
	for _, d := range f.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		if r := receiver(fn); r != "" {
			h.methods[in+"."+r]++
		}
		if n := set.Position(fn.End()).Line - set.Position(fn.Pos()).Line + 1; n > longest {
			h.long[fmt.Sprintf("%s %s", name, fn.Name.Name)] = n
		}
	}
	return nil
}

// receiver returns the name of a method's type; nothing for a function.
func receiver(fn *ast.FuncDecl) string {
	if fn.Recv == nil || len(fn.Recv.List) == 0 {
		return ""
	}
	t := fn.Recv.List[0].Type
	for {
		switch x := t.(type) {
		case *ast.StarExpr:
			t = x.X
		case *ast.IndexExpr:
			t = x.X
		case *ast.IndexListExpr:
			t = x.X
		case *ast.Ident:
			return x.Name
		default:
			return ""
		}
	}
}

func (h *house) print() {
	total := 0
	for _, n := range h.folders {
		total += n
	}
	fmt.Printf("lines              %d in %d files, %d packages, %d imports between them\n", total, len(h.files), len(h.packages),
		len(h.imports))
	list("folders", h.folders, 12)
	list("packages", h.packages, 6)
	list("files", h.files, 6)
	list("methods on", h.methods, 5)
	fmt.Printf("functions over %d  %d\n", longest, len(h.long))
	list("  longest", h.long, 5)
	fmt.Printf("lines over %d     %d\n", widest, h.wide)
}

// list prints the n largest figures.
func list(what string, f figures, n int) {
	names := slices.SortedFunc(maps.Keys(f), func(a, b string) int { return cmp.Or(f[b]-f[a], strings.Compare(a, b)) })
	for i, name := range names[:min(n, len(names))] {
		if i > 0 {
			what = ""
		}
		fmt.Printf("%-18s %6d  %s\n", what, f[name], name)
	}
}
