// Package regional is EliGen's attention (arXiv 2501.01097), for any transformer whose text
// and image meet in one attention.
//
// Who may attend to whom: image tokens to all image tokens, to the global prompt and to the
// text of the entities whose regions they are in; the text of an entity to itself and its
// region; the global prompt to itself and the image.
//
// It comes in two forms. [Attend] keeps attention in blocks, which no mask of the size of the
// square sequence is ever made for. [Mask] makes that mask for [Joint]: simpler, and good
// enough for short sequences.
package regional

import (
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/eligen/eligen/model/nn"
)

// Never is a logit whose exponential is 0 next to any other.
const Never = -1e30

// QKV are queries, keys and values, [B,S,H,HeadDim] each. What attends to nothing needs no
// queries.
type QKV struct{ Q, K, V *Node }

// Split cuts after n rows; there may be no queries.
func (x QKV) Split(n int) (a, b QKV) {
	if x.Q != nil {
		a.Q, b.Q = SplitRows(x.Q, n)
	}
	a.K, b.K = SplitRows(x.K, n)
	a.V, b.V = SplitRows(x.V, n)
	return a, b
}

// Group is N entities whose text is padded to the same length, and their regions to the same
// size. The order of entities has no effect on the image.
type Group struct {
	n, te   int
	rows    *Node // [B,N,K,2], batch and image token; padding repeats a token
	valid   *Node // [B,N,K] float32, 0 for padding
	logits  *Node // [B,N,1,1] float32, of strengths; or nil
	padding *Node // [B,N,Te] float32, Never where a row is no text; or nil
	lengths *Node // [B,N] int32, of text, where there is padding
	share   *Node // [B,N,K] float32, of Layered; or nil
	seen    *Node // [B,N,K] float32, the logarithm of Layered's; or nil
	cover   *Node // [B,N,K] float32, the logarithm of Covered's; or nil
}

// NewGroup returns a group. tokens [B,N,K] are the image tokens of each region, padded with the
// number of all image tokens; none may appear twice. logStrength [B,N] is added to the logits
// of image queries on an entity's text; nil is 0, the paper's attention.
func NewGroup(tokens, logStrength *Node, textLength, image int) Group {
	d := tokens.Shape().Dimensions
	tokens = ConvertDType(tokens, dtypes.Int32)
	g := Group{n: d[1], te: textLength}
	g.valid = ConvertDType(LessThan(tokens, Scalar(tokens.Graph(), dtypes.Int32, image)), dtypes.Float32)
	g.rows = Stack([]*Node{
		Iota(tokens.Graph(), tokens.Shape(), 0),
		MinScalar(tokens, image-1),
	}, -1)
	if logStrength != nil {
		g.logits = Reshape(MaxScalar(ConvertDType(logStrength, dtypes.Float32), Never), d[0], d[1], 1, 1)
	}
	return g
}

// Padded returns the group with text of lengths [B,N], int32: rows behind them are attended to
// by nothing, and their own results mean nothing.
func (g Group) Padded(lengths *Node) Group {
	d := lengths.Shape().Dimensions
	at := Iota(lengths.Graph(), shapes.Make(dtypes.Int32, d[0], d[1], g.te), 2)
	over := GreaterOrEqual(at, BroadcastToDims(Reshape(lengths, d[0], d[1], 1), d[0], d[1], g.te))
	g.padding, g.lengths = MulScalar(ConvertDType(over, dtypes.Float32), Never), lengths
	return g
}

// Covered returns the group with regions that cover tokens in part: cover [B,N,K], by the tokens of NewGroup, is from 0 to 1. Its
// logarithm is added to the logits of the image's rows on the entity's text, and of that text on its region.
func (g Group) Covered(cover *Node) Group {
	g.cover = MaxScalar(Log(ConvertDType(cover, dtypes.Float32)), Never)
	return g
}

