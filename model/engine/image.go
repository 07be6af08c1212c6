package engine

import (
	"context"
	"errors"
	"fmt"
	"image"
	"io/fs"
	"slices"
	"strings"

	"github.com/gomlx/compute/dtypes"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/detect"
	"github.com/eligen/eligen/model/encode"
	"github.com/eligen/eligen/model/exec"
	"github.com/eligen/eligen/model/family"
	"github.com/eligen/eligen/model/flux"
	"github.com/eligen/eligen/model/panics"
	"github.com/eligen/eligen/model/sample"
	"github.com/eligen/eligen/model/vision"
	"github.com/eligen/eligen/model/weights"
)

// An imagePart is an IP-Adapter with the vision tower that reads its pictures.
type imagePart struct {
	vision  vision.Config
	ip      flux.IPConfig
	tower   weights.Loader
	adapter weights.Loader
	dtype   dtypes.DType
}

// openImageFile opens one that a scene names.
func openImageFile[Config any](path, kind, what string, read func(*weights.Checkpoint) (Config, error)) (f family.ImageFile[Config], err error) {
	f.Checkpoint, err = weights.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return f, weights.NotThere(path)
	}
	if err != nil {
		return f, err
	}
	if f.Kind != kind {
		return f, fmt.Errorf("%s should be %s, but is %s", path, what, f.Kind)
	}
	if f.Config, err = read(f.Checkpoint); err == nil {
		f.Digests, err = weights.Digests(f.Checkpoint)
	}
	return f, err
}

// imageAdapter opens an IP-Adapter and its vision tower, and checks that they fit
// each other and the model. Each problem is a diagnostic at its own argument.
func (e *Engine) imageAdapter(r *family.Model, a *eligen.Adapter, ds *eligen.Diagnostics) (w eligen.AdapterWeights) {
	before := len(*ds)
	report := func(at string, err error) {
		if err != nil {
			ds.Errorf(a.Where(at), "Adapter can't be used", "%s", sentence(err))
		}
	}
	attempt := func(open func() error) (err error) {
		defer panics.Catch("reading the adapter", &err)
		return open()
	}
	var adapter family.ImageFile[flux.IPConfig]
	var tower family.ImageFile[vision.Config]
	report("source", attempt(func() (err error) {
		switch {
		case a.Path != "":
			adapter, err = openImageFile(a.Path, weights.KindIPAdapter, "an IP-Adapter for FLUX", detect.IPAdapter)
		case r.IPAdapter != nil:
			adapter, err = r.IPAdapter()
		default:
			err = fmt.Errorf("the family %s has no IP-Adapter of its own: name the file of one, as source = \"./weights/ip-adapter.bin\"", r.Spec.Family)
		}
		if err != nil {
			return err
		}
		return adapter.Config.Fits(r.Transformer.Config)
	}))
	fits := len(*ds) == before
	report("encoder", attempt(func() (err error) {
		switch {
		case a.Encoder != "":
			tower, err = openImageFile(a.Encoder, weights.KindSigLIP, "a SigLIP vision tower", detect.SigLIP)
		case r.Tower != nil:
			tower, err = r.Tower()
		default:
			err = fmt.Errorf("the family %s has no vision tower, which an IP-Adapter reads pictures by: name the folder or file of one, as encoder = \"./weights/siglip-so400m-patch14-384\"", r.Spec.Family)
		}
		if err == nil && fits && tower.Config.Dim != adapter.Config.ImageDim {
			err = fmt.Errorf("the vision tower makes vectors of %d, and this IP-Adapter takes those of %d: it was trained with another one", tower.Config.Dim, adapter.Config.ImageDim)
		}
		return err
	}))
	known := false
	if len(*ds) == before {
		w = eligen.AdapterWeights{Kind: a.Kind, Scale: a.Scale}
		w.Digest = family.Digest("image prompts", r.Spec.DType, []any{tower.Config, adapter.Config}, slices.Concat(tower.Digests, adapter.Digests)...)
		if _, known = e.images[w.Digest]; !known {
			e.images[w.Digest] = &imagePart{tower.Config, adapter.Config, e.keep(tower.Checkpoint), e.keep(adapter.Checkpoint), r.Transformer.DType}
		}
	}
	if known || len(*ds) > before {
		for _, c := range []*weights.Checkpoint{tower.Checkpoint, adapter.Checkpoint} {
			if c != nil {
				c.Close()
			}
		}
	}
	return w
}

// The halves of an IP-Adapter's weights: what makes tokens of a picture, and what
// makes keys and values of tokens.
const (
	projectionWeights = "image_proj."
	keysValuesWeights = "ip_adapter."
)

// only is the part of a loader under a prefix, under its whole names.
type only struct {
	weights.Loader
	prefix string
}

func (o only) Tensors() (out []tensor.Info) {
	for _, t := range o.Loader.Tensors() {
		if strings.HasPrefix(t.Name, o.prefix) {
			out = append(out, t)
		}
	}
	return out
}

// sizes puts an IP-Adapter's into those of its model.
func (p *imagePart) sizes(s *eligen.Sizes) {
	whole := func(l weights.Loader) int64 { return exec.NewStore(nil, l, p.dtype).Whole() }
	tower, projection, keys := whole(p.tower), whole(only{p.adapter, projectionWeights}), whole(only{p.adapter, keysValuesWeights})
	s.Pictures = tower + projection
	if !s.Together {
		s.Pictures = max(tower, projection)
		keys /= int64(p.ip.Blocks) // one block's at a time
	}
	s.PictureKeys, s.PictureTokens = keys, p.ip.Tokens
}

// EncodeImagePrompt is a picture's tokens [tokens,width], or, of nil, those of a
// vector of zeros.
func (e *Engine) EncodeImagePrompt(ctx context.Context, adapter eligen.Digest, img image.Image) (out tensor.Tensor, err error) {
	defer panics.Catch("encoding the image prompt", &err)
	p, err := part(e, e.images, adapter)
	if err != nil {
		return out, err
	}
	err = e.run(ctx, func() error {
		vec := tensor.New(p.ip.ImageDim)
		if img != nil {
			s, err := e.store("tower "+string(adapter), given(p.tower), p.dtype)
			if err != nil {
				return err
			}
			if vec, err = (&encode.Vision{Config: p.vision, Store: s, Runner: e.runner}).Vector(img); err == nil {
				err = allFinite("the vision tower gave", vec)
			}
			if err != nil {
				return err
			}
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		s, err := e.store("image projection "+string(adapter), given(only{p.adapter, projectionWeights}), p.dtype)
		if err != nil {
			return err
		}
		if out, err = (&sample.ImageAdapter{Config: p.ip, Store: s, Runner: e.runner}).Tokens(vec); err != nil {
			return err
		}
		return allFinite("the IP-Adapter gave", out)
	})
	return out, err
}
