package cuda

import (
	"fmt"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/model/exec"
	"github.com/eligen/eligen/model/families"
	"github.com/eligen/eligen/model/family"
	"github.com/eligen/eligen/model/fluxmodel"
	"github.com/eligen/eligen/model/rows"
)

// A job is graphs of one kind, under a name.
type job struct {
	name     string
	requests func(compute.Backend) ([]exec.CompileRequest, error)
	fused    bool // blocks must go through cuDNN's attention, which keeps no scores
}

// heads is FLUX.1's number of attention heads.
const heads = 24

// described returns FLUX.1 [dev] by its shapes alone, computed in bfloat16.
func described(form family.Form, integers rows.Form) (*family.Model, error) {
	return in(dtypes.BFloat16, form, integers)
}

func in(dtype dtypes.DType, form family.Form, integers rows.Form) (*family.Model, error) {
	f, err := families.All.Find("flux")
	if err != nil {
		return nil, err
	}
	return f.Describe(eligen.Model{Family: "flux"}, form, family.Settings{DType: func(eligen.Model, string) (family.Numbers, error) {
		name := "bfloat16"
		if integers != "" {
			name = string(integers)
		}
		return family.Numbers{Name: name, Computed: "bfloat16", DType: dtype, Rows: integers}, nil
	}})
}

// broken is a job that must not pass: in float32, attention isn't fused.
var broken = job{name: "broken", fused: true, requests: func(b compute.Backend) ([]exec.CompileRequest, error) {
	m, err := in(dtypes.Float32, family.Form{Transformer: "BF16", Text: "BF16"}, "")
	if err != nil {
		return nil, err
	}
	return m.Transformer.(*fluxmodel.DiT).Graphs(b, eligen.Size{W: 512, H: 512}, 512, nil, false)
}}

// jobs are all graphs that are compiled: pictures of FLUX.1 at two sizes, with 0, 4 and 8 entities, its other
// parts, and the forms of weights.
func jobs() (list []job) {
	plain := family.Form{Transformer: "BF16", Text: "BF16"}
	step := func(name string, form family.Form, integers rows.Form, side, entities int, pictures bool) {
		list = append(list, job{name: name, fused: true, requests: func(b compute.Backend) ([]exec.CompileRequest, error) {
			m, err := described(form, integers)
			if err != nil {
				return nil, err
			}
			var groups []eligen.GroupSizes
			if entities > 0 {
				groups = []eligen.GroupSizes{{Entities: entities, Text: 512, Region: side * side / 256 / 8}}
			}
			return m.Transformer.(*fluxmodel.DiT).Graphs(b, eligen.Size{W: side, H: side}, 512, groups, pictures)
		}})
	}
	for _, side := range []int{1024, 512} {
		for _, n := range []int{0, 4, 8} {
			step(fmt.Sprintf("step %d %d entities", side, n), plain, "", side, n, false)
		}
	}
	step("step 1024 4 entities int8", plain, rows.Int8, 1024, 4, false)
	step("step 1024 4 entities int4", plain, rows.Int4, 1024, 4, false)
	step("step 1024 4 entities pictures", plain, "", 1024, 4, true)
	other := func(name string, f func(m *family.Model, b compute.Backend) ([]exec.CompileRequest, error)) {
		list = append(list, job{name: name, requests: func(b compute.Backend) ([]exec.CompileRequest, error) {
			m, err := described(plain, "")
			if err != nil {
				return nil, err
			}
			return f(m, b)
		}})
	}
	for _, length := range []int{512, 256} {
		other(fmt.Sprintf("text %d", length), func(m *family.Model, b compute.Backend) ([]exec.CompileRequest, error) {
			return m.Encoders.(*fluxmodel.Text).Graphs(b, length)
		})
	}
	for _, side := range []int{1024, 512} {
		other(fmt.Sprintf("autoencoder %d", side), func(m *family.Model, b compute.Backend) ([]exec.CompileRequest, error) {
			return m.Autoencoder.(*fluxmodel.VAE).Graphs(b, eligen.Size{W: side, H: side})
		})
	}
	return list
}
