package tui

import (
	"context"
	"errors"
	"fmt"
	"io"

	"charm.land/huh/v2"
	"github.com/charmbracelet/x/ansi"
	"github.com/charmbracelet/x/term"

	"github.com/eligen/eligen/internal/page"
)

// An Option is a choice: its name, and what it is.
type Option struct{ Name, About string }

// Choose asks a person at a terminal for one of some options: arrows move, / filters, enter
// chooses. The error is context.Canceled if the person leaves without a choice.
func Choose(ctx context.Context, in io.Reader, out io.Writer, title string, options []Option) (string, error) {
	out = page.Bare(out)
	width, room := 0, 80
	if f, ok := out.(interface{ Fd() uintptr }); ok {
		if w, _, err := term.GetSize(f.Fd()); err == nil {
			room = w
		}
	}
	for _, o := range options {
		width = max(width, len(o.Name))
	}
	var rows []huh.Option[string]
	for _, o := range options {
		rows = append(rows, huh.NewOption(ansi.Truncate(fmt.Sprintf("%-*s  %s", width, o.Name, o.About), room-6, "…"), o.Name))
	}
	var chosen string
	list := huh.NewSelect[string]().Title(title).Description("↑ ↓ move · / filter · enter take · ctrl-c leave").
		Options(rows...).Height(min(len(rows)+3, 18)).Value(&chosen)
	err := huh.NewForm(huh.NewGroup(list)).WithInput(in).WithOutput(out).WithShowHelp(false).RunWithContext(ctx)
	if errors.Is(err, huh.ErrUserAborted) {
		return "", context.Canceled
	}
	return chosen, err
}
