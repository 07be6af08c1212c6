package encode

import (
	"testing"

	"github.com/gomlx/compute/dtypes"

	"github.com/eligen/eligen/model/exec"
	"github.com/eligen/eligen/model/internal/modeltest"
	"github.com/eligen/eligen/model/text"
	"github.com/eligen/eligen/model/weights"
)

// T5 layer by layer gives the states of T5 in one graph, and with layers that pass through memory, too.
func TestLayers(t *testing.T) {
	r := modeltest.GoRunner(t)
	c := text.T5Config{Dim: 8, FF: 12, HeadDim: 4, Heads: 2, Layers: 3, Vocab: 10}
	e := Text{T5: c, Runner: r, T5Store: exec.NewStore(r.Backend, modeltest.RandomCheckpoint(t, weights.List(c.Weights())), dtypes.Float32)}
	ids := []int32{3, 1, 4, 1, 5}
	want, err := e.States(ids)
	if err != nil {
		t.Fatal(err)
	}
	was := wholeUpTo
	wholeUpTo = 0
	defer func() { wholeUpTo = was }()
	scopes := []string{text.T5Scope(0), text.T5Scope(1), text.T5Scope(2)}
	every := func(string) bool { return true }
	for _, room := range []int64{0, 1} {
		p := e.T5Store.Plan(scopes, every, room, false)
		if p.Stays() != (room == 0) {
			t.Fatalf("room for %d bytes: %+v", room, p)
		}
		if err := e.T5Store.Stream(p, scopes, every); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			got, err := e.States(ids)
			if err != nil {
				t.Fatal(err)
			}
			if diff := modeltest.Differ(got.Data, want.Data); diff > 1e-6 {
				t.Errorf("room for %d bytes: states differ by %g", room, diff)
			}
		}
	}
	if err := e.T5Store.Release(); err != nil {
		t.Fatal(err)
	}
}
