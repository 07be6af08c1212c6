package main

import (
	"bytes"
	"encoding/json"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/stage/clip"
	"github.com/eligen/eligen/stage/still"
)

// TestShow: every format says what made it; one that was changed says that too.
func TestShow(t *testing.T) {
	size := eligen.Size{W: 16, H: 16}
	img := image.NewNRGBA(image.Rect(0, 0, size.W, size.H))
	for i := range img.Pix {
		img.Pix[i] = 255
	}
	var frames []eligen.Artifact
	for i := range 3 {
		img.SetNRGBA(i, 3, color.NRGBA{255, 0, 0, 255})
		var b bytes.Buffer
		if err := png.Encode(&b, img); err != nil {
			t.Fatal(err)
		}
		frames = append(frames, eligen.Artifact{Data: b.Bytes()})
	}
	picture := still.Resolved{Format: 1, Render: "render.duck", Prompt: "a duck", Size: size}
	first, err := json.Marshal(picture)
	if err != nil {
		t.Fatal(err)
	}
	moving := clip.Resolved{Format: 1, Render: "render.leap", Size: size, FPS: 12, Frames: 3, First: first}
	for name, op := range map[string]eligen.Op{
		"duck.png":  still.Op{Resolved: picture},
		"duck.jpg":  still.JPEG{Resolved: picture, Quality: 90},
		"duck.webp": still.WebP{Resolved: picture},
		"leap.gif":  clip.GIF{Resolved: moving, Dither: clip.None},
		"leap.apng": clip.APNG{Resolved: moving},
		"leap.webp": clip.WebP{Resolved: moving},
	} {
		var data bytes.Buffer
		if err := op.Run(t.Context(), &eligen.Call{Inputs: frames, Out: &data, Step: func(int, int) {}}); err != nil {
			t.Fatal(err)
		}
		show := func(content []byte, flags ...string) (string, string) {
			path := filepath.Join(t.TempDir(), name)
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
			var out, said bytes.Buffer
			c := newShow()
			c.SetArgs(append(flags, path))
			c.SetOut(&out)
			c.SetErr(&said)
			if err := c.Execute(); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			return out.String(), said.String()
		}
		out, said := show(data.Bytes())
		if !strings.Contains(out, "a duck") || strings.HasPrefix(name, "leap") && !strings.Contains(out, "3 of 16 × 16, 12 a second") ||
			said != "" {
			t.Errorf("%s:\n%s%s", name, out, said)
		}
		if out, _ := show(data.Bytes(), "--json"); !json.Valid([]byte(out)) || !strings.Contains(out, "a duck") {
			t.Errorf("%s: %s", name, out)
		}
		if strings.HasSuffix(name, "png") { // checksums find the change first
			continue
		}
		changed := bytes.Clone(data.Bytes())
		changed[len(changed)-20] ^= 1 // in the seal
		if _, said := show(changed); !strings.Contains(said, "was changed") {
			t.Errorf("%s: nothing is said of the change", name)
		}
	}
}
