package eligen_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"github.com/eligen/eligen"
)

// scenePlan plans a scene of a picture: a prompt, and what is made of it and of a seed.
func scenePlan(name, prompt string, seed int, out string) eligen.NamedPlan {
	p := eligen.NewPlan(filepath.Join("set", name+".hcl"), "e")
	words := p.Add("render.x.prompt", eligen.Source{}, op{any2{S: prompt}})
	picture := p.Add("render.x.still", eligen.Source{}, op{any2{N: seed}}, words)
	p.Renders = []eligen.PlannedRender{{Address: "render.x"}}
	at := eligen.Source{File: p.Scene, Line: 1}
	p.Outputs = []eligen.PlannedOutput{{Render: "render.x", Path: out, Stage: picture, Source: at}}
	p.Checks = []eligen.PlannedCheck{{Check: &eligen.Check{Address: "check.x"}, Values: [][]eligen.Ref{{picture, words}}}}
	return eligen.NamedPlan{Name: name, Plan: p}
}

// prompts come first.
func prompts(o eligen.Op) bool { return o.(op).Field.S != "" }

// Scenes share the stages that are alike, and keep digests, files and checks.
func TestJoin(t *testing.T) {
	a, b := scenePlan("a", "a duck", 1, "out/a.png"), scenePlan("night/b", "a duck", 2, "out/b.png")
	c := scenePlan("c", "a frog", 1, "out/c.png")
	p, ds := eligen.Join("set", []eligen.NamedPlan{a, b, c}, prompts)
	if err := ds.Err(); err != nil {
		t.Fatal(err)
	}
	var names []string
	for i, s := range p.Stages {
		names = append(names, s.Name)
		for _, in := range s.Inputs {
			if int(in) >= i {
				t.Errorf("%s reads a later stage", s.Name)
			}
		}
	}
	want := []string{"a:render.x.prompt", "c:render.x.prompt", "a:render.x.still", "night/b:render.x.still", "c:render.x.still"}
	if !slices.Equal(names, want) {
		t.Errorf("the stages are %v, want %v", names, want)
	}
	for k, s := range []eligen.NamedPlan{a, b, c} {
		o := p.Outputs[k]
		if got, own := p.Stages[o.Stage].Digest, s.Stages[s.Outputs[0].Stage].Digest; got != own || o.Render != s.Name+":render.x" {
			t.Errorf("%s writes %s of %s, want %s", s.Name, got, o.Render, own)
		}
		if got := p.Checks[k]; got.Check.Address != s.Name+":check.x" || got.Values[0][0] != o.Stage {
			t.Errorf("%s: the check is %+v", s.Name, got)
		}
		if got := p.Scenes[k]; got.Path != s.Scene || len(got.Stages) != 2 {
			t.Errorf("%s: the scene is %+v", s.Name, got)
		}
	}
	if b.Stages[0].Name != "render.x.prompt" || b.Checks[0].Check.Address != "check.x" {
		t.Error("the scene's own plan was changed")
	}
	part, _ := p.Only([]bool{true, false, true, true, false})
	if len(part.Scenes) != 2 || part.Scenes[1].Name != "night/b" {
		t.Errorf("of a part, the scenes are %+v", part.Scenes)
	}
}

// Two scenes that write one file are refused, with both positions.
func TestJoinOneFile(t *testing.T) {
	_, ds := eligen.Join("set", []eligen.NamedPlan{scenePlan("a", "a", 1, "out/x.png"), scenePlan("b", "b", 2, "out/X.png")}, prompts)
	if len(ds) != 1 || ds[0].Code == "" || ds[0].Source.File != filepath.Join("set", "b.hcl") || len(ds[0].Notes) != 1 {
		t.Errorf("the diagnostics are %v", ds)
	}
}

// A dataset's prompts come first in hundreds of scenes, and not in all, so that files appear.
func TestJoinMany(t *testing.T) {
	var scenes []eligen.NamedPlan
	for i := range 600 {
		scenes = append(scenes, scenePlan(fmt.Sprint(i), fmt.Sprint("prompt ", i), i, fmt.Sprintf("%d.png", i)))
	}
	p, ds := eligen.Join("set", scenes, prompts)
	if len(ds) > 0 || len(p.Stages) != 1200 {
		t.Fatalf("%d stages, %v", len(p.Stages), ds)
	}
	first := slices.IndexFunc(p.Stages, func(s eligen.Stage) bool { return !prompts(s.Op) })
	if first != 256 || prompts(p.Stages[256+255].Op) || !prompts(p.Stages[512].Op) {
		t.Errorf("the first picture is stage %d", first)
	}
}
