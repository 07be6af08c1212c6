package cuda

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/exec"
	"github.com/eligen/eligen/model/families"
	"github.com/eligen/eligen/model/family"
	"github.com/eligen/eligen/model/fluxmodel"
	"github.com/eligen/eligen/model/lora"
	"github.com/eligen/eligen/model/rows"
	"github.com/eligen/eligen/model/weights"
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
	return m.Transformer.(*fluxmodel.DiT).Graphs(b, fluxmodel.GraphSizes{Pixels: eligen.Size{W: 512, H: 512}, Text: 512})
}}

// jobs are all graphs that are compiled: pictures of FLUX.1 at two sizes, with 0, 4 and 8 entities, the forms of
// weights and what a scene may add, its other parts, and nano.
func jobs() (list []job) {
	plain := family.Form{Transformer: "BF16", Text: "BF16"}
	step := func(name string, side, entities int, integers rows.Form, more func(z *fluxmodel.GraphSizes, m *fluxmodel.DiT)) {
		list = append(list, job{name: name, fused: true, requests: func(b compute.Backend) ([]exec.CompileRequest, error) {
			m, err := described(plain, integers)
			if err != nil {
				return nil, err
			}
			z := fluxmodel.GraphSizes{Pixels: eligen.Size{W: side, H: side}, Text: 512}
			if entities > 0 {
				z.Groups = []eligen.GroupSizes{{Entities: entities, Text: 512, Region: side * side / 256 / 8}}
			}
			dit := m.Transformer.(*fluxmodel.DiT)
			if more != nil {
				more(&z, dit)
			}
			return dit.Graphs(b, z)
		}})
	}
	for _, side := range []int{1024, 512} {
		for _, n := range []int{0, 4, 8} {
			step(fmt.Sprintf("step %d %d entities", side, n), side, n, "", nil)
		}
	}
	step("step 1024 4 entities int8", 1024, 4, rows.Int8, nil)
	step("step 1024 4 entities int4", 1024, 4, rows.Int4, nil)
	step("step 1024 4 entities pictures", 1024, 4, "", func(z *fluxmodel.GraphSizes, _ *fluxmodel.DiT) { z.Pictures = true })
	step("step 1024 4 entities lora", 1024, 4, "", func(z *fluxmodel.GraphSizes, m *fluxmodel.DiT) {
		z.LoRAs, m.Loader = 1, newBeside(m.Loader, 64)
	})
	step("step 1024 4 entities strengths teacache", 1024, 4, "", func(z *fluxmodel.GraphSizes, _ *fluxmodel.DiT) {
		z.Strong, z.TeaCache = true, true
	})
	step("step 1024 4 entities in two groups of 256 text", 1024, 4, "", func(z *fluxmodel.GraphSizes, _ *fluxmodel.DiT) {
		z.Text, z.Groups = 256, []eligen.GroupSizes{{Entities: 3, Text: 256, Region: 512}, {Entities: 1, Text: 256, Region: 1024}}
	})
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
	return append(list, nano()...)
}

// nano are the graphs of the embedded model, for all kinds of scenes. It computes in float32, in which attention
// isn't fused.
func nano() (list []job) {
	graphs := func(name string, f func(m *family.Model, b compute.Backend) ([]exec.CompileRequest, error)) {
		list = append(list, job{name: "nano " + name, requests: func(b compute.Backend) ([]exec.CompileRequest, error) {
			of, err := families.All.Find("nano")
			if err != nil {
				return nil, err
			}
			m, err := of.Resolve(eligen.Model{Family: "nano"}, family.Settings{DType: func(_ eligen.Model, best string) (family.Numbers, error) {
				return family.Numbers{Name: best, Computed: best, DType: dtypes.Float32}, nil
			}})
			if err != nil {
				return nil, err
			}
			return f(m, b)
		}})
	}
	step := func(name string, z fluxmodel.GraphSizes) {
		z.Pixels, z.Text = eligen.Size{W: 256, H: 256}, 24
		graphs(name, func(m *family.Model, b compute.Backend) ([]exec.CompileRequest, error) {
			dit := m.Transformer.(*fluxmodel.DiT)
			if z.LoRAs > 0 {
				dit.Loader = newBeside(dit.Loader, 16)
			}
			return dit.Graphs(b, z)
		})
	}
	three := []eligen.GroupSizes{{Entities: 3, Text: 8, Region: 64}}
	step("step 0 entities", fluxmodel.GraphSizes{})
	step("step 3 entities", fluxmodel.GraphSizes{Groups: three})
	step("step 8 entities in two groups", fluxmodel.GraphSizes{Groups: []eligen.GroupSizes{
		{Entities: 6, Text: 8, Region: 32}, {Entities: 2, Text: 16, Region: 128}}})
	step("step 3 entities strengths teacache", fluxmodel.GraphSizes{Groups: three, Strong: true, TeaCache: true})
	step("step 3 entities pictures lora", fluxmodel.GraphSizes{Groups: three, Pictures: true, LoRAs: 1})
	graphs("text", func(m *family.Model, b compute.Backend) ([]exec.CompileRequest, error) {
		return m.Encoders.(*fluxmodel.Text).Graphs(b, 24)
	})
	graphs("autoencoder", func(m *family.Model, b compute.Backend) ([]exec.CompileRequest, error) {
		return m.Autoencoder.(*fluxmodel.VAE).Graphs(b, eligen.Size{W: 256, H: 256})
	})
	return list
}

// beside is weights with the factors of a LoRA beside the matrices of its blocks, by shapes alone.
type beside struct {
	weights.Loader
	infos []tensor.Info
}

func newBeside(l weights.Loader, rank int) *beside {
	b := &beside{Loader: l, infos: slices.Clone(l.Tensors())}
	for _, t := range l.Tensors() {
		if len(t.Shape) != 2 || !strings.Contains(t.Name, "_blocks.") {
			continue
		}
		for name, shape := range map[string][]int{lora.A(t.Name, 0): {rank, t.Shape[1]}, lora.B(t.Name, 0): {t.Shape[0], rank}} {
			b.infos = append(b.infos, tensor.Info{Name: name, DType: "F32", Shape: shape, Size: int64(4 * shape[0] * shape[1])})
		}
	}
	return b
}

// Tensors lists the weights and the factors.
func (b *beside) Tensors() []tensor.Info { return b.infos }
