package denoise_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/stage/denoise"
)

// recorder is an engine that notes what it is asked for, and hands latents back.
type recorder struct {
	eligen.Engine
	asked eligen.Denoise
	stop  context.CancelFunc // called in step 3
}

func (r *recorder) Denoise(ctx context.Context, d eligen.Denoise) (tensor.Tensor, error) {
	r.asked = d
	x := tensor.Tensor{Shape: d.Latents.Shape, Data: append([]float32{}, d.Latents.Data...)}
	for step := d.From; step < len(d.Sigmas)-1; step++ {
		if err := ctx.Err(); err != nil {
			return x, err
		}
		for i := range x.Data {
			x.Data[i] += float32(step + 1)
		}
		if step+1 == 3 && r.stop != nil {
			r.stop()
		}
		d.Step(step+1, len(d.Sigmas)-1, x)
	}
	return x, nil
}

func (*recorder) Decode(context.Context, eligen.Digest, tensor.Tensor, *eligen.Tiling) (image.Image, error) {
	return nil, errors.New("no decoder here")
}

func file(t *testing.T, tensors ...tensor.Named) eligen.Artifact {
	t.Helper()
	var b bytes.Buffer
	if err := tensor.Write(&b, nil, tensors...); err != nil {
		t.Fatal(err)
	}
	return eligen.Artifact{Data: b.Bytes()}
}

func filled(value float32, shape ...int) tensor.Tensor {
	t := tensor.New(shape...)
	for i := range t.Data {
		t.Data[i] = value
	}
	return t
}

func latents(t *testing.T, value float32) eligen.Artifact {
	return file(t, tensor.Named{Name: "latents", Tensor: filled(value, 16, 4, 6)})
}

func prompt(t *testing.T, value float32) eligen.Artifact {
	return file(t, tensor.Named{Name: "txt", Tensor: filled(value, 2, 3)}, tensor.Named{Name: "vec", Tensor: filled(value, 5)})
}

// TestInputs: inputs come in one order, and each finds its place.
func TestInputs(t *testing.T) {
	op := denoise.Op{
		Transformer: "dit", Adapters: []eligen.AdapterWeights{{Kind: "lora", Digest: "l", Scale: 1}},
		Schedule: denoise.Schedule{Name: "eligen", Steps: 20, Shift: 3, Strength: 0.6}, CFG: 3, Guidance: 3.5,
		Negative: true, NegativeEntities: true, Init: true,
		Entities: []denoise.Entity{{Tokens: []int32{1}, Bucket: 16, Strength: 1}, {Tokens: []int32{2, 3}, Bucket: 16, Strength: 2}},
	}
	engine := &recorder{}
	var out bytes.Buffer
	err := op.Run(t.Context(), &eligen.Call{
		Inputs: []eligen.Artifact{latents(t, 10), prompt(t, 1), prompt(t, 2), prompt(t, 3), prompt(t, 4), latents(t, 100)},
		Out:    &out, Engine: engine, Step: func(int, int) {},
	})
	if err != nil {
		t.Fatal(err)
	}
	sigmas, err := eligen.Sigmas("eligen", 20, nil, 0.6, 6)
	if err != nil {
		t.Fatal(err)
	}
	// Image to image: (1 − σ)·picture + σ·noise.
	mixed := float32((1-sigmas[0])*100) + float32(sigmas[0]*10)
	want := eligen.Denoise{
		Transformer:      "dit",
		Adapters:         op.Adapters,
		Patch:            2,
		Latents:          filled(mixed, 16, 4, 6),
		Sigmas:           sigmas,
		CFG:              3,
		Guidance:         3.5,
		NegativeEntities: true,
		Prompt: eligen.Conditioning{
			"txt": filled(1, 2, 3),
			"vec": filled(1, 5),
		},
		Negative: eligen.Conditioning{"txt": filled(2, 2, 3), "vec": filled(2, 5)},
		Entities: []eligen.EntityConditioning{
			{
				Prompt:   eligen.Conditioning{"txt": filled(3, 2, 3), "vec": filled(3, 5)},
				Tokens:   []int32{1},
				Bucket:   16,
				Strength: 1,
			},
			{Prompt: eligen.Conditioning{"txt": filled(4, 2, 3), "vec": filled(4, 5)}, Tokens: []int32{2, 3}, Bucket: 16, Strength: 2},
		},
	}
	engine.asked.Step = nil
	if diff := cmp.Diff(want, engine.asked); diff != "" {
		t.Error(diff)
	}
	result, err := tensor.Read(out.Bytes())
	if err != nil || !cmp.Equal(result["latents"].Shape, []int{16, 4, 6}) {
		t.Errorf("the result is %v, %v", result["latents"].Shape, err)
	}
}

