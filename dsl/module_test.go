package dsl

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// What a module block can't take in, and what a scene says then: each case is a
// folder of files, and "file:line: summary: detail" of every mistake.
func TestModulesRefused(t *testing.T) {
	const picture = "render \"r\" {\n  prompt = \"x\"\n}\n"
	for name, c := range map[string]struct {
		files map[string]string
		want  []string
	}{
		"no source": {map[string]string{"s.hcl": "module \"m\" {\n}\n"},
			[]string{`s.hcl:1: Missing required argument: A module needs the argument "source"`}},
		"no path": {map[string]string{"s.hcl": "module \"m\" {\n  source = \"birds\"\n}\n", "birds/b.hcl": ""},
			[]string{`s.hcl:2: Invalid source: "birds" is no path`}},
		"computed source": {map[string]string{"s.hcl": "module \"m\" {\n  source = local.x\n}\n"},
			[]string{`s.hcl:2: References not allowed`}},
		"no such folder": {map[string]string{"s.hcl": "module \"m\" {\n  source = \"./brids\"\n}\n", "birds/b.hcl": ""},
			[]string{`s.hcl:2: Module not found: .* Did you mean "birds"`}},
		"a file": {map[string]string{"s.hcl": "module \"m\" {\n  source = \"./b.hcl\"\n}\n", "b.hcl": ""},
			[]string{`s.hcl:2: Not a module: b.hcl is a file`}},
		"an empty folder": {map[string]string{"s.hcl": "module \"m\" {\n  source = \"./birds\"\n}\n", "birds/eligen.lock.hcl": "",
			"birds/x.png": ""}, []string{`s.hcl:2: Not a module: .*no scene files`}},
		"outside": {map[string]string{"s.hcl": "module \"m\" {\n  source = \"../m\"\n}\n"},
			[]string{`s.hcl:2: Invalid source: .*leads out of the scene's folder`}},
		"absolute": {map[string]string{"s.hcl": "module \"m\" {\n  source = \"/tmp\"\n}\n"}, []string{`s.hcl:2: Invalid source`}},
		"a link": {map[string]string{"s.hcl": "module \"m\" {\n  source = \"./link\"\n}\n"},
			[]string{`s.hcl:2: Invalid source: link is a link that leads out of the scene's folder`}},
		"the scene itself": {map[string]string{"s.hcl": "module \"m\" {\n  source = \"./\"\n}\n"},
			[]string{`s.hcl:2: Circular module: "./" is the scene's own folder`}},
		"a circle": {map[string]string{"s.hcl": "module \"m\" {\n  source = \"./a\"\n}\n",
			"a/a.hcl": "module \"b\" {\n  source = \"../b\"\n}\n", "b/b.hcl": "module \"a\" {\n  source = \"../a\"\n}\n"},
			[]string{`b/b.hcl:2: Circular module: .*: ./a → ./b → ./a`}},
		"inputs that circle": {map[string]string{"s.hcl": "module \"a\" {\n  source = \"./a\"\n  x = module.b.entity.e.box\n}\nmodule \"b\" " +
			"{\n  source = \"./a\"\n  x = module.a.entity.e.box\n}\n" + picture,
			"a/a.hcl": "variable \"x\" {\n}\nentity \"e\" {\n  prompt = \"e\"\n  box = var.x\n}\n"},
			[]string{`s.hcl:1: Circular reference: module.a needs itself: module.a → module.b → module.a`}},
		"its mistakes": {map[string]string{"s.hcl": "module \"a\" {\n  source = \"./a\"\n}\n" + picture,
			"a/a.hcl": "entity \"e\" {\n  prompt = entity.x.prompt\n  bx = 1\n}\n", "a/b.hcl": "recipe \"base\" {\n}\nentity \"e\" {\n}\n"},
			[]string{`a/b.hcl:1: Unsupported block type: A module has no blocks of type "recipe". It belongs in the scene's own file`,
				`a/b.hcl:3: Missing required`, `a/b.hcl:3: Missing required argument`, `a/b.hcl:3: Duplicate declaration: entity.e is declared twice`,
				`a/a.hcl:2: Reference to undeclared name: There is no entity "x". There is "e"`,
				`a/a.hcl:3: Unsupported argument: .*Did you mean "box"`}},
		"broken text": {map[string]string{"s.hcl": "module \"a\" {\n  source = \"./a\"\n}\nrender \"r\" {\n  prompt = " +
			"module.a.entity.e.prompt\n}\n", "a/a.hcl": "entity \"e\" {\n  prompt = \n}\n"}, []string{`a/a.hcl:2: Invalid expression`}},
		"its variables": {map[string]string{"s.hcl": "module \"a\" {\n  source = \"./a\"\n  n = \"x\"\n  mm = 1\n}\n" + picture,
			"a/a.hcl": "variable \"n\" {\n  type = number\n}\nvariable \"must\" {\n}\n"}, []string{`s.hcl:1: Missing required argument: ` +
			`module.a needs the argument "must": the variable has no default`, `s.hcl:3: Incorrect type: "n" of module.a must be number`,
			`s.hcl:4: Unsupported argument: The module declares no variable "mm". It has "n" and "must"`}},
		"a name taken": {map[string]string{"s.hcl": "module \"a\" {\n  source = \"./a\"\n}\n" + picture,
			"a/a.hcl": "variable \"source\" {\n  default = 1\n}\n"},
			[]string{`a/a.hcl:1: Invalid name: A variable of a module can't be called "source"`}},
		"a rule": {map[string]string{"s.hcl": "module \"a\" {\n  source = \"./a\"\n  n = 7\n}\n" + picture,
			"a/a.hcl": "variable \"n\" {\n  validation {\n    condition = var.n < 5\n    error_message = \"At most four.\"\n  }\n}\n"},
			[]string{`s.hcl:3: Invalid value for variable: module.a: At most four. Here var.n is 7, from the module block`}},
		"repetition": {map[string]string{"s.hcl": "module \"a\" {\n  source = \"./a\"\n  count = 2\n}\n" + picture, "a/a.hcl": ""},
			[]string{`s.hcl:3: Unsupported argument: A module is not repeated`}},
		"what is its own": {map[string]string{"s.hcl": "module \"a\" {\n  source = \"./a\"\n}\nrender \"r\" {\n  prompt = " +
			"\"${module.a.local.x} ${module.a.entity.f.prompt} ${module.b.entity.e}\"\n}\n",
			"a/a.hcl": "locals {\n  x = 1\n}\nentity \"e\" {\n  prompt = \"e\"\n  box = xywh(0, 0, 1, 1)\n}\n"}, []string{`s.hcl:5: Unsupported ` +
			`attribute: module.a has no attribute "local". It has "adapter", "entity", "model" and "render"`,
			`s.hcl:5: Unsupported attribute: module.a.entity has no attribute "f"`,
			`s.hcl:5: Reference to undeclared name: There is no module "b". There is "a"`}},
		"several": {map[string]string{"s.hcl": "module \"a\" {\n  source = \"./a\"\n}\n" +
			"render \"r\" {\n  prompt = \"x\"\n  entities = [module.a.entity.e]\n}\n",
			"a/a.hcl": "entity \"e\" {\n  count = 2\n  prompt = \"e\"\n  box = xywh(0, 0, 1, 1)\n}\n"},
			[]string{`s.hcl:6: Incorrect reference: module.a.entity.e is several. .* name one of module.a.entity.e\[0\], module.a.entity.e\[1\]`}},
		"one file twice": {map[string]string{"s.hcl": "module \"a\" {\n  source = \"./a\"\n}\nmodule \"b\" {\n  source = \"./a\"\n}\n",
			"a/a.hcl": "render \"r\" {\n  prompt = \"x\"\n  output {\n    path = \"r.png\"\n  }\n}\n"}, []string{`a/a.hcl:4: Duplicate output: ` +
			`r.png would be written by module.a.render.r and by module.b.render.r: the two modules are of one folder`}},
		"a mask elsewhere": {map[string]string{"s.hcl": "module \"a\" {\n  source = \"./a\"\n}\n" + picture, "m.png": "",
			"a/a.hcl": "entity \"e\" {\n  prompt = \"e\"\n  mask = image(\"../m.png\")\n}\nentity \"f\" {\n  prompt = \"e\"\n  mask = " +
				"image(\"m.png\")\n}\n"}, []string{`a/a.hcl:3: .*leads out of the module's folder`,
			`a/a.hcl:7: .*There is no file m.png in the module's folder`}},
		"too large": {map[string]string{"s.hcl": "module \"a\" {\n  source = \"./a\"\n}\n" + picture,
			"a/a.hcl": strings.Repeat("# filler\n", 1<<16), "a/b.hcl": strings.Repeat("# filler\n", 1<<16)},
			[]string{`s.hcl:2: File too large: .*more than 1048576 bytes`}},
		"a hostile file": {map[string]string{"s.hcl": "module \"a\" {\n  source = \"./a\"\n}\n" + picture,
			"a/a.hcl": "locals {\n  a = " + strings.Repeat("(", 300_000) + "\n}\n"}, []string{`a/a.hcl:2: Scene too complex`}},
		"unused": {map[string]string{"s.hcl": "module \"a\" {\n  source = \"./a\"\n}\n" + picture,
			"a/a.hcl": "entity \"e\" {\n  prompt = \"e\"\n  box = xywh(0, 0, 1, 1)\n}\n"},
			[]string{`s.hcl:1: Unused module: module.a makes no picture`}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := write(t, c.files)
			if err := os.Symlink(t.TempDir(), filepath.Join(dir, "link")); err != nil {
				t.Skip("no symbolic links here: ", err)
			}
			_, ds := Load(t.Context(), filepath.Join(dir, "s.hcl"), Vars{})
			var got []string
			for _, d := range ds {
				at := ""
				if d.Source != nil {
					at, _ = filepath.Rel(dir, d.Source.File)
					at = fmt.Sprintf("%s:%d: ", filepath.ToSlash(at), d.Source.Line)
				}
				got = append(got, at+d.Summary+": "+d.Detail)
			}
			for i := range max(len(got), len(c.want)) {
				switch {
				case i >= len(got):
					t.Errorf("missing: %s", c.want[i])
				case i >= len(c.want):
					t.Errorf("unexpected: %s", got[i])
				case !regexp.MustCompile("(?s)^" + c.want[i]).MatchString(got[i]):
					t.Errorf("got  %s\nwant %s", got[i], c.want[i])
				}
			}
		})
	}
}

// Modules inside modules end, by depth and by number.
func TestModuleLimits(t *testing.T) {
	deep := map[string]string{"s.hcl": "render \"r\" {\n  prompt = \"x\"\n}\nmodule \"m\" {\n  source = \"./m\"\n}\n"}
	for i := range maxModuleDepth + 1 {
		deep[strings.Repeat("m/", i+1)+"m.hcl"] = "module \"m\" {\n  source = \"./m\"\n}\n"
	}
	d := one(t, filepath.Join(write(t, deep), "s.hcl"), Vars{})
	if d.Summary != tooComplex || !strings.Contains(d.Detail, "more than 8 deep") {
		t.Errorf("deep: %s", d)
	}

	many := map[string]string{"m/e.hcl": "entity \"e\" {\n  prompt = \"e\"\n  box = xywh(0, 0, 1, 1)\n}\n"}
	for i := range maxModules + 1 {
		many["s.hcl"] += fmt.Sprintf("module \"m%d\" {\n  source = \"./m\"\n}\n", i)
	}
	_, ds := Load(t.Context(), filepath.Join(write(t, many), "s.hcl"), Vars{})
	if !strings.Contains(ds.Error(), "more than 100 modules") {
		t.Errorf("many: %s", ds.Error())
	}
}
