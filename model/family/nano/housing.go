package nano

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/model/family"
	"github.com/eligen/eligen/model/weights"
)

// networks are a model's networks, open, and the digests of their files.
type networks struct {
	dit, ae, t5, clip *weights.Checkpoint
	digests           map[*weights.Checkpoint][]eligen.Digest
}

// housings are the folders, below a model's own, in which ComfyUI has networks.
var housings = []string{".", "checkpoints", "diffusion_models", "unet", "text_encoders", "clip", "vae"}

// networks opens the networks of a model: the files of nano's layout, or, where one of them isn't there, those that
// hold such networks in any other format, in the folder or in those that ComfyUI has. What it opens is in r.
func (f Folder) networks(r *family.Model) (n networks, err error) {
	n.digests = map[*weights.Checkpoint][]eligen.Digest{}
	var housed map[string][]string
	open := func(name string) (*weights.Checkpoint, []eligen.Digest, error) {
		c, d, err := f.checkpoint(name)
		if err == nil {
			r.Open = append(r.Open, c)
		}
		return c, []eligen.Digest{d}, err
	}
	elsewhere := func(kind string, missing error) (*weights.Checkpoint, error) {
		if f.dir == "" || !errors.Is(missing, fs.ErrNotExist) {
			return nil, missing
		}
		if housed == nil {
			housed = f.housed()
		}
		switch paths := housed[kind]; len(paths) {
		case 0:
			return nil, fmt.Errorf("%w, and no other file with a %s in %s", missing, kind, f.dir)
		case 1:
			c, err := weights.Open(paths[0])
			if err != nil {
				return nil, err
			}
			r.Open = append(r.Open, c)
			p := c.Of(kind)
			n.digests[p], err = weights.Digests(c)
			return p, err
		default:
			return nil, fmt.Errorf("%w, and several files hold a %s: %s. Leave one", missing, kind, strings.Join(paths, ", "))
		}
	}
	for _, part := range []struct {
		name, kind string
		into       **weights.Checkpoint
	}{{TransformerFile, weights.KindTransformer, &n.dit}, {AutoencoderFile, weights.KindAutoencoder, &n.ae}} {
		c, d, err := open(part.name)
		if err != nil {
			if c, err = elsewhere(part.kind, err); err != nil {
				return n, err
			}
		} else {
			n.digests[c] = d
		}
		*part.into = c
	}
	txt, d, err := open(TextFile)
	if err == nil {
		n.t5, n.clip = txt.Part("t5."), txt.Part("clip.")
		n.digests[n.t5] = d
		return n, nil
	}
	missing := err
	if n.t5, err = elsewhere(weights.KindT5, missing); err == nil {
		n.clip, err = elsewhere(weights.KindCLIP, missing)
	}
	return n, err
}

// housed returns the files that hold each kind of network.
func (f Folder) housed() map[string][]string {
	held := map[string][]string{}
	for _, dir := range housings {
		entries, err := os.ReadDir(filepath.Join(f.dir, dir))
		if err != nil {
			continue // it isn't there
		}
		for _, e := range entries {
			path := filepath.Join(f.dir, dir, e.Name())
			if e.IsDir() || !weights.IsWeightFile(e.Name()) {
				continue
			}
			kinds, err := weights.Kinds(path)
			if err != nil {
				continue // another model's file: what is missing is named
			}
			for _, k := range kinds {
				held[k] = append(held[k], path)
			}
		}
	}
	return held
}
