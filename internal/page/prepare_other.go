//go:build !windows

package page

import "os"

// Prepare makes consoles obey control sequences, on systems where they must be asked.
func Prepare(...*os.File) {}
