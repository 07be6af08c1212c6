package fluxmodel

import (
	"github.com/eligen/eligen"
	"github.com/eligen/eligen/model/text"
)

// Outline returns what holds of all models of the architecture that are read with a T5
// tokenizer.
func Outline(t5 func() (*text.T5Tokenizer, error)) eligen.Spec {
	return eligen.Spec{
		Geometry: eligen.DefaultGeometry, Encoders: Encoders(nil, 0),
		EliGen: true, LeastTeaCache: LeastTeaCache, Blocks: -1, Feathers: true,
		Unread: func(prompt string) eligen.Unread {
			t, err := t5()
			if err != nil { // a build without weights
				return eligen.Unread{}
			}
			return eligen.Unread{Pieces: t.Unknown(prompt)}
		},
	}
}
