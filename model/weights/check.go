package weights

import (
	"fmt"
	"slices"
	"strings"

	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/internal/words"
	"github.com/eligen/eligen/model/quant"
)

// A Weight is a tensor that a model wants.
type Weight struct {
	Name  string
	Shape []int
}

// List turns a network's own list of weights into Weights.
func List[W ~struct {
	Name  string
	Shape []int
}](list []W) []Weight {
	out := make([]Weight, len(list))
	for i, w := range list {
		out[i] = Weight(w)
	}
	return out
}

// readable names the dtypes that weights may have.
const readable = "F32, BF16, F16, F64, F8_E4M3, F8_E5M2 and GGUF's blocks"

// maxListed is the number of problems that an error lists before it only counts them.
const maxListed = 20

// Check compares what a loader has with what a model wants, tensor by tensor,
// and reports everything that is missing, of another shape or dtype, or in
// excess, before any of it is read. what names the weights in the message.
func Check(what string, l Loader, want []Weight) error {
	have := map[string]tensor.Info{}
	for _, t := range l.Tensors() {
		have[t.Name] = t
	}
	wanted := map[string]bool{}
	var missing []Weight
	var problems []string
	for _, w := range want {
		wanted[w.Name] = true
		t, ok := have[w.Name]
		switch {
		case !ok:
			missing = append(missing, w)
		case !slices.Equal(t.Shape, w.Shape) && len(t.Shape)+len(w.Shape) > 0:
			problems = append(problems, fmt.Sprintf("%s has shape %v, expected %v", w.Name, t.Shape, w.Shape))
		case !quant.IsWeight(t.DType):
			problems = append(problems, fmt.Sprintf("%s is stored as %s; eligen reads %s", w.Name, t.DType, readable))
		}
	}
	var extra []string
	for _, t := range l.Tensors() {
		if !wanted[t.Name] {
			extra = append(extra, t.Name)
		}
	}
	for i, w := range missing {
		s := fmt.Sprintf("%s %v is missing", w.Name, w.Shape)
		if i < maxListed {
			if n := nearest(w.Name, extra); n != "" {
				s += fmt.Sprintf("; did the file mean it by %s?", n)
			}
		}
		problems = append(problems, s)
	}
	for _, n := range extra {
		problems = append(problems, n+" is not part of the model")
	}
	if len(problems) == 0 {
		return nil
	}
	more := ""
	if n := len(problems) - maxListed; n > 0 {
		problems, more = problems[:maxListed], fmt.Sprintf("\n  and %d more", n)
	}
	return fmt.Errorf("%s: the tensors are not those of the model:\n  %s%s", what, strings.Join(problems, "\n  "), more)
}

// nearest returns the candidate with the smallest edit distance, if it is small
// enough to be a misspelling.
func nearest(name string, candidates []string) string {
	best, at := "", max(3, len(name)/5)+1
	for _, c := range candidates {
		if d := len(c) - len(name); d >= at || -d >= at {
			continue
		}
		if d := words.Distance(name, c); d < at {
			best, at = c, d
		}
	}
	return best
}
