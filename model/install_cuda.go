//go:build linux && amd64

package model

import (
	"fmt"

	"github.com/gomlx/go-xla/installer"
)

func installCUDA(dir string) error {
	if err := installer.CudaInstall("cuda12", "latest", dir, false, installer.Quiet); err != nil {
		return fmt.Errorf("go-xla's installer: %s", firstLine(err))
	}
	return nil
}
