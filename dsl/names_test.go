package dsl_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/eligen/eligen/dsl"
)

// TestVariables: a scene's variables are listed, whatever else is wrong with it.
func TestVariables(t *testing.T) {
	for name, c := range map[string]struct {
		scene string
		want  []dsl.Variable
	}{
		"scene.hcl": {`
variable "colour" {
  default     = "red"
  description = "of the car"
}

variable "side" {
  description = var.colour
}

render "one" {
  promt = nothing.there
}`, []dsl.Variable{{Name: "colour", Description: "of the car"}, {Name: "side"}}},
		"scene.hcl.json": {`{"variable": {"side": {"default": 1}}}`, []dsl.Variable{{Name: "side"}}},
		"broken.hcl":     {"variable \"side\" {}\n\nrender \"one\" {\n  prompt =\n}", []dsl.Variable{{Name: "side"}}},
		"empty.hcl":      {"", nil},
		"binary.hcl":     {"\x00\xff", nil},
	} {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(c.scene), 0o644); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, dsl.Variables(path)); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
	if got := dsl.Variables("nowhere.hcl"); got != nil {
		t.Errorf("of no file: %v", got)
	}
}
