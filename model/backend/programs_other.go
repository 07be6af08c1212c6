//go:build !linux || !cgo

package backend

// keepPrograms would have a plugin look for programs before it compiles them: see programs_linux.go.
func keepPrograms(string) bool { return false }
