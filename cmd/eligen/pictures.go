package main

import (
	"bytes"
	"context"
	"fmt"
	"image"
	_ "image/gif" // what a file may be
	_ "image/jpeg"
	_ "image/png"
	"io"
	"os"
	"os/exec"
	goruntime "runtime"
	"strings"

	"github.com/spf13/cobra"
	_ "golang.org/x/image/webp"
	"golang.org/x/term"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/page"
	"github.com/eligen/eligen/internal/pixels"
	"github.com/eligen/eligen/stage/clip"
	"github.com/eligen/eligen/store/file"
	"github.com/eligen/eligen/tui"
)

// screenLook is how pictures are drawn on the command's terminal, among its lines; nil
// where there is none, or none that shows colours.
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

// shownMost is how many pictures are read to be shown: more never have room.
const shownMost = 8

// thumbnails are pictures of what a plan's files hold, a file's in the plan's order:
// of a clip, four of its frames. A render is shown once, whatever it is written to.
func thumbnails(p *eligen.Plan, store *file.Store, written map[string]bool) (pictures []image.Image, more int) {
	seen := map[string]bool{}
	for _, f := range p.Outputs {
		if !written[f.Path] || seen[f.Render] {
			continue
		}
		seen[f.Render] = true
		stages := []eligen.Ref{f.Stage}
		if _, moving := clip.ResolvedOf(p.Stages[f.Stage].Op); moving {
			stages = spread(p.Stages[f.Stage].Inputs, 4)
		}
		for _, s := range stages {
			if len(pictures) == shownMost {
				more++
				continue
			}
			a, ok, err := store.Get(p.Stages[s].Digest)
			if err != nil || !ok {
				continue // it is written; to show it here is an extra
			}
			if img, err := decodePicture(a.Data); err == nil {
				pictures = append(pictures, img)
			}
		}
	}
	return pictures, more
}

// spread is at most n of some stages, from the first to the last.
func spread(refs []eligen.Ref, n int) []eligen.Ref {
	if len(refs) <= n {
		return refs
	}
	var out []eligen.Ref
	for i := range n {
		out = append(out, refs[i*(len(refs)-1)/(n-1)])
	}
	return out
}

// maxShown is how many pixels a picture that is shown here has at most.
const maxShown = 16 << 20

// decodePicture decodes a file's bytes; of one that moves, the first frame.
func decodePicture(data []byte) (image.Image, error) {
	head, _, err := image.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	if head.Width*head.Height > maxShown {
		return nil, fmt.Errorf("it has %d×%d pixels, which is too much to look at", head.Width, head.Height)
	}
	img, _, err := image.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	return pixels.Over(pixels.Straight(img), pixels.White), nil
}

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
	if img, err := decodePicture(data); err == nil {
		fmt.Fprint(page.Bare(w), tui.Pictures([]image.Image{img}, 0, *look))
	}
}

// viewer is the command that opens a file as a double click does.
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
