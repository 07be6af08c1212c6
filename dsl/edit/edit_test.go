package edit_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/eligen/eligen/dsl/edit"
)

const edited = `# At the head.
variable "horizon" {
  default = 0.34
}

render "harbor" {
  prompt = <<-EOT
    a duck
    on the sea
  EOT

  sampler {
    steps = 20
  }
}

render "plain" {
  prompt = "the sea"
}

# A duck.
entity "duck" {
  prompt = "a duck"                     # its name
  box    = xyxy(0.50, 0.56, 0.72, 0.78) # on the sea
}

entity "rainbow" {
  prompt = "a ${var.horizon} rainbow"
  box    = xywh(0.36, var.horizon, 0.34, -0.34)
}

entity "house" {
  prompt = "a house"
  region = px(polygon([[0, 1], [10, 1.5], [5, 9]]))
}

entity "one" { prompt = "one" }
`

func parsed(t *testing.T, src string) *edit.Text {
	t.Helper()
	text, ds := edit.Parse("scene.hcl", []byte(src))
	if ds.HasErrors() {
		t.Fatal(ds)
	}
	return text
}

// TestEdits: each change shows as lines removed and added; nothing else differs.
func TestEdits(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(*edit.Text) ([]byte, error)
		diff string
	}{
		{"a box keeps its notation and its comment", func(x *edit.Text) ([]byte, error) {
			return x.SetNumbers("entity.duck", "box", []string{"0.25", "", "0.47", ""}, false)
		}, "-   box    = xyxy(0.50, 0.56, 0.72, 0.78) # on the sea\n+   box    = xyxy(0.25, 0.56, 0.47, 0.78) # on the sea\n"},
		{"numbers next to an expression", func(x *edit.Text) ([]byte, error) {
			return x.SetNumbers("entity.rainbow", "box", []string{"0.1", "", "", "0.2"}, false)
		}, "-   box    = xywh(0.36, var.horizon, 0.34, -0.34)\n+   box    = xywh(0.1, var.horizon, 0.34, 0.2)\n"},
		{"an expression, when asked to", func(x *edit.Text) ([]byte, error) {
			return x.SetNumbers("entity.rainbow", "box", []string{"", "0.5", "", ""}, true)
		}, "-   box    = xywh(0.36, var.horizon, 0.34, -0.34)\n+   box    = xywh(0.36, 0.5, 0.34, -0.34)\n"},
		{"a corner of a polygon in pixels", func(x *edit.Text) ([]byte, error) {
			return x.SetNumbers("entity.house", "region", []string{"", "", "12", "2", "", ""}, false)
		}, "-   region = px(polygon([[0, 1], [10, 1.5], [5, 9]]))\n+   region = px(polygon([[0, 1], [12, 2], [5, 9]]))\n"},
		{"a prompt over lines", func(x *edit.Text) ([]byte, error) {
			return x.Set("render.harbor", "prompt", edit.Quote(`a "duck" for ${x}`), false)
		}, "-   prompt = <<-EOT\n-     a duck\n-     on the sea\n-   EOT\n+   prompt = \"a \\\"duck\\\" for $${x}\"\n"},
		{"a new argument behind the last", func(x *edit.Text) ([]byte, error) {
			return x.Set("entity.duck", "strength", "1.5", false)
		}, `-   prompt = "a duck"                     # its name
-   box    = xyxy(0.50, 0.56, 0.72, 0.78) # on the sea
+   prompt   = "a duck"                     # its name
+   box      = xyxy(0.50, 0.56, 0.72, 0.78) # on the sea
+   strength = 1.5
`},
		{"a new argument in a block of one line", func(x *edit.Text) ([]byte, error) {
			return x.Set("entity.one", "z", "2", false)
		}, "- entity \"one\" { prompt = \"one\" }\n+ entity \"one\" {\n+   prompt = \"one\"\n+   z      = 2\n+ }\n"},
		{"an inner block", func(x *edit.Text) ([]byte, error) {
			return x.Set("render.harbor.sampler", "cfg", "3", false)
		}, "+     cfg   = 3\n"},
		{"a new inner block", func(x *edit.Text) ([]byte, error) {
			return x.Set("render.plain.sampler", "steps", "8", false)
		}, "+ \n+   sampler {\n+     steps = 8\n+   }\n"},
		{"an argument goes with its line", func(x *edit.Text) ([]byte, error) {
			return x.Unset("entity.duck", "box")
		}, "-   prompt = \"a duck\"                     # its name\n-   box    = xyxy(0.50, 0.56, 0.72, 0.78) # on the sea\n" +
			"+   prompt = \"a duck\" # its name\n"},
		{"a block goes with its comment", func(x *edit.Text) ([]byte, error) {
			return x.Remove("entity.duck")
		}, `- # A duck.
- entity "duck" {
-   prompt = "a duck"                     # its name
-   box    = xyxy(0.50, 0.56, 0.72, 0.78) # on the sea
- }
- 
`},
		{"a new block", func(x *edit.Text) ([]byte, error) {
			return x.Append("entity \"b\" {\nbox = xywh(0, 0, 1, 1)\n}")
		}, "+ \n+ entity \"b\" {\n+   box = xywh(0, 0, 1, 1)\n+ }\n"},
	} {
		out, err := c.do(parsed(t, edited))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got := lineDiff(edited, string(out)); got != c.diff {
			t.Errorf("%s:\n%s\nwant\n%s", c.name, got, c.diff)
		}
	}
}

