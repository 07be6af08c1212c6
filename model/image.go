package model

import (
	"context"
	"errors"
	"fmt"
	"image"
	"io/fs"
	"math"
	"slices"
	"strings"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/flux"
	"github.com/eligen/eligen/model/nn"
	"github.com/eligen/eligen/model/vision"
)

// An imagePart is an IP-Adapter with the vision tower that reads its pictures.
type imagePart struct {
	vision  vision.Config
	ip      flux.IPConfig
	tower   Loader
	adapter Loader
	dtype   dtypes.DType
}

// imageFile is one half of an imagePart: an open checkpoint, what its shapes and its
// model's words say, and what it is made from.
type imageFile[Config any] struct {
	*Checkpoint
	config  Config
	digests []eligen.Digest
}

// openImageFile opens one that a scene names.
func openImageFile[Config any](path, kind, what string, read func(*Checkpoint) (Config, error)) (f imageFile[Config], err error) {
	f.Checkpoint, err = OpenCheckpoint(path)
	if errors.Is(err, fs.ErrNotExist) {
		return f, notThere(path)
	}
	if err != nil {
		return f, err
	}
	if f.Kind != kind {
		return f, fmt.Errorf("%s should be %s, but is %s", path, what, f.Kind)
	}
	if f.config, err = read(f.Checkpoint); err == nil {
		f.digests, err = digestFiles(f.Checkpoint)
	}
	return f, err
}

