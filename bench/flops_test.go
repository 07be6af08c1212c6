package main

import (
	"math"
	"strings"
	"testing"

	"github.com/eligen/eligen/model/flux"
)

// Known figures: TFLOP of a step of FLUX.1's blocks at 1024×1024, with 512 tokens
// a prompt and regions of 15 %, in the table of the counts by hand. The last single
// block's text saves 0.189 GFLOP a token and its attention; embedders add a little.
func TestFLOP(t *testing.T) {
	s := shape{Config: flux.Dev, Rows: 64, Columns: 64, Text: 512, EntityText: 512}
	for _, c := range []struct {
		entities      int
		dense, blocks float64
	}{
		{0, 74.4, 74.4 - 0.13},
		{4, 117.0, 103.3 - 0.52},
		{8, 165.4, 132.2 - 0.93},
	} {
		if got := s.denseFLOP(c.entities) / 1e12; math.Abs(got-c.dense) > 0.2 {
			t.Errorf("%d entities under a mask: %.2f TFLOP, expected %.1f", c.entities, got, c.dense)
		}
		if got := s.blocksFLOP(c.entities) / 1e12; math.Abs(got-c.blocks) > 0.2 {
			t.Errorf("%d entities by blocks: %.2f TFLOP, expected %.1f", c.entities, got, c.blocks)
		}
	}
}

// The same count, made another way: every weight times the rows that it is applied
// to, and every pair of tokens that the mask lets through.
func TestFLOPByWeights(t *testing.T) {
	for _, s := range []shape{wide, nano} {
		for _, n := range []int{0, 3, 12} {
			image, text := s.tokens(), s.Text+n*s.EntityText
			last := "single_blocks." + string(rune('0'+s.Config.Single-1))
			dense, blocks := 0, 0
			for _, w := range s.Config.Weights() {
				if len(w.Shape) != 2 {
					continue
				}
				size := 2 * w.Shape[0] * w.Shape[1]
				switch {
				case strings.Contains(w.Name, "_mod.") || strings.Contains(w.Name, "modulation") || strings.Contains(w.Name, "_layer."):
					dense += size // once a step
				case w.Name == "txt_in.weight":
					dense += size * text
				case strings.Contains(w.Name, ".txt_"):
					dense += size * text
					blocks += size * text
				case strings.HasPrefix(w.Name, "single_blocks"):
					dense += size * (text + image)
					blocks += size * image
					if !strings.HasPrefix(w.Name, last) {
						blocks += size * text
					}
				default:
					dense += size * image
					blocks += size * image
				}
			}
			blocks += text * 2 * s.Config.Dim * 2 * s.Config.Dim // the last block's keys and values

			// Everything but the final layer's own weights is in a "_layer.": put them back.
			final := 2 * s.Config.Dim * s.Config.PatchDim() * image
			dense += final - 2*s.Config.Dim*s.Config.PatchDim()
			blocks += final

			pairs, imagePairs := allowed(s, n)
			d := s.Config.Dim
			dense += 4 * d * (image + text) * (image + text) * (s.Config.Double + s.Config.Single)
			blocks += 4 * d * (pairs*(s.Config.Double+s.Config.Single-1) + imagePairs)

			if got := s.denseFLOP(n); got != float64(dense) {
				t.Errorf("%s, %d entities under a mask: %.0f, by the weights %d", s.Name, n, got, dense)
			}
			if got := s.blocksFLOP(n); got != float64(blocks) {
				t.Errorf("%s, %d entities by blocks: %.0f, by the weights %d", s.Name, n, got, blocks)
			}
		}
	}
}

// allowed counts the pairs of tokens that may attend to one another, and those
// whose queries are the image's.
func allowed(s shape, n int) (pairs, image int) {
	var segment []int // of each text token; n is the global prompt
	for i := range n {
		for range s.EntityText {
			segment = append(segment, i)
		}
	}
	for range s.Text {
		segment = append(segment, n)
	}
	in := make([]map[int32]bool, n)
	for i, r := range s.regions(n) {
		in[i] = map[int32]bool{}
		for _, token := range r {
			in[i][token] = true
		}
	}
	for _, q := range segment {
		for _, k := range segment {
			if q == k {
				pairs++
			}
		}
		for token := range s.tokens() {
			if q == n || in[q][int32(token)] {
				pairs += 2
				image++
			}
		}
	}
	pairs += s.tokens() * s.tokens()
	return pairs, image + s.tokens()*s.tokens()
}

// Regions have exactly their share of the image, and ascend.
func TestRegions(t *testing.T) {
	for _, s := range []shape{wide, nano, training} {
		for i, r := range s.regions(12) {
			if len(r) != int(math.Round(area*float64(s.tokens()))) {
				t.Errorf("%s: region %d has %d of %d tokens", s.Name, i, len(r), s.tokens())
			}
			for j, token := range r {
				if token < 0 || int(token) >= s.tokens() || j > 0 && token <= r[j-1] {
					t.Errorf("%s: region %d has token %d at %d", s.Name, i, token, j)
				}
			}
		}
	}
}