// lineDiff is what differs between the first and the last line that do.
func lineDiff(a, b string) string {
	x, y := strings.SplitAfter(a, "\n"), strings.SplitAfter(b, "\n")
	for len(x) > 0 && len(y) > 0 && x[0] == y[0] {
		x, y = x[1:], y[1:]
	}
	for len(x) > 0 && len(y) > 0 && x[len(x)-1] == y[len(y)-1] {
		x, y = x[:len(x)-1], y[:len(y)-1]
	}
	var out strings.Builder
	for _, l := range x {
		out.WriteString("- " + l)
	}
	for _, l := range y {
		out.WriteString("+ " + l)
	}
	return out.String()
}

// TestDerived: what is worked out is not overwritten in silence, and the error says on what it hangs.
func TestDerived(t *testing.T) {
	for name, do := range map[string]func(*edit.Text) ([]byte, error){
		"var.horizon": func(x *edit.Text) ([]byte, error) {
			return x.SetNumbers("entity.rainbow", "box", []string{"", "0.5", "", ""}, false)
		},
		"rainbow": func(x *edit.Text) ([]byte, error) { return x.Set("entity.rainbow", "prompt", `"a"`, false) },
		"box":     func(x *edit.Text) ([]byte, error) { return x.Set("entity.rainbow", "box", `xywh(0, 0, 1, 1)`, false) },
	} {
		_, err := do(parsed(t, edited))
		var derived *edit.DerivedError
		if !errors.As(err, &derived) || len(derived.Refs) != 1 || derived.Refs[0] != "var.horizon" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestWrongEdits: what would make another text than was meant is an error.
func TestWrongEdits(t *testing.T) {
	for name, do := range map[string]func(*edit.Text) ([]byte, error){
		"no such block": func(x *edit.Text) ([]byte, error) { return x.Set("entity.cat", "z", "1", false) },
		"no expression": func(x *edit.Text) ([]byte, error) { return x.Set("entity.duck", "z", "1\n}", true) },
		"no name":       func(x *edit.Text) ([]byte, error) { return x.Set("entity.duck", "a = 1\nb", "1", true) },
		"no number": func(x *edit.Text) ([]byte, error) {
			return x.SetNumbers("entity.duck", "box", []string{"0), xywh(1", "", "", ""}, true)
		},
		"too few numbers":    func(x *edit.Text) ([]byte, error) { return x.SetNumbers("entity.duck", "box", []string{"1"}, true) },
		"several in a line":  func(x *edit.Text) ([]byte, error) { return x.Unset("entity.one", "prompt") },
		"a block left open":  func(x *edit.Text) ([]byte, error) { return x.Append("entity \"x\" {") },
		"nothing to go away": func(x *edit.Text) ([]byte, error) { return x.Remove("entity.cat") },
	} {
		if out, err := do(parsed(t, edited)); err == nil {
			t.Errorf("%s: no error, and\n%s", name, out)
		}
	}
}

// TestEditScenes: setting a value of any example to what it is changes nothing.
func TestEditScenes(t *testing.T) {
	entries, err := os.ReadDir("../../scenes")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".hcl") {
			continue
		}
		src, err := os.ReadFile("../../scenes/" + e.Name())
		if err != nil {
			t.Fatal(err)
		}
		text := parsed(t, string(src))
		for _, b := range text.Blocks() {
			for _, a := range b.Attributes {
				if strings.HasPrefix(b.Address, "check") || strings.Contains(b.Address, "track") || strings.Contains(b.Address, "output") {
					continue // several of one address
				}
				out, err := text.Set(b.Address, a.Name, a.Text, true)
				if err != nil || string(out) != string(src) {
					t.Errorf("%s: %s.%s: %v, %s", e.Name(), b.Address, a.Name, err, lineDiff(string(src), string(out)))
				}
				seen++
			}
		}
	}
	if seen < 50 {
		t.Errorf("only %d values", seen)
	}
}

