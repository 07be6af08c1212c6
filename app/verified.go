package app

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"image"
	"image/png"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/pixels"
	"github.com/eligen/eligen/runtime"
	"github.com/eligen/eligen/stage/clip"
	"github.com/eligen/eligen/stage/still"
)

// A verified is one render: its record, and what it is now.
type verified struct {
	render   *eligen.Render
	record   *eligen.LockedRender // nil: there is none
	decoded  eligen.Ref           // the stage that makes its picture
	resolved still.Resolved
	paths    []string // files that show the picture as it is, without an overlay
	files    []eligen.PlannedOutput
}

func (v *verified) digest(p *eligen.Plan) eligen.Digest { return p.Stages[v.decoded].Digest }

// recordOf returns the record of a render, also under an address that it was moved from.
func recordOf(lock *eligen.Lock, scene *eligen.Scene, address string) *eligen.LockedRender {
	name := filepath.Base(scene.Path)
	if r := lock.Find(name, address); r != nil {
		return r
	}
	for i := range lock.Renders {
		if r := &lock.Renders[i]; r.Scene == name && movedTo(scene.Moves, r.Address) == address {
			return r
		}
	}
	return nil
}

// verifiedOf finds each render of a scene in its plan.
func verifiedOf(p *eligen.Plan, scene *eligen.Scene, lock *eligen.Lock) []verified {
	var out []verified
	for i := range scene.Renders {
		v := verified{render: &scene.Renders[i], record: recordOf(lock, scene, scene.Renders[i].Address)}
		for _, file := range p.Outputs {
			op := p.Stages[file.Stage].Op
			if address, _, _ := strings.Cut(file.Render, ".frame["); address == v.render.Address {
				v.files = append(v.files, file)
			}
			if v.render.Clip != nil {
				v.clip(op, file)
				continue
			}
			resolved, ok := still.ResolvedOf(op)
			if !ok || file.Render != v.render.Address {
				continue
			}
			v.decoded, v.resolved = p.Stages[file.Stage].Inputs[0], resolved
			if png, ok := op.(still.Op); ok && !png.Overlay {
				v.paths = append(v.paths, file.Path)
			}
		}
		out = append(out, v)
	}
	return out
}

// sheets adds to each clip a picture of all its frames: what a clip is held to, since
// clips' formats lose something, or take another program to read.
func sheets(scene *eligen.Scene) {
	for i := range scene.Renders {
		r := &scene.Renders[i]
		if r.Clip == nil || slices.ContainsFunc(r.Outputs, func(o eligen.Output) bool { return o.Sheet }) {
			continue
		}
		name := "out/" + r.Name + ".gif"
		if len(r.Outputs) > 0 {
			name = r.Outputs[0].Path
		}
		r.Outputs = append(slices.Clone(r.Outputs), eligen.Output{Path: pictureName(name) + ".sheet.png", Sheet: true, Source: r.Source})
	}
}

// pictureName returns what names of pictures about an output begin with: its path without the
// extension; of numbered frames, their folder's.
func pictureName(output string) string {
	name := strings.TrimSuffix(output, path.Ext(output))
	if dir, file := path.Split(name); strings.Contains(file, "%") {
		return cmp.Or(strings.TrimSuffix(dir, "/"), "frames")
	}
	return name
}

// clip takes a file of a clip into account: its sheet is its picture, and its definition is what
// its first frame says.
func (v *verified) clip(op eligen.Op, file eligen.PlannedOutput) {
	made, frame := still.ResolvedOf(op)
	address, _, _ := strings.Cut(made.Render, ".frame[")
	moving, whole := clip.ResolvedOf(op)
	switch _, sheet := op.(still.Sheet); {
	case sheet && file.Render == v.render.Address:
		v.decoded, v.paths = file.Stage, append(v.paths, file.Path)
	case whole && moving.Render == v.render.Address:
		v.first(moving)
	case frame && address == v.render.Address && v.resolved.Render == "":
		v.resolved = made
		v.resolved.Render = v.render.Address
	}
}

// first takes what a clip says of its first frame.
func (v *verified) first(r clip.Resolved) {
	if len(r.First) > 0 && json.Unmarshal(r.First, &v.resolved) == nil {
		v.resolved.Render = r.Render
	}
}

// weightsOf returns the digests of the weights that a render runs.
func weightsOf(r still.Resolved) []eligen.LockedWeights {
	out := []eligen.LockedWeights{
		{Part: "text", Digest: r.Model.Text}, {Part: "transformer", Digest: r.Model.Transformer},
		{Part: "autoencoder", Digest: r.Model.Autoencoder},
	}
	for _, a := range r.Adapters {
		out = append(out, eligen.LockedWeights{Part: "adapter", Digest: a.Digest})
	}
	// A clip without metadata says nothing of them; its plan's digest does.
	return slices.DeleteFunc(out, func(w eligen.LockedWeights) bool { return w.Digest == "" })
}

// picture returns the picture that a stage of a run has made.
func picture(ctx context.Context, store runtime.Store, d eligen.Digest) (*image.NRGBA, error) {
	a, ok, err := result(ctx, store, d)
	if err == nil && !ok {
		err = errors.New("it was made a moment ago and is gone")
	}
	if err != nil {
		return nil, err
	}
	img, err := png.Decode(bytes.NewReader(a.Data))
	if err != nil {
		return nil, err
	}
	return pixels.Straight(img), nil
}

// tilesOf returns the tiles that a render was decoded in.
func tilesOf(r still.Resolved) *eligen.Tiling {
	if r.Approximate == nil {
		return nil
	}
	return r.Approximate.Tiles
}

// localPath returns an output's path from the scene's folder, as a lock has it.
func localPath(p *eligen.Plan, f eligen.PlannedOutput) string {
	name, err := filepath.Rel(p.Folder, f.Path)
	if err != nil {
		name = f.Path
	}
	return filepath.ToSlash(name)
}