// TestPictures: image prompts come last, each with its scale, and what is seen of none
// goes to the negative side, at the reference's scale.
func TestPictures(t *testing.T) {
	tokens := func(value float32) eligen.Artifact {
		return file(t, tensor.Named{Name: "tokens", Tensor: filled(value, 4, 3)})
	}
	op := denoise.Op{
		Transformer: "dit", Schedule: denoise.Schedule{Name: "eligen", Steps: 4, Shift: 3, Strength: 1}, CFG: 3, Negative: true,
		ImageAdapter: "ip", Images: []float64{0.7, -1},
	}
	inputs := []eligen.Artifact{latents(t, 10), prompt(t, 1), prompt(t, 2), tokens(3), tokens(4), tokens(5)}
	run := func(op denoise.Op, inputs ...eligen.Artifact) (eligen.Denoise, error) {
		engine := &recorder{}
		err := op.Run(t.Context(), &eligen.Call{Inputs: inputs, Out: &bytes.Buffer{}, Engine: engine, Step: func(int, int) {}})
		return engine.asked, err
	}
	got, err := run(op, inputs...)
	if err != nil {
		t.Fatal(err)
	}
	if got.ImageAdapter != "ip" {
		t.Errorf("the IP-Adapter is %q", got.ImageAdapter)
	}
	if diff := cmp.Diff([]eligen.ImagePrompt{{Tokens: filled(3, 4, 3), Scale: 0.7}, {Tokens: filled(4, 4, 3), Scale: -1}},
		got.ImagePrompts); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]eligen.ImagePrompt{{Tokens: filled(5, 4, 3), Scale: 1}}, got.NegativeImagePrompts); diff != "" {
		t.Error(diff)
	}
	op.Negative = false
	if got, err := run(op, inputs[0], inputs[1], inputs[3], inputs[4]); err != nil || len(got.ImagePrompts) != 2 ||
		got.NegativeImagePrompts != nil {
		t.Errorf("without guidance: %d and %d image prompts, %v", len(got.ImagePrompts), len(got.NegativeImagePrompts), err)
	}
	if _, err := run(op, inputs[:4]...); err == nil {
		t.Error("a prompt is taken for an image prompt")
	}
}

// TestCleanSource: the first columns of what is kept are seen as they are, from the first
// step on, and the velocity that keeps a picture moves them no more.
func TestCleanSource(t *testing.T) {
	op := denoise.Op{
		Transformer: "dit", Schedule: denoise.Schedule{Name: "eligen", Steps: 4, Shift: 3, Strength: 1}, CFG: 1,
		Fusion: &denoise.Fusion{Paint: []int32{5}, Clean: 3},
	}
	engine := &recorder{}
	if err := op.Run(
		t.Context(),
		&eligen.Call{
			Inputs: []eligen.Artifact{latents(t, 10), prompt(t, 1), latents(t, 100)},
			Out:    &bytes.Buffer{},
			Engine: engine,
			Step:   func(int, int) {},
		},
	); err != nil {
		t.Fatal(err)
	}
	v := make([]float32, len(engine.asked.Latents.Data))
	engine.asked.Fusion.Fuse(v, engine.asked.Latents.Data, 0.5)
	for i, x := range engine.asked.Latents.Data {
		want, moves := float32(10), float32(10-100)/0.5
		if i%6 < 3 {
			want, moves = 100, 0
		}
		if i%24 == 5 { // painted
			moves = 0
		}
		if x != want || v[i] != moves {
			t.Fatalf("latent %d is %v and is moved by %v, want %v and %v", i, x, v[i], want, moves)
		}
	}
}

