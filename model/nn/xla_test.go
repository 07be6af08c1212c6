//go:build cgo

package nn_test

import (
	"github.com/gomlx/go-xla/compute/xla"
)

const withXLA = true

func init() { xla.EnableAutoInstall(false) }
