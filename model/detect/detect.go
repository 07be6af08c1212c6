// Package detect reads the sizes of networks off the shapes of checkpoints.
package detect

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/eligen/eligen/internal/files"
	"github.com/eligen/eligen/model/flux"
	"github.com/eligen/eligen/model/qwen"
	"github.com/eligen/eligen/model/text"
	"github.com/eligen/eligen/model/vae"
	"github.com/eligen/eligen/model/vision"
	"github.com/eligen/eligen/model/weights"
)

// repository is the part of a folder's config.json that shapes can't tell.
type repository struct {
	AxesDimsRope  []int    `json:"axes_dims_rope"`
	Heads         int      `json:"num_attention_heads"`
	Groups        int      `json:"norm_num_groups"`
	ScalingFactor *float64 `json:"scaling_factor"`
	ShiftFactor   *float64 `json:"shift_factor"`
	ImageSize     int      `json:"image_size"`
	decoder
	Text decoder `json:"text_config"` // of a model with a vision tower

	Mean []float64 `json:"latents_mean"`
	Std  []float64 `json:"latents_std"`

	Vision *struct {
		Heads     int `json:"num_attention_heads"`
		ImageSize int `json:"image_size"`
	} `json:"vision_config"` // of a model with a text half
}

// decoder is a language model's part of a config.json.
type decoder struct {
	QueryHeads int     `json:"num_attention_heads"`
	KVHeads    int     `json:"num_key_value_heads"`
	Theta      float64 `json:"rope_theta"`
	Epsilon    float64 `json:"rms_norm_eps"`
}