// TestResume interrupts a run at every step: the next goes on from what was kept and
// ends with the same bytes.
func TestResume(t *testing.T) {
	op := denoise.Op{Schedule: denoise.Schedule{Name: "flux-schnell", Steps: 9, Strength: 1}, CFG: 1}
	inputs := []eligen.Artifact{latents(t, 1), prompt(t, 1)}
	var whole bytes.Buffer
	if err := op.Run(t.Context(), &eligen.Call{Inputs: inputs, Out: &whole, Engine: &recorder{}, Step: func(int, int) {}}); err != nil {
		t.Fatal(err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	kept, at := map[int][]byte{}, []int{}
	err := op.Run(ctx, &eligen.Call{
		Inputs: inputs, Out: new(bytes.Buffer), Engine: &recorder{stop: cancel}, Step: func(int, int) {},
		Save: func(b []byte, step int) { kept[step] = b; at = append(at, step) },
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("Run: %v", err)
	}
	if diff := cmp.Diff([]int{3}, at); diff != "" {
		t.Errorf("kept at steps:\n%s", diff)
	}

	for name, saved := range map[string][]byte{
		"what was kept":  kept[3],
		"nothing":        nil,
		"something else": []byte("noise"),
		"another size":   file(t, tensor.Named{Name: "latents", Tensor: filled(9, 16, 2, 2)}).Data,
	} {
		var out bytes.Buffer
		first := 0
		at = nil
		err := op.Run(t.Context(), &eligen.Call{
			Inputs: inputs, Out: &out, Engine: &recorder{},
			Saved: func() ([]byte, int) { return saved, 3 },
			Save:  func(_ []byte, step int) { at = append(at, step) },
			Step: func(step, of int) {
				if first == 0 {
					first = step
				}
			},
		})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !bytes.Equal(out.Bytes(), whole.Bytes()) {
			t.Errorf("from %s: other bytes than in one go", name)
		}
		want := 1
		if name == "what was kept" {
			want = 4
		}
		if first != want {
			t.Errorf("from %s: the first step is %d, want %d", name, first, want)
		}
		if diff := cmp.Diff([]int{4, 8}, at); diff != "" {
			t.Errorf("from %s: kept at steps:\n%s", name, diff)
		}
	}
}

// What a step cache holds is not saved, so that its steps are all made in one go.
func TestStepCacheIsNotResumed(t *testing.T) {
	op := denoise.Op{Schedule: denoise.Schedule{Name: "eligen", Steps: 9, Strength: 1}, CFG: 1, TeaCache: 0.3}
	engine := &recorder{}
	err := op.Run(t.Context(), &eligen.Call{
		Inputs: []eligen.Artifact{latents(t, 1), prompt(t, 1)}, Out: new(bytes.Buffer), Engine: engine, Step: func(int, int) {},
		Saved: func() ([]byte, int) { return latents(t, 2).Data, 3 },
		Save:  func(_ []byte, step int) { t.Errorf("step %d is kept", step) },
	})
	if err != nil || engine.asked.TeaCache != 0.3 || engine.asked.From != 0 {
		t.Errorf("it goes on from step %d with the threshold %v: %v", engine.asked.From, engine.asked.TeaCache, err)
	}
}

func TestRefuse(t *testing.T) {
	for i, c := range []struct {
		op     denoise.Op
		inputs []eligen.Artifact
	}{
		{denoise.Op{Schedule: denoise.Schedule{Name: "eligen", Steps: 4, Strength: 1}}, []eligen.Artifact{latents(t, 1)}},
		{denoise.Op{Schedule: denoise.Schedule{Name: "eligen", Steps: 4, Strength: 1}}, []eligen.Artifact{prompt(t, 1), latents(t, 1)}},
		{denoise.Op{Schedule: denoise.Schedule{Name: "eligen", Steps: 4, Strength: 1}}, []eligen.Artifact{{Data: []byte("x")}, prompt(t, 1)}},
		{denoise.Op{Schedule: denoise.Schedule{Name: "euler", Steps: 4, Strength: 1}}, []eligen.Artifact{latents(t, 1), prompt(t, 1)}},
		{denoise.Op{Schedule: denoise.Schedule{Name: "eligen", Steps: 4, Strength: 1}, Init: true}, []eligen.Artifact{
			latents(t, 1), prompt(t, 1), file(t, tensor.Named{Name: "latents", Tensor: filled(9, 16, 2, 2)}),
		}},
	} {
		if err := c.op.Run(t.Context(),
			&eligen.Call{Inputs: c.inputs, Out: new(bytes.Buffer), Engine: &recorder{}, Step: func(int, int) {}}); err == nil {
			t.Errorf("case %d ran", i)
		}
	}
}

func ExampleOp_String() {
	fmt.Println(denoise.Op{Schedule: denoise.Schedule{Name: "eligen", Steps: 20}, CFG: 2.5, Entities: make([]denoise.Entity, 2)})
	// Output: 20 steps, cfg 2.5, 2 entities
}
