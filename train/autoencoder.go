package train

import (
	"fmt"
	"image"
	"image/draw"
	"math"
	"math/rand/v2"
	"strings"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/annotated"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/nn"
	"github.com/eligen/eligen/model/vae"
)

// Crop is the side, in pixels, of the squares that the autoencoder is trained on.
const Crop = 64

// Autoencoder trains the encoder and the decoder together on square crops of
// composed pictures: mean absolute error, the same of the picture's differences
// between neighbours (which keeps edges sharp), and a KL term small enough to
// do no more than keep latents near the unit normal.
//
// start is weights to start from, or nil. With fixed, its encoder stays as it
// is, and so does every transformer trained on its latents: only the decoder
// learns, and the latents carry no noise.
func Autoencoder(c vae.Config, r eligen.Recipe, samples annotated.Samples, start map[string]tensor.Tensor, fixed bool) Task {
	var params []Param
	var frozen []tensor.Named
	for _, w := range c.Weights() {
		t, ok := start[w.Name]
		if ok && fixed && strings.HasPrefix(w.Name, "encoder.") {
			frozen = append(frozen, tensor.Named{Name: w.Name, Tensor: t})
			continue
		}
		params = append(params, Param{Name: w.Name, Shape: w.Shape, Init: t.Data})
	}
	return Task{
		Params:   params,
		Frozen:   frozen,
		Pictures: r.Batch,
		Batch:    func(step int) ([]*tensors.Tensor, error) { return crops(c, r, samples, step) },
		Loss: func(w nn.Weights, in []*Node) (*Node, map[string]*Node) {
			return autoencoderLoss(w, c, in[0], in[1], fixed)
		},
	}
}

// crops returns a step's pictures [B,3,Crop,Crop], and noise for their latents.
func crops(c vae.Config, r eligen.Recipe, samples annotated.Samples, step int) ([]*tensors.Tensor, error) {
	const perPicture = 2 // crops of one composed picture: composing costs more than cropping
	rng := rand.New(rand.NewPCG(r.Seed+1, uint64(step)))
	data := make([]float32, 0, r.Batch*3*Crop*Crop)
	for i := 0; i < r.Batch; {
		s, err := samples(step*r.Batch + i)
		if err != nil {
			return nil, err
		}
		for range min(perPicture, r.Batch-i) {
			b := s.Image.Bounds()
			if b.Dx() < Crop || b.Dy() < Crop {
				return nil, fmt.Errorf("picture %s is %d×%d pixels; the autoencoder is trained on crops of %d×%d", s.Name, b.Dx(), b.Dy(), Crop, Crop)
			}
			x, y := rng.IntN(b.Dx()-Crop+1), rng.IntN(b.Dy()-Crop+1)
			data = append(data, Pixels(s.Image, x, y, Crop, Crop)...)
			i++
		}
	}
	noise := make([]float32, r.Batch*c.Z*(Crop/8)*(Crop/8))
	for i := range noise {
		noise[i] = float32(rng.NormFloat64())
	}
	return []*tensors.Tensor{
		tensors.FromFlatDataAndDimensions(data, r.Batch, 3, Crop, Crop),
		tensors.FromFlatDataAndDimensions(noise, r.Batch, c.Z, Crop/8, Crop/8),
	}, nil
}

// autoencoderLoss returns the loss of pictures [B,3,h,w], and its terms.
func autoencoderLoss(w nn.Weights, c vae.Config, img, noise *Node, fixed bool) (*Node, map[string]*Node) {
	moments := vae.Moments(w, c, img, nil) // [B,2Z,h,w]
	mean := Slice(moments, AxisRange(), AxisRange(0, c.Z))
	logvar := Slice(moments, AxisRange(), AxisRange(c.Z))
	// Bounded without Clip, for which GoMLX has no gradient; around −6, so that
	// noise as large as the signal doesn't hide the start of the training.
	logvar = MulScalar(Tanh(MulScalar(AddScalar(logvar, -6), 0.1)), 10)
	z := mean
	if !fixed {
		z = Add(mean, Mul(noise, Exp(MulScalar(logvar, 0.5))))
	} else {
		z = Add(z, MulScalar(noise, 0))
	}
	plain := c
	plain.Scale, plain.Shift = 1, 0
	out := vae.Decode(w, plain, z, nil)
	d := Sub(out, img)
	l1 := ReduceAllMean(Abs(d))
	edges := Add(ReduceAllMean(Abs(difference(d, 2))), ReduceAllMean(Abs(difference(d, 3))))
	kl := MulScalar(ReduceAllMean(Sub(Add(Square(mean), Exp(logvar)), AddScalar(logvar, 1))), 0.5)
	mse := ReduceAllMean(Square(d))
	loss := Add(Add(l1, edges), MulScalar(mse, 2))
	if !fixed {
		loss = Add(loss, MulScalar(kl, 1e-4))
	}
	return loss, map[string]*Node{"l1": l1, "mse": mse, "kl": kl}
}

