// Package scenes holds the scenes of this folder, for eligen init.
package scenes

import "embed"

// Files are the scenes and what they name: pictures, tables, templates, modules. Those
// for FLUX.1 weights are in flux, and those for Qwen-Image in qwen, with masks and pictures of their own.
//
//go:embed *.hcl garden/*.hcl masks/*.png pictures/*.png prompts/*.tmpl tables/*.csv
//go:embed flux/*.hcl flux/masks/*.png flux/pictures/*.png qwen/*.hcl
var Files embed.FS
