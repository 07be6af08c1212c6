package encode_test

import (
	"bytes"
	"testing"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/paint"
	"github.com/eligen/eligen/stage/encode"
)

// TestRun: a global prompt has a pooled vector, an entity's has none.
func TestRun(t *testing.T) {
	spec, _ := paint.Engine{}.Spec(eligen.Model{Family: "nano"}, nil)
	for _, pooled := range []bool{true, false} {
		var out bytes.Buffer
		op := encode.Op{Text: spec.Text, Prompt: "a red dog", Length: 4, Pooled: pooled}
		if err := op.Run(t.Context(), &eligen.Call{Out: &out, Engine: paint.Engine{}}); err != nil {
			t.Fatal(err)
		}
		tensors, err := tensor.Read(out.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		_, vec := tensors["vec"]
		if txt := tensors["txt"]; len(txt.Shape) != 2 || txt.Shape[0] != 4 || vec != pooled {
			t.Errorf("pooled %v: txt %v, vec %v", pooled, txt.Shape, vec)
		}
	}
	if err := (encode.Op{Text: "unknown", Length: 1}).Run(t.Context(),
		&eligen.Call{Out: new(bytes.Buffer), Engine: paint.Engine{}}); err == nil {
		t.Error("unknown weights encoded a prompt")
	}
}
