package still_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/stage/still"
)

// marked is a picture's record with a model and a LoRA that others know by their files.
func marked() (still.Resolved, *eligen.Mark) {
	lora := eligen.DigestOf([]byte("a LoRA"))
	r := masked(64, 1, func(x, _ int) bool { return x < 32 })
	r.Prompt, r.Negative, r.Seed, r.Version = "a fox “at dusk” 狐", "text, blur", 7, "0.9.0"
	r.Adapters = []still.Adapter{{Kind: "eligen", Digest: lora, Scale: 1}, {Kind: "ip", Digest: lora, Scale: 1}}
	return r, &eligen.Mark{Source: eligen.TrainedMedia, Model: eligen.DigestOf([]byte("a model"))}
}

// TestParametersAreRead: what sites and viewers read of generated pictures is read from ours by a library that
// does so, sd-parsers, whatever letters the prompt has. ELIGEN_PYTHON names an interpreter that has it.
func TestParametersAreRead(t *testing.T) {
	python := os.Getenv("ELIGEN_PYTHON")
	if python == "" || exec.CommandContext(t.Context(), python, "-c", "import sd_parsers").Run() != nil {
		t.Skip("ELIGEN_PYTHON names no Python with the package sd-parsers")
	}
	r, mark := marked()
	dir, names := t.TempDir(), []string{"a.png", "a.jpg", "a.webp"}
	for name, op := range map[string]eligen.Op{"a.png": still.Op{Resolved: r, Mark: mark},
		"a.jpg": still.JPEG{Resolved: r, Mark: mark, Quality: 90}, "a.webp": still.WebP{Resolved: r, Mark: mark}} {
		if err := os.WriteFile(filepath.Join(dir, name), run(t, op), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := exec.CommandContext(t.Context(), python, append([]string{"-c", `import sys
from sd_parsers import ParserManager
for f in sys.argv[1:]:
    i = ParserManager().parse(f)
    s = i.samplers[0]
    print(s.name, s.parameters["seed"], s.model.hash, [p.value for p in s.prompts], [p.value for p in s.negative_prompts],
        sorted(i.metadata["Hashes"].items()))
`}, names...)...)
	c.Dir = dir
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	model, lora := mark.Model[:10], r.Adapters[0].Digest[:10]
	want := "Euler 7 " + string(model) + " ['a fox “at dusk” 狐'] ['text, blur'] [('lora:eligen_1', '" + string(lora) +
		"'), ('model', '" + string(model) + "')]\n"
	if string(out) != strings.Repeat(want, len(names)) {
		t.Errorf("read as\n%swant\n%s", out, strings.Repeat(want, len(names)))
	}
}

// TestUnmarked: without a mark, every byte and every stage is as it was before there were marks.
func TestUnmarked(t *testing.T) {
	r, _ := marked()
	for name, c := range map[string]struct {
		op          eligen.Op
		file, stage eligen.Digest
	}{
		"png": {still.Op{Resolved: r}, "cace8f4329dd0e2d1f0feef695ca9387bea1efbdb6326bd2f24d98c3e2b31b81",
			"f04bfc8b2b36d371076923eebffae1018967fe64dbdb9d8785076ed6968d83f7"},
		"jpeg": {still.JPEG{Resolved: r, Quality: 90}, "71165e0d20cdff0a397f53bdb0aed5e6b3aa7f81e918bace9c50d7e07d3c6262",
			"e2118f123b12935846f7370c55a736e0b3144ec6a2121877acd9c4b9d6311071"},
		"webp": {still.WebP{Resolved: r}, "6900dfdd62320cb7a7a83cfa088160da376111862e9e98f6fe30ffda7fe4e327",
			"0ebf5fcdda3be08c13556e58eeab38f657ba0dced606bd7bf7218069b8b98e29"},
	} {
		if got := eligen.StageDigest(c.op, "", nil); got != c.stage {
			t.Errorf("%s: the stage is %s, and was %s", name, got, c.stage)
		}
		if got := eligen.DigestOf(run(t, c.op)); got != c.file {
			t.Errorf("%s: the file is %s, and was %s", name, got, c.file)
		}
	}
}
