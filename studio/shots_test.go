package studio_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestShots makes the pictures of the documentation where ELIGEN_SHOTS names a folder: scenes of the repository,
// rendered by nano.
func TestShots(t *testing.T) {
	if os.Getenv("ELIGEN_SHOTS") == "" {
		t.Skip("ELIGEN_SHOTS names no folder for pictures of the page")
	}
	scene := func(name string) string {
		data, err := os.ReadFile(filepath.Join("..", "scenes", name))
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	t.Run("still", func(t *testing.T) {
		x := openWith(t, "harbor.hcl", scene("harbor.hcl"), "model").show(1280, 800)
		x.click("#run")
		x.until("document.querySelectorAll('.steps img').length >= 3")
		x.click(`.ents li[data-entity="entity.duck"]`)
		x.shot("docs-running")
		x.made()
		x.shot("docs-still")
		x.drag(0.85, 0.67, 0.62, 0.88, true)
		x.saved(func(s string) bool { return !strings.Contains(s, "0.74, 0.56") })
		x.until("document.querySelector('.ghost') && document.querySelector('.plan b')?.textContent.startsWith('Denoise')")
		x.shot("docs-moved")
		x.click("#run")
		x.made()
		x.press("y")
		x.until("document.querySelectorAll('li[data-run]').length == 2 && document.querySelector('.bars')")
		x.until("[...document.querySelectorAll('.cmp img')].every(i => i.complete && i.naturalWidth)")
		x.shot("docs-history")
	})
	t.Run("clip", func(t *testing.T) {
		x := openWith(t, "bounce.hcl", scene("bounce.hcl"), "model").show(1280, 800)
		x.click("#run")
		x.until("document.querySelectorAll('.strip-of img').length == 16")
		x.made()
		x.click(`.ents li[data-entity="entity.ball"]`)
		x.click(`[data-key="0,1"]`)
		x.click(`.strip-of li:nth-child(7) button`)
		x.click(`button[aria-label="Light or dark"]`)
		x.until("document.querySelector('.stage > img')?.alt.startsWith('Frame 6') && document.querySelector('.stage > img').complete")
		x.shot("docs-clip")
	})
}
