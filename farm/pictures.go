package farm

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/eligen/eligen/internal/files"
	"github.com/eligen/eligen/runtime"
	"github.com/eligen/eligen/stage"
)

// maxPicture is how many bytes a picture file may have: those of a scene's.
const maxPicture = 32 << 20

// pictures writes the picture files that stages read into a folder, under their digests, and has the
// stages read them there.
func (w *worker) pictures(ctx context.Context, stages []stage.Definition) error {
	for i, d := range stages {
		digest := stage.PictureOf(d.Op)
		if digest == "" {
			continue
		}
		if !runtime.IsKey(digest) {
			return fmt.Errorf("%.80q is no digest of a picture", digest)
		}
		path := filepath.Join(w.folder, string(digest))
		if _, err := os.Stat(path); err != nil {
			data, err := blob(ctx, w.o.Far, digest, maxPicture)
			if err != nil {
				return fmt.Errorf("the picture %s of %s: %w", digest.Short(), shown(d.Name), err)
			}
			if err := files.WriteBytes(path, data); err != nil {
				return err
			}
		}
		stages[i].Op = stage.WithPath(d.Op, path)
	}
	return nil
}