// difference returns x minus its neighbour along an axis.
func difference(x *Node, axis int) *Node {
	n := x.Shape().Dimensions[axis]
	return Sub(SliceAxis(x, axis, AxisRange(1)), SliceAxis(x, axis, AxisRange(0, n-1)))
}

// Pixels returns part of a picture as [3,h,w] in [−1,1].
func Pixels(img *image.NRGBA, x0, y0, w, h int) []float32 {
	out := make([]float32, 3*w*h)
	for y := range h {
		row := img.Pix[img.PixOffset(img.Rect.Min.X+x0, img.Rect.Min.Y+y0+y):]
		for x := range w {
			for c := range 3 {
				out[(c*h+y)*w+x] = float32(row[4*x+c])*(2.0/255) - 1
			}
		}
	}
	return out
}

// Quality measures an autoencoder on whole pictures.
type Quality struct {
	PSNR        float64 // of all pixels of all pictures, dB; peak 255
	Mean, Sigma float64 // of the encoder's mean, over all channels: what Shift and 1/Scale should be
	Pictures    int
}

func (q Quality) String() string {
	return fmt.Sprintf("%d held-out pictures: PSNR %.2f dB; latents before normalisation: mean %.4f, deviation %.4f", q.Pictures,
		q.PSNR, q.Mean, q.Sigma)
}

// Measure encodes and decodes n samples, one at a time, and draws them above
// what came of them into a PNG at path, if that isn't empty.
func Measure(backend compute.Backend, c vae.Config, weights map[string]tensor.Tensor, samples annotated.Samples, n int,
	path string) (q Quality, err error) {
	var sheet *image.NRGBA
	plain := c
	plain.Scale, plain.Shift = 1, 0
	exec, err := Compile(backend, weights, func(w nn.Weights, in []*Node) []*Node {
		z := vae.Encode(w, plain, in[0], nil)
		out := vae.Decode(w, plain, z, nil)
		// Latents of the wrong size for the mean would need no decoding; one graph is simpler.
		return []*Node{z, ClipScalar(out, -1, 1)}
	})
	if err != nil {
		return q, err
	}
	defer exec.Finalize()
	var se, pixels, sum, squares, count float64
	for i := range n {
		s, err := samples(i)
		if err != nil {
			return q, err
		}
		b := s.Image.Bounds()
		in := Pixels(s.Image, 0, 0, b.Dx(), b.Dy())
		out, err := exec.Call(tensors.FromFlatDataAndDimensions(in, 1, 3, b.Dy(), b.Dx()))
		if err != nil {
			return q, err
		}
		for _, x := range tensors.MustCopyFlatData[float32](out[0]) {
			sum, squares, count = sum+float64(x), squares+float64(x)*float64(x), count+1
		}
		for j, x := range tensors.MustCopyFlatData[float32](out[1]) {
			d := float64(x-in[j]) * 127.5
			se, pixels = se+d*d, pixels+1
		}
		if sheet == nil {
			sheet = image.NewNRGBA(image.Rect(0, 0, n*b.Dx(), 2*b.Dy()))
		}
		draw.Draw(sheet, image.Rect(i*b.Dx(), 0, (i+1)*b.Dx(), b.Dy()), s.Image, b.Min, draw.Src)
		paste(sheet, i*b.Dx(), b.Dy(), tensors.MustCopyFlatData[float32](out[1]), b.Dx(), b.Dy())
		for _, t := range out {
			if err := t.FinalizeAll(); err != nil {
				return q, err
			}
		}
	}
	if path != "" && sheet != nil {
		if err := writePNG(path, sheet); err != nil {
			return q, err
		}
	}
	q.Pictures = n
	q.Mean = sum / count
	q.Sigma = math.Sqrt(squares/count - q.Mean*q.Mean)
	q.PSNR = 10 * math.Log10(255*255/(se/pixels))
	return q, nil
}
