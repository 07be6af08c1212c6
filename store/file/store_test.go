package file

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/eligen/eligen"
)

// What an interrupted stage goes on from is checked as results are, its step
// included: latents of another step would make another picture.
func TestFlippedPartial(t *testing.T) {
	s, _ := fill(t)
	key := eligen.DigestOf([]byte("recipe"))
	if err := s.SavePartial(t.Context(), key, []byte("latents"), 44); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(s.Dir(), entryPath(key)+".partial")
	sound, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	flips := 0
	for i := range sound {
		for bit := range 8 {
			bad := slices.Clone(sound)
			bad[i] ^= 1 << bit
			if err := os.WriteFile(path, bad, 0o644); err != nil {
				t.Fatal(err)
			}
			if data, step, damage := s.Partial(t.Context(), key); damage == nil || data != nil {
				t.Errorf("bit %d of byte %d: %q at step %d", bit, i, data, step)
			}
			flips++
		}
	}
	t.Logf("%d bits flipped, all found", flips)
	if err := os.WriteFile(path, sound, 0o644); err != nil {
		t.Fatal(err)
	}
	if data, step, damage := s.Partial(t.Context(), key); !bytes.Equal(data, []byte("latents")) || step != 44 || damage != nil {
		t.Errorf("the sound one: %q at step %d, %v", data, step, damage)
	}
}
