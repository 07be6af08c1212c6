//go:build cgo

package text

import (
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/go-xla/compute/xla"
)

func init() {
	openXLA = func(t *testing.T, plugin string) compute.Backend {
		xla.EnableAutoInstall(false)
		b, err := xla.New(plugin)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
}
