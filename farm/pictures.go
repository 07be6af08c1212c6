package farm

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/files"
	"github.com/eligen/eligen/runtime"
	"github.com/eligen/eligen/stage"
)

// maxPicture is how many bytes a picture file may have: those of a scene's.
const maxPicture = 32 << 20

// picture puts a picture file into the shared store, under the digest of its bytes.
func (r *Submitted) picture(ctx context.Context, digest eligen.Digest, path string) error {
	if r.isSent(digest) {
		return nil
	}
	if _, err := r.o.Far.Stat(ctx, digest); err == nil {
		r.setSent(digest)
		return nil
	}
	data, err := files.Read(path, maxPicture)
	if err != nil {
		return err
	}
	if eligen.DigestOf(data) != digest {
		return fmt.Errorf("%s has changed since the scene was planned", path)
	}
	if _, err := putBlob(ctx, r.o.Far, data); err != nil {
		return fmt.Errorf("the picture %s can't be sent to the workers: %w", path, err)
	}
	r.setSent(digest)
	return nil
}

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
