package main

import (
	"context"
	"fmt"
	"image"
	"io"
	"os"
	"os/exec"
	goruntime "runtime"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/eligen/eligen/app"
	"github.com/eligen/eligen/internal/page"
	"github.com/eligen/eligen/tui"
)

// screenLook returns how to draw pictures among the lines of the command's terminal; nil
// without a terminal that shows colours.
func screenLook(c *cobra.Command) *tui.Look { return lookOf(c.ErrOrStderr()) }

func lookOf(w io.Writer) *tui.Look {
	if !terminal(w) {
		return nil
	}
	width, height, err := term.GetSize(int(page.Terminal(w).Fd()))
	if err != nil || width < 1 {
		width, height = 80, 24
	}
	look := tui.PrintLook(os.Getenv, width, height)
	if !look.Colour {
		return nil
	}
	return &look
}

// shownMost is how many pictures a terminal shows: there is never room for more.
const shownMost = 8

// drawFile draws a file's picture on a terminal. What can't be drawn is left out.
func drawFile(w io.Writer, f io.ReadSeeker) {
	look := lookOf(w)
	if look == nil {
		return
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return
	}
	data, err := io.ReadAll(io.LimitReader(f, 256<<20))
	if err != nil {
		return
	}
	if img, err := app.DecodePicture(data); err == nil {
		fmt.Fprint(page.Bare(w), tui.Pictures([]image.Image{img}, 0, *look))
	}
}

// viewer returns the command that opens a file as a double click does.
func viewer() []string {
	switch goruntime.GOOS {
	case "darwin":
		return []string{"open"}
	case "windows":
		return []string{"rundll32", "url.dll,FileProtocolHandler"}
	}
	return []string{"xdg-open"}
}

// open opens files in the system's viewer. It doesn't wait until they are closed.
func open(ctx context.Context, files []string) error {
	with := viewer()
	for _, f := range files {
		if strings.HasPrefix(f, "-") {
			f = "./" + f
		}
		if err := exec.CommandContext(ctx, with[0], append(with[1:], f)...).Run(); err != nil {
			return fmt.Errorf("%s can't be opened with %s: %w", f, with[0], err)
		}
	}
	return nil
}