// Attend returns attention of text and image, [B,T,D] and [B,S,D], before its projection. txt
// is the groups' text, entity by entity, then the global prompt. Without wantText, txt needs no
// queries, and there is no text result.
func Attend(groups []Group, txt, img QKV, wantText bool) (txtOut, imgOut *Node) {
	if len(groups) == 0 {
		return Joint(txt, img, nil, wantText)
	}
	entities := 0
	for _, g := range groups {
		entities += g.n * g.te
	}
	entity, global := txt.Split(entities)

	// Global text and image among themselves: the plain transformer.
	q := img.Q
	if wantText {
		q = Concatenate([]*Node{global.Q, img.Q}, 1)
	}
	var base part
	base.o, base.l = Attention(q, Concatenate([]*Node{global.K, img.K}, 1),
		Concatenate([]*Node{global.V, img.V}, 1), nil, true)
	var globalText *Node
	if wantText {
		n := global.Q.Shape().Dim(1)
		globalText, base.o = SplitRows(base.o, n)
		_, base.l = SplitRows(base.l, n)
	}

	// The entities' text for the image, and their regions for their text.
	var covered []part
	var texts []*Node
	at := 0
	for _, g := range groups {
		cut := func(x *Node) *Node { // [B,N,Te,H,HeadDim]
			x = Slice(x, AxisRange(), AxisRange(at, at+g.n*g.te))
			d := x.Shape().Dimensions
			return Reshape(x, d[0], g.n, g.te, d[2], d[3])
		}
		e := QKV{K: cut(entity.K), V: cut(entity.V)}
		o, l := g.attend(Gather(img.Q, g.rows), e.K, e.V) // [B,N,K,H,HeadDim], [B,N,K,H]
		if g.logits != nil {
			l = Add(l, g.logits)
		}
		if g.cover != nil {
			l = Add(l, ExpandAxes(g.cover, -1))
		}
		covered = append(covered, part{o, l})
		if wantText {
			e.Q = cut(entity.Q)
			texts = append(texts, g.text(e, img))
		}
		at += g.n * g.te
	}
	join := merge
	if groups[0].share != nil {
		join = compose
	}
	imgOut = MergeHeads(join(base, covered, groups))
	if wantText {
		txtOut = MergeHeads(Concatenate(append(texts, globalText), 1))
	}
	return txtOut, imgOut
}

// attend returns attention of regions' queries over their entities' text.
func (g Group) attend(q, k, v *Node) (o, l *Node) {
	if g.padding != nil && fuses(q) {
		return fused(q, k, v, g.lengths)
	}
	return Attention(q, k, v, g.ofText(), true)
}

// ofText returns the bias of text keys, [B,N,1,1,Te]; nil where none is padding.
func (g Group) ofText() *Node {
	if g.padding == nil {
		return nil
	}
	d := g.padding.Shape().Dimensions
	return Reshape(g.padding, d[0], d[1], 1, 1, d[2])
}

// Joint returns attention over all rows at once, mask [B,L,L], or nil, added to the logits.
func Joint(txt, img QKV, mask *Node, wantText bool) (txtOut, imgOut *Node) {
	text := txt.K.Shape().Dim(1)
	q := img.Q
	if wantText {
		q = Concatenate([]*Node{txt.Q, img.Q}, 1)
	}
	if mask != nil {
		if !wantText {
			_, mask = SplitRows(mask, text)
		}
		d := mask.Shape().Dimensions
		mask = Reshape(mask, d[0], 1, d[1], d[2])
	}
	o, _ := Attention(q, Concatenate([]*Node{txt.K, img.K}, 1), Concatenate([]*Node{txt.V, img.V}, 1), mask, false)
	o = MergeHeads(o)
	if !wantText {
		return nil, o
	}
	return SplitRows(o, text)
}

// text returns attention of the entities' text over itself and their regions:
// [B,N·Te,H,HeadDim].
func (g Group) text(e, img QKV) *Node {
	d := g.valid.Shape().Dimensions
	if g.padding == nil && g.seen == nil && g.cover == nil && fuses(e.Q) {
		// The tokens of a region come before its padding, which is a length then.
		o, _ := fused(e.Q, Concatenate([]*Node{e.K, Gather(img.K, g.rows)}, 2), Concatenate([]*Node{e.V, Gather(img.V, g.rows)}, 2),
			AddScalar(ReduceSum(g.valid, -1), float64(g.te)))
		s := o.Shape().Dimensions
		return Reshape(o, s[0], s[1]*s[2], s[3], s[4])
	}
	own := g.padding
	if own == nil {
		own = Zeros(g.valid.Graph(), shapes.Make(dtypes.Float32, d[0], d[1], g.te))
	}
	region := MulScalar(OneMinus(g.valid), Never)
	if g.seen != nil {
		region = Add(region, g.seen)
	}
	if g.cover != nil {
		region = Add(region, g.cover)
	}
	bias := Concatenate([]*Node{own, region}, -1)
	bias = Reshape(bias, d[0], d[1], 1, 1, g.te+d[2])
	o, _ := Attention(e.Q,
		Concatenate([]*Node{e.K, Gather(img.K, g.rows)}, 2),
		Concatenate([]*Node{e.V, Gather(img.V, g.rows)}, 2), bias, false)
	s := o.Shape().Dimensions
	return Reshape(o, s[0], s[1]*s[2], s[3], s[4])
}

// part is attention over some of the keys: the result o [..,S,H,HeadDim], and
// the logarithm l [..,S,H] of the sum of the exponentials of the logits, float32.
type part struct{ o, l *Node }

