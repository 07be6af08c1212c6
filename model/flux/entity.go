package flux

import (
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/eligen/eligen/model/nn"
)

// Entities are N entities with text of the same length and regions padded to
// the same size; an Input has one of these for each such pair of sizes. The
// order of entities has no effect on the image.
//
// Who may attend to whom: image tokens to all image tokens, to the global prompt
// and to the text of the entities whose regions they are in; the text of an
// entity to itself and its region; the global prompt to itself and the image.
//
// Regions come in one of two forms. Tokens keeps the attention in unmasked
// blocks, which no mask of the size of the square sequence is ever made for.
// Members makes that mask: simpler, and good enough for short sequences. All of
// an Input's Entities use the same form.
type Entities struct {
	Txt        *Node // [B,N,Te,TextDim]
	TextLength int   // Te, where a graph of one block has no Txt; it takes Tokens, not Members

	Tokens  *Node // [B,N,K], the image tokens of each region, padded with S; none may appear twice
	Members *Node // [B,N,S], 1 where the image token is in the region, else 0

	// LogStrength [B,N] is added to the logits of image queries on an entity's
	// text; nil is 0, the paper's attention.
	LogStrength *Node
}

// never is a logit whose exponential is 0 next to any other.
const never = -1e30

// qkv are queries, keys and values, [B,S,H,HeadDim] each.
type qkv struct{ q, k, v *Node }

// split cuts after n rows; there may be no queries.
func (x qkv) split(n int) (a, b qkv) {
	if x.q != nil {
		a.q, b.q = splitRows(x.q, n)
	}
	a.k, b.k = splitRows(x.k, n)
	a.v, b.v = splitRows(x.v, n)
	return a, b
}

// attention is shared by all blocks of one step.
type attention struct {
	cfg      Config
	text     int // rows of text, all segments
	rotation rotation
	mask     *Node // [B,L,L] to add to the logits; nil for the block form
	groups   []group
	picture  *KeyValue // that the current block sees, or nil
}

// group is the block form of an Entities.
type group struct {
	n, te  int
	rows   *Node // [B,N,K,2], batch and image token; padding repeats a token
	valid  *Node // [B,N,K] float32, 0 for padding
	logits *Node // [B,N,1,1] float32, LogStrength; or nil
}

func newAttention(cfg Config, in Input, text, image int, r rotation) *attention {
	a := &attention{cfg: cfg, text: text, rotation: r}
	if len(in.Entities) == 0 {
		return a
	}
	if in.Entities[0].Members != nil {
		a.mask = Mask(in.Entities, in.Txt.Shape().Dim(1))
		return a
	}
	for _, e := range in.Entities {
		d := e.Tokens.Shape().Dimensions
		tokens := ConvertDType(e.Tokens, dtypes.Int32)
		g := group{n: d[1], te: e.TextLength}
		if e.Txt != nil {
			g.te = e.Txt.Shape().Dim(2)
		}
		g.valid = ConvertDType(LessThan(tokens, Scalar(tokens.Graph(), dtypes.Int32, image)), dtypes.Float32)
		g.rows = Stack([]*Node{
			Iota(tokens.Graph(), tokens.Shape(), 0),
			MinScalar(tokens, image-1),
		}, -1)
		if e.LogStrength != nil {
			g.logits = Reshape(MaxScalar(ConvertDType(e.LogStrength, dtypes.Float32), never), d[0], d[1], 1, 1)
		}
		a.groups = append(a.groups, g)
	}
	return a
}

