package runtime

import "github.com/eligen/eligen"

// Break has fail asked before each file operation of a store and of the outputs of
// runs on it.
func Break(s *Store, fail func(operation, name string) error) { s.files.fail = fail }

// Shuffle has a run take the stages that could begin in another order.
func Shuffle(r *Runner, pick func(ready []eligen.Ref)) { r.pick = pick }
