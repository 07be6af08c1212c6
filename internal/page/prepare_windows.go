package page

import (
	"os"

	"golang.org/x/sys/windows"
)

// Prepare makes consoles obey control sequences, on systems where they must be asked.
func Prepare(files ...*os.File) {
	for _, f := range files {
		var mode uint32
		console := windows.Handle(f.Fd())
		if windows.GetConsoleMode(console, &mode) == nil { // else it is no console
			_ = windows.SetConsoleMode(console, mode|windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING)
		}
	}
}