// Mask returns the attention's additive mask, [B,L,L] float32, over the entities'
// text, global text of a length, and the image, for Entities with Members.
func Mask(entities []Entities, global int) *Node {
	g := entities[0].Members.Graph()
	var segment []int32     // of each row of text
	var open, extra []*Node // [B,rows,S], [B,1,rows]
	d := entities[0].Members.Shape().Dimensions
	batch, image := d[0], d[2]
	id := int32(0)
	for _, e := range entities {
		d := e.Txt.Shape().Dimensions
		n, te := d[1], d[2]
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
			strength = MaxScalar(ConvertDType(e.LogStrength, dtypes.Float32), never)
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
	textText := MulScalar(OneMinus(BroadcastToDims(Reshape(same, 1, text, text), batch, text, text)), never)
	textImage := MulScalar(OneMinus(Concatenate(open, 1)), never) // [B,T,S]
	imageText := Add(TransposeAllAxes(textImage, 0, 2, 1), Concatenate(extra, -1))
	return Concatenate([]*Node{
		Concatenate([]*Node{textText, textImage}, 2),
		Concatenate([]*Node{imageText, Zeros(g, shapes.Make(dtypes.Float32, batch, image, image))}, 2),
	}, 1)
}

// heads cuts a projection [B,S,3D], or [B,S,2D] without queries, into heads and
// normalises queries and keys.
func (a *attention) heads(w nn.Weights, x *Node) qkv {
	d := x.Shape().Dimensions
	n := d[2] / a.cfg.Dim
	part := func(i int) *Node {
		return Reshape(Slice(x, AxisRange(), AxisRange(), AxisRange(i*a.cfg.Dim, (i+1)*a.cfg.Dim)),
			d[0], d[1], a.cfg.Heads, a.cfg.HeadDim())
	}
	out := qkv{
		k: nn.RMSNorm(part(n-2), w("norm.key_norm.scale"), epsilon),
		v: part(n - 1),
	}
	if n == 3 {
		out.q = nn.RMSNorm(part(0), w("norm.query_norm.scale"), epsilon)
	}
	return out
}

// attend returns the joint attention of text and image rows, before its projection:
// [B,T,D] and [B,S,D]. Without wantText, txt needs no queries, and there is no
// text result.
func (a *attention) attend(txt, img qkv, wantText bool) (txtOut, imgOut *Node) {
	img.q, img.k = a.rotation.apply(img.q), a.rotation.apply(img.k)
	if len(a.groups) == 0 {
		return a.joint(txt, img, a.mask, wantText)
	}
	entities := 0
	for _, g := range a.groups {
		entities += g.n * g.te
	}
	entity, global := txt.split(entities)

	// Global text and image among themselves: plain FLUX.
	q := img.q
	if wantText {
		q = Concatenate([]*Node{global.q, img.q}, 1)
	}
	var base part
	base.o, base.l = softmaxAttention(q, Concatenate([]*Node{global.k, img.k}, 1),
		Concatenate([]*Node{global.v, img.v}, 1), nil, true)
	var globalText *Node
	if wantText {
		n := global.q.Shape().Dim(1)
		globalText, base.o = splitRows(base.o, n)
		_, base.l = splitRows(base.l, n)
	}

	// The entities' text for the image, and their regions for their text.
	var covered []part
	var texts []*Node
	at := 0
	for _, g := range a.groups {
		cut := func(x *Node) *Node { // [B,N,Te,H,HeadDim]
			x = Slice(x, AxisRange(), AxisRange(at, at+g.n*g.te))
			d := x.Shape().Dimensions
			return Reshape(x, d[0], g.n, g.te, d[2], d[3])
		}
		e := qkv{k: cut(entity.k), v: cut(entity.v)}
		o, l := softmaxAttention(Gather(img.q, g.rows), e.k, e.v, nil, true) // [B,N,K,H,HeadDim], [B,N,K,H]
		if g.logits != nil {
			l = Add(l, g.logits)
		}
		covered = append(covered, part{o, l})
		if wantText {
			e.q = cut(entity.q)
			texts = append(texts, g.text(e, img))
		}
		at += g.n * g.te
	}
	imgOut = mergeHeads(merge(base, covered, a.groups))
	if wantText {
		txtOut = mergeHeads(Concatenate(append(texts, globalText), 1))
	}
	return txtOut, imgOut
}

// joint returns attention over all rows at once, mask (or nil) added to the logits.
func (a *attention) joint(txt, img qkv, mask *Node, wantText bool) (txtOut, imgOut *Node) {
	q := img.q
	if wantText {
		q = Concatenate([]*Node{txt.q, img.q}, 1)
	}
	if mask != nil {
		if !wantText {
			_, mask = splitRows(mask, a.text)
		}
		d := mask.Shape().Dimensions
		mask = Reshape(mask, d[0], 1, d[1], d[2])
	}
	o, _ := softmaxAttention(q, Concatenate([]*Node{txt.k, img.k}, 1), Concatenate([]*Node{txt.v, img.v}, 1), mask, false)
	o = mergeHeads(o)
	if !wantText {
		return nil, o
	}
	return splitRows(o, a.text)
}

// text returns attention of the entities' text over itself and their regions:
// [B,N·Te,H,HeadDim].
func (g group) text(e, img qkv) *Node {
	d := g.valid.Shape().Dimensions
	bias := Concatenate([]*Node{
		Zeros(g.valid.Graph(), shapes.Make(dtypes.Float32, d[0], d[1], g.te)),
		MulScalar(OneMinus(g.valid), never),
	}, -1)
	bias = Reshape(bias, d[0], d[1], 1, 1, g.te+d[2])
	o, _ := softmaxAttention(e.q,
		Concatenate([]*Node{e.k, Gather(img.k, g.rows)}, 2),
		Concatenate([]*Node{e.v, Gather(img.v, g.rows)}, 2), bias, false)
	s := o.Shape().Dimensions
	return Reshape(o, s[0], s[1]*s[2], s[3], s[4])
}

// part is attention over some of the keys: the result o [..,S,H,HeadDim], and
// the logarithm l [..,S,H] of the sum of the exponentials of the logits, float32.
type part struct{ o, l *Node }

// merge returns attention over the keys of base and of all groups that cover a row:
// with l = log Σ exp(lᵢ), it is Σ exp(lᵢ − l)·oᵢ.
func merge(base part, covered []part, groups []group) *Node {
	dtype := base.o.DType()
	m := StopGradient(base.l) // [B,S,H], the largest l of each row: exponentials stay below 1
	for i, g := range groups {
		valid := BroadcastToShape(ExpandAxes(g.valid, -1), covered[i].l.Shape())
		covered[i].l = Where(GreaterThan(valid, ScalarZero(m.Graph(), dtypes.Float32)),
			covered[i].l, MulScalar(OnesLike(valid), never))
		m = StopGradient(BackendScatterMax(m, g.rows, StopGradient(covered[i].l), 3, []int{3}, []int{0, 1}, []int{0, 1}, false, false))
	}
	weigh := func(p part, weight *Node) *Node { // [.., HeadDim+1], the sum of weights last
		weight = ExpandAxes(weight, -1)
		return Concatenate([]*Node{Mul(ConvertDType(p.o, dtypes.Float32), weight), weight}, -1)
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

// maxScores is the number of attention scores that are held at once: 256 MB of float32.
// FLUX.1 at 1024×1024 would have eight times as many.
var maxScores = 64 << 20

// MaxScores returns how many attention scores are held at once.
func MaxScores() int { return maxScores }

// softmaxAttention returns softmax(q·kᵀ/√HeadDim + bias)·v for q [..,Sq,H,HeadDim]
// and k, v [..,Sk,H,HeadDim]; bias, which may be nil, broadcasts to [..,H,Sq,Sk].
// With wantLog it also gives the logarithm of the sum of the exponentials,
// [..,Sq,H] float32. Long sequences go in chunks of queries.
func softmaxAttention(q, k, v, bias *Node, wantLog bool) (o, l *Node) {
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
		if wantLog {
			l = Sub(ReduceMax(scores, -1), Log(ReduceMax(p, -1))) // [..,H,Sq]: the largest p is exp(max − l)
		}
		return o, l
	}

	queries, keys := q.Shape().Dim(r-2), k.Shape().Dim(r-1)
	others := q.Shape().Size() / (queries * q.Shape().Dim(-1)) // everything but queries
	out := nn.InChunks(q, r-2, max(1, maxScores/(others*keys)), func(part SliceAxisSpec, q *Node) []*Node {
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

// mergeHeads maps [B,S,H,HeadDim] → [B,S,D].
func mergeHeads(x *Node) *Node {
	d := x.Shape().Dimensions
	return Reshape(x, d[0], d[1], d[2]*d[3])
}
