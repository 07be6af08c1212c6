package main

import (
	"context"
	"encoding/json"
	"fmt"
	"image"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/page"
	"github.com/eligen/eligen/stage/measure"
	"github.com/eligen/eligen/stage/still"
	"github.com/eligen/eligen/store/file"
	"github.com/eligen/eligen/tui"
)

// screen is a front end that takes the whole terminal, where there is one with a
// keyboard, and shows what is made; else it is frontEnd.
func (o *progressOptions) screen(c *cobra.Command) (eligen.Sink, func(), error) {
	return o.show(c, screenOptions(c, interrupter(c.Context())))
}

// screenOptions are those of a screen on the command's terminal.
func screenOptions(c *cobra.Command, interrupt func()) tui.Options {
	results := &results{}
	o := tui.Options{
		Stdout: c.OutOrStdout(), Stderr: c.ErrOrStderr(), Env: os.Getenv,
		Interrupt: interrupt, Interrupted: func() bool { return c.Context().Err() != nil },
		Layout: layoutOf, Picture: results.picture, Number: results.number,
	}
	in, keys := c.InOrStdin().(*os.File)
	if keys && term.IsTerminal(int(in.Fd())) && page.Terminal(c.ErrOrStderr()) != nil && foreground(in) {
		o.Keys = in
	}
	return o
}

// An interruptKey finds, in a command's context, what an interrupt does.
type interruptKey struct{}

// interrupter does what the terminal's interrupt does, for a screen that gets ctrl-c as
// a key: the context ends; a second time, the process.
func interrupter(ctx context.Context) func() {
	stop, ok := ctx.Value(interruptKey{}).(func())
	if !ok {
		return nil
	}
	return func() {
		if ctx.Err() != nil {
			os.Exit(exitInterrupted)
		}
		stop()
	}
}

// layoutOf is the layout that the recipe of a render's file holds: a picture's, or
// a clip's with what moves in it.
func layoutOf(_ string, recipe json.RawMessage) (tui.Layout, bool) {
	var op struct {
		Resolved struct {
			still.Resolved
			FPS      float64         `json:"fps"`
			Frames   int             `json:"frames"`
			Timeline json.RawMessage `json:"timeline"`
			First    *still.Resolved `json:"first"` // frame 0
		}
		Timeline string // its address; journals of before have none
	}
	if json.Unmarshal(recipe, &op) != nil || op.Resolved.Render == "" {
		return tui.Layout{}, false
	}
	r := op.Resolved
	l := tui.Layout{Render: r.Render, Size: r.Size, Geometry: r.Cut(), Prompt: r.Prompt}
	entities := r.Entities
	if r.Frames > 0 {
		l.Timeline = &eligen.Timeline{Address: op.Timeline, Frames: r.Frames, FPS: r.FPS, Tracks: tracksOf(r.Timeline)}
	}
	if r.First != nil {
		l.Prompt, l.Geometry, entities = r.First.Prompt, r.First.Cut(), r.First.Entities
	}
	for _, e := range entities {
		l.Entities = append(l.Entities, eligen.Entity{Address: e.Address, Prompt: e.Prompt, Region: e.Region, Strength: e.Strength})
	}
	return l, true
}

// tracksOf are a timeline's tracks as a clip describes them. One that can't be read
// is left out: it is drawn by nobody else.
func tracksOf(described json.RawMessage) []eligen.Track {
	var tracks []struct {
		Target      string
		Extrapolate string
		Path        []float64
		Ease        string
		Follow      string
		Keys        []struct {
			Frame  float64
			Region eligen.Region
			Value  []float64
			Ease   string
		}
	}
	if json.Unmarshal(described, &tracks) != nil {
		return nil
	}
	var out []eligen.Track
	for _, d := range tracks {
		dot := strings.LastIndexByte(d.Target, '.')
		if dot < 0 || len(d.Keys) == 0 && len(d.Path) < 4 && d.Follow == "" {
			continue
		}
		t := eligen.Track{Target: eligen.Target{Block: d.Target[:dot], Attribute: d.Target[dot+1:]}, Extrapolate: d.Extrapolate, Follow: d.Follow, Ease: easeOf(d.Ease)}
		if len(d.Path) >= 4 {
			t.Path = &eligen.Path{Points: d.Path}
		}
		for _, k := range d.Keys {
			t.Keys = append(t.Keys, eligen.Key{Frame: k.Frame, Value: eligen.Value{Region: k.Region, Numbers: k.Value}, Ease: easeOf(k.Ease)})
		}
		out = append(out, t)
	}
	return out
}

// easeOf reads what Ease.String writes. What it doesn't know is linear.
func easeOf(s string) eligen.Ease {
	name, rest, ok := strings.Cut(s, "(")
	if !ok {
		e, known := eligen.ParseEase(name)
		if !known {
			return eligen.Ease{}
		}
		return e
	}
	var n []float64
	for part := range strings.SplitSeq(strings.TrimSuffix(rest, ")"), ",") {
		x, err := strconv.ParseFloat(strings.TrimSpace(part), 64)
		if err != nil {
			return eligen.Ease{}
		}
		n = append(n, x)
	}
	if wants := map[string]int{"bezier": 4, "steps": 1, "spring": 2}[name]; wants == 0 || wants != len(n) {
		return eligen.Ease{}
	}
	return eligen.Ease{Kind: name, Numbers: n}
}

// results reads what stages have made, checked, from a store that it opens when it is
// first asked.
type results struct {
	once  sync.Once
	store *file.Store
	err   error
}

func (r *results) read(a eligen.Artifact) ([]byte, error) {
	r.once.Do(func() { r.store, r.err = openStore() })
	if r.err != nil {
		return nil, r.err
	}
	got, ok, err := r.store.Get(a.Digest)
	if err == nil && !ok {
		err = fmt.Errorf("it is not in the store any more")
	}
	return got.Data, err
}

func (r *results) picture(a eligen.Artifact) (image.Image, error) {
	data, err := r.read(a)
	if err != nil {
		return nil, err
	}
	return decodePicture(data)
}

func (r *results) number(a eligen.Artifact) (float64, error) {
	data, err := r.read(a)
	if err != nil {
		return 0, err
	}
	var m measure.Result
	err = json.Unmarshal(data, &m)
	return m.Value, err
}
