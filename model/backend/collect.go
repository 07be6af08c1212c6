package backend

import (
	"math"
	"runtime"
	"runtime/debug"
)

// collectAt is how much garbage, in percent of what is in use, the Go backend's process
// lets gather. Buffers of pictures are most of its memory and have no pointers, so that
// collecting them costs little, and each of them is large.
const collectAt = 30

// collectOften has Go's collector keep to collectAt, unless somebody chose otherwise.
func collectOften() {
	if chosen := debug.SetGCPercent(collectAt); chosen != defaultGOGC {
		debug.SetGCPercent(chosen)
	}
}

const defaultGOGC = 100

// Within has Go's collector keep the process to what it holds now and n bytes more, until what it returns
// is called: between two collections, threads that others hold up let more garbage gather than collectAt.
// A limit that somebody chose (GOMEMLIMIT) stays.
func Within(n int64) (done func()) {
	if debug.SetMemoryLimit(-1) != math.MaxInt64 {
		return func() {}
	}
	runtime.GC()
	runtime.GC() // the second drops the buffers that pools kept over the first
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	debug.SetMemoryLimit(int64(m.HeapInuse+m.Sys-m.HeapSys) + n)
	return func() { debug.SetMemoryLimit(math.MaxInt64) }
}
