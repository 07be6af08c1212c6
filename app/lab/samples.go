package lab

import (
	"fmt"
	"maps"
	"slices"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/dataset"
	"github.com/eligen/eligen/internal/annotated"
)

// bySize returns the samples of a size in pixels; held-out ones, which training never shows.
type bySize = func(size eligen.Size, held bool) (annotated.Samples, error)

// samples opens a recipe's dataset, and sets in the recipe how many pictures a folder has. Only composed
// pictures come in panels.
func (l Lab) samples(r *eligen.Recipe, dir string) (samples, panels bySize, err error) {
	if r.Dataset != "" && r.Dataset != "composed" {
		samples, err = folderSamples(r)
		return samples, nil, err
	}
	sprites, err := l.Sprites(dir, slices.Collect(maps.Keys(r.Styles))...)
	if err != nil {
		return nil, nil, err
	}
	panels = func(size eligen.Size, held bool) (annotated.Samples, error) {
		var styles map[string]float64
		if r.Kind == "in-context" {
			styles = r.Styles
		}
		c, err := composer(sprites, r, size, held, styles)
		if err != nil {
			return nil, err
		}
		return c.PairSample, nil
	}
	if r.Kind == "in-context" {
		return panels, nil, nil
	}
	return func(size eligen.Size, held bool) (annotated.Samples, error) {
		c, err := composer(sprites, r, size, held, r.Styles)
		if err != nil {
			return nil, err
		}
		return c.Sample, nil
	}, panels, nil
}

func composer(
	sprites *dataset.Sprites, r *eligen.Recipe, size eligen.Size, held bool, styles map[string]float64,
) (*dataset.Composer, error) {
	if size == (eligen.Size{}) {
		size = eligen.Size{W: 128, H: 128}
	}
	split := dataset.Train
	if held {
		split = dataset.Eval
	}
	return sprites.Composer(dataset.Options{Classes: r.Classes, Size: size, Seed: r.Seed, Split: split, Styles: styles})
}

// folderSamples opens a dataset's folder.
func folderSamples(r *eligen.Recipe) (bySize, error) {
	if len(r.Styles) > 0 {
		return nil, fmt.Errorf(
			"recipe %q: \"styles\" says how composed pictures are drawn, and %s holds pictures that are there: leave "+
				"one of the two out", r.Name, r.Dataset)
	}
	if r.Kind == "in-context" {
		return nil, fmt.Errorf(
			"recipe %q: an in-context LoRA is trained on composed pairs; a folder doesn't say what its pictures were "+
				"before an object was painted", r.Name)
	}
	folder, err := dataset.Read(r.Dataset, eligen.Size{})
	if err != nil {
		return nil, err
	}
	// More would be the same again.
	if r.Pictures == 0 || r.Pictures > folder.Len() {
		r.Pictures = folder.Len()
	}
	return func(size eligen.Size, held bool) (annotated.Samples, error) {
		f, err := folder.At(size)
		if err != nil {
			return nil, err
		}
		return f.Sample, nil
	}, nil
}