// merge returns attention over the keys of base and of all groups that cover a row:
// with l = log Σ exp(lᵢ), it is Σ exp(lᵢ − l)·oᵢ.
func merge(base part, covered []part, groups []Group) *Node {
	dtype := base.o.DType()
	m := StopGradient(base.l) // [B,S,H], the largest l of each row: exponentials stay below 1
	for i, g := range groups {
		valid := BroadcastToShape(ExpandAxes(g.valid, -1), covered[i].l.Shape())
		covered[i].l = Where(GreaterThan(valid, ScalarZero(m.Graph(), dtypes.Float32)),
			covered[i].l, MulScalar(OnesLike(valid), Never))
		m = StopGradient(BackendScatterMax(m, g.rows, StopGradient(covered[i].l), 3, []int{3}, []int{0, 1}, []int{0, 1}, false, false))
	}
	sum := weigh(base, Exp(Sub(base.l, m)))
	for i, g := range groups {
		weight := Exp(Sub(covered[i].l, Gather(m, g.rows))) // 0 for padding
		sum = ScatterSum(sum, g.rows, weigh(covered[i], weight), false, false)
	}
	head := base.o.Shape().Dim(-1)
	last := sum.Rank() - 1
	return ConvertDType(Div(SliceAxis(sum, last, AxisRange(0, head)), SliceAxis(sum, last, AxisRange(head))), dtype)
}

// AtOnce is the number of attention scores that are held at once: 256 MB of float32.
// FLUX.1 at 1024×1024 would have eight times as many. Tests alone change it.
var AtOnce = 64 << 20

// Attention returns softmax(q·kᵀ/√HeadDim + bias)·v for q [..,Sq,H,HeadDim]
// and k, v [..,Sk,H,HeadDim]; bias, which may be nil, broadcasts to [..,H,Sq,Sk].
// With wantLog it also gives the logarithm of the sum of the exponentials,
// [..,Sq,H] float32. Long sequences go in chunks of queries, unless they go through one kernel.
func Attention(q, k, v, bias *Node, wantLog bool) (o, l *Node) {
	if bias == nil && fuses(q) {
		return fused(q, k, v, nil)
	}
	r := q.Rank()
	rows := make([]int, r) // [..,S,H,D] ↔ [..,H,S,D]
	for i := range rows {
		rows[i] = i
	}
	columns := append([]int(nil), rows...) // [..,S,H,D] → [..,H,D,S]: the Go backend is faster at products with k that way
	rows[r-3], rows[r-2] = r-2, r-3
	columns[r-3], columns[r-2], columns[r-1] = r-2, r-1, r-3
	batch := make([]int, r-2)
	for i := range batch {
		batch[i] = i
	}

	q, k, v = TransposeAllAxes(q, rows...), TransposeAllAxes(k, columns...), TransposeAllAxes(v, rows...)
	scale := 1 / math.Sqrt(float64(q.Shape().Dim(-1)))
	attend := func(q, bias *Node) (o, l *Node) {
		scores := DotGeneral(q, []int{r - 1}, batch, k, []int{r - 2}, batch)
		scores = MulScalar(ConvertDType(scores, dtypes.Float32), scale)
		if bias != nil {
			scores = Add(scores, bias)
		}
		p := Softmax(scores, -1)
		o = DotGeneral(ConvertDType(p, v.DType()), []int{r - 1}, batch, v, []int{r - 2}, batch)
		switch {
		case wantLog && q.Graph().GetNodeByAlias(learning) != nil:
			most := StopGradient(ReduceAndKeep(scores, ReduceMax, -1))
			l = Add(Squeeze(most, -1), Log(ReduceSum(Exp(Sub(scores, most)), -1)))
		case wantLog:
			l = Sub(ReduceMax(scores, -1), Log(ReduceMax(p, -1))) // [..,H,Sq]: the largest p is exp(max − l)
		}
		return o, l
	}

	queries, keys := q.Shape().Dim(r-2), k.Shape().Dim(r-1)
	others := q.Shape().Size() / (queries * q.Shape().Dim(-1)) // everything but queries
	out := nn.InChunks(q, r-2, max(1, AtOnce/(others*keys)), func(part SliceAxisSpec, q *Node) []*Node {
		b := bias
		if b != nil && b.Shape().Dim(r-2) > 1 {
			b = SliceAxis(b, r-2, part)
		}
		o, l := attend(q, b)
		if !wantLog {
			return []*Node{o}
		}
		return []*Node{o, l}
	})
	o = out[0]
	if wantLog {
		l = Transpose(out[1], r-3, r-2)
	}
	return TransposeAllAxes(o, rows...), l
}

// MergeHeads maps [B,S,H,HeadDim] → [B,S,D].
func MergeHeads(x *Node) *Node {
	d := x.Shape().Dimensions
	return Reshape(x, d[0], d[1], d[2]*d[3])
}

// SplitRows cuts [B,L,..] after n rows.
func SplitRows(x *Node, n int) (_, _ *Node) {
	return Slice(x, AxisRange(), AxisRange(0, n)), Slice(x, AxisRange(), AxisRange(n))
}
