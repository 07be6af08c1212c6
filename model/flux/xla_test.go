//go:build cgo

package flux

import (
	"github.com/gomlx/compute"
	"github.com/gomlx/go-xla/compute/xla"
)

func init() {
	openXLA = func(plugin string) (compute.Backend, error) {
		xla.EnableAutoInstall(false)
		return xla.New(plugin)
	}
}