// TestUnsetInner: a block inside a block goes with its last argument.
func TestUnsetInner(t *testing.T) {
	out, err := parsed(t, edited).Unset("render.harbor.sampler", "steps")
	if got := lineDiff(edited, string(out)); err != nil || got != "- \n-   sampler {\n-     steps = 20\n-   }\n" {
		t.Errorf("%v\n%s", err, got)
	}
}

// TestRemove: a block goes with the comment right over it, in each of the three ways to write one, and leaves
// no empty lines at the text's ends. The comment that begins a text is the text's.
func TestRemove(t *testing.T) {
	const rest = "entity \"cat\" {\n  prompt = \"a cat\"\n}\n"
	const duck = "entity \"duck\" {\n  prompt = \"a duck\"\n}\n"
	const unformatted = "entity \"cat\" {\n prompt = \"a cat\"\n}\n"
	for _, c := range []struct{ name, src, want string }{
		{"the first block", duck + "\n" + rest, rest},
		{"the last block", rest + "\n" + duck, rest},
		{"the last block of a text that isn't formatted", unformatted + "\n" + duck, unformatted},
		{"the first block of one", duck + "\n" + unformatted, unformatted},
		{"the only block", duck, ""},
		{"comments of two lines", rest + "\n// A duck.\n# It swims.\n" + duck, rest},
		{"a comment over lines", rest + "\n/* A duck:\n   it swims. */\n" + duck, rest},
		{"a comment further up", rest + "\n// All others.\n\n" + duck, rest + "\n// All others.\n"},
		{"a comment behind another block", strings.TrimSuffix(rest, "\n") + " // a cat\n" + duck,
			strings.TrimSuffix(rest, "\n") + " // a cat\n"},
		{"the text's comment", "// A pond.\n// At night.\n" + duck + "\n" + rest, "// A pond.\n// At night.\n\n" + rest},
		{"the text's comment on its own", "# A pond.\n\n" + duck, "# A pond.\n"},
	} {
		out, err := parsed(t, c.src).Remove("entity.duck")
		if err != nil || string(out) != c.want {
			t.Errorf("%s: %v, %q, want %q", c.name, err, out, c.want)
		}
	}
}

// TestLineEnds: a text with the line ends of Windows keeps them, formatted or not, and changes by the same
// lines as one without.
func TestLineEnds(t *testing.T) {
	windows := func(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }
	loose := strings.Replace(edited, "default = 0.34", "default=0.34", 1)
	for name, do := range map[string]func(*edit.Text) ([]byte, error){
		"numbers": func(x *edit.Text) ([]byte, error) {
			return x.SetNumbers("entity.duck", "box", []string{"0.25", "", "", ""}, false)
		},
		"a value of several lines": func(x *edit.Text) ([]byte, error) {
			return x.Set("entity.house", "prompt", "<<-EOT\n    a house\n  EOT", false)
		},
		"an argument":                   func(x *edit.Text) ([]byte, error) { return x.Set("entity.duck", "z", "1", false) },
		"an argument of one line":       func(x *edit.Text) ([]byte, error) { return x.Set("entity.one", "z", "1", false) },
		"an inner argument":             func(x *edit.Text) ([]byte, error) { return x.Set("render.harbor.sampler", "cfg", "3", false) },
		"an inner block":                func(x *edit.Text) ([]byte, error) { return x.Set("render.plain.sampler", "steps", "8", false) },
		"an inner block of one line":    func(x *edit.Text) ([]byte, error) { return x.Set("entity.one.at", "z", "8", false) },
		"an argument goes":              func(x *edit.Text) ([]byte, error) { return x.Unset("entity.duck", "box") },
		"an inner block goes":           func(x *edit.Text) ([]byte, error) { return x.Unset("render.harbor.sampler", "steps") },
		"a block":                       func(x *edit.Text) ([]byte, error) { return x.Append("entity \"b\" {\nz = 1\n}") },
		"a block goes":                  func(x *edit.Text) ([]byte, error) { return x.Remove("entity.duck") },
		"the first block goes":          func(x *edit.Text) ([]byte, error) { return x.Remove("variable.horizon") },
		"the last block goes":           func(x *edit.Text) ([]byte, error) { return x.Remove("entity.one") },
		"a block without comment goes":  func(x *edit.Text) ([]byte, error) { return x.Remove("entity.house") },
		"a block with inner block goes": func(x *edit.Text) ([]byte, error) { return x.Remove("render.harbor") },
	} {
		for _, src := range []string{edited, loose} {
			want, err := do(parsed(t, src))
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			out, err := do(parsed(t, windows(src)))
			if err != nil || string(out) != windows(string(want)) {
				t.Errorf("%s: %v, %q, want %q", name, err, out, windows(string(want)))
			}
		}
	}
}
