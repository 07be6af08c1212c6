// Package judge is a small classifier: which object of the composed dataset is
// in a crop of a picture, or none. Evaluation asks it whether a rendered entity
// is what its prompt says. It is trained on real composed crops and has its own
// held-out accuracy, which is printed next to whatever it measures.
package judge

import (
	"fmt"
	"image"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/annotated"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/nn"
	"github.com/eligen/eligen/train"
)

// Side is the width and height of a crop, in pixels.
const Side = 32

// Nothing is the class of a crop without an object.
const Nothing = "nothing"

// widths are the channels after each convolution; each halves the crop.
var widths = []int{24, 48, 96, 128}

const groups = 4

// Params lists the classifier's weights for a number of classes, Nothing included.
func Params(classes int) []train.Param {
	var out []train.Param
	in := 3
	for i, n := range widths {
		p := fmt.Sprintf("layers.%d.", i)
		out = append(out,
			train.Param{Name: p + "conv.weight", Shape: []int{n, in, 3, 3}}, train.Param{Name: p + "conv.bias", Shape: []int{n}},
			train.Param{Name: p + "norm.weight", Shape: []int{n}}, train.Param{Name: p + "norm.bias", Shape: []int{n}})
		in = n
	}
	side := Side >> len(widths)
	return append(out, train.Param{Name: "head.weight", Shape: []int{classes, in * side * side}},
		train.Param{Name: "head.bias", Shape: []int{classes}})
}

// logits maps crops [B,3,Side,Side] in [−1,1] → [B,classes].
func logits(w nn.Weights, crops *Node) *Node {
	x := nn.ToNHWC(crops)
	for i := range widths {
		l := w.In(fmt.Sprintf("layers.%d", i))
		x = nn.SiLU(l.In("norm").GroupNorm(l.In("conv").Conv(x, 2, 0, 0, 1, 1), groups, 1e-6)) // [B,h/2,w/2,·]
	}
	return w.In("head").Linear(Reshape(x, x.Shape().Dimensions[0], -1))
}

// Task trains the classifier on crops of samples; label is what it is to say of an
// entity's, one of classes, else the crop is left out. Boxes are jittered, pictures
// sometimes blurred, since rendered objects never sit or look exactly like
// composed ones; one crop in eight shows no object.
func Task(classes []string, label func(annotated.Sample, annotated.Entity) string, r eligen.Recipe, samples annotated.Samples) train.Task {
	all := append(slices.Clone(classes), Nothing)
	return train.Task{
		Params:   Params(len(all)),
		Pictures: r.Batch,
		Batch: func(step int) ([]*tensors.Tensor, error) {
			rng := rand.New(rand.NewPCG(r.Seed+3, uint64(step)))
			var crops []float32
			var labels []int32
			for i := 0; len(labels) < r.Batch; i++ {
				s, err := samples(step*r.Batch + i)
				if err != nil {
					return nil, err
				}
				size := eligen.Size{W: s.Image.Rect.Dx(), H: s.Image.Rect.Dy()}
				for _, e := range s.Entities {
					k := slices.Index(classes, label(s, e))
					x0, y0, x1, y1, ok := e.Region.Bounds(size)
					if k < 0 || !ok || len(labels) == r.Batch || covered(s, e, 0.25) {
						continue
					}
					crops = append(crops, crop(s.Image, jitter(rng, x0, y0, x1, y1), rng.IntN(3))...)
					labels = append(labels, int32(k))
				}
				if len(labels) < r.Batch && rng.IntN(3) == 0 {
					if b, ok := empty(rng, s, size); ok {
						crops = append(crops, crop(s.Image, b, rng.IntN(3))...)
						labels = append(labels, int32(len(classes)))
					}
				}
			}
			return []*tensors.Tensor{
				tensors.FromFlatDataAndDimensions(crops, r.Batch, 3, Side, Side),
				tensors.FromFlatDataAndDimensions(labels, r.Batch),
			}, nil
		},
		Loss: func(w nn.Weights, in []*Node) (*Node, map[string]*Node) {
			l := logits(w, in[0])
			target := OneHot(in[1], len(all), dtypes.Float32)
			m := StopGradient(ReduceAndKeep(l, ReduceMax, -1))
			logSum := Add(Log(ReduceAndKeep(Exp(Sub(l, m)), ReduceSum, -1)), m)
			loss := Neg(ReduceAllMean(ReduceSum(Mul(Sub(l, logSum), target), -1)))
			right := ConvertDType(Equal(ArgMax(l, -1, dtypes.Int32), in[1]), dtypes.Float32)
			return loss, map[string]*Node{"accuracy": ReduceAllMean(right)}
		},
	}
}

// covered reports whether other objects hide more than a share of an entity's box.
func covered(s annotated.Sample, e annotated.Entity, share float64) bool {
	a := e.Region.Numbers
	for _, o := range s.Entities {
		b := o.Region.Numbers
		if slices.Equal(a, b) || len(a) != 4 || len(b) != 4 {
			continue
		}
		w := min(a[2], b[2]) - max(a[0], b[0])
		h := min(a[3], b[3]) - max(a[1], b[1])
		if w > 0 && h > 0 && w*h > share*(a[2]-a[0])*(a[3]-a[1]) {
			return true
		}
	}
	return false
}

