package model_test

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"image"
	_ "image/png"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/pixels"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/backend"
	"github.com/eligen/eligen/model/encode"
	"github.com/eligen/eligen/model/exec"
	"github.com/eligen/eligen/model/flux"
	"github.com/eligen/eligen/model/fluxmodel"
	"github.com/eligen/eligen/stage/denoise"
	"github.com/eligen/eligen/stage/noise"
)

// vector returns plain numbers as a tensor.
func vector(x []float32) tensor.Tensor { return tensor.Tensor{Shape: []int{len(x)}, Data: x} }

func testNoise(t *testing.T, g *golden) {
	var records []struct {
		Seed         uint64
		Shape        []int
		Tensor       string
		SHA256       string
		SHA256Scalar string `json:"sha256_scalar"`
		First8       []float32
		Last8        []float32
		Sum          *float64 `json:"sum_float64"`
	}
	g.field(t, "records", &records)
	if len(records) == 0 {
		t.Fatal("no records")
	}
	exact := func(name string, got, want tensor.Tensor) {
		t.Helper()
		if !slices.Equal(got.Shape, want.Shape) {
			t.Errorf("%s: shape %v, want %v", name, got.Shape, want.Shape)
			return
		}
		for i := range want.Data {
			if math.Float32bits(got.Data[i]) != math.Float32bits(want.Data[i]) {
				t.Errorf("%s: element %d is %v, want %v", name, i, got.Data[i], want.Data[i])
				return
			}
		}
	}
	used := map[string]bool{}
	for _, r := range records {
		name := fmt.Sprintf("seed %d, shape %v", r.Seed, r.Shape)
		for variant, want := range map[noise.Variant]string{noise.AVX2: r.SHA256, noise.Scalar: r.SHA256Scalar} {
			x := noise.Randn(r.Seed, r.Shape, variant)
			if got := digest(x.Data); got != want {
				t.Errorf("%s, %s: digest %s, want %s", name, variant, got, want)
			}
		}
		x := noise.Randn(r.Seed, r.Shape, noise.AVX2)
		if r.Tensor != "" {
			exact(name, x, g.want[r.Tensor])
			used[r.Tensor] = true
			if scalar, ok := g.want["scalar."+r.Tensor]; ok {
				exact(name+", scalar", noise.Randn(r.Seed, r.Shape, noise.Scalar), scalar)
				used["scalar."+r.Tensor] = true
			}
		}
		if n := len(r.First8); n > 0 {
			exact(name+", first", vector(x.Data[:n]), vector(r.First8))
			exact(name+", last", vector(x.Data[len(x.Data)-len(r.Last8):]), vector(r.Last8))
		}
		if r.Sum != nil {
			sum := 0.0
			for _, v := range x.Data {
				sum += float64(v)
			}
			if math.Abs(sum-*r.Sum) > 1e-6 {
				t.Errorf("%s: sum %v, want %v", name, sum, *r.Sum)
			}
		}
	}

	var seed uint64
	var shapes [][]int
	g.field(t, "sequence_seed", &seed)
	g.field(t, "sequence_shapes", &shapes)
	generator := noise.NewGenerator(seed, noise.AVX2)
	for i, shape := range shapes {
		name := fmt.Sprintf("seq.%d", i)
		exact(name, generator.Randn(shape...), g.want[name])
		used[name] = true
	}

	g.field(t, "uniform_seed", &seed)
	uniform := fmt.Sprintf("uniform_seed%d", seed)
	exact(uniform, vector(torchRand(noise.NewGenerator(seed, noise.AVX2), len(g.want[uniform].Data))), g.want[uniform])
	used[uniform] = true

	var integers []uint32
	g.field(t, "randint32_seed", &seed)
	g.field(t, "randint_0_2pow32", &integers)
	generator = noise.NewGenerator(seed, noise.AVX2)
	for i, want := range integers {
		// For so large a range torch.randint draws 64 bits, the high ones first.
		generator.Uint32()
		if got := generator.Uint32(); got != want {
			t.Errorf("integer %d is %d, want %d", i, got, want)
			break
		}
	}
	for name := range g.want {
		if !used[name] {
			t.Errorf("%s: not compared", name)
		}
	}
}

