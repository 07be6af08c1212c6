package lab

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/eligen/eligen/dataset"
	"github.com/eligen/eligen/dsl"
)

// A recipe may ask for each style that the dataset draws, and for no other: the
// language has a list of its own.
func TestRecipesKnowTheStyles(t *testing.T) {
	for _, name := range append(otherStyles(), dataset.Solid+"x") {
		path := filepath.Join(t.TempDir(), "r.hcl")
		if err := os.WriteFile(path, []byte("recipe \"base\" {\n  styles = { \""+name+"\" = 0.5 }\n}\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		scene, ds := dsl.Load(t.Context(), path, dsl.Vars{})
		known := name != dataset.Solid+"x"
		if known == ds.HasErrors() || known && scene.Recipes[0].Styles[name] != 0.5 {
			t.Errorf("the style %q: %v", name, ds)
		}
	}
}
