package backend

import (
	"runtime/debug"
	"testing"
)

// The Go backend's process collects garbage often, unless somebody chose otherwise.
func TestCollectsOften(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(defaultGOGC))
	collectOften()
	if got := debug.SetGCPercent(defaultGOGC); got != collectAt {
		t.Errorf("garbage is collected at %d %%, want %d", got, collectAt)
	}
	debug.SetGCPercent(250)
	collectOften()
	if got := debug.SetGCPercent(defaultGOGC); got != 250 {
		t.Errorf("somebody's 250 %% became %d", got)
	}
}
