// Package lab trains models and evaluates them, for front ends that have it: the command line. Like
// package app, whose pictures it takes, it knows no terminal.
package lab

import (
	"path"
	"path/filepath"
	"slices"

	"github.com/eligen/eligen/dataset"
)

// A Lab is where trainings, sprites and their styles are kept: below eligen's cache folder.
type Lab struct{ Folder string }

// SpritesFolder returns where fetched sprites are.
func (l Lab) SpritesFolder() string {
	return filepath.Join(l.Folder, "assets", path.Base(dataset.Assets.Name)+"-"+dataset.Assets.Version)
}

// StyleFolder returns where a fetched style of the sprites is.
func (l Lab) StyleFolder(s dataset.Style) string {
	return filepath.Join(l.Folder, "assets", s.Folder())
}

// Sprites opens a folder of sprites, "" being the fetched ones, with styles that were fetched.
func (l Lab) Sprites(dir string, styles ...string) (*dataset.Sprites, error) {
	if dir == "" {
		dir = l.SpritesFolder()
	}
	sprites, err := dataset.Open(dir)
	if err != nil {
		return nil, err
	}
	return sprites, l.openStyles(sprites, styles...)
}

// openStyles adds styles that were fetched; names of none are left to whoever uses them.
func (l Lab) openStyles(sprites *dataset.Sprites, names ...string) error {
	for _, s := range dataset.Styles {
		if !slices.Contains(names, s.Name) {
			continue
		}
		if err := sprites.OpenStyle(s.Name, l.StyleFolder(s)); err != nil {
			return err
		}
	}
	return nil
}

// classNames returns the names of the first n classes of objects, 0 being all.
func classNames(n int) []string {
	var out []string
	for _, c := range dataset.Classes(n) {
		out = append(out, c.Name)
	}
	return out
}

// otherStyles returns the styles that have to be asked for.
func otherStyles() []string { return dataset.StyleNames()[1:] }
