package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"time"

	"github.com/spf13/cobra"

	"github.com/eligen/eligen/app"
	"github.com/eligen/eligen/tui"
)

// pause is the time between two looks at the scene's files.
const pause = 250 * time.Millisecond

// follow shows a scene's layout on the terminal until somebody leaves, and reads the scene again
// whenever it has been saved.
func (o *previewOptions) follow(c *cobra.Command, a *app.App, scene string) error {
	options := screenOptions(c, a, nil)
	if options.Keys == nil {
		return usageError{errors.New(
			"--watch needs a terminal with a keyboard, and there is none here. Without it, the layout is written as " +
				"a picture")}
	}
	if _, err := os.Stat(scene); err != nil {
		return err
	}
	options.Stay = true
	l := tui.Start(options)
	defer onLeave(c.Context(), l.Close)()
	var last tui.Shown
	var seen app.Stamps
	for {
		if now := app.StampsOf(o.input(scene)); seen.Differ(now, func(string) bool { return false }) {
			seen = now
			shown, err := o.look(c.Context(), a, scene)
			if err != nil {
				return err
			}
			if shown.Layouts == nil || !reflect.DeepEqual(shown.Layouts, last.Layouts) || !reflect.DeepEqual(shown.Problems, last.Problems) {
				last = shown
				shown.Note = time.Now().Format("15:04:05") + " the scene has " + shown.Note
				l.Show(shown)
			}
		}
		select {
		case <-l.Left():
			return nil
		case <-c.Context().Done():
			return c.Context().Err()
		case <-time.After(pause):
		}
	}
}

// look reads a scene's layouts and problems.
func (o *previewOptions) look(ctx context.Context, a *app.App, path string) (tui.Shown, error) {
	shown := tui.Shown{Scene: path, Engine: "preview"}
	layouts, problems, err := a.Layouts(ctx, o.layouts(path))
	if err != nil {
		return shown, err
	}
	shown.Layouts, shown.Problems = shownLayouts(layouts), problems
	switch {
	case problems.HasErrors():
		shown.Note = "mistakes; the last good layout stays"
	case len(layouts) == 0:
		shown.Note = "no render block, and so no layout"
	case len(layouts) == 1 && len(layouts[0].Entities) == 1:
		shown.Note = "one render, with one entity"
	case len(layouts) == 1:
		shown.Note = fmt.Sprintf("one render, with %d entities", len(layouts[0].Entities))
	default:
		shown.Note = fmt.Sprintf("%d renders", len(layouts))
	}
	return shown, nil
}

// shownLayouts returns layouts as the screen takes them.
func shownLayouts(layouts []app.Layout) []tui.Layout {
	var out []tui.Layout
	for _, l := range layouts {
		out = append(out, tui.Layout(l))
	}
	return out
}
