package text

import (
	"fmt"
	"slices"
	"strings"

	. "github.com/gomlx/gomlx/core/graph"
)

// Weight is the name and shape of a tensor in a checkpoint.
type Weight = struct {
	Name  string
	Shape []int
}

// Trace receives intermediate results while a graph is built, under the names
// that the tests' fixtures use. A nil Trace is never called.
type Trace func(name string, x *Node)

func (t Trace) see(name string, x *Node) {
	if t != nil {
		t(name, x)
	}
}

// check compares shapes, by name, with what a model wants. Extra tensors are
// none of its business.
func check(model string, shapes map[string][]int, want []Weight) error {
	var wrong []string
	for _, w := range want {
		got, ok := shapes[w.Name]
		switch {
		case !ok:
			wrong = append(wrong, w.Name+" is missing")
		case !slices.Equal(got, w.Shape):
			wrong = append(wrong, fmt.Sprintf("%s is %v, want %v", w.Name, got, w.Shape))
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	more := ""
	if n := len(wrong) - 3; n > 0 {
		wrong, more = wrong[:3], fmt.Sprintf(", and %d more", n)
	}
	return fmt.Errorf("not the weights of a %s: %s%s", model, strings.Join(wrong, "; "), more)
}

// layers counts n = 0, 1, … for which prefix+n+suffix is a tensor.
func layers(shapes map[string][]int, prefix, suffix string) int {
	n := 0
	for ; ; n++ {
		if _, ok := shapes[fmt.Sprintf("%s%d%s", prefix, n, suffix)]; !ok {
			return n
		}
	}
}
