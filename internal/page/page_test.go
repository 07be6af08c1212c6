package page

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/eligen/eligen"
)

func environment(vars ...string) func(string) string {
	return func(name string) string {
		for _, v := range vars {
			if value, ok := strings.CutPrefix(v, name+"="); ok {
				return value
			}
		}
		return ""
	}
}

// What is written can't move a cursor, set a title, ring, or turn text around. What
// people write in their languages stays.
func TestWriterCleans(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"colour", "a \x1b[31mred\x1b[0m cat", `a \u001b[31mred\u001b[0m cat`},
		{"title", "\x1b]0;owned\x07", `\u001b]0;owned\u0007`},
		{"link", "\x1b]8;;http://x\x1b\\here", `\u001b]8;;http://x\u001b\here`},
		{"C1", "\u009b31m\u009d0;x\u009c", `\u009b31m\u009d0;x\u009c`},
		{"C1 as a byte", "\x9b31m", `\x9b31m`},
		{"half a character", "a\xe2\x82\n", `a\xe2\x82` + "\n"},
		{"backspaces", "good\b\b\b\bevil", `good\u0008\u0008\u0008\u0008evil`},
		{"over the line", "error\rfine", `error\u000dfine`},
		{"a line of Windows", "one\r\ntwo", "one\ntwo"},
		{"bidi", "a\u202egnp.exe\u2066\u200f", `a\u202egnp.exe\u2066\u200f`},
		{"line separators", "a\u2028b\u2029", `a\u2028b\u2029`},
		{"delete", "a\x7f", `a\u007f`},
		{"languages", "ein Löwe, 青蛙, صديق, 👩‍👩‍👧 🏴󠁧󠁢󠁥󠁮󠁧󠁿\tfine\n", "ein Löwe, 青蛙, صديق, 👩‍👩‍👧 🏴󠁧󠁢󠁥󠁮󠁧󠁿\tfine\n"},
	} {
		var b bytes.Buffer
		fmt.Fprint(NewWriter(&b, environment()), c.in)
		if b.String() != c.want {
			t.Errorf("%s: %q, want %q", c.name, b.String(), c.want)
		}
		if c.name != "a line of Windows" && Clean(c.in) != c.want {
			t.Errorf("%s: Clean: %q, want %q", c.name, Clean(c.in), c.want)
		}
	}
}

// A character may come in two pieces.
func TestWriterInPieces(t *testing.T) {
	for _, c := range []struct{ env, in, want string }{
		{"", "青\u009b\x1b蛙", `青\u009b\u001b蛙`},
		{"GITHUB_ACTIONS=true", "a\n::error::b ##[c", "a\n:\\u003aerror::b ##\\u005bc"},
	} {
		var b bytes.Buffer
		w := NewWriter(&b, environment(c.env))
		for i := range len(c.in) {
			if n, err := w.Write([]byte{c.in[i]}); n != 1 || err != nil {
				t.Fatal(n, err)
			}
		}
		if b.String() != c.want {
			t.Errorf("%q, want %q", b.String(), c.want)
		}
	}
}

// In the log of GitHub Actions a text is no command, and a command is one.
func TestWriterInActions(t *testing.T) {
	var b bytes.Buffer
	w := NewWriter(&b, environment("GITHUB_ACTIONS=true"))
	fmt.Fprint(w, "::stop-commands::x\n  ::error::y\n\u3000::z\n a :: b\n: :c\n:::\n##[error]d\n###[e\n# #[f\n")
	Workflow(w, "::error file=a.hcl::real\x1b[0m")
	want := `:\u003astop-commands::x
  :\u003aerror::y
` + "\u3000" + `:\u003az
 a :: b
: :c
:\u003a:
##\u005berror]d
###\u005be
# #[f
::error file=a.hcl::real\u001b[0m
`
	if b.String() != want {
		t.Errorf("%s\nwant\n%s", b.String(), want)
	}
}