// repositoryConfig reads the config.json of a checkpoint that is a folder. Another model's is refused.
func repositoryConfig(c *weights.Checkpoint) (r repository, err error) {
	if err := c.Refused(); err != nil {
		return r, err
	}
	fi, err := os.Stat(c.Path)
	if err != nil || !fi.IsDir() {
		return r, nil // a single file, or an embedded one
	}
	path := filepath.Join(c.Path, "config.json")
	data, err := files.Read(path, 1<<20)
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(data, &r); err != nil {
		return r, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

// Transformer reads the transformer's sizes off a checkpoint. Its error names every tensor that is
// missing, misshapen or in excess.
func Transformer(c *weights.Checkpoint) (flux.Config, error) {
	r, err := repositoryConfig(c)
	if err != nil {
		return flux.Config{}, err
	}
	if err := kontext(c); err != nil {
		return flux.Config{}, err
	}
	cfg, err := flux.Detect(c.Shape)
	if cfg.Dim == 0 {
		return cfg, fmt.Errorf("%s: %w", c.Path, err)
	}
	if len(r.AxesDimsRope) == len(cfg.Axes) {
		cfg.Axes = [3]int(r.AxesDimsRope)
	}
	if err := cfg.Validate(); err != nil {
		return cfg, fmt.Errorf("%s: %w", c.Path, err)
	}
	return cfg, weights.Check(c.Path, c, weights.List(cfg.Weights()))
}

// Autoencoder reads the autoencoder's sizes off a checkpoint. Its error names every tensor that is
// missing, misshapen or in excess.
func Autoencoder(c *weights.Checkpoint) (vae.Config, error) {
	r, err := repositoryConfig(c)
	if err != nil {
		return vae.Config{}, err
	}
	cfg, err := vae.Detect(c.Shape)
	if err != nil {
		return cfg, fmt.Errorf("%s: %w", c.Path, err)
	}
	if r.Groups > 0 {
		cfg.Groups = r.Groups
	}
	if r.ScalingFactor != nil && *r.ScalingFactor != 0 {
		cfg.Scale = *r.ScalingFactor
	}
	if r.ShiftFactor != nil {
		cfg.Shift = *r.ShiftFactor
	}
	if err := cfg.Validate(); err != nil {
		return cfg, fmt.Errorf("%s: %w", c.Path, err)
	}
	return cfg, weights.Check(c.Path, c, weights.List(cfg.Weights()))
}

// T5 reads T5's sizes off a checkpoint. Its error names every tensor that is
// missing, misshapen or in excess.
func T5(c *weights.Checkpoint) (text.T5Config, error) {
	if err := c.Refused(); err != nil {
		return text.T5Config{}, err
	}
	cfg, err := text.DetectT5(c.Shapes())
	if wrong := cfg.Validate(); wrong != nil {
		return cfg, fmt.Errorf("%s: %w", c.Path, cmp.Or(err, wrong))
	}
	return cfg, weights.Check(c.Path, c, weights.List(cfg.Weights()))
}

// CLIP reads CLIP's sizes off a checkpoint. Its error names every tensor that is
// missing, misshapen or in excess.
func CLIP(c *weights.Checkpoint) (text.CLIPConfig, error) {
	r, err := repositoryConfig(c)
	if err != nil {
		return text.CLIPConfig{}, err
	}
	cfg, err := text.DetectCLIP(c.Shapes(), r.Heads)
	if wrong := cfg.Validate(); wrong != nil {
		return cfg, fmt.Errorf("%s: %w", c.Path, cmp.Or(err, wrong))
	}
	return cfg, weights.Check(c.Path, c, weights.List(cfg.Weights()))
}

// SigLIP reads the vision tower's sizes off a checkpoint. Its error names every tensor that is
// missing, misshapen or in excess.
func SigLIP(c *weights.Checkpoint) (vision.Config, error) {
	r, err := repositoryConfig(c)
	if err != nil {
		return vision.Config{}, err
	}
	if v := r.Vision; v != nil {
		r.Heads, r.ImageSize = v.Heads, v.ImageSize
	}
	cfg, err := vision.Detect(c.Shape, r.Heads, r.ImageSize)
	if err == nil {
		err = cfg.Validate()
	}
	if err != nil {
		return cfg, fmt.Errorf("%s: %w", c.Path, err)
	}
	return cfg, weights.Check(c.Path, c, weights.List(cfg.Weights()))
}

// IPAdapter reads an IP-Adapter's sizes off a checkpoint. Its error names every tensor that is
// missing, misshapen or in excess.
func IPAdapter(c *weights.Checkpoint) (flux.IPConfig, error) {
	if err := c.Refused(); err != nil {
		return flux.IPConfig{}, err
	}
	cfg, err := flux.DetectIP(c.Shape)
	if err == nil {
		err = cfg.Validate()
	}
	if err != nil {
		return cfg, fmt.Errorf("%s: %w", c.Path, err)
	}
	return cfg, weights.Check(c.Path, c, weights.List(cfg.Weights()))
}

// QwenTransformer reads the sizes of Qwen-Image's transformer off a checkpoint. Its error names every
// tensor that is missing, misshapen or in excess.
func QwenTransformer(c *weights.Checkpoint) (qwen.Config, error) {
	r, err := repositoryConfig(c)
	if err != nil {
		return qwen.Config{}, err
	}
	cfg, err := qwen.Detect(c.Shape)
	if err != nil {
		return cfg, fmt.Errorf("%s: %w", c.Path, err)
	}
	if len(r.AxesDimsRope) == len(cfg.Axes) {
		cfg.Axes = [3]int(r.AxesDimsRope)
	}
	if err := cfg.Validate(); err != nil {
		return cfg, fmt.Errorf("%s: %w", c.Path, err)
	}
	return cfg, weights.Check(c.Path, c, weights.List(cfg.Weights()))
}

// Qwen reads the sizes of Qwen2.5-VL's language half off a checkpoint. Its error names every tensor that
// is missing, misshapen or in excess.
func Qwen(c *weights.Checkpoint) (text.QwenConfig, error) {
	r, err := repositoryConfig(c)
	if err != nil {
		return text.QwenConfig{}, err
	}
	cfg, err := text.DetectQwen(c.Shapes(), cmp.Or(r.Heads, r.Text.QueryHeads), cmp.Or(r.KVHeads, r.Text.KVHeads))
	cfg.Theta, cfg.Epsilon = cmp.Or(r.Theta, r.Text.Theta, cfg.Theta), cmp.Or(r.Epsilon, r.Text.Epsilon, cfg.Epsilon)
	if err == nil {
		err = cfg.Validate()
	}
	if err != nil {
		return cfg, fmt.Errorf("%s: %w", c.Path, err)
	}
	return cfg, weights.Check(c.Path, c, weights.List(cfg.Weights()))
}

// QwenCoder reads the sizes of Qwen-Image's autoencoder off a checkpoint. Its error names every tensor
// that is missing, misshapen or in excess.
func QwenCoder(c *weights.Checkpoint) (qwen.CoderConfig, error) {
	r, err := repositoryConfig(c)
	if err != nil {
		return qwen.CoderConfig{}, err
	}
	cfg, err := qwen.DetectCoder(c.Shape)
	if err != nil {
		return cfg, fmt.Errorf("%s: %w", c.Path, err)
	}
	if len(r.Mean) > 0 {
		cfg.Mean = r.Mean
	}
	if len(r.Std) > 0 {
		cfg.Std = r.Std
	}
	if err := cfg.Validate(); err != nil {
		return cfg, fmt.Errorf("%s: %w", c.Path, err)
	}
	return cfg, weights.Check(c.Path, c, weights.List(cfg.Weights()))
}