func digest(x []float32) string {
	h := sha256.New()
	for _, v := range x {
		h.Write(binary.LittleEndian.AppendUint32(nil, math.Float32bits(v)))
	}
	return hex.EncodeToString(h.Sum(nil))
}

func testScheduler(t *testing.T, g *golden) {
	var tolerance struct {
		Sigma    float64 `json:"sigma_atol"`
		Timestep float64 `json:"timestep_atol"`
		Weight   float64 `json:"weight_atol"`
	}
	g.field(t, "tolerance", &tolerance)
	timesteps := func(sigmas []float32) []float32 {
		out := make([]float32, len(sigmas))
		for i, s := range sigmas {
			out[i] = 1000 * s
		}
		return out
	}

	var tables []struct {
		Steps             int
		Strength          float64 `json:"denoising_strength"`
		Shift             *float64
		Sigmas, Timesteps []float32
	}
	g.field(t, "diffsynth_tables", &tables)
	for _, table := range tables {
		name := fmt.Sprintf("%d steps, strength %g", table.Steps, table.Strength)
		sigmas, err := eligen.Sigmas("eligen", table.Steps, table.Shift, table.Strength, 0)
		if err != nil {
			t.Fatal(err)
		}
		// The reference leaves the last 0 out.
		if last := sigmas[len(sigmas)-1]; last != 0 {
			t.Errorf("%s: the last sigma is %g", name, last)
		}
		sigmas = sigmas[:len(sigmas)-1]
		near(t, name, vector(sigmas), vector(table.Sigmas), tolerance.Sigma, 0)
		near(t, name+", timesteps", vector(timesteps(sigmas)), vector(table.Timesteps), tolerance.Timestep, 0)
	}

	var published []struct {
		Kind              string
		Steps             int
		Tokens            int `json:"image_seq_len"`
		Sigmas, Timesteps []float32
	}
	g.field(t, "diffusers_tables", &published)
	for _, table := range published {
		schedule, ok := map[string]string{"dev": "diffusers", "schnell": "flux-schnell"}[table.Kind]
		if !ok {
			t.Errorf("there is no schedule for %q", table.Kind)
			continue
		}
		name := fmt.Sprintf("%s, %d steps, %d tokens", schedule, table.Steps, table.Tokens)
		sigmas, err := eligen.Sigmas(schedule, table.Steps, nil, 1, table.Tokens)
		if err != nil {
			t.Fatal(err)
		}
		near(t, name, vector(sigmas), vector(table.Sigmas), tolerance.Sigma, 0)
		near(t, name+", timesteps", vector(timesteps(sigmas[:len(sigmas)-1])), vector(table.Timesteps), tolerance.Timestep, 0)
	}

	var training struct {
		Steps   int
		Entries []struct {
			ID              int
			Sigma, Timestep float32
		}
	}
	g.field(t, "training", &training)
	sigmas, err := eligen.Sigmas("eligen", training.Steps, nil, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	at := timesteps(sigmas)
	for _, e := range training.Entries { // their weights are train's, and tested there
		name := fmt.Sprintf("training entry %d", e.ID)
		near(t, name+", sigma", vector(sigmas[e.ID:e.ID+1]), vector([]float32{e.Sigma}), tolerance.Sigma, 0)
		near(t, name+", timestep", vector(at[e.ID:e.ID+1]), vector([]float32{e.Timestep}), tolerance.Timestep, 0)
	}
	g.testSteps(t)
}

// torchRand draws n numbers in [0, 1) as torch.rand does: 24 bits of each word.
func torchRand(g *noise.Generator, n int) []float32 {
	out := make([]float32, n)
	for i := range out {
		out[i] = float32(g.Uint32()&0xffffff) / (1 << 24)
	}
	return out
}

// readPicture reads a PNG of the case.
func (g *golden) readPicture(t *testing.T, name string) image.Image {
	t.Helper()
	f, err := os.Open(g.path(g.name, name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	img, _, err := image.Decode(f)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return img
}

// maskRegion returns a mask picture as a region: on where the mean of the colours is
// above half.
func maskRegion(img image.Image) eligen.Region {
	b := img.Bounds()
	return eligen.Region{Kind: "image", Fit: "stretch", Bitmap: eligen.NewBitmap(b.Dx(), b.Dy(), func(x, y int) bool {
		r, g, b, _ := img.At(b.Min.X+x, b.Min.Y+y).RGBA()
		return r>>8+g>>8+b>>8 > 382 // 3·127.5
	})}
}

// bits returns a mask as a tensor.
func bits(on []bool, shape ...int) tensor.Tensor {
	x := tensor.New(shape...)
	for i, v := range on {
		if v {
			x.Data[i] = 1
		}
	}
	return x
}

// testImageOps runs what the product does with pictures: reducing a mask to the
// latents, scaling, blurring, and pictures to numbers and back.
func testImageOps(t *testing.T, g *golden) {
	var operations []struct {
		Kind          string
		Input         string
		InputTensor   string `json:"input_tensor"`
		Output        string
		OutputTensor  string `json:"output_tensor"`
		Entity        string
		Width, Height int
		ImageWidth    int `json:"image_width"`
		ImageHeight   int `json:"image_height"`
		Nearest       string
		Bicubic       string
		FG, Soft      string
		Filter        string
		Radius, Sigma float64
		BlurSize      int `json:"blur_size"`

		MaxPixels      int `json:"max_pixels"`
		DivisionFactor int `json:"division_factor"`
	}
	g.field(t, "operations", &operations)
	skip := later(t)
	done := 0
	for _, op := range operations {
		switch op.Kind {
		case "mask":
			region := maskRegion(g.readPicture(t, op.Input))
			canvas := eligen.Size{W: op.ImageWidth, H: op.ImageHeight}
			near(t, op.Entity, bits(region.LatentMask(canvas, eligen.DefaultGeometry), canvas.H/8, canvas.W/8), g.want[op.Entity], 1e-9, 0)
			pix, size := samples(g.readPicture(t, op.Input), 3)
			latent := eligen.Size{W: canvas.W / 8, H: canvas.H / 8}
			for name, f := range map[string]pixels.Filter{op.Nearest: pixels.Nearest, op.Bicubic: pixels.Bicubic} {
				comparePictures(t, name, rgb(pixels.Resample(pix, 3, size, latent, f), latent), g.readPicture(t, name), 0)
			}
			soft := soften(pix, size, latent)
			near(t, op.Soft, tensor.Tensor{Shape: []int{latent.H, latent.W}, Data: soft}, g.want[op.Soft], 1e-6, 0)
			painted := make([]bool, len(soft))
			for i, v := range soft {
				painted[i] = v > 0.5
			}
			near(t, op.FG, bits(painted, latent.H, latent.W), g.want[op.FG], 1e-9, 0)
			done++
		case "resize":
			f, ok := filters[op.Filter]
			if !ok {
				t.Errorf("there is no filter %q", op.Filter)
				continue
			}
			pix, size := samples(g.readPicture(t, op.Input), 3)
			to := eligen.Size{W: op.Width, H: op.Height}
			comparePictures(t, op.Output, rgb(pixels.Resample(pix, 3, size, to, f), to), g.readPicture(t, op.Output), 0)
			done++
		case "pil_gaussian_blur":
			pix, size := samples(g.readPicture(t, op.Input), 1)
			blurred := &image.Gray{Pix: gaussianBlur(pix, size, op.Radius), Stride: size.W, Rect: image.Rect(0, 0, size.W, size.H)}
			comparePictures(t, op.Output, blurred, g.readPicture(t, op.Output), 0)
			done++
		case "torchvision_gaussian_blur":
			in := g.want[op.InputTensor]
			got := blurMask(in.Data, eligen.Size{W: in.Shape[1], H: in.Shape[0]}, op.BlurSize, op.Sigma)
			near(t, op.OutputTensor, tensor.Tensor{Shape: in.Shape, Data: got}, g.want[op.OutputTensor], 1e-6, 0)
			done++
		case "train_crop_resize":
			pix, size := samples(g.readPicture(t, op.Input), 3)
			to := eligen.Size{W: op.Width, H: op.Height}
			if op.MaxPixels > 0 {
				to = size.Within(op.MaxPixels, op.DivisionFactor)
			}
			comparePictures(t, op.Output, rgb(pixels.Cover(pix, 3, size, to, pixels.Bilinear), to), g.readPicture(t, op.Output), 0)
			done++
		case "to_image", "from_image":
			g.testPixels(t, op.Kind, op.InputTensor, op.Output, op.OutputTensor)
			done++
		default:
			if skip["image_ops "+op.Kind] == "" {
				t.Errorf("there is no code for the operation %q", op.Kind)
			}
		}
	}
	if done == 0 {
		t.Error("no operation of the case was run")
	}
}

// samples returns a picture's 8-bit samples: all three colours, or the first.
func samples(img image.Image, channels int) (pix []uint8, size eligen.Size) {
	b := img.Bounds()
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			r, g, b, _ := img.At(x, y).RGBA()
			pix = append(pix, []uint8{uint8(r >> 8), uint8(g >> 8), uint8(b >> 8)}[:channels]...)
		}
	}
	return pix, eligen.Size{W: b.Dx(), H: b.Dy()}
}

func rgb(pix []uint8, size eligen.Size) image.Image {
	img := image.NewNRGBA(image.Rect(0, 0, size.W, size.H))
	for i := range size.W * size.H {
		copy(img.Pix[4*i:], pix[3*i:3*i+3])
		img.Pix[4*i+3] = 255
	}
	return img
}

// soften returns a mask picture at the latents' size, in [0,1].
func soften(pix []uint8, size, latent eligen.Size) []float32 {
	out := make([]float32, latent.W*latent.H)
	for i, v := range pixels.Resample(pix, 3, size, latent, pixels.Bicubic) {
		out[i/3] += float32(v) / 255 / 3
	}
	return out
}

// testPixels compares exactly: the rules leave no room for rounding.
func (g *golden) testPixels(t *testing.T, kind, input, output, outputTensor string) {
	t.Helper()
	if kind == "from_image" {
		// The expected tensor is of the levels 0 to 255.
		levels := image.NewGray(image.Rect(0, 0, len(g.want[outputTensor].Data), 1))
		for i := range levels.Pix {
			levels.Pix[i] = uint8(i)
		}
		x := encode.Pixels(levels)
		for c := range 3 {
			near(t, outputTensor, vector(x.Data[c*len(levels.Pix):(c+1)*len(levels.Pix)]), g.want[outputTensor], 1e-9, 0)
		}
		return
	}
	in := g.want[input] // [1,3,h,w]
	got := encode.Picture(tensor.Tensor{Shape: in.Shape[1:], Data: in.Data})
	comparePictures(t, output, got, g.readPicture(t, output), 0)
}

// comparePictures allows a difference of so many levels of 255.
func comparePictures(t *testing.T, name string, got, want image.Image, levels int) {
	t.Helper()
	if got.Bounds().Size() != want.Bounds().Size() {
		t.Errorf("%s: size %v, want %v", name, got.Bounds().Size(), want.Bounds().Size())
		return
	}
	bad, worst := 0, 0
	b, o := got.Bounds(), want.Bounds().Min
	for y := range b.Dy() {
		for x := range b.Dx() {
			r, g, bl, _ := got.At(b.Min.X+x, b.Min.Y+y).RGBA()
			r2, g2, b2, _ := want.At(o.X+x, o.Y+y).RGBA()
			for _, d := range []int{int(r>>8) - int(r2>>8), int(g>>8) - int(g2>>8), int(bl>>8) - int(b2>>8)} {
				d = max(d, -d)
				worst = max(worst, d)
				if d > levels {
					bad++
				}
			}
		}
	}
	if bad > 0 {
		t.Errorf("%s: %d values differ by more than %d levels, the worst by %d", name, bad, levels, worst)
	} else {
		t.Logf("%-24s at most %d of %d levels off", name, worst, levels)
	}
}

// zeros is a transformer without a mind of its own.
type zeros struct{ cfg flux.Config }

func (z zeros) Tensors() (list []tensor.Info) {
	for _, w := range z.cfg.Weights() {
		list = append(list, tensor.Info{Name: w.Name, DType: "F32", Shape: w.Shape})
	}
	return list
}
func (zeros) Bytes(string, []byte) (bool, error) { return false, nil }
func (zeros) Floats(_ string, _ int, dst []float32) error {
	clear(dst)
	return nil
}

// testSteps takes the steps of the sampling loop, with the case's velocity in
// place of the model's.
func (g *golden) testSteps(t *testing.T) {
	t.Helper()
	const atol, rtol = 1e-6, 1e-6
	var c struct {
		Steps    int
		Strength float64 `json:"denoising_strength"`
		Shift    *float64
	}
	g.field(t, "step_case", &c)
	sigmas, err := eligen.Sigmas("eligen", c.Steps, c.Shift, c.Strength, 0)
	if err != nil {
		t.Fatal(err)
	}
	be, _, err := backend.Open("go")
	if err != nil {
		t.Fatal(err)
	}
	defer be.Finalize()
	latents, velocity, base := g.in["latents"], g.in["noise_pred"], g.in["base"]
	cfg := flux.Nano
	cfg.LatentChannels = latents.Shape[1]
	runner := exec.NewRunner(be)
	defer runner.Finalize()
	e := &pipelineEngine{transformer: fluxmodel.Transformer{Config: cfg, Store: exec.NewStore(be, zeros{cfg}, dtypes.Float32), Runner: runner}}
	follow := func(_ int, v []float32) { copy(v, velocity.Data) }
	e.velocity = follow
	prompt := eligen.Conditioning{eligen.Txt: tensor.New(1, cfg.TextDim), eligen.Vec: tensor.New(cfg.PooledDim)}
	sample := func(x tensor.Tensor) tensor.Tensor { return tensor.Tensor{Shape: x.Shape[1:], Data: x.Data} }
	batch := func(x tensor.Tensor) tensor.Tensor {
		return tensor.Tensor{Shape: append([]int{1}, x.Shape...), Data: x.Data}
	}
	skip := later(t)
	for _, name := range sortedKeys(g.want) {
		kind, number, _ := strings.Cut(name, ".")
		i, _ := strconv.Atoi(number) // names without a number aren't numbered
		switch kind {
		case "step":
			x, err := e.transformer.Denoise(t.Context(), eligen.Denoise{
				Latents: sample(latents), Prompt: prompt, Sigmas: sigmas[i : i+2], CFG: 1,
				Velocity: follow,
			})
			if err != nil {
				t.Fatal(err)
			}
			near(t, name, batch(x), g.want[name], atol, rtol)
		case "add_noise":
			// The strength whose schedule starts at this sigma.
			shift, lowest := eligen.DefaultShift, 0.003/1.002
			if c.Shift != nil {
				shift = *c.Shift
			}
			u := float64(sigmas[i]) / (shift - (shift-1)*float64(sigmas[i]))
			op := denoise.Op{
				Schedule: denoise.Schedule{Name: "eligen", Steps: 1, Shift: shift, Strength: (u - lowest) / (1 - lowest)},
				CFG:      1, Init: true,
			}
			runOp(t, e, op, tensorFile(t, "latents", sample(velocity)),
				tensorFile(t, "txt", prompt[eligen.Txt], "vec", prompt[eligen.Vec]), tensorFile(t, "latents", sample(base)))
			near(t, name, batch(e.start), g.want[name], atol, rtol)
		case "return_to_timestep":
			// Inpainting that paints nothing goes back to the picture.
			v := make([]float32, len(base.Data))
			(&eligen.Fusion{Picture: sample(base), Paint: make([]float32, base.Shape[2]*base.Shape[3])}).Fuse(v, latents.Data, sigmas[i])
			near(t, name, tensor.Tensor{Shape: base.Shape, Data: v}, g.want[name], atol, rtol)
		case "training_target":
			// What training aims at leads straight from the noise to the picture.
			v := make([]float32, len(base.Data))
			(&eligen.Fusion{Picture: sample(base), Paint: make([]float32, base.Shape[2]*base.Shape[3])}).Fuse(v, velocity.Data, 1)
			near(t, name, tensor.Tensor{Shape: base.Shape, Data: v}, g.want[name], atol, rtol)
		default:
			if skip["scheduler "+kind] == "" {
				t.Errorf("%s: there is no code for it", name)
			}
		}
	}
}

// filters are PIL's, by its names.
var filters = map[string]pixels.Filter{
	"nearest": pixels.Nearest, "box": pixels.Box, "bilinear": pixels.Bilinear, "bicubic": pixels.Bicubic, "lanczos": pixels.Lanczos,
}
