package model_test

import (
	"fmt"
	"testing"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/eligen/eligen/model"
	"github.com/eligen/eligen/model/nn"
	"github.com/eligen/eligen/model/vae"
)

// testVAE runs the encoder on an image, the decoder on latents, from every
// format of the checkpoint.
func testVAE(t *testing.T, s *suite, g *golden) {
	var want struct{ Ch, Groups int }
	g.field(t, "config", &want)
	for _, key := range []string{"model", "model_diffusers"} {
		path := g.text(key)
		if path == "" {
			continue
		}
		t.Run(key, func(t *testing.T) {
			c := g.open(t, path)
			cfg, err := model.AutoencoderConfig(c)
			cfg.Groups = want.Groups // no checkpoint in one file says
			reference := vae.Flux
			reference.Ch, reference.Groups = want.Ch, want.Groups
			if err != nil || fmt.Sprint(cfg) != fmt.Sprint(reference) {
				t.Fatalf("%s is recognised as %+v, %v\nwant %+v", path, cfg, err, reference)
			}
			got := s.run(t, fmt.Sprint("vae ", cfg), c, dtypes.Float32, g.in, func(w nn.Weights, in map[string]*Node, keep func(string, *Node)) {
				if img := in["image"]; img != nil {
					keep("out", vae.Encode(w, cfg, img, keep))
				} else {
					keep("out", vae.Decode(w, cfg, in["latents"], keep))
				}
			})
			g.compare(t, got, nil)
		})
	}
}
