package backend

import (
	"math"
	"runtime"
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

// Garbage is kept to the bytes that a work may take, unless somebody chose a limit.
func TestWithin(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(1000))
	const mebi, each = 1 << 20, 4 << 20
	done := Within(64 * mebi)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	kept := make([]byte, each)
	most := uint64(0)
	for range 200 { // 800 MiB, of which each is garbage when the next is made
		kept = make([]byte, each)
		runtime.ReadMemStats(&after)
		most = max(most, after.HeapAlloc-min(after.HeapAlloc, before.HeapAlloc))
	}
	runtime.KeepAlive(kept)
	if done(); most > 96*mebi {
		t.Errorf("%d MiB of garbage gathered, 64 MiB are allowed", most/mebi)
	}
	if got := debug.SetMemoryLimit(-1); got != math.MaxInt64 {
		t.Errorf("the limit stays at %d", got)
	}
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(1 << 40))
	Within(mebi)()
	if got := debug.SetMemoryLimit(-1); got != 1<<40 {
		t.Errorf("somebody's limit became %d", got)
	}
}
