package lab

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/dsl"
	"github.com/eligen/eligen/model/family/nano"
	"github.com/eligen/eligen/train"
)

// What nano.json says that nano was taught is what its recipes show: plans warn of all else.
func TestNanoIsTaughtWhatItsRecipesShow(t *testing.T) {
	if _, err := nano.Files().Open(nano.ManifestFile); err != nil {
		t.Skip("this build has no embedded weights")
	}
	trainee, err := train.OpenTrainee("", nil)
	if err != nil {
		t.Fatal(err)
	}
	var m nano.Manifest
	for _, file := range []string{"../../recipes/base.hcl", "../../recipes/whole.hcl"} {
		scene, ds := dsl.Load(t.Context(), file, dsl.Vars{})
		if err := ds.Err(); err != nil {
			t.Fatal(err)
		}
		teach(&m, scene.Recipes[0], true)
	}
	if diff := cmp.Diff(m.Taught, trainee.Manifest.Taught); diff != "" {
		t.Errorf("nano.json differs (-recipes +nano.json):\n%s", diff)
	}
	for _, word := range []string{"apple", "rainbow", "teal", "ink", "meadow", "below"} {
		if !slices.Contains(trainee.Manifest.Taught.Words, word) {
			t.Errorf("%q is no word of nano's", word)
		}
	}
}

// A base that goes on with further classes knows them too; of a folder's pictures nobody
// knows what they show.
func TestTrainingsTeach(t *testing.T) {
	var m nano.Manifest
	teach(&m, eligen.Recipe{Classes: 2}, false)
	if m.Taught != nil {
		t.Error("what the base knew before isn't known")
	}
	teach(&m, eligen.Recipe{Classes: 2}, true)
	teach(&m, eligen.Recipe{Classes: 3, Dataset: "composed", Styles: map[string]float64{"ink": 1}}, false)
	if want := []string{"apple", "banana", "dog"}; !slices.Equal(m.Taught.Objects, want) || !slices.Contains(m.Taught.Words, "puppy") ||
		!slices.Contains(m.Taught.Words, "ink") {
		t.Errorf("taught %v", m.Taught)
	}
	teach(&m, eligen.Recipe{Dataset: "./pictures"}, false)
	if m.Taught != nil {
		t.Errorf("with a folder: %v", m.Taught)
	}
}