// imageAdapter opens an IP-Adapter and its vision tower, and checks that they fit
// each other and the model. Each problem is a diagnostic at its own argument.
func (e *Engine) imageAdapter(r *resolved, a *eligen.Adapter, ds *eligen.Diagnostics) (w eligen.AdapterWeights) {
	before := len(*ds)
	report := func(at string, err error) {
		if err != nil {
			ds.Errorf(a.Where(at), "Adapter can't be used", "%s", sentence(err))
		}
	}
	attempt := func(open func() error) (err error) {
		defer catch("reading the adapter", &err)
		return open()
	}
	var adapter imageFile[flux.IPConfig]
	var tower imageFile[vision.Config]
	report("source", attempt(func() (err error) {
		switch {
		case a.Path != "":
			adapter, err = openImageFile(a.Path, KindIPAdapter, "an IP-Adapter for FLUX", IPAdapterConfig)
		case r.imageAdapter != nil:
			adapter, err = r.imageAdapter()
		default:
			err = fmt.Errorf("the family %s has no IP-Adapter of its own: name the file of one, as source = \"./weights/ip-adapter.bin\"", r.spec.Family)
		}
		if err != nil {
			return err
		}
		return adapter.config.Fits(r.dit.config)
	}))
	fits := len(*ds) == before
	report("encoder", attempt(func() (err error) {
		switch {
		case a.Encoder != "":
			tower, err = openImageFile(a.Encoder, KindSigLIP, "a SigLIP vision tower", SigLIPConfig)
		case r.tower != nil:
			tower, err = r.tower()
		default:
			err = fmt.Errorf("the family %s has no vision tower, which an IP-Adapter reads pictures by: name the folder or file of one, as encoder = \"./weights/siglip-so400m-patch14-384\"", r.spec.Family)
		}
		if err == nil && fits && tower.config.Dim != adapter.config.ImageDim {
			err = fmt.Errorf("the vision tower makes vectors of %d, and this IP-Adapter takes those of %d: it was trained with another one", tower.config.Dim, adapter.config.ImageDim)
		}
		return err
	}))
	known := false
	if len(*ds) == before {
		w = eligen.AdapterWeights{Kind: a.Kind, Scale: a.Scale}
		w.Digest = handle("image prompts", r.spec.DType, []any{tower.config, adapter.config}, slices.Concat(tower.digests, adapter.digests)...)
		if _, known = e.images[w.Digest]; !known {
			e.images[w.Digest] = &imagePart{tower.config, adapter.config, e.keep(tower.Checkpoint), e.keep(adapter.Checkpoint), r.dit.dtype}
		}
	}
	if known || len(*ds) > before {
		for _, c := range []*Checkpoint{tower.Checkpoint, adapter.Checkpoint} {
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
	Loader
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
	whole := func(l Loader) int64 { return NewStore(nil, l, p.dtype).whole() }
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
	defer catch("encoding the image prompt", &err)
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
			if vec, err = (&ImageEncoder{p.vision, s, e.runner}).Vector(img); err == nil {
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
		if out, err = (&ImageAdapter{p.ip, s, e.runner}).Tokens(vec); err != nil {
			return err
		}
		return allFinite("the IP-Adapter gave", out)
	})
	return out, err
}

// An ImageEncoder is SigLIP's vision tower over its weights.
type ImageEncoder struct {
	Config vision.Config
	Store  *Store
	Runner *Runner
}

// Vector is what an IP-Adapter knows of a picture: [width].
func (e *ImageEncoder) Vector(img image.Image) (_ tensor.Tensor, err error) {
	defer catch("encoding the image prompt", &err)
	if img.Bounds().Empty() {
		return tensor.Tensor{}, errors.New("the image prompt has no pixels")
	}
	out, err := e.Runner.Run(Graph{
		Name: "siglip " + configName(e.Config),
		Build: func(w nn.Weights, in []*graph.Node) []*graph.Node {
			return []*graph.Node{graph.ConvertDType(vision.SigLIP(w, e.Config, in[0], nil), dtypes.Float32)}
		},
	}, e.Store, upload(e.Config.Pixels(img), 1))
	if err != nil {
		return tensor.Tensor{}, err
	}
	return download(out[0], e.Config.Dim)
}

// An ImageAdapter is an IP-Adapter over its weights.
type ImageAdapter struct {
	Config flux.IPConfig
	Store  *Store
	Runner *Runner
}

// Tokens is a picture's tokens [tokens, width], for an [eligen.ImagePrompt], of
// its vector. Those of a vector of zeros are for the negative side.
func (a *ImageAdapter) Tokens(vec tensor.Tensor) (_ tensor.Tensor, err error) {
	defer catch("projecting the image prompt", &err)
	c := a.Config
	if len(vec.Data) != c.ImageDim {
		return tensor.Tensor{}, fmt.Errorf("the image prompt's vector has %d numbers; this IP-Adapter takes %d", len(vec.Data), c.ImageDim)
	}
	out, err := a.Runner.Run(Graph{
		Name: "image-tokens " + configName(c),
		Build: func(w nn.Weights, in []*graph.Node) []*graph.Node {
			return []*graph.Node{graph.ConvertDType(flux.ImageTokens(w, in[0]), dtypes.Float32)}
		},
	}, a.Store, upload(tensor.Tensor{Shape: []int{c.ImageDim}, Data: vec.Data}, 1))
	if err != nil {
		return tensor.Tensor{}, err
	}
	return download(out[0], c.Tokens, c.TokenDim)
}

// check refuses image prompts that the graphs would fail on.
func (a *ImageAdapter) check(prompts []eligen.ImagePrompt, t flux.Config) error {
	if len(prompts) == 0 {
		return nil
	}
	if a == nil {
		return errors.New("an image prompt needs an IP-Adapter, and there is none")
	}
	if err := a.Config.Fits(t); err != nil {
		return err
	}
	for i, p := range prompts {
		if want := []int{a.Config.Tokens, a.Config.TokenDim}; !slices.Equal(p.Tokens.Shape, want) {
			return fmt.Errorf("image prompt %d has tokens of shape %v; this IP-Adapter makes %v", i, p.Tokens.Shape, want)
		}
		if math.IsNaN(p.Scale) || math.IsInf(p.Scale, 0) {
			return fmt.Errorf("image prompt %d has the scale %v; it must be a number", i, p.Scale)
		}
	}
	return nil
}

// keysValues is what each block of a transformer sees of pictures: keys and
// values [1,T,H,HeadDim] in turns, values multiplied by the pictures' scales. Lean
// holds one block's weights at a time.
func (a *ImageAdapter) keysValues(prompts []eligen.ImagePrompt, t flux.Config, dtype dtypes.DType, lean bool) (kv []*tensors.Tensor, err error) {
	n := len(prompts) * a.Config.Tokens
	tokens, scales := tensor.Tensor{Shape: []int{1, n, a.Config.TokenDim}}, tensor.Tensor{Shape: []int{1, n}}
	for _, p := range prompts {
		tokens.Data = append(tokens.Data, p.Tokens.Data...)
		scales.Data = append(scales.Data, slices.Repeat([]float32{float32(p.Scale)}, a.Config.Tokens)...)
	}
	in := []*tensors.Tensor{upload(tokens), upload(scales)}
	defer func() {
		for _, x := range in {
			err = errors.Join(err, x.FinalizeAll())
		}
		if err != nil {
			for _, x := range kv {
				err = errors.Join(err, x.FinalizeAll())
			}
			kv = nil
		}
	}()
	for i := range a.Config.Blocks {
		out, err := a.Runner.runKeeping(Graph{
			Name:  fmt.Sprintf("image-keys %s %s", configName(t), dtype),
			Scope: flux.IPBlock(i) + ".",
			Build: func(w nn.Weights, in []*graph.Node) []*graph.Node {
				kv := flux.ImageKeyValue(w, t, in[0]).Scaled(in[1])
				return []*graph.Node{graph.ConvertDType(kv.K, dtype), graph.ConvertDType(kv.V, dtype)}
			},
		}, a.Store, nil, in)
		if err != nil {
			return kv, err
		}
		kv = append(kv, out...)
		if lean {
			if err := a.Store.Release(); err != nil {
				return kv, err
			}
		}
	}
	return kv, nil
}
