package model_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/exec"
	"github.com/eligen/eligen/model/inspect"
	"github.com/eligen/eligen/model/lora"
	"github.com/eligen/eligen/model/nn"
	"github.com/eligen/eligen/model/weights"
)

// blank is a base of tensors of these shapes whose numbers are 0: what a LoRA makes of it
// is the change alone.
type blank map[string]tensor.Tensor

func (z blank) Tensors() (list []tensor.Info) {
	for _, name := range sortedKeys(z) {
		list = append(list, tensor.Info{Name: name, DType: "F32", Shape: z[name].Shape, Size: 4 * int64(len(z[name].Data))})
	}
	return list
}

func (blank) Bytes(string, []byte) (bool, error) { return false, nil }

func (blank) Floats(_ string, _ int, dst []float32) error {
	clear(dst)
	return nil
}

// testLoRAFile lays a file, as trainers write it, over a model's parts, and compares the change
// of every weight with the one that the trainer's library makes, at two strengths, merged into
// the weights and, where the kind allows it, next to them.
func testLoRAFile(t *testing.T, s *suite, g *golden) {
	c, f, err := weights.OpenLoRA(g.path(g.name, g.text("open")))
	if err != nil {
		if !strings.HasPrefix(g.text("expect"), "load, or refuse") {
			t.Fatal(err)
		}
		g.names(t, "message_must_name", err.Error())
		return
	}
	defer c.Close()
	if err := f.Check(); err != nil {
		t.Error(err)
	}
	dropped := strings.Join(f.Dropped(), "\n")
	var parts map[string]struct {
		Expected string `json:"expected"`
		Weaker   string `json:"expected_0.7"`
	}
	g.field(t, "parts", &parts)
	for name, part := range map[string]lora.Part{"transformer": lora.Transformer, "clip": lora.CLIP, "t5": lora.T5} {
		p, ok := parts[name]
		if !ok {
			if f.Has(part) {
				t.Errorf("%s is changed; no change is wanted", name)
			}
			continue
		}
		want, err := readTensors(g.path(g.name, p.Expected))
		if err != nil {
			t.Fatal(err)
		}
		weaker := map[string]tensor.Tensor{}
		if p.Weaker != "" {
			if weaker, err = readTensors(g.path(g.name, p.Weaker)); err != nil {
				t.Fatal(err)
			}
		} else {
			for name, x := range want {
				weaker[name] = scaledBy(x, 0.7)
			}
		}
		var base weights.Loader = blank(want)
		if part == lora.Transformer {
			base = g.open(t, g.text("base"))
		}
		for _, at := range []struct {
			strength float64
			want     map[string]tensor.Tensor
		}{{1, want}, {0.7, weaker}} {
			layer := lora.Layer{File: f, Scale: at.strength, Part: part}
			l, err := lora.Over(base, layer)
			if err != nil {
				t.Fatal(err)
			}
			g.changes(t, s, base, l, at.want)
			if f.Unmerged() != nil {
				continue
			}
			layer.Scale = 1
			if l, err = lora.Beside(base, layer); err != nil {
				t.Fatal(err)
			}
			g.changes(t, s, base, l, at.want, float32(at.strength))
		}
	}
	if g.has("message_must_name_if_dropped") && (dropped != "" || len(parts) == 1) {
		g.names(t, "message_must_name_if_dropped", dropped)
	}
}

func scaledBy(x tensor.Tensor, by float32) tensor.Tensor {
	out := tensor.New(x.Shape...)
	for i, v := range x.Data {
		out.Data[i] = by * v
	}
	return out
}

// changes compares a loader's weights less the base's, as a backend has them, with the changes
// that are wanted. What isn't wanted must not change. scales are of LoRAs beside the weights.
func (g *golden) changes(t *testing.T, s *suite, base, l weights.Loader, want map[string]tensor.Tensor, scales ...float32) {
	t.Helper()
	store := exec.NewStore(s.runner.Backend, l, dtypes.Float32)
	if err := store.Scale(scales...); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := store.Release(); err != nil {
			t.Error(err)
		}
	}()
	infos := base.Tensors()
	if len(scales) > 0 { // what has nothing next to it was compared before
		infos = slices.DeleteFunc(slices.Clone(infos), func(t tensor.Info) bool {
			return !slices.ContainsFunc(l.Tensors(), func(x tensor.Info) bool { return x.Name == lora.A(t.Name, 0) || x.Name == lora.D(t.Name, 0) })
		})
	}
	// Base by base, the graphs of merged weights are the same ones.
	values, err := s.runner.Run(exec.Graph{Name: fmt.Sprint("lora ", infos), Build: func(w nn.Weights, _ []*Node) (out []*Node) {
		for _, t := range infos {
			layer, ok := strings.CutSuffix(t.Name, ".weight")
			if !ok || len(t.Shape) != 2 || len(scales) == 0 {
				out = append(out, w(t.Name))
				continue
			}
			// A layer makes of the rows of the identity its columns.
			square := shapes.Make(dtypes.Int32, t.Shape[1], t.Shape[1])
			g := w(t.Name).Graph()
			identity := ConvertDType(Equal(Iota(g, square, 0), Iota(g, square, 1)), dtypes.Float32)
			out = append(out, Transpose(w.In(layer).LinearNoBias(identity), 0, 1))
		}
		return out
	}}, store)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]tensor.Tensor{}
	for i, info := range infos {
		change := tensor.Tensor{Shape: info.Shape, Data: tensors.MustCopyFlatData[float32](values[i])}
		values[i].MustFinalizeAll()
		of := make([]float32, len(change.Data))
		if err := base.Floats(info.Name, 0, of); err != nil {
			t.Fatal(err)
		}
		still := true
		for i, x := range of {
			change.Data[i] -= x
			still = still && change.Data[i] == 0
		}
		if _, wanted := want[info.Name]; wanted {
			got[info.Name] = change
		} else if !still {
			t.Errorf("%s changes; no change is wanted", info.Name)
		}
	}
	for _, name := range sortedKeys(want) {
		if x, ok := got[name]; ok {
			g.near(t, name, x, want[name])
		} else if len(scales) == 0 {
			t.Errorf("%s: not computed", name)
		}
	}
}

// testNegative opens what is no LoRA that can be used.
func testNegative(t *testing.T, g *golden) {
	r, err := inspect.Path(g.path(g.name, g.text("open")))
	if err == nil && r.Problem == "" { // perhaps another model's, which has come since: FLUX refuses it
		if _, _, err = weights.OpenLoRA(g.path(g.name, g.text("open"))); err == nil {
			t.Fatalf("it is taken for %s", r.Title)
		}
		g.names(t, "message_must_name", r.Title)
	}
	message := r.Problem
	if err != nil {
		message = err.Error()
	}
	message = strings.ReplaceAll(message, filepath.Dir(g.path(g.name, "x")), "")
	g.names(t, "message_must_name", message)
}

// names checks that a message has one word of each list.
func (g *golden) names(t *testing.T, field, message string) {
	t.Helper()
	var lists [][]string
	g.field(t, field, &lists)
	for _, words := range lists {
		found := false
		for _, w := range words {
			found = found || strings.Contains(message, w)
		}
		if !found {
			t.Errorf("the message has none of %q:\n%s", words, message)
		}
	}
}
