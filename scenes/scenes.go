// Package scenes holds the scenes of this folder, for eligen init.
package scenes

import "embed"

// Files are the scenes and what they name: pictures, tables, templates, modules.
//
//go:embed *.hcl garden/*.hcl masks/*.png pictures/*.png prompts/*.tmpl tables/*.csv
var Files embed.FS
