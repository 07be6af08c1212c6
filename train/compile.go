package train

import (
	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/nn"
)

// Compile returns a graph over fixed weights, ready to be called.
func Compile(backend compute.Backend, weights map[string]tensor.Tensor, f func(w nn.Weights, in []*Node) []*Node) (*model.Exec, error) {
	store := model.NewStore()
	for _, name := range sortedKeys(weights) {
		t := weights[name]
		if _, err := store.CreateVariable("/"+name, tensors.FromFlatDataAndDimensions(t.Data, t.Shape...)); err != nil {
			return nil, err
		}
	}
	exec, err := model.NewExec(backend, store, func(scope *model.Scope, in []*Node) []*Node {
		return f(func(name string) *Node { return store.GetVariable("/" + name).NodeValue(in[0]) }, in)
	})
	if err != nil {
		return nil, err
	}
	exec.SetMaxCache(-1)
	return exec, nil
}
