package testfamily

import (
	"math"

	. "github.com/gomlx/gomlx/core/graph"

	"github.com/eligen/eligen/model/nn"
)

const epsilon = 1e-6

// block computes attention and a perceptron over one stream of tokens: [1,L,D] to
// [1,L,D]. bias [1,1,L,L] is added to the scores; nil is none.
func block(w nn.Weights, x, bias *Node) *Node {
	qkv := nn.Chunk(w.In("qkv").Linear(nn.LayerNorm(x, epsilon)), 3)
	for i := range qkv {
		qkv[i] = nn.SplitHeads(qkv[i], heads)
	}
	seen := nn.Attention(qkv[0], qkv[1], qkv[2], 1/math.Sqrt(dim/heads), bias)
	x = Add(x, w.In("proj").Linear(nn.MergeHeads(seen)))
	return Add(x, w.In("down").Linear(nn.SiLU(w.In("up").Linear(nn.LayerNorm(x, epsilon)))))
}

// encode reads token ids [1,L] of a text: states [1,L,D].
func encode(w nn.Weights, ids *Node) *Node {
	x := Gather(w("embed.weight"), InsertAxes(ids, -1))
	return block(w.In("block"), Add(x, places(x.Graph(), x.Shape().Dim(1), 1)), nil)
}

// velocity computes the model: latents [1,C,h,w], features of the time [1,timeDim], all
// texts' states [1,T,D] and the mask over texts and image tokens [1,1,L,L] to [1,C,h,w].
func velocity(w nn.Weights, latents, time, txt, bias *Node) *Node {
	d := latents.Shape().Dimensions
	rows, columns := d[2]/patch, d[3]/patch
	img := TransposeAllAxes(Reshape(latents, 1, channels, rows, patch, columns, patch), 0, 2, 4, 1, 3, 5)
	img = w.In("img_in").Linear(Reshape(img, 1, rows*columns, channels*patch*patch))
	img = Add(img, places(img.Graph(), rows, columns))
	when := InsertAxes(nn.SiLU(w.In("time_in").Linear(time)), 1) // [1,1,D]
	img = Add(img, BroadcastToDims(when, 1, rows*columns, dim))
	x := Concatenate([]*Node{w.In("txt_in").Linear(txt), img}, 1)
	for i := range blocks {
		x = block(w.In("blocks."+string(rune('0'+i))), x, bias)
	}
	x = SliceAxis(x, 1, AxisRange(txt.Shape().Dim(1)))
	x = w.In("out").Linear(nn.LayerNorm(x, epsilon))
	x = TransposeAllAxes(Reshape(x, 1, rows, columns, channels, patch, patch), 0, 3, 1, 4, 2, 5)
	return Reshape(x, 1, channels, d[2], d[3])
}

// places returns what tells tokens in rows and columns apart: [1,rows·columns,D].
func places(g *Graph, rows, columns int) *Node {
	all := make([]float32, 0, rows*columns*dim)
	for i := range rows * columns {
		for k := range dim {
			at := float64(i / columns)
			if k%2 == 1 {
				at = float64(i % columns)
			}
			all = append(all, float32(math.Sin((at+1)/math.Pow(10, float64(k)/dim))))
		}
	}
	return Reshape(Const(g, all), 1, rows*columns, dim)
}

// toLatents makes one latent of each square of pixels: [1,3,H,W] to [1,C,H/factor,W/factor].
func toLatents(w nn.Weights, pixels *Node) *Node {
	d := pixels.Shape().Dimensions
	h, wd := d[2]/factor, d[3]/factor
	x := TransposeAllAxes(Reshape(pixels, 1, 3, h, factor, wd, factor), 0, 2, 4, 1, 3, 5)
	x = w.In("encode").Linear(Reshape(x, 1, h*wd, 3*factor*factor))
	return Reshape(TransposeAllAxes(x, 0, 2, 1), 1, channels, h, wd)
}

// toPixels makes a square of pixels of each latent: [1,C,h,w] to [1,3,h·factor,w·factor].
func toPixels(w nn.Weights, latents *Node) *Node {
	d := latents.Shape().Dimensions
	x := TransposeAllAxes(Reshape(latents, 1, channels, d[2]*d[3]), 0, 2, 1)
	x = Reshape(w.In("decode").Linear(x), 1, d[2], d[3], 3, factor, factor)
	return Reshape(TransposeAllAxes(x, 0, 3, 1, 4, 2, 5), 1, 3, d[2]*factor, d[3]*factor)
}
