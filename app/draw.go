package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/png"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/pixels"
	"github.com/eligen/eligen/planner"
)

// A Drawer draws renders that are in no scene file, such as those of an evaluation.
type Drawer struct {
	app    *App
	engine eligen.Engine
}

// Drawer returns a Drawer on a backend, with the model nano from a folder; "" is the usual one of each.
func (a *App) Drawer(backend, nano string) (*Drawer, error) {
	e, err := a.modelEngine(backend, nano)
	if err != nil {
		return nil, err
	}
	return &Drawer{a, e}, nil
}

// Engine returns the ID of the engine that draws.
func (d *Drawer) Engine() string { return d.engine.ID() }

// Draw returns a render's picture, or a clip's frames. It goes through plan and store, and writes no file.
func (d *Drawer) Draw(ctx context.Context, r eligen.Render) ([]*image.NRGBA, error) {
	if r.Clip != nil {
		r.Outputs = []eligen.Output{{Path: "%d.png"}}
	}
	scene := &eligen.Scene{Path: "drawn", Renders: []eligen.Render{r}}
	p, ds := planner.Build(ctx, scene, d.engine.ID(), d.engine.Spec, planner.Options{})
	if err := ds.Err(); err != nil {
		return nil, err
	}
	if _, err := d.app.Apply(ctx, &Plan{Plan: p, Scene: scene, engine: d.engine}, Run{Unrecorded: true, Unwritten: true}); err != nil {
		return nil, err
	}
	var out []*image.NRGBA
	for _, o := range p.Outputs {
		data, err := d.app.Read(ctx, eligen.Artifact{Digest: p.Stages[o.Stage].Digest})
		if err != nil {
			return nil, errors.Join(fmt.Errorf("a picture of %s can't be read", r.Address), err)
		}
		img, err := png.Decode(bytes.NewReader(data))
		if err != nil {
			return nil, err
		}
		out = append(out, pixels.Straight(img))
	}
	return out, nil
}