// JSON that goes through a writer means the same afterwards.
func TestWriterKeepsJSON(t *testing.T) {
	want := map[string]string{"prompt": "a\x1b[31m \u009b \u202e \x7f \u2028 ##[error]x\n::error::y", "::k": "v"}
	var b bytes.Buffer
	e := json.NewEncoder(NewWriter(&b, environment("GITHUB_ACTIONS=true")))
	e.SetEscapeHTML(false)
	e.SetIndent("", "")
	if err := e.Encode(want); err != nil {
		t.Fatal(err)
	}
	if out := b.String(); strings.ContainsAny(out, "\x1b\x7f\u009b\u202e") || strings.Contains(out, "##[") {
		t.Errorf("%q", out)
	}
	var got map[string]string
	if err := json.Unmarshal(b.Bytes(), &got); err != nil || got["prompt"] != want["prompt"] || got["::k"] != "v" {
		t.Errorf("%q, %v", got, err)
	}
}

// Our own colours come through where they are wanted, and end with the line.
func TestWriterColours(t *testing.T) {
	for _, colours := range []bool{true, false} {
		var b bytes.Buffer
		w := NewWriter(&b, environment())
		w.colours = colours
		fmt.Fprintf(w, "%s %s\n", Failed.Of("Error:"), Title.Of("two\nlines \x1b[5m"))
		want := "Error: two\nlines \\u001b[5m\n"
		if colours {
			want = "\x1b[1;31mError:\x1b[0m \x1b[1mtwo\x1b[0m\n\x1b[1mlines \\u001b[5m\x1b[0m\n"
		}
		if b.String() != want {
			t.Errorf("%q, want %q", b.String(), want)
		}
	}
	if Colours(environment("TERM=dumb")) || Colours(environment("NO_COLOR=1")) || !Colours(environment("TERM=xterm", "NO_COLOR=")) {
		t.Error("NO_COLOR and TERM=dumb mean no colours, and nothing else does")
	}
}

// A table is as wide as its cells, and where that is too much the columns that may give
// way do, the widest first.
func TestTable(t *testing.T) {
	rows := [][]string{
		{"render.drive.frame[10].denoise", Quiet.Of("a car and a tree on a green background"), "run"},
		{"entity.car", "青蛙", "cached"},
	}
	for _, c := range []struct {
		width   int
		columns []Column
		want    string
	}{
		{0, []Column{{}, {}, {Right: true}}, `
render.drive.frame[10].denoise  a car and a tree on a green background     run
entity.car                      青蛙                                    cached
`},
		{50, []Column{{Fit: CutLeft}, {Fit: Cut}}, `
…e.frame[10].denoise  a car and a tree on…  run
entity.car            青蛙                  cached
`},
		{52, []Column{{}, {Fit: Wrap}}, `
render.drive.frame[10].denoise  a car and a   run
                                tree on a
                                green
                                background
entity.car                      青蛙          cached
`},
	} {
		if got := "\n" + Clean(Table(rows, c.width, c.columns...)); got != c.want {
			t.Errorf("%d:%s\nwant%s", c.width, got, c.want)
		}
	}
}

