//go:build !windows

package page

import "os"

// Prepare makes consoles obey control sequences, where they have to be asked to.
func Prepare(...*os.File) {}
