package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image/jpeg"
	"image/png"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/image/webp"

	"github.com/eligen/eligen/internal/files"
	"github.com/eligen/eligen/runtime"
	"github.com/eligen/eligen/stage/clip"
	"github.com/eligen/eligen/stage/still"
)

// files lists what is wrong with the files of a render that came out as recorded, a sentence
// each. Those that were not there when it was recorded may be missing.
func (c *comparison) files(ctx context.Context, store runtime.Store) (troubles []string) {
	p := c.v.plan.Plan
	for _, f := range c.verified.files {
		made, _, err := result(ctx, store, p.Stages[f.Stage].Digest)
		if err != nil {
			troubles = append(troubles, err.Error())
			continue
		}
		trouble := fileTrouble(f.Path, made.Data, still.Pixels(c.img) == c.record.Pixels)
		switch {
		case errors.Is(trouble, fs.ErrNotExist) && !slices.Contains(c.record.Files, localPath(p, f)):
		case errors.Is(trouble, fs.ErrNotExist):
			troubles = append(troubles, f.Path+" is gone")
		case errors.Is(trouble, errOtherPixels) && slices.Contains(c.paths, f.Path):
			one := *c
			one.paths = []string{f.Path}
			found, _ := one.against()
			troubles = append(troubles, fmt.Sprintf("%s %v%s", f.Path, trouble, found))
		case trouble != nil:
			troubles = append(troubles, fmt.Sprintf("%s %v", f.Path, trouble))
		}
	}
	return troubles
}

var (
	errOtherPixels = errors.New("shows another picture")
	errOtherClip   = errors.New("shows another clip")
)

// fileTrouble says why a file is not what a render makes; nil where it is. Another
// release may have written it, with other words about itself. Where the render is only
// like the recorded one (not the same), so is the file, and its seal has to do.
func fileTrouble(path string, made []byte, same bool) error {
	f, err := files.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, clip.MaxFile))
	if err != nil || bytes.Equal(data, made) {
		return err
	}
	var other error
	if same {
		other = otherContent(path, data, made)
	}
	if Untouched(bytes.NewReader(data)) {
		return other
	}
	if errors.Is(other, errOtherPixels) {
		return fmt.Errorf("was changed after eligen wrote it, and %w", other)
	}
	return errors.New("was changed after eligen wrote it")
}

// otherContent compares what two files show. Of a video without metadata nothing can be
// said: another ffmpeg writes other bytes.
func otherContent(path string, data, made []byte) error {
	moving, err := clip.Metadata(bytes.NewReader(data))
	if errors.Is(err, clip.ErrNotClip) {
		if !samePixels(data, made) {
			return errOtherPixels
		}
		return nil
	}
	want, wrong := clip.Metadata(bytes.NewReader(made))
	if errors.Is(err, clip.ErrNoMetadata) && errors.Is(wrong, clip.ErrNoMetadata) {
		if slices.Contains([]string{".mp4", ".webm"}, strings.ToLower(filepath.Ext(path))) {
			return nil
		}
		return errOtherClip
	}
	if err != nil || wrong != nil || !sameClip(moving, want) {
		return errOtherClip
	}
	return nil
}

// samePixels compares two pictures of one format. One of another size isn't read.
func samePixels(a, b []byte) bool {
	decode, config := png.Decode, png.DecodeConfig
	switch {
	case bytes.HasPrefix(b, []byte("\xff\xd8")):
		decode, config = jpeg.Decode, jpeg.DecodeConfig
	case bytes.HasPrefix(b, []byte("RIFF")):
		decode, config = webp.Decode, webp.DecodeConfig
	}
	got, err := config(bytes.NewReader(a))
	want, wrong := config(bytes.NewReader(b))
	if err != nil || wrong != nil || got.Width != want.Width || got.Height != want.Height {
		return false
	}
	left, err := decode(bytes.NewReader(a))
	right, wrong := decode(bytes.NewReader(b))
	return err == nil && wrong == nil && still.Pixels(left) == still.Pixels(right)
}

// sameClip reports whether two clips record the same, whatever releases and engines wrote them.
func sameClip(a, b clip.Resolved) bool {
	first := func(r clip.Resolved) []fact {
		var v verified
		v.first(r)
		return resolvedFacts(v.resolved)
	}
	return slices.Equal(first(a), first(b)) && bytes.Equal(a.Timeline, b.Timeline) &&
		a.Render == b.Render && a.Size == b.Size && a.FPS == b.FPS && a.Frames == b.Frames && a.Loop == b.Loop
}
