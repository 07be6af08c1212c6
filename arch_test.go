package eligen_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/eligen/eligen"

// mayImport is the architecture: which folders each folder may import. The root,
// "eligen", is the dictionary, and imports none but the ground floor's. A folder that is
// not listed here has not been thought about. (Tests may import what they like.)
var mayImport = map[string]string{
	"eligen": "",

	// In the order in which data goes through them.
	"dsl":     "eligen",
	"stage":   "eligen",
	"planner": "eligen stage",
	"runtime": "eligen",
	"store":   "eligen runtime",
	"model":   "eligen",
	"train":   "eligen model",
	"dataset": "eligen",
	"eval":    "eligen",
	"fetch":   "eligen",
	"hub":     "eligen",
	"comfy":   "eligen",
	"draft":   "eligen",
	"layouts": "eligen", // it reads and writes forms of others, and scenes as text
	"farm":    "eligen runtime stage",
	"jobs":    "eligen", // it writes files of schedulers, and runs nothing
	"tui":     "eligen",

	"telemetry": "eligen", // it is told what front ends are told

	"web": "eligen",
	// Of dsl, what changes a text and what describes the language; of layouts, what a file that is dropped leaves open.
	"studio": "eligen app dsl layouts",
	// The same of dsl and layouts; the examples that clients can read.
	"mcp": "eligen app dsl layouts scenes",

	"internal": "eligen", // a topic a folder; shared says whose

	// What eligen can do, for all front ends: it knows no terminal and no socket.
	"app": "eligen dsl stage planner runtime store model dataset hub comfy draft layouts train eval farm jobs",

	"scenes":  "",
	"recipes": "",
	"bench":   "eligen dsl model train planner runtime store",
	"cmd": "eligen app dsl stage planner runtime store model train dataset fetch hub draft layouts tui web studio mcp " +
		"scenes farm jobs telemetry",
}

// inside says who may import the folders inside a folder that others import.
var inside = map[string]string{
	"model": "model train",
	"stage": "planner app cmd",
	"farm":  "cmd", // what runs a server, which few programs need
}

// open are the folders inside model that others than model and train may import.
var open = map[string]string{
	"model/engine":   "app bench",
	"model/paint":    "app", // an engine of its own
	"model/backend":  "app cmd bench",
	"model/weights":  "app cmd bench",
	"model/inspect":  "app cmd",
	"model/family":   "app bench", // nano's manifest, which training fills in
	"model/families": "app bench", // a loader of scenes is told their names

	// What benchmarks measure.
	"model/exec":      "bench",
	"model/lora":      "bench",
	"model/fluxmodel": "bench",
	"model/gguf":      "bench",
	"model/quant":     "bench",
	"model/regional":  "bench",
	"model/rows":      "bench",
	"model/flux":      "bench",
	"model/nn":        "bench",
	"model/text":      "bench",
	"model/vae":       "bench",
	"model/vision":    "bench",
}

// floors are the folders of model, from the ground up: each imports only those of the
// floors below its own. So no family knows another one, and nobody the engine.
var floors = []string{
	"cache names panics quant sizes tile torch",
	"gguf lora nn",
	"regional rows",
	"backend exec flux qwen text vae vision weights",
	"detect encode sample internal/modeltest",
	"family",
	"fluxmodel",
	"family/flux family/nano family/qwen family/testfamily",
	"families",
	"engine inspect paint",
}

// floor returns the floor of a folder of model.
func floor(p string) (n int, known bool) {
	for n, folders := range floors {
		if has(folders, strings.TrimPrefix(p, "model/")) {
			return n, true
		}
	}
	return 0, false
}

// shared says who may import each folder of internal: low-level code that several
// folders need, which knows nothing of theirs.
var shared = map[string]string{
	"annotated": "dataset train eval app cmd",
	"bug":       "dsl runtime app cmd",
	"files":     "dsl runtime store model train dataset fetch hub comfy app studio mcp farm cmd",
	"page":      "planner tui app cmd",
	"drawing":   "stage tui",
	"pixels":    "dsl stage app planner model dataset layouts eval studio cmd",
	"words":     "app dsl draft layouts planner model farm hub cmd",
	"tensor":    "eligen runtime stage model train app bench",
	"sha":       "eligen stage runtime store fetch hub train dataset farm",
	"codes":     "eligen cmd app dsl", // the root too: a diagnostic has its code from the start
}

