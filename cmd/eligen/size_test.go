package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// Commands read flags and print: what they decide is package app's. So what runs one is short, and no
// function here is long.
func TestCommandsAreShort(t *testing.T) {
	const runLines, lines = 40, 60
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	set := token.NewFileSet()
	runs := 0
	long := func(name string, body ast.Node, most int) {
		from, to := set.Position(body.Pos()), set.Position(body.End())
		if n := to.Line - from.Line + 1; n > most {
			t.Errorf("%s: %s has %d lines, at most %d are fine", from, name, n, most)
		}
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(set, file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				most := lines
				if n.Name.Name == "run" {
					most, runs = runLines, runs+1
				}
				long(n.Name.Name, n.Body, most)
			case *ast.FuncLit: // such as RunE's
				long("a function literal", n.Body, runLines)
			}
			return true
		})
	}
	if runs < 20 {
		t.Errorf("only %d functions named run were found", runs)
	}
}
