package dsl

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/eligen/eligen"
)

// A line of a scene can ask for years of work and for all memory. Each of these is
// refused at its line, before it has cost much: the limits are far above what a scene
// needs, and far below what hurts.
func TestExpressionsThatCostTooMuch(t *testing.T) {
	defer func(most time.Duration) { maxThinking = most }(maxThinking)
	long := `join("", [for i in range(1000): "` + strings.Repeat("a", 100) + `"])` // 100 KB
	files := map[string]string{
		"table.csv": "a,b\n" + strings.Repeat("1,2\n", 1000),
		"wide.csv":  strings.Repeat(",", 1000) + "\n" + strings.Repeat(strings.Repeat(",", 1000)+"\n", 500),
		"a.tmpl":    `${templatefile("b.tmpl", {})}`,
		"b.tmpl":    `${templatefile("a.tmpl", {})}`,
		"loop.tmpl": `%{ for a in range(1000) }%{ for b in range(1000) }%{ for c in range(1000) }x%{ endfor }%{ endfor }%{ endfor }`,
	}
	hundred := func(depth int, body string) string {
		for i := range depth {
			body = fmt.Sprintf("[for x%d in range(100): %s]", i, body)
		}
		return body
	}
	for name, expr := range map[string]string{
		"replace, text by text": `replace(local.long, "a", local.long)`,
		"replace, pattern":      `replace(local.long, "/a/", local.long)`,
		"replace, groups":       `replace(local.long, "/(a+)/", "` + strings.Repeat("$1", 1000) + `")`,
		"setproduct":            `setproduct(range(1000), range(1000), range(1000))`,
		"setproduct of ten":     `setproduct(` + strings.Repeat("range(1000), ", 9) + `range(1000))`,
		"for in for in for":     `[for a in range(1000): [for b in range(1000): [for c in range(1000): a]]]`,
		"for over csvdecode": `[for a in csvdecode(file("table.csv")): [for b in csvdecode(file("table.csv")): [for c in ` +
			`csvdecode(file("table.csv")): a]]]`,
		"for that makes a number": `length(` + hundred(6, "1") + `)`,
		"for that keeps nothing": `[for a in range(1000): a if length([for b in range(1000): b if length([for c in range(1000): c if ` +
			`false]) > 0]) > 0]`,
		"for with a key":  `{ for a in range(1000): a => { for b in range(1000): b => { for c in range(1000): c => a } } }`,
		"for that groups": `{ for a in range(1000): "x" => [for b in range(1000): b]... }`,
		"for in try":      `try([for a in range(1000): [for b in range(1000): [for c in range(1000): a]]], 1)`,
		"for in can":      `can([for a in range(1000): [for b in range(1000): [for c in range(1000): a]]])`,
		"template for": `"%{ for a in range(1000) }%{ for b in range(1000) }%{ for c in range(1000) }x%{ endfor }%{ endfor ` +
			`}%{ endfor }"`,
		"template of a text":            `"` + strings.Repeat("${local.long}", 1000) + `"`,
		"templatefile":                  `templatefile("loop.tmpl", {})`,
		"templatefiles of each other":   `templatefile("a.tmpl", {})`,
		"splat of splats":               `[for a in range(1000): [for b in local.many[*]: local.many[*]]]`,
		"distinct":                      `[for i in range(30): distinct(local.many)]`,
		"distinct objects":              `[for i in range(100): distinct([for x in local.many: { a = x, b = i }])]`,
		"chunklist":                     `[for i in range(100): chunklist(local.many, 1)]`,
		"setsubtract":                   `[for i in range(100): setsubtract(local.many, range(1000))]`,
		"sort":                          `[for i in range(100): sort(local.many)]`,
		"tolist of mixed types":         `tolist([for x in local.many: x % 2 == 0 ? { a = x } : { a = x, b = x }])`,
		"concat":                        `[for i in range(1000): concat(local.many, local.many)]`,
		"flatten":                       `flatten([for i in range(1000): local.many])`,
		"merge":                         `merge([for i in range(1000): { for x in local.many: "${i}-${x}" => x }]...)`,
		"zipmap":                        `[for i in range(1000): zipmap([for x in local.many: "${x}"], local.many)]`,
		"comparing":                     `[for a in local.many: local.many == local.many]`,
		"contains":                      `[for a in local.many: contains(local.many, -1)]`,
		"coalesce":                      `[for a in local.many: coalesce(local.many...)]`,
		"conditions":                    `[for a in local.many: true ? local.many : []]`,
		"a number of many digits":       `tostring(tonumber("1e99999999"))`,
		"a text that adds":              `"1e99999999" + 1`,
		"a text that is negated":        `-"1e99999999"`,
		"a list of such texts":          `sum(["1e99999999"])`,
		"many digits":                   `tonumber(replace(local.long, "a", "9"))`,
		"parseint":                      `parseint(replace(local.long, "a", "9"), 10)`,
		"powers":                        `pow(pow(10, 300), pow(10, 300))`,
		"products":                      `[for i in range(1000): 1e300 * 1e300 * 1e300 * 1e300 * 1e300 * 1e300 * 1e300]`,
		"a division by zero":            `1/0 % 1`,
		"format, wide":                  `format("%99999999d", 1)`,
		"format, exact":                 `format("%.99999999f", 1)`,
		"format, often":                 `format("` + strings.Repeat("%999s", 4000) + `", ` + strings.Repeat("local.long, ", 4000) + `1)`,
		"format, again":                 `format("` + strings.Repeat("%[1]s", 4000) + `", local.long)`,
		"formatlist":                    `[for i in range(100): formatlist("%999s", local.many)]`,
		"formatlist of a text":          `formatlist("%s%s", local.long, local.many)`,
		"join":                          `join(local.long, range(1000))`,
		"split":                         `split("", "${local.long}${local.long}")`,
		"indent":                        `[for i in range(1000): indent(200, replace(local.long, "a", "\n"))]`,
		"trim":                          `[for i in range(1000): trim(local.long, local.long)]`,
		"strrev":                        `[for i in range(1000): strrev(local.long)]`,
		"upper":                         `[for i in range(1000): upper(local.long)]`,
		"regexall":                      `regexall("", "${local.long}${local.long}")`,
		"regexall, groups":              `regexall("` + strings.Repeat("()", 500) + `", local.long)`,
		"regex, slow":                   `[for i in range(1000): try(regex("(a{1,30}){1,30}b", local.long), "")]`,
		"jsondecode":                    `jsondecode("[${join(",", [for i in range(1000): "[${join(",", range(1000))}]"])}]")`,
		"jsonencode":                    `[for i in range(1000): jsonencode(local.many)]`,
		"csvdecode":                     `csvdecode(file("wide.csv"))`,
		"range":                         `range(1000000000)`,
		"shapes":                        `[for i in range(1000): iou(union([for x in range(1000): xywh(0, 0, 1, 1)]...), xywh(0, 0, 1, 1))]`,
		"sets of shapes":                `toset([for i in range(1000): polygon([for x in range(1000): [x / 1000, x * x / 1000000 + i / 1000]])])`,
		"in a default":                  "",
		"in a for_each":                 "",
		"in a dynamic block's for_each": "",
	} {
		scene := "locals {\n  long = " + long + "\n  many = flatten([for i in range(9): [for k in range(1000): i * 1000 + k]])\n  x = " + expr +
			"\n}\nrender \"r\" {\n  prompt = \"r\"\n}\n"
		bomb := `[for a in range(1000): [for b in range(1000): [for c in range(1000): a]]]`
		switch name {
		case "in a default":
			scene = "variable \"v\" {\n  default = [for a in [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]: " +
				strings.ReplaceAll(bomb, "range(1000)", "[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]") + "]\n}\nlocals {\n  x = " + bomb +
				"\n}\nrender \"r\" {\n  prompt = \"r\"\n}\n"
		case "in a for_each":
			scene = "render \"r\" {\n  for_each = { for k in " + bomb + ": k => k }\n  prompt = \"r\"\n}\n"
		case "in a dynamic block's for_each":
			scene = "render \"r\" {\n  prompt = \"r\"\n  dynamic \"output\" {\n    for_each = " + bomb +
				"\n    content {\n      path = \"x.png\"\n    }\n  }\n}\n"
		}
		maxThinking = time.Second
		if name == "for that makes a number" { // as users have it
			maxThinking = 3 * time.Second
		}
		t.Run(name, func(t *testing.T) { costs(t, files, "scene.hcl", scene) })
	}
	t.Run("for in JSON", func(t *testing.T) {
		costs(t, files, "scene.json",
			`{"locals": {"x": "${[for a in range(1000): [for b in range(1000): [for c in range(1000): a]]]}"}, "render": {"r": {"prompt": "r"}}}`)
	})
	t.Run("deep in JSON", func(t *testing.T) {
		costs(t, files, "scene.json", `{"locals": {"x": [{"a": "%{ for a in range(1000) }%{ for b in range(1000) }%{ for c in range(1000) `+
			`}x%{ endfor }%{ endfor }%{ endfor }"}]}, "render": {"r": {"prompt": "r"}}}`)
	})
}

// costs loads a scene that must be refused within the limits, and prints what it took.
func costs(t *testing.T, files map[string]string, name, scene string) {
	t.Helper()
	dir := write(t, files)
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(scene), 0o644); err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	peak, stop, done := uint64(0), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			peak = max(peak, m.HeapAlloc)
			select {
			case <-stop:
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
	}()
	began := time.Now()
	_, ds := Load(t.Context(), path, Vars{})
	took := time.Since(began)
	close(stop)
	<-done
	grew := int64(peak) - int64(before.HeapAlloc)
	t.Logf("%.2f s, %d MB", took.Seconds(), grew>>20)
	if !ds.HasErrors() {
		t.Fatal("it was not refused")
	}
	for _, d := range ds {
		if d.Severity == eligen.Error {
			t.Logf("%s: %.120s", d.Summary, d.Detail)
			if strings.Contains(d.Detail, "goroutine") || d.Source == nil {
				t.Errorf("that is no answer: %v %s", d.Source, d.Detail)
			}
			break
		}
	}
	if took > 20*time.Second { // 5 s, on a machine that does something else too
		t.Errorf("it took %v", took)
	}
	if grew > 1<<30 {
		t.Errorf("it took %d MB", grew>>20)
	}
}
