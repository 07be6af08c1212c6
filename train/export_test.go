package train

import (
	"errors"
	"io/fs"
	"path/filepath"

	"github.com/eligen/eligen/internal/tensor"
)

// Result reads the weights that a training left in its folder; nil without an
// error if there is none.
func Result(dir string) (map[string]tensor.Tensor, error) {
	w, err := tensor.ReadFile(filepath.Join(dir, WeightsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return w, err
}
