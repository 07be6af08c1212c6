//go:build unix

package weights

import (
	"errors"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/eligen/eligen/internal/files"
)

// A pipe in the place of weights is refused: who opens one waits for a writer.
func TestWeightsThatAreAPipe(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"w.safetensors", "w.bin", "adapter_config.json"} {
		path := filepath.Join(dir, name)
		if err := syscall.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
		_, _, shard := openShard(path)
		_, small := files.Read(path, 1)
		convert := Convert(path, filepath.Join(dir, "out.safetensors"), false)
		for what, err := range map[string]error{"openShard": shard, "readSmall": small, "Convert": convert} {
			if !errors.Is(err, files.ErrNotRegular) {
				t.Errorf("%s %s: %v", what, name, err)
			}
		}
	}
}
