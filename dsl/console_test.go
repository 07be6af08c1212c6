package dsl

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/eligen/eligen"
)

// What is typed is as hostile as any scene: it is guarded like one, and its mistakes
// are at its line.
func TestConsole(t *testing.T) {
	path := filepath.Join(write(t, map[string]string{"scene.hcl": "render \"a\" {\n  prompt = \"x\"\n}\n\nentity \"dog\" {\n  prompt = " +
		"\"a ${upper(\"dog\")}\"\n  region = union(svg(\"M 0 0 H 1 V 1 Z\"), rotate(xywh(0.25, 0.25, 0.5, 0.5), 30))\n}\n"}), "scene.hcl")
	sessions := 0
	ds := Console(t.Context(), path, Vars{}, func(evaluate Evaluate) {
		sessions++
		for expr, want := range map[string]string{
			"entity.dog.prompt":               `"a DOG"`,
			"entity.dog.region":               `union(svg("M 0 0 L 1 0 L 1 1 Z"), rotate(xywh(0.25, 0.25, 0.5, 0.5), 30))`,
			`join(" ", keys(entity.dog))`:     `"address box center mask name opacity prompt region strength z"`,
			"length(entity.dog)":              "10",
			"length(values(entity.dog))":      "10",
			"[]":                              "[]",
			"{}":                              "{}",
			`"$${x} %%{y} \n"`:                `"$${x} %%{y} \n"`,
			`{ "a b" = { c = [entity.dog] }}`: "{\n  \"a b\" = { c = [entity.dog] }\n}",
			"lora(16)":                        "lora(16)",
			"1e3 + 0.5":                       "1000.5",
			"null":                            "null",
		} {
			if got, ds := evaluate("stdin", 1, expr); got != want || len(ds) > 0 {
				t.Errorf("%s is %s\nwant %s\n%s", expr, got, want, ds.Error())
			}
		}
		for expr, want := range map[string]string{
			"entity.dgo":                         `Did you mean "entity.dog"?`,
			"entity":                             "must be followed by the name of a block",
			"each.key":                           "Reference outside a repetition",
			"1 1":                                "Extra characters",
			"":                                   "Missing expression",
			"\"a":                                "Unterminated",
			"a = 1":                              "",
			"render.a { }":                       "",
			"locality(render.a, entity.dog)":     "Measure outside a check",
			"image(\"../x.png\")":                "leads out of the scene's folder",
			strings.Repeat("(", 100_000):         "nested more than",
			strings.Repeat("!", 100_000) + "x":   "",
			strings.Repeat("[for x in ", 10_000): "",
			"1" + strings.Repeat("+1", 100_000):  "",
			strings.Repeat("x", maxFile+1):       "bytes",
			"<<EOT\nx":                           "",
			"\x00\xff":                           "",
		} {
			got, ds := evaluate("stdin", 7, expr)
			if got != "" || !ds.HasErrors() || !strings.Contains(ds.Error(), want) {
				t.Errorf("%.40q: %.80s %.300s\nwant %s", expr, got, ds.Error(), want)
			}
			for _, d := range ds {
				if d.Source != nil && (d.Source.File != "stdin" || d.Source.Line < 7) {
					t.Errorf("%.40q: at %s", expr, d.Source)
				}
			}
		}
		// What went wrong has spoilt nothing.
		if got, ds := evaluate("stdin", 1, "1 + 1"); got != "2" || len(ds) > 0 {
			t.Error(got, ds)
		}
	})
	if sessions != 1 || ds.HasErrors() {
		t.Errorf("%d sessions, %s", sessions, ds.Error())
	}

	wrong := filepath.Join(write(t, map[string]string{"scene.hcl": "render \"a\" {\n}\n"}), "scene.hcl")
	if ds := Console(t.Context(), wrong, Vars{}, func(Evaluate) { t.Error("a session with a broken scene") }); !ds.HasErrors() ||
		ds[0].Severity != eligen.Error {
		t.Error(ds)
	}
}
