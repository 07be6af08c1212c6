package lora

import "math"

// dora returns what a DoRA of weights W with the plain change Δ adds to each row. V = W + s·Δ is
// brought to the norms m: W' = m·V/‖V‖. How strength t acts is not the same in all libraries:
// PEFT puts t·s for s, so that the norms stay m at any strength; LyCORIS lets V be and moves
// its norms from their own to m: W' = V·(1 + t·(m/‖V‖ − 1)).
//
// Source: Liu et al., DoRA (arXiv 2402.09353).
func (u *update) dora(base Loader, cols int, plain rowFunc) (rowFunc, error) {
	m, err := read(u.file, u.norms.t)
	if err != nil {
		return nil, err
	}
	scale, t := u.scale, u.strength
	if !u.norms.peft {
		scale = u.full
	}
	w := make([]float32, cols)
	// fused is V's row in dst, and W's in w.
	fused := func(row int, dst []float32) error {
		if err := base.Floats(u.name, row*cols, w); err != nil {
			return err
		}
		if err := plain(row, dst); err != nil {
			return err
		}
		for i, x := range dst {
			dst[i] = w[i] + scale*x
		}
		return nil
	}
	if u.norms.columns {
		if err := u.columnFactors(cols, m, t, fused); err != nil {
			return nil, err
		}
		return func(row int, dst []float32) error {
			err := fused(row, dst)
			for i, x := range dst {
				dst[i] = x*u.by[i] - w[i]
			}
			return err
		}, nil
	}
	return func(row int, dst []float32) error {
		err := fused(row, dst)
		sum := 0.0
		for _, x := range dst {
			sum += float64(x) * float64(x)
		}
		by := towards(m[u.row(row)], math.Sqrt(sum), t, u.norms.peft)
		for i, x := range dst {
			dst[i] = x*by - w[i]
		}
		return err
	}, nil
}

// towards returns what a row or column of V of a norm is multiplied by to have the norm m at
// strength 1.
func towards(m float32, norm float64, t float32, whole bool) float32 {
	if norm == 0 {
		return 1
	}
	if by := float64(m) / norm; whole {
		return float32(by)
	} else {
		return float32(1 + float64(t)*(by-1))
	}
}

// columnFactors reads all rows of the change once, for the norms of V's columns.
func (u *update) columnFactors(cols int, m []float32, t float32, fused rowFunc) error {
	u.columns.Do(func() {
		sums, row := make([]float64, cols), make([]float32, cols)
		for r := u.from; r < u.to; r++ {
			clear(row)
			if u.err = fused(r, row); u.err != nil {
				return
			}
			for i, x := range row {
				sums[i] += float64(x) * float64(x)
			}
		}
		u.by = make([]float32, cols)
		for i := range u.by {
			u.by[i] = towards(m[i], math.Sqrt(sums[i]), t, false)
		}
	})
	return u.err
}
