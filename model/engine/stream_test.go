package engine

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/exec"
	"github.com/eligen/eligen/model/family/nano"
	"github.com/eligen/eligen/model/fluxmodel"
	"github.com/eligen/eligen/model/internal/modeltest"
	"github.com/eligen/eligen/model/quant"
)

// Blocks that pass through memory, the next one made while one runs, give the latents that blocks
// which stay give: where none stays, where one does, and again for the next picture.
func TestStreaming(t *testing.T) {
	dir := tinyFolder(t)
	for _, backend := range []string{"go", "xla"} {
		t.Run(backend, func(t *testing.T) {
			roomy := newEngine(t, backend, Options{Embedded: dir})
			_, d := job(t, roomy)
			d = short(d)
			want := denoise(t, roomy, d)
			p := roomy.dits[d.Transformer].(*fluxmodel.DiT)
			whole := exec.NewStore(nil, p.Loader, p.DType()).Plan(p.Scopes(), p.StepWeight, 0, true).Held

			tight := newEngine(t, backend, Options{Embedded: dir, Keep: 1})
			job(t, tight)
			for _, room := range []int64{1, 0, whole - 1, 1, 1} {
				program := costOf(tight.info).program
				tight.Limit(0)
				if room > 0 {
					steps, _ := costOf(tight.info).step(p.Shape(), 4, 0)(stepSizes(d, p.Shape()))
					tight.Limit(program + steps + room)
				}
				if diff := modeltest.Differ(denoise(t, tight, d).Data, want.Data); diff != 0 {
					t.Errorf("room for %d bytes: latents differ by %g", room, diff)
				}
				s := tight.stores["dit "+string(d.Transformer)]
				if held := s.Bytes(); room > 0 && held >= whole {
					t.Errorf("room for %d bytes: %d of %d are held after the steps", room, held, whole)
				}
			}
		})
	}
}

// A picture that somebody has enough of leaves no block behind that the next one would take for its
// own.
func TestStreamingStops(t *testing.T) {
	dir := tinyFolder(t)
	e := newEngine(t, "go", Options{Embedded: dir, Keep: 1})
	_, d := job(t, e)
	d = short(d)
	want := denoise(t, e, d)
	e.Limit(1)
	ctx, cancel := context.WithCancel(t.Context())
	stopped := d
	stopped.Step = func(int, int, tensor.Tensor) { cancel() }
	if _, err := e.Denoise(ctx, stopped); err == nil {
		t.Error("it was not cancelled")
	}
	if diff := modeltest.Differ(denoise(t, e, d).Data, want.Data); diff != 0 {
		t.Errorf("after it, latents differ by %g", diff)
	}
}

// Weights of eight bits are held as the file has them where not all parts fit, and give the latents
// that they give where they are held as they are computed with; also under a LoRA, merged or not.
func TestHeldAsStored(t *testing.T) {
	dir := tinyFolder(t)
	inEightBits(t, filepath.Join(dir, nano.TransformerFile))
	own := eligen.Adapter{Kind: "lora", Name: "eligen", Scale: 1, Alpha: "file"}
	for _, backend := range []string{"go", "xla"} {
		for _, factors := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, unmerged %v", backend, factors), func(t *testing.T) {
				latents := func(keep int64) (*exec.Store, []float32, int64) {
					e := newEngine(t, backend, Options{Embedded: dir, Keep: keep})
					_, d := job(t, e, own)
					d.Adapters[0].Factors = factors
					x := denoise(t, e, short(d)).Data
					for key, s := range e.stores {
						if strings.HasPrefix(key, "dit ") {
							p := e.dits[d.Transformer]
							return s, x, s.Plan(p.Scopes(), p.StepWeight, 0, true).Held
						}
					}
					t.Fatal("there is no store")
					return nil, nil, 0
				}
				_, want, _ := latents(1 << 30)
				s, got, whole := latents(1)
				if diff := modeltest.Differ(got, want); diff != 0 {
					t.Errorf("latents differ by %g", diff)
				}
				if held := s.Bytes(); factors && held > whole/2 {
					t.Errorf("%d bytes are held, of %d as they are computed with", held, whole)
				}
			})
		}
	}
}

// inEightBits writes a file's matrices anew, as F8_E4M3.
func inEightBits(t *testing.T, path string) {
	t.Helper()
	all, err := tensor.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var infos []tensor.Info
	var data []byte
	for _, name := range slices.Sorted(maps.Keys(all)) {
		x, as := all[name], "F32"
		if len(x.Shape) == 2 {
			as = "F8_E4M3"
		}
		f, _ := quant.Of(as)
		b := make([]byte, f.Size(len(x.Data)))
		f.Encode(b, x.Data)
		infos = append(infos, tensor.Info{Name: name, DType: as, Shape: x.Shape, Size: int64(len(b))})
		data = append(data, b...)
	}
	head, err := tensor.Header(nil, infos)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(head, data...), 0o600); err != nil {
		t.Fatal(err)
	}
}
