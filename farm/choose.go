package farm

import (
	"cmp"
	"slices"
	"time"
)

// A choice is a class of a run, from which a worker may take a task.
type choice struct {
	run, class string
	priority   int
	spent      time.Duration // that this worker has worked for the run; see ledger
}

// order sorts choices by what a worker should take first: the highest priority, and among equals the run
// for which it has worked least. Each worker is fair by its own time, so that all are together,
// whatever a task takes and however many tasks a run has.
func order(choices []choice) {
	slices.SortFunc(choices, func(a, b choice) int {
		return cmp.Or(cmp.Compare(b.priority, a.priority), cmp.Compare(a.spent, b.spent), cmp.Compare(a.run, b.run),
			cmp.Compare(a.class, b.class))
	})
}

// A ledger is how long a worker has worked for each run. One that is new begins with the least of the others:
// it has a share from now on, and no claim on the past.
type ledger map[string]time.Duration

// of returns the time of a run that is there.
func (l ledger) of(run string) time.Duration {
	d, ok := l[run]
	if !ok {
		first := true
		for _, other := range l {
			if first || other < d {
				d, first = other, false
			}
		}
		l[run] = d
	}
	return d
}

// add books time for a run.
func (l ledger) add(run string, d time.Duration) { l[run] = l.of(run) + d }

// keep forgets the runs that are over.
func (l ledger) keep(there func(run string) bool) {
	for run := range l {
		if !there(run) {
			delete(l, run)
		}
	}
}
