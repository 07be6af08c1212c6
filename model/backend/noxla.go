//go:build !cgo

package backend

import (
	"errors"

	"github.com/gomlx/compute"
)

const xlaMissing = "this build has no XLA, since it was made without a C compiler (CGO_ENABLED=0)"

func openXLA(string) (compute.Backend, error) { return nil, errors.New(xlaMissing) }