func TestWrapLine(t *testing.T) {
	for _, c := range []struct {
		in    string
		width int
		want  string
	}{
		{"a frog, a mushroom and an umbrella", 12, "a frog, a|mushroom and|an umbrella"},
		{"https://example.org/x y", 8, "https://|example.|org/x y"},
		{"青蛙青蛙", 5, "青蛙|青蛙"},
		{"👩‍👩‍👧👩‍👩‍👧", 3, "👩‍👩‍👧|👩‍👩‍👧"},
		{"", 5, ""},
	} {
		if got := strings.Join(WrapLine(c.in, c.width), "|"); got != c.want {
			t.Errorf("%q in %d: %q, want %q", c.in, c.width, got, c.want)
		}
	}
	if got, want := strings.Join(WrapLine(Title.Of("one two"), 3), "|"), Title.Of("one")+"|"+Title.Of("two"); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// A diagnostic without colours, on a line as long as it takes, is its String.
func TestDiagnosticIsItsString(t *testing.T) {
	for _, d := range []eligen.Diagnostic{
		{Severity: eligen.Error, Summary: "Bad", Detail: "What is wrong.\n\n    eligen fix it"},
		{Severity: eligen.Warning, Summary: "Odd", Source: &eligen.Source{File: "a.hcl"}},
		{Severity: eligen.Error, Summary: "Bad", Detail: "x", Source: &eligen.Source{File: "a.hcl", Line: 12, Code: "\tbox = 1\tabc", Start: 1,
			End: 9}},
		{Severity: eligen.Error, Summary: "Bad", Source: &eligen.Source{File: "a.hcl", Line: 1, Code: "ab", Start: 7, End: 3}},
		{Severity: eligen.Error, Summary: "Bad", Source: &eligen.Source{File: "a.hcl", Line: 1, Code: ""}},
	} {
		if got := Clean(Diagnostic(d, 0)); got != d.String() {
			t.Errorf("%s\nwant\n%s", got, d)
		}
	}
}

// Carets stand under what is meant: wide characters, escapes and long lines included.
func TestDiagnosticPoints(t *testing.T) {
	d := eligen.Diagnostic{Severity: eligen.Error, Summary: "Bad",
		Source: &eligen.Source{File: "a.hcl", Line: 3, Code: `prompt = "青蛙 ` + "\x1b" + `" + oops`}}
	d.Source.Start = len([]rune(d.Source.Code)) - 4
	d.Source.End = d.Source.Start + 4
	want := `Error: Bad
  at a.hcl:3

    3 │ prompt = "青蛙 \u001b" + oops
      │                          ^^^^
`
	if got := Clean(Diagnostic(d, 0)); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	d.Source.Code = strings.Repeat("a, ", 100) + "oops" + strings.Repeat(", b", 100)
	d.Source.Start, d.Source.End = 300, 304
	lines := strings.Split(Clean(Diagnostic(d, 80)), "\n")
	code, carets := []rune(lines[3]), lines[4]
	at := len([]rune(carets[:strings.Index(carets, "^")]))
	if len(code) > 80 || string(code[at:at+4]) != "oops" || !strings.HasSuffix(carets, " ^^^^") {
		t.Errorf("%s\n%s", lines[3], carets)
	}
}

func TestNearest(t *testing.T) {
	commands := []string{"new", "init", "apply", "plan", "graph", "keys", "preview", "replay", "validate", "cache"}
	for word, want := range map[string]string{
		"aply": "apply", "paln": "plan", "vaildate": "validate", "prev": "preview", "PLAN": "plan", "nonsense": "", "x": "", "kesy": "keys",
	} {
		if got := Nearest(word, commands); got != want {
			t.Errorf("%s: %q, want %q", word, got, want)
		}
	}
}

// Whatever is written, and however it is cut, nothing comes out that is obeyed.
func FuzzWriter(f *testing.F) {
	f.Add([]byte("a \x1b[31m cat\r\n::error::x"), 3)
	f.Add([]byte("\u009b31m \u202e \xff \ufdd3green"), 1)
	f.Add([]byte("  ::\n##[error]"), 4)
	f.Fuzz(func(t *testing.T, in []byte, cut int) {
		cut = max(0, min(cut, len(in)))
		var b bytes.Buffer
		w := NewWriter(&b, environment("GITHUB_ACTIONS=true"))
		_, _ = w.Write(in[:cut])
		_, _ = w.Write(in[cut:])
		for _, r := range b.String() {
			if Obeyed(r) || isMark(r) || r == '\ufffd' && !bytes.Contains(in, []byte("\ufffd")) {
				t.Fatalf("%q of %q", b.String(), in)
			}
		}
		for line := range strings.Lines(b.String()) {
			if strings.HasPrefix(strings.TrimSpace(line), "::") || strings.Contains(line, "##[") {
				t.Fatalf("a command: %q", line)
			}
		}
	})
}

// Keys are in lower_snake, values and other keys as they were.
func TestLowerKeys(t *testing.T) {
	for in, want := range map[string]string{
		`{"HeadDim":1,"CFG":2,"MLPRatio":3,"DType":"BF16","W":4}`:         `{"head_dim":1,"cfg":2,"mlp_ratio":3,"dtype":"BF16","w":4}`,
		`{"a \" Key": {"Prompt" : "Dog: \"Cat\":"},"render.Dog":["Dog"]}`: `{"a \" Key": {"prompt" : "Dog: \"Cat\":"},"render.Dog":["Dog"]}`,
		`"Alone"`: `"Alone"`,
	} {
		if got := string(LowerKeys([]byte(in))); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