func jitter(rng *rand.Rand, x0, y0, x1, y1 int) image.Rectangle {
	w, h := float64(x1-x0), float64(y1-y0)
	move := func(n float64) int { return int(math.Round((rng.Float64() - 0.5) * 0.24 * n)) }
	return image.Rect(x0+move(w), y0+move(h), x1+move(w), y1+move(h))
}

// empty finds a box that no object touches by more than a little.
func empty(rng *rand.Rand, s annotated.Sample, size eligen.Size) (image.Rectangle, bool) {
	for range 20 {
		w, h := size.W*(20+rng.IntN(30))/100, size.H*(20+rng.IntN(30))/100
		x, y := rng.IntN(size.W-w), rng.IntN(size.H-h)
		box := image.Rect(x, y, x+w, y+h)
		free := true
		for _, e := range s.Entities {
			if x0, y0, x1, y1, ok := e.Region.Bounds(size); ok {
				hit := box.Intersect(image.Rect(x0, y0, x1, y1))
				free = free && hit.Dx()*hit.Dy() < w*h/20
			}
		}
		if free {
			return box, true
		}
	}
	return image.Rectangle{}, false
}

// Crop returns the part of a picture in a box, made square, at Side×Side pixels:
// [3,Side,Side] in [−1,1]. What lies outside the picture repeats its edge.
func Crop(img *image.NRGBA, box image.Rectangle) []float32 { return crop(img, box, 0) }

func crop(img *image.NRGBA, box image.Rectangle, blur int) []float32 {
	side := max(box.Dx(), box.Dy(), 2)
	x0 := float64(box.Min.X+box.Max.X-side) / 2
	y0 := float64(box.Min.Y+box.Max.Y-side) / 2
	out := make([]float32, 3*Side*Side)
	// Averages over a grid of points in each pixel: enough for an area filter.
	n := max(1, int(math.Ceil(float64(side)/Side)))
	for y := range Side {
		for x := range Side {
			var sum [3]float32
			for j := range n {
				for i := range n {
					px := x0 + (float64(x)+(float64(i)+0.5)/float64(n))*float64(side)/Side
					py := y0 + (float64(y)+(float64(j)+0.5)/float64(n))*float64(side)/Side
					ix := min(max(int(math.Floor(px)), img.Rect.Min.X), img.Rect.Max.X-1)
					iy := min(max(int(math.Floor(py)), img.Rect.Min.Y), img.Rect.Max.Y-1)
					p := img.Pix[img.PixOffset(ix, iy):]
					for c := range sum {
						sum[c] += float32(p[c])
					}
				}
			}
			for c := range sum {
				out[(c*Side+y)*Side+x] = sum[c]/float32(n*n)*(2.0/255) - 1
			}
		}
	}
	for range blur {
		out = soften(out)
	}
	return out
}

// soften returns a 3-tap [1 2 1]/4 blur in both directions.
func soften(in []float32) []float32 {
	out := make([]float32, len(in))
	at := func(s []float32, c, y, x int) float32 {
		return s[(c*Side+min(max(y, 0), Side-1))*Side+min(max(x, 0), Side-1)]
	}
	tmp := make([]float32, len(in))
	for c := range 3 {
		for y := range Side {
			for x := range Side {
				tmp[(c*Side+y)*Side+x] = (at(in, c, y, x-1) + 2*at(in, c, y, x) + at(in, c, y, x+1)) / 4
			}
		}
		for y := range Side {
			for x := range Side {
				out[(c*Side+y)*Side+x] = (at(tmp, c, y-1, x) + 2*at(tmp, c, y, x) + at(tmp, c, y+1, x)) / 4
			}
		}
	}
	return out
}

// A Judge classifies crops.
type Judge struct {
	Classes []string // without Nothing
	exec    *model.Exec
}

// New readies a trained classifier. The weights must be those of Params for
// these classes.
func New(backend compute.Backend, classes []string, weights map[string]tensor.Tensor) (*Judge, error) {
	for _, p := range Params(len(classes) + 1) {
		if w, ok := weights[p.Name]; !ok || !slices.Equal(w.Shape, p.Shape) {
			return nil, fmt.Errorf("the classifier's weights lack %q of shape %v", p.Name, p.Shape)
		}
	}
	exec, err := train.Compile(backend, weights, func(w nn.Weights, in []*Node) []*Node {
		return []*Node{Softmax(logits(w, in[0]), -1)}
	})
	if err != nil {
		return nil, err
	}
	return &Judge{classes, exec}, nil
}

// Classify names the class of what is in a box of a picture, or Nothing, and
// how sure it is, from 0 to 1.
func (j *Judge) Classify(img *image.NRGBA, box image.Rectangle) (class string, p float64, err error) {
	out, err := j.exec.Call(tensors.FromFlatDataAndDimensions(Crop(img, box), 1, 3, Side, Side))
	if err != nil {
		return "", 0, err
	}
	list := tensors.MustCopyFlatData[float32](out[0])
	if err := out[0].FinalizeAll(); err != nil {
		return "", 0, err
	}
	best := 0
	for i := range list {
		if list[i] > list[best] {
			best = i
		}
	}
	if best == len(j.Classes) {
		return Nothing, float64(list[best]), nil
	}
	return j.Classes[best], float64(list[best]), nil
}
