//go:build cgo

package backend

// #include <stdlib.h>
// int eligen_keep_programs(const char *path);
import "C"

import "unsafe"

// keepPrograms has an open plugin look among the kept programs before it compiles one. It reports
// whether it will.
func keepPrograms(plugin string) bool {
	path := C.CString(plugin)
	defer C.free(unsafe.Pointer(path))
	return C.eligen_keep_programs(path) != 0
}
