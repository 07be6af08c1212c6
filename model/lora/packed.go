package lora

import "github.com/eligen/eligen/model/quant"

// Packed reads a tensor as the base stores it. It is false for one that is changed.
func (f *fused) Packed(name string) (quant.Tensor, bool, error) {
	return packed(f.Loader, name, len(f.updates[name]) > 0)
}

// Packed reads a tensor as the base stores it. It is false for a factor.
func (l *beside) Packed(name string) (quant.Tensor, bool, error) {
	_, factor := l.factors[name]
	return packed(l.Loader, name, factor)
}

func packed(base Loader, name string, changed bool) (t quant.Tensor, ok bool, err error) {
	p, is := base.(quant.Packer)
	if changed || !is {
		return t, false, nil
	}
	return p.Packed(name)
}
