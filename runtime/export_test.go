package runtime

import (
	"errors"
	"os"

	"github.com/eligen/eligen"
)

// Break has fail asked before each file operation of a store and of the outputs of
// runs on it.
func Break(s *Store, fail func(operation, name string) error) { s.files.fail = fail }

// Shuffle has a run take the stages that could begin in another order.
func Shuffle(r *Runner, pick func(ready []eligen.Ref)) { r.pick = pick }

// Locks reports whether this system can lock files.
func Locks(dir string) bool {
	f, err := os.CreateTemp(dir, "")
	if err != nil {
		return false
	}
	defer f.Close()
	_, err = lock(f)
	return !errors.Is(err, errors.ErrUnsupported)
}
