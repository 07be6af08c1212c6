package train

import (
	"math"

	. "github.com/gomlx/gomlx/core/graph"

	"github.com/eligen/eligen"
)

// Rate returns the learning rate of a step, counted from 0.
func Rate(o eligen.Optimizer, step, steps int) float64 {
	r := o.Rate
	if o.Decay == "reference" {
		// The reference's ConstantLR with its default arguments.
		if step < 5 {
			return r / 3
		}
		return r
	}
	if step < o.Warmup {
		return r * float64(step+1) / float64(o.Warmup)
	}
	if o.Decay == "cosine" {
		x := float64(step-o.Warmup) / float64(max(1, steps-o.Warmup))
		return r * (0.02 + 0.98*0.5*(1+math.Cos(math.Pi*x)))
	}
	return r
}

// length returns the length of all gradients as one vector.
func length(grads []*Node) *Node {
	var total *Node
	for _, d := range grads {
		q := ReduceAllSum(Square(d))
		if total == nil {
			total = q
		} else {
			total = Add(total, q)
		}
	}
	return Sqrt(total)
}

// An update is one step of the optimizer.
type update struct {
	*state
	eligen.Optimizer
	rate, c1, c2, mean *Node // the learning rate, bias corrections, and the running mean's share
}

// apply moves a parameter x by its clipped gradient d.
func (u update) apply(p Param, x, d *Node) {
	g := x.Graph()
	m := Add(MulScalar(u.value(g, "/m/"+p.Name), u.Betas[0]), MulScalar(d, 1-u.Betas[0]))
	var move *Node
	if orthogonal(u.Kind, p) {
		// Nesterov's look ahead; the length doesn't matter here, so no bias correction.
		move = orthogonalize(Add(MulScalar(m, u.Betas[0]), MulScalar(d, 1-u.Betas[0])))
	} else {
		v := Add(MulScalar(u.value(g, "/v/"+p.Name), u.Betas[1]), MulScalar(Square(d), 1-u.Betas[1]))
		u.store.GetVariable("/v/" + p.Name).SetNodeValue(v)
		move = Div(Mul(m, u.c1), AddScalar(Sqrt(Mul(v, u.c2)), u.Epsilon))
	}
	if u.Weight > 0 && decays(p) {
		x = Sub(x, Mul(x, MulScalar(u.rate, u.Weight)))
	}
	x = Sub(x, Mul(move, u.rate))
	u.store.GetVariable("/m/" + p.Name).SetNodeValue(m)
	u.store.GetVariable("/w/" + p.Name).SetNodeValue(x)
	if u.ema {
		e := u.store.GetVariable("/ema/" + p.Name)
		old := e.NodeValue(g)
		e.SetNodeValue(Add(old, Mul(Sub(x, old), u.mean)))
	}
}

// decays reports whether weight decay applies: not to norms and biases.
func decays(p Param) bool { return len(p.Shape) > 1 }

func withDefaults(o eligen.Optimizer) eligen.Optimizer {
	if o.Betas == ([2]float64{}) {
		o.Betas = [2]float64{0.9, 0.999}
	}
	if o.Epsilon == 0 {
		o.Epsilon = 1e-8
	}
	return o
}
