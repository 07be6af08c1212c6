package dsl

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// Everything that a scene may hold is described, and nothing else is.
func TestSchemaIsComplete(t *testing.T) {
	s := Schema()
	arguments, blocks := map[string]bool{}, map[string]bool{}
	var walk func(path string, list []BlockSchema)
	walk = func(path string, list []BlockSchema) {
		for _, b := range list {
			at := strings.TrimPrefix(path+"."+b.Type, ".")
			blocks[at] = true
			if b.What == "" {
				t.Errorf("the block %s is not described", at)
			}
			for _, a := range b.Arguments {
				arguments[at+"."+a.Name] = true
				if a.What == "" {
					t.Errorf("the argument %s.%s is not described", at, a.Name)
				}
			}
			walk(at, b.Blocks)
		}
	}
	walk("", s.Blocks)
	for name := range argumentWords {
		if !arguments[name] {
			t.Errorf("%s is described, and no grammar has it", name)
		}
	}
	for name := range blockWords {
		if !blocks[name] {
			t.Errorf("the block %s is described, and no grammar has it", name)
		}
	}
	for name := range grammars {
		if !blocks[name] {
			t.Errorf("the grammar of %s belongs to no block", name)
		}
	}
	functions := map[string]bool{}
	for _, f := range s.Functions {
		functions[f.Name] = true
		if f.What == "" || !slices.Contains(functionGroups, f.Group) {
			t.Errorf("the function %s is not described", f.Name)
		}
	}
	for name := range functionWords {
		if !functions[name] {
			t.Errorf("the function %s is described, and there is none", name)
		}
	}
}

// The examples of the reference are scenes: together they load, but for weights
// that only a planner looks for.
func TestSchemaExamples(t *testing.T) {
	var src strings.Builder
	for _, b := range Schema().Blocks {
		if blockExamples[b.Type] == "" {
			t.Errorf("the block %s has no example", b.Type)
		}
		src.WriteString(strings.TrimSpace(blockExamples[b.Type]) + "\n\n")
	}
	if _, ds := load(t.Context(), "testdata/examples.hcl", []byte(src.String()), Vars{}); ds.HasErrors() {
		t.Errorf("%s", ds.Error())
	}
	if got, ds := Format("examples.hcl", []byte(strings.TrimSpace(src.String())+"\n")); ds.HasErrors() ||
		string(got) != strings.TrimSpace(src.String())+"\n" {
		t.Errorf("the examples are not formatted as fmt would: %s", got)
	}
}

// docs/language.md is this release's.
func TestLanguagePage(t *testing.T) {
	const path = "../docs/language.md"
	want := Schema().Markdown()
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is stale: go test ./dsl -run TestLanguagePage -update", path)
	}
}
