package regional

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
)

// Members are entities' regions as a mask takes them.
type Members struct {
	Members     *Node // [B,N,S], 1 where the image token is in the region, 0 where it is not; or how much of it is
	LogStrength *Node // [B,N], as in NewGroup
	TextLength  int   // of each one's text
}

// Mask returns the attention's additive mask, [B,L,L] float32, over the entities'
// text, global text of a length, and the image.
func Mask(entities []Members, global int) *Node {
	g := entities[0].Members.Graph()
	var segment []int32     // of each row of text
	var open, extra []*Node // [B,rows,S], [B,1,rows]
	d := entities[0].Members.Shape().Dimensions
	batch, image := d[0], d[2]
	id := int32(0)
	for _, e := range entities {
		n, te := e.Members.Shape().Dim(1), e.TextLength
		for range n {
			for range te {
				segment = append(segment, id)
			}
			id++
		}
		each := func(x *Node, size int) *Node { // [B,N,size] → [B,N·Te,size]
			return Reshape(BroadcastToDims(Reshape(x, batch, n, 1, size), batch, n, te, size), batch, n*te, size)
		}
		open = append(open, each(ConvertDType(e.Members, dtypes.Float32), image))
		strength := Zeros(g, shapes.Make(dtypes.Float32, batch, n))
		if e.LogStrength != nil {
			strength = MaxScalar(ConvertDType(e.LogStrength, dtypes.Float32), Never)
		}
		extra = append(extra, TransposeAllAxes(each(strength, 1), 0, 2, 1))
	}
	for range global {
		segment = append(segment, id)
	}
	open = append(open, Ones(g, shapes.Make(dtypes.Float32, batch, global, image)))
	extra = append(extra, Zeros(g, shapes.Make(dtypes.Float32, batch, 1, global)))

	text := len(segment)
	s := Const(g, segment)
	same := ConvertDType(Equal(Reshape(s, text, 1), Reshape(s, 1, text)), dtypes.Float32)
	textText := MulScalar(OneMinus(BroadcastToDims(Reshape(same, 1, text, text), batch, text, text)), Never)
	textImage := MaxScalar(Log(Concatenate(open, 1)), Never) // [B,T,S]
	imageText := Add(TransposeAllAxes(textImage, 0, 2, 1), Concatenate(extra, -1))
	return Concatenate([]*Node{
		Concatenate([]*Node{textText, textImage}, 2),
		Concatenate([]*Node{imageText, Zeros(g, shapes.Make(dtypes.Float32, batch, image, image))}, 2),
	}, 1)
}
