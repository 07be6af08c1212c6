//go:build linux && amd64

package backend

import (
	"fmt"

	"github.com/gomlx/go-xla/installer"

	"github.com/eligen/eligen/model/panics"
)

func installCUDA(dir string) error {
	if err := installer.CudaInstall("cuda12", "latest", dir, false, installer.Quiet); err != nil {
		return fmt.Errorf("go-xla's installer: %s", panics.FirstLine(err))
	}
	return nil
}
