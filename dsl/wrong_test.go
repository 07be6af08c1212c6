package dsl

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Scenes that are wrong in the ways in which people are, and what they are told:
// testdata/wrong.golden.txt is there to be read. A message says what is wrong and
// what to do, points at the spot, and comes once.
func TestWrong(t *testing.T) {
	t.Chdir("testdata/wrong") // so that places read as file:line
	names, err := filepath.Glob("*.*")
	if err != nil || len(names) == 0 {
		t.Fatal("no scenes", err)
	}
	var b strings.Builder
	for _, name := range names {
		if ext := filepath.Ext(name); ext != ".hcl" && ext != ".json" {
			continue
		}
		_, ds := judged(t.Context(), name, Vars{})
		if len(ds) == 0 {
			t.Errorf("%s is not wrong", name)
		}
		src, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range ds {
			if d.Source == nil && name != "nothing-to-make.hcl" {
				t.Errorf("%s: without a line: %s", name, d)
			}
		}
		if neat, _ := Format(name, src); neat != nil && string(neat) != string(src) && filepath.Ext(name) == ".hcl" {
			t.Errorf("%s is not formatted", name)
		}
		fmt.Fprintf(&b, "── %s %s\n\n%s\n", name, strings.Repeat("─", max(0, 76-len(name))), ds.Error())
	}
	golden(t, "../wrong.golden.txt", b.String())
}
