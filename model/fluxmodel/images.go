package fluxmodel

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
	"github.com/eligen/eligen/model/vision"
	"github.com/eligen/eligen/model/weights"
)

// An ImageFile is an IP-Adapter or a vision tower: an open checkpoint, what its shapes
// and its model's words say, and what it is made from.
type ImageFile[Config any] struct {
	*weights.Checkpoint
	Config  Config
	Digests []eligen.Digest
}

// An ImageOpener opens the IP-Adapters of a model, each with its vision tower.
type ImageOpener struct {
	Family, DType string
	Transformer   *DiT
	// The family's own; nil where it has none.
	Adapter func() (ImageFile[flux.IPConfig], error)
	Tower   func() (ImageFile[vision.Config], error)
}

// Open opens an adapter and its vision tower, and checks that they fit each other and the
// model.
func (o ImageOpener) Open(a *eligen.Adapter) (family.Images, []family.AdapterError) {
	var errs []family.AdapterError
	attempt := func(argument string, open func() error) {
		err := func() (err error) {
			defer panics.Catch("reading the adapter", &err)
			return open()
		}()
		if err != nil {
			errs = append(errs, family.AdapterError{Argument: argument, Err: err})
		}
	}
	i := &images{dtype: o.Transformer.Numbers.DType}
	attempt("source", func() (err error) {
		if i.adapter, err = o.adapter(a.Path); err != nil {
			return err
		}
		return i.adapter.Config.Fits(o.Transformer.Config)
	})
	fits := len(errs) == 0
	attempt("encoder", func() (err error) {
		i.tower, err = o.tower(a.Encoder)
		if err == nil && fits && i.tower.Config.Dim != i.adapter.Config.ImageDim {
			err = fmt.Errorf("the vision tower makes vectors of %d, and this IP-Adapter takes those of %d: it was trained with another one",
				i.tower.Config.Dim, i.adapter.Config.ImageDim)
		}
		return err
	})
	if len(errs) > 0 {
		for _, c := range i.Open() {
			c.Close()
		}
		return nil, errs
	}
	i.digest = family.Digest("image prompts", o.DType, []any{i.tower.Config, i.adapter.Config},
		slices.Concat(i.tower.Digests, i.adapter.Digests)...)
	return i, nil
}

// adapter opens the IP-Adapter at a path; "" is the family's own.
func (o ImageOpener) adapter(path string) (ImageFile[flux.IPConfig], error) {
	switch {
	case path != "":
		return openImageFile(path, weights.KindIPAdapter, "an IP-Adapter for FLUX", detect.IPAdapter)
	case o.Adapter != nil:
		return o.Adapter()
	}
	return ImageFile[flux.IPConfig]{}, fmt.Errorf("the family %s has no IP-Adapter of its own: name the file of one, "+
		"as source = \"./weights/ip-adapter.bin\"", o.Family)
}

// tower opens the vision tower at a path; "" is the family's own.
func (o ImageOpener) tower(path string) (ImageFile[vision.Config], error) {
	switch {
	case path != "":
		return openImageFile(path, weights.KindSigLIP, "a SigLIP vision tower", detect.SigLIP)
	case o.Tower != nil:
		return o.Tower()
	}
	return ImageFile[vision.Config]{}, fmt.Errorf("the family %s has no vision tower, which an IP-Adapter reads pictures by: "+
		"name the folder or file of one, as encoder = \"./weights/siglip-so400m-patch14-384\"", o.Family)
}

// openImageFile opens one that a scene names.
func openImageFile[Config any](path, kind, what string, read func(*weights.Checkpoint) (Config, error)) (f ImageFile[Config], err error) {
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

// images is an IP-Adapter with the vision tower that reads its pictures.
type images struct {
	digest  eligen.Digest
	adapter ImageFile[flux.IPConfig]
	tower   ImageFile[vision.Config]
	dtype   dtypes.DType
}

func (i *images) Digest() eligen.Digest { return i.digest }

// Open returns the files that are open.
func (i *images) Open() (list []*weights.Checkpoint) {
	for _, c := range []*weights.Checkpoint{i.tower.Checkpoint, i.adapter.Checkpoint} {
		if c != nil {
			list = append(list, c)
		}
	}
	return list
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

// Sizes puts an IP-Adapter's into those of its model.
func (i *images) Sizes(s *eligen.Sizes) {
	whole := func(l weights.Loader) int64 { return exec.NewStore(nil, l, i.dtype).Whole() }
	tower, projection, keys := whole(i.tower), whole(only{i.adapter, projectionWeights}), whole(only{i.adapter, keysValuesWeights})
	s.Pictures = tower + projection
	if !s.Together {
		s.Pictures = max(tower, projection)
		keys /= int64(i.adapter.Config.Blocks) // one block's at a time
	}
	s.PictureKeys, s.PictureTokens = keys, i.adapter.Config.Tokens
}

// Tokens returns a picture's tokens [tokens,width], or, of nil, those of a vector of
// zeros.
func (i *images) Tokens(ctx context.Context, h family.Host, picture image.Image) (tensor.Tensor, error) {
	vec := tensor.New(i.adapter.Config.ImageDim)
	if picture != nil {
		s, err := h.Store("tower "+string(i.digest), i.tower, i.dtype)
		if err != nil {
			return tensor.Tensor{}, err
		}
		if vec, err = (&encode.Vision{Config: i.tower.Config, Store: s, Runner: h.Runner()}).Vector(picture); err == nil {
			err = family.Finite("the vision tower gave", vec)
		}
		if err != nil {
			return tensor.Tensor{}, err
		}
		if err := ctx.Err(); err != nil {
			return tensor.Tensor{}, err
		}
	}
	s, err := h.Store("image projection "+string(i.digest), only{i.adapter, projectionWeights}, i.dtype)
	if err != nil {
		return tensor.Tensor{}, err
	}
	out, err := (&ImageAdapter{Config: i.adapter.Config, Store: s, Runner: h.Runner()}).Tokens(vec)
	if err != nil {
		return tensor.Tensor{}, err
	}
	return out, family.Finite("the IP-Adapter gave", out)
}

// reader returns what the transformer's blocks take of pictures.
func (i *images) reader(h family.Host) (*ImageAdapter, error) {
	s, err := h.Store("image keys "+string(i.digest), only{i.adapter, keysValuesWeights}, i.dtype)
	return &ImageAdapter{Config: i.adapter.Config, Store: s, Runner: h.Runner()}, err
}
