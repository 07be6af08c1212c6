//go:build !unix

package weights

import (
	"errors"
	"os"
)

// mapFile says that files are read in pieces here instead.
func mapFile(*os.File, int64) ([]byte, func() error, error) {
	return nil, nil, errors.ErrUnsupported
}
