// Package nano holds the embedded model: the weights of a small FLUX with its
// text encoders, autoencoder and EliGen LoRA, as this project's own trainings
// made them.
package nano

import (
	"embed"
	"io/fs"
)

//go:embed weights
var files embed.FS

// Files returns the model's files. A build without weights has a README alone.
func Files() fs.FS {
	sub, err := fs.Sub(files, "weights")
	if err != nil {
		panic(err) // the folder is named in the line above
	}
	return sub
}
