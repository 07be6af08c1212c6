//go:build !(linux && amd64)

package backend

import "errors"

func installCUDA(string) error {
	return errors.New("go-xla's installer has CUDA plugins for linux/amd64 only")
}
