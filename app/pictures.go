package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image"
	_ "image/gif" // what a file may be
	_ "image/jpeg"
	_ "image/png"

	_ "golang.org/x/image/webp"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/pixels"
	"github.com/eligen/eligen/stage/clip"
	"github.com/eligen/eligen/stage/measure"
)

// maxSeen is how many pixels a picture that DecodePicture reads has at most.
const maxSeen = 16 << 20

// DecodePicture decodes a picture to be looked at, over white; of one that moves, the first frame.
func DecodePicture(data []byte) (image.Image, error) {
	head, _, err := image.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	if head.Width*head.Height > maxSeen {
		return nil, fmt.Errorf("it has %d×%d pixels, which is too much to look at", head.Width, head.Height)
	}
	img, _, err := image.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	return pixels.Over(pixels.Straight(img), pixels.White), nil
}

// Picture reads a picture that a stage has made.
func (a *App) Picture(ctx context.Context, made eligen.Artifact) (image.Image, error) {
	data, err := a.Read(ctx, made)
	if err != nil {
		return nil, err
	}
	return DecodePicture(data)
}

// Number reads what a stage has measured.
func (a *App) Number(ctx context.Context, made eligen.Artifact) (float64, error) {
	data, err := a.Read(ctx, made)
	if err != nil {
		return 0, err
	}
	var m measure.Result
	err = json.Unmarshal(data, &m)
	return m.Value, err
}

// Pictures reads what files of a plan show: a picture for a render, four frames of a clip; at most
// most, and how many more there are. It leaves out what can't be read.
func (a *App) Pictures(
	ctx context.Context, p *Plan, files []eligen.PlannedOutput, most int,
) (pictures []image.Image, more int) {
	seen := map[string]bool{}
	for _, f := range files {
		if seen[f.Render] {
			continue
		}
		seen[f.Render] = true
		stages := []eligen.Ref{f.Stage}
		if _, moving := clip.ResolvedOf(p.Stages[f.Stage].Op); moving {
			stages = spread(p.Stages[f.Stage].Inputs, 4)
		}
		for _, s := range stages {
			if len(pictures) == most {
				more++
				continue
			}
			if img, err := a.Picture(ctx, eligen.Artifact{Digest: p.Stages[s].Digest}); err == nil {
				pictures = append(pictures, img)
			}
		}
	}
	return pictures, more
}

// spread returns at most n of some stages, from the first to the last.
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
