package backend

import (
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
