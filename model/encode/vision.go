package encode

import (
	"errors"
	"image"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"

	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/exec"
	"github.com/eligen/eligen/model/nn"
	"github.com/eligen/eligen/model/panics"
	"github.com/eligen/eligen/model/vision"
)

// Vision is SigLIP's vision tower over its weights.
type Vision struct {
	Config vision.Config
	Store  *exec.Store
	Runner *exec.Runner
}

// Vector returns all that an IP-Adapter learns of a picture: [width].
func (e *Vision) Vector(img image.Image) (_ tensor.Tensor, err error) {
	defer panics.Catch("encoding the image prompt", &err)
	if img.Bounds().Empty() {
		return tensor.Tensor{}, errors.New("the image prompt has no pixels")
	}
	out, err := e.Runner.Run(exec.Graph{
		Name: "siglip " + exec.ConfigName(e.Config),
		Build: func(w nn.Weights, in []*graph.Node) []*graph.Node {
			return []*graph.Node{graph.ConvertDType(vision.SigLIP(w, e.Config, in[0], nil), dtypes.Float32)}
		},
	}, e.Store, exec.Upload(e.Config.Pixels(img), 1))
	if err != nil {
		return tensor.Tensor{}, err
	}
	return exec.Download(out[0], e.Config.Dim)
}
