package runtime

import "github.com/eligen/eligen"

// Shuffle has a run take the stages that could begin in another order.
func Shuffle(r *Runner, pick func(ready []eligen.Ref)) { r.pick = pick }
