package flux

import (
	"math/rand/v2"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"

	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/nn"
)

// What pictures do to the velocity, by the arithmetic that the reference's choices
// imply.
func TestPictures(t *testing.T) {
	const ones = 3 // tokens of a picture
	be := goBackend(t)
	r := rand.New(rand.NewPCG(5, 7))
	ip := IPConfig{ImageDim: 6, Hidden: 8, Tokens: ones, TokenDim: 10, Dim: tiny.Dim, Blocks: tiny.Double + tiny.Single}
	weights := randomWeights(r, tiny)
	for _, w := range ip.Weights() {
		weights["w:"+w.Name] = random(r, 0.5, w.Shape...)
	}
	inputs := with(weights, tensorMap{
		"latents": random(r, 1, 1, tiny.LatentChannels, 4, 6), "timestep": {Shape: []int{1}, Data: []float32{700}},
		"guidance": {Shape: []int{1}, Data: []float32{3.5}},
		"txt":      random(r, 1, 1, 5, tiny.TextDim), "vec": random(r, 1, 1, tiny.PooledDim),
	})
	// velocity sees pictures of vectors, each at a scale.
	velocity := func(scale []float32, vectors ...[]float32) tensor.Tensor {
		more := tensorMap{}
		if len(vectors) > 0 {
			vec, by := tensor.Tensor{Shape: []int{len(vectors), ip.ImageDim}}, tensor.Tensor{Shape: []int{1, ones * len(vectors)}}
			for i, v := range vectors {
				vec.Data = append(vec.Data, v...)
				for range ones {
					by.Data = append(by.Data, scale[i])
				}
			}
			more = tensorMap{"vectors": vec, "scale": by}
		}
		return be.run(t, "pictures", with(inputs, more), func(w nn.Weights, in map[string]*Node) map[string]*Node {
			input := Input{Latents: in["latents"], Timestep: in["timestep"], Guidance: in["guidance"], Txt: in["txt"], Vec: in["vec"]}
			if in["vectors"] != nil {
				tokens := ImageTokens(w, in["vectors"])
				tokens = Reshape(tokens, 1, -1, ip.TokenDim)
				for i := range ip.Blocks {
					input.Pictures = append(input.Pictures, ImageKeyValue(w.In(IPBlock(i)), tiny, tokens).Scaled(in["scale"]))
				}
			}
			return map[string]*Node{"": Velocity(w, tiny, input)}
		})[""]
	}
	a, b, zero := random(r, 1, ip.ImageDim).Data, random(r, 1, ip.ImageDim).Data, make([]float32, ip.ImageDim)
	plain, both := velocity(nil), velocity([]float32{0.7, 0.4}, a, b)
	for _, c := range []struct {
		what      string
		got, want tensor.Tensor
		same      bool
	}{
		{"a picture at scale 0 is as none", velocity([]float32{0}, a), plain, true},
		{"a picture is seen", velocity([]float32{0.7}, a), plain, false},
		{"a vector of zeros is a picture, too", velocity([]float32{1}, zero), plain, false},
		{"their order doesn't matter", velocity([]float32{0.4, 0.7}, b, a), both, true},
		{"which has which scale does", velocity([]float32{0.7, 0.4}, b, a), both, false},
		{"a picture twice is the picture once", velocity([]float32{0.7, 0.7}, a, a), velocity([]float32{0.7}, a), true},
	} {
		if d := distance(t, c.got, c.want); c.same && !(d <= 5e-6) || !c.same && d < 1e-3 {
			t.Errorf("%s: the velocities differ by %g", c.what, d)
		}
	}
}

func TestDetectIP(t *testing.T) {
	shapes := map[string][]int{}
	for _, w := range InstantX.Weights() {
		shapes[w.Name] = w.Shape
	}
	shape := func(name string) []int { return shapes[name] }
	if c, err := DetectIP(shape); err != nil || c != InstantX {
		t.Errorf("InstantX's shapes are %+v, %v", c, err)
	}
	if err := InstantX.Fits(Dev); err != nil {
		t.Error(err)
	}
	if err := InstantX.Fits(Nano); err == nil {
		t.Error("InstantX's IP-Adapter is said to fit nano")
	}
	delete(shapes, "image_proj.norm.weight")
	if c, err := DetectIP(shape); err == nil {
		t.Errorf("without a norm it is %+v", c)
	}
}
