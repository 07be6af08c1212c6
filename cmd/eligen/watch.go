package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"time"

	"github.com/spf13/cobra"

	"github.com/eligen/eligen/planner"
	"github.com/eligen/eligen/tui"
)

// pause is how long lies between two looks at the scene's files.
const pause = 250 * time.Millisecond

// follow shows a scene's layout on the terminal until somebody leaves, and reads the
// scene again whenever it has been saved.
func (o *previewOptions) follow(c *cobra.Command, e engine, scene string) error {
	options := screenOptions(c, nil)
	if options.Keys == nil {
		return usageError{errors.New("--watch needs a terminal with a keyboard, and there is none here. Without it, the layout is written as a picture")}
	}
	if _, err := os.Stat(scene); err != nil {
		return err
	}
	options.Stay = true
	l := tui.Start(options)
	defer onLeave(c.Context(), l.Close)()
	var last tui.Shown
	var seen stamps
	for {
		if now := o.stamp(scene); seen.differ(now, func(string) bool { return false }) {
			seen = now
			shown, err := o.look(c.Context(), e, scene)
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

// look reads a scene and plans it, for what is in it and what is wrong with it.
func (o *previewOptions) look(ctx context.Context, e engine, path string) (tui.Shown, error) {
	shown := tui.Shown{Scene: path, Engine: "preview"}
	scene, ds, err := o.loaded(ctx, path)
	if err != nil {
		return shown, err
	}
	shown.Problems = ds
	if !ds.HasErrors() {
		if err := o.target(scene); err != nil {
			shown.Problems.Errorf(nil, "No such render", "%v.", err)
		}
	}
	if !shown.Problems.HasErrors() {
		p, ds, err := planned(ctx, scene, e.ID(), e.Spec, planner.Options{})
		if err != nil {
			return shown, err
		}
		shown.Problems = append(shown.Problems, ds...)
		if !ds.HasErrors() {
			for _, k := range sketched(scene, p) {
				shown.Layouts = append(shown.Layouts, k.Layout)
			}
		}
	}
	switch {
	case shown.Problems.HasErrors():
		shown.Note = "mistakes; the last good layout stays"
	case len(shown.Layouts) == 0:
		shown.Note = "no render block, and so no layout"
	case len(shown.Layouts) == 1 && len(shown.Layouts[0].Entities) == 1:
		shown.Note = "one render, with one entity"
	case len(shown.Layouts) == 1:
		shown.Note = fmt.Sprintf("one render, with %d entities", len(shown.Layouts[0].Entities))
	default:
		shown.Note = fmt.Sprintf("%d renders", len(shown.Layouts))
	}
	return shown, nil
}
