package pixels

import (
	"encoding/base64"
	"testing"
)

// TestLossyWebP: a lossy WebP's black is black and its white is white, as libwebp decodes
// it (Pillow 13.0), with an alpha channel and without.
func TestLossyWebP(t *testing.T) {
	// Four stripes of 8×16 pixels.
	const pixels = "VlA4IEQAAABQAwCdASogABAAPjEUiEKiISEYBAAgAwSgB2APwA/AAC7+QAD+on///e3Ft9Gf/468v//WVdHw38oP//7snWGxr+woAA=="
	for text, alpha := range map[string]uint8{
		"UklGRlAAAABXRUJQ" + pixels: 255,
		"UklGRnQAAABXRUJQVlA4WAoAAAAQAAAAHwAADwAAQUxQSAoAAAABB1DAiAhERP8D" + pixels: 128,
	} {
		data, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		_, got := converted(t, data)
		for x, want := range map[int][3]int{3: {255, 255, 255}, 12: {0, 0, 0}, 20: {201, 100, 50}, 28: {29, 160, 29}} {
			c := got[x]
			if max(abs(int(c.R)-want[0]), abs(int(c.G)-want[1]), abs(int(c.B)-want[2])) > 1 || c.A != alpha {
				t.Errorf("alpha %d: pixel %d is %v, want %v", alpha, x, c, want)
			}
		}
	}
}