// home is the folders that know each heavy dependency. Replacing one is replacing a
// folder.
var home = map[string]string{
	"github.com/hashicorp/hcl/":        "dsl",
	"github.com/zclconf/":              "dsl",
	"github.com/gomlx/":                "model train bench",
	"charm.land/bubble":                "tui",
	"charm.land/huh/":                  "tui",
	"charm.land/lipgloss/":             "tui",
	"github.com/charmbracelet/":        "tui",
	"github.com/HugoSmits86/":          "stage",
	"github.com/kovidgoyal/":           "internal",
	"github.com/gofrs/flock":           "internal",
	"google.golang.org/protobuf":       "store",
	"gocloud.dev/":                     "store",
	"go.opentelemetry.io/":             "telemetry",
	"github.com/spf13/cobra":           "cmd",
	"github.com/nats-io/":              "farm",
	"github.com/openai/":               "draft",
	"github.com/kaptinlin/":            "draft",
	"go.yaml.in/":                      "comfy layouts jobs",
	"github.com/modelcontextprotocol/": "mcp",
	"net/http":                         "fetch hub draft store web studio mcp",
}

// TestImports reads the files itself and runs no go list, so that the test cache
// knows what the test depends on.
func TestImports(t *testing.T) {
	files := 0
	err := fs.WalkDir(os.DirFS("."), ".", func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || d.Name() == "node_modules" || strings.HasPrefix(d.Name(), ".") && file != ".") {
			return fs.SkipDir
		}
		if !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		files++
		from := path.Dir(file)
		for _, spec := range f.Imports {
			imp, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			if problem := check(from, imp); problem != "" {
				t.Errorf("%s imports %s: %s", file, imp, problem)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 10 {
		t.Errorf("only %d files were looked at", files)
	}
}

// check says why a package in folder from ("." for the root) must not import imp.
func check(from, imp string) string {
	top := folder(from)
	allowed, known := mayImport[top]
	if !known {
		return "the folder " + top + " is not in this test's table; say there what it may import"
	}
	for dependency, only := range home {
		if strings.HasPrefix(imp, dependency) && !has(only, top) {
			return "only " + only + " may"
		}
	}
	rest, ours := strings.CutPrefix(imp+"/", module+"/")
	if !ours {
		if first, _, _ := strings.Cut(imp, "/"); top == "eligen" && strings.Contains(first, ".") {
			return "the root imports the standard library and the ground floor only"
		}
		return ""
	}
	rest = strings.TrimSuffix(rest, "/")
	to := folder(rest)
	if to == top {
		own, other := second(from), second(rest)
		if top == "stage" && own != "" && own != other && other != "internal" {
			return "stages don't know one another"
		}
		if top == "store" && own != other {
			return "stores don't know one another"
		}
		if top == "internal" && own != other {
			return "what is on the ground floor stands by itself"
		}
		if top == "model" && from != rest {
			mine, ok := floor(from)
			if !ok {
				return from + " is on no floor of model; say in this test's list on which it is"
			}
			if theirs, ok := floor(rest); !ok || theirs >= mine {
				return rest + " is not below " + from
			}
		}
		return ""
	}
	if to == "internal" {
		if !has(shared[second(rest)], top) {
			return "internal/" + second(rest) + " is shared by: " + shared[second(rest)]
		}
		return ""
	}
	if !has(allowed, to) {
		return top + " may import only: " + allowed
	}
	if who, hidden := inside[to]; hidden && rest != to && !has(who, top) && !has(open[to+"/"+second(rest)], top) {
		return "what is inside " + to + " is its own"
	}
	return ""
}

// folder returns the top-level folder of a path inside the module, "eligen" for the root.
func folder(p string) string {
	top, _, _ := strings.Cut(p, "/")
	if top == "." || top == "" {
		return "eligen"
	}
	return top
}

// second returns the folder below the top-level one.
func second(p string) string {
	_, rest, _ := strings.Cut(p, "/")
	s, _, _ := strings.Cut(rest, "/")
	return s
}

func has(list, word string) bool { return strings.Contains(" "+list+" ", " "+word+" ") }

// TestCheck: the rules catch what they are there for.
func TestCheck(t *testing.T) {
	for _, c := range []struct {
		from, imp string
		ok        bool
	}{
		{".", "strings", true},
		{".", "golang.org/x/image/font", false},
		{".", module + "/dsl", false},
		{".", module + "/internal/tensor", true},
		{".", module + "/internal/pixels", false},
		{"dsl", module, true},
		{"dsl", module + "/planner", false},
		{"dsl", "github.com/hashicorp/hcl/v2", true},
		{"planner", "github.com/hashicorp/hcl/v2", false},
		{"planner", module + "/stage/still", true},
		{"runtime", module + "/stage/still", false},
		{"stage/still", "golang.org/x/image/font", true},
		{"stage/still", module + "/stage/noise", false},
		{"stage/still", module + "/stage/internal/container", true},
		{"stage/internal/container", module + "/stage/still", false},
		{"stage", module + "/stage/still", true},
		{"store/file", module + "/runtime", true},
		{"store/file", module + "/store/remote", false},
		{"runtime", module + "/store/file", false},
		{"store/remote", "net/http", true},
		{"cmd/eligen", "github.com/HugoSmits86/nativewebp", false},
		{"model/engine", module + "/model/family/flux", true},
		{"model/family/flux", module + "/model/family", true},
		{"model/family/flux", module + "/model/family/nano", false},
		{"model/weights", module + "/model/engine", false},
		{"model/exec", module + "/model/weights", false},
		{"model/nowhere", module + "/model/nn", false},
		{"model/engine", module + "/train", false},
		{"model/flux", module + "/model/nn", true},
		{"cmd/eligen", module + "/model/engine", false},
		{"cmd/eligen", module + "/model/paint", false},
		{"cmd/eligen", module + "/train", true},
		{"train", module + "/model/flux", true},
		{"train", module + "/runtime", false},
		{"cmd/eligen", module + "/model/flux", false},
		{"cmd/eligen", "github.com/gomlx/gomlx/core/graph", false},
		{"fetch", "net/http", true},
		{"hub", "net/http", true},
		{"hub", module + "/model/weights", false},
		{"app", module + "/hub", true},
		{"model/family/flux", module + "/hub", false},
		{"comfy", "go.yaml.in/yaml/v3", true},
		{"dsl", "go.yaml.in/yaml/v3", false},
		{"model/weights", "net/http", false},
		{"draft", "github.com/openai/openai-go/v3", true},
		{"draft", "net/http", true},
		{"draft", module + "/dataset", false},
		{"cmd/eligen", "github.com/openai/openai-go/v3", false},
		{"tui", "charm.land/bubbletea/v2", true},
		{"cmd/eligen", "charm.land/lipgloss/v2", false},
		{"dsl", module + "/internal/bug", true},
		{"tui", module + "/internal/bug", false},
		{"internal/bug", module + "/dsl", false},
		{"stage/image", module + "/internal/pixels", true},
		{"internal/pixels", module + "/internal/bug", false},
		{"internal/pixels", module + "/dsl", false},
		{"runtime", module + "/internal/pixels", false},
		{"stage/image", "github.com/kovidgoyal/imaging", false},
		{"cmd/eligen", module + "/app", true},
		{"app", module + "/planner", true},
		{"app", module + "/model/engine", true},
		{"app", module + "/model/paint", true},
		{"app", module + "/tui", false},
		{"app", "github.com/spf13/cobra", false},
		{"app", "net/http", false},
		{"tui", module + "/app", false},
		{"studio", module + "/app", true},
		{"studio", module + "/dsl/edit", true},
		{"studio", module + "/planner", false},
		{"studio", "github.com/hashicorp/hcl/v2", false},
		{"app", module + "/studio", false},
		{"mcp", module + "/app", true},
		{"mcp", "github.com/modelcontextprotocol/go-sdk/mcp", true},
		{"cmd/eligen", "github.com/modelcontextprotocol/go-sdk/mcp", false},
		{"mcp", module + "/studio", false},
		{"things", "strings", false},
	} {
		if got := check(c.from, c.imp); (got == "") != c.ok {
			t.Errorf("%s imports %s: %q", c.from, c.imp, got)
		}
	}
}

// nameless are the folders that know no family of models, and no encoder of one: all that
// they must know of a model it says itself, in its Spec.
const nameless = "planner runtime stage tui model/engine model/sample model/exec"

// families are the names that nameless folders don't speak of, in code or comments.
var families = regexp.MustCompile(`(?i:\b(flux|nano|qwen|t5|siglip)\b)|\bCLIP\b`)

// TestNoFamilyIsNamed: a family can be added without touching what is above them all.
func TestNoFamilyIsNamed(t *testing.T) {
	read := 0
	for root := range strings.FieldsSeq(nameless) {
		err := fs.WalkDir(os.DirFS("."), root, func(file string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
				return err
			}
			src, err := os.ReadFile(file)
			for i, line := range strings.Split(string(src), "\n") {
				if name := families.FindString(line); name != "" {
					t.Errorf("%s:%d names %s: what is true of one family comes from its Spec", file, i+1, name)
				}
			}
			read++
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if read < 50 {
		t.Errorf("only %d files were read", read)
	}
}
