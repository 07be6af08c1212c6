// Package sizes bounds the numbers of configurations. They come from files that anybody
// may have written, and models are built to them: of 2³¹ layers, even the list of weights
// is too much.
package sizes

import "fmt"

// The largest sizes that are believed. FLUX.1 and its encoders come near none of them.
const (
	MaxWidth  = 1 << 16 // of a stream, a head or a picture
	MaxHidden = 1 << 18 // of a feed-forward part
	MaxHeads  = 1 << 12
	MaxLayers = 1000
	MaxVocab  = 1 << 24
	MaxTokens = 1 << 16
)

// A Size is one number of a configuration.
type Size struct {
	Name string
	N    int
	Max  int
}

// Check refuses the first size that is not from 1 to its maximum.
func Check(list ...Size) error {
	for _, s := range list {
		if s.N < 1 || s.N > s.Max {
			return fmt.Errorf("%s is %d; it must be from 1 to %d", s.Name, s.N, s.Max)
		}
	}
	return nil
}
