package weights_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/eligen/eligen/model/internal/modeltest"
	"github.com/eligen/eligen/model/weights"
)

// The same weights under BFL's and under diffusers' names are the same tensors,
// number for number.
func TestNamesGiveTheSameWeights(t *testing.T) {
	set := modeltest.Goldens(t)
	for _, c := range []struct{ kind, bfl, diffusers string }{
		{weights.KindTransformer, "flux1-tiny.safetensors", "transformer"},
		{weights.KindAutoencoder, "ae.safetensors", "vae"},
	} {
		t.Run(c.kind, func(t *testing.T) {
			a, b := modeltest.Open(t, filepath.Join(set, "models", c.bfl)), modeltest.Open(t, filepath.Join(set, "models", c.diffusers))
			if a.Kind != c.kind || b.Kind != c.kind || a.Format != "bfl" || b.Format != "diffusers" {
				t.Fatalf("taken for %s by %s and %s by %s", a.Kind, a.Format, b.Kind, b.Format)
			}
			if diff := cmp.Diff(a.Shapes(), b.Shapes()); diff != "" {
				t.Errorf("names and shapes differ (-bfl +diffusers):\n%s", diff)
			}
			for _, info := range a.Tensors() {
				if d := modeltest.Differ(modeltest.All(t, a, info.Name), modeltest.All(t, b, info.Name)); d != 0 {
					t.Errorf("%s differs by %g", info.Name, d)
				}
			}
		})
	}
}

// Every mismatch is named at once, with a guess where a name is nearly right.
func TestCheck(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.safetensors")
	modeltest.WriteRamps(t, path, weights.Weight{Name: "img_in.weight", Shape: []int{4, 4}},
		weights.Weight{Name: "txt_inn.weight", Shape: []int{4, 4}}, weights.Weight{Name: "stranger", Shape: []int{1}},
		weights.Weight{Name: "bias", Shape: []int{3}})
	err := weights.Check("a.safetensors", modeltest.Open(t, path),
		[]weights.Weight{{"img_in.weight", []int{4, 4}}, {"txt_in.weight", []int{4, 4}}, {"bias", []int{4}}, {"gone", []int{2, 2}}})
	want := `a.safetensors: the tensors are not those of the model:
  bias has shape [3], expected [4]
  txt_in.weight [4 4] is missing; did the file mean it by txt_inn.weight?
  gone [2 2] is missing
  txt_inn.weight is not part of the model
  stranger is not part of the model`
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
	var many []weights.Weight
	for i := range 50 {
		many = append(many, weights.Weight{Name: fmt.Sprintf("layer.%d", i), Shape: []int{1}})
	}
	if err := weights.Check("x", modeltest.Open(t, path), many); err == nil || strings.Count(err.Error(), "\n") != 21 ||
		!strings.Contains(err.Error(), "and 34 more") {
		t.Errorf("fifty missing and four extra tensors should be listed up to twenty, and counted:\n%v", err)
	}
}

// What can't be a checkpoint is refused with the reason.
func TestOpenCheckpointRefuses(t *testing.T) {
	dir := t.TempDir()
	write := func(name, data string) string {
		p := filepath.Join(dir, name)
		modeltest.WriteFile(t, p, func(b *bytes.Buffer) error { b.WriteString(data); return nil })
		return p
	}
	modeltest.WriteRamps(t, filepath.Join(dir, "good.safetensors"), weights.Weight{Name: "a", Shape: []int{10}})
	modeltest.WriteRamps(t, filepath.Join(dir, "twins", "a.safetensors"), weights.Weight{Name: "a", Shape: []int{1}})
	modeltest.WriteRamps(t, filepath.Join(dir, "twins", "b.safetensors"), weights.Weight{Name: "b", Shape: []int{1}})
	modeltest.WriteRamps(t, filepath.Join(dir, "shards", "x-1.safetensors"), weights.Weight{Name: "a", Shape: []int{1}})
	write("shards/x.safetensors.index.json", `{"weight_map": {"a": "x-1.safetensors", "b": "x-2.safetensors"}}`)
	modeltest.WriteRamps(t, filepath.Join(dir, "liar", "x-1.safetensors"), weights.Weight{Name: "a", Shape: []int{1}})
	write("liar/x.safetensors.index.json", `{"weight_map": {"a": "x-1.safetensors", "b": "x-1.safetensors"}}`)
	write("escape/x.safetensors.index.json", `{"weight_map": {"a": "../good.safetensors"}}`)
	write("empty/README", "")
	good, err := os.ReadFile(filepath.Join(dir, "good.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ path, want string }{
		{write("model.ckpt", "x"), "pickle"},
		{write("model.gguf", "x"), "GGUF"},
		{write("short.safetensors", "abc"), "not a safetensors file"},
		{write("cut.safetensors", string(good[:len(good)-5])), `tensor "a"`},
		{write("long.safetensors", string(good)+"x"), "after its last tensor"},
		{filepath.Join(dir, "twins"), "no index"},
		{filepath.Join(dir, "shards"), "lacks x-2.safetensors"},
		{filepath.Join(dir, "liar"), `tensor "b"`},
		{filepath.Join(dir, "escape"), "outside its own folder"},
		{filepath.Join(dir, "empty"), "no safetensors file"},
		{filepath.Join(dir, "nowhere"), "no such file"},
	} {
		cp, err := weights.Open(c.path)
		if err == nil {
			cp.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error with %q", filepath.Base(c.path), err, c.want)
		}
	}
}
