package planner

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/words"
	"github.com/eligen/eligen/stage/clip"
	"github.com/eligen/eligen/stage/still"
)

type output struct {
	eligen.Output
	local string // the path, ready to open
	ext   string
}

func (jd *judge) outputs(w *work) {
	r := w.render
	outputs := r.Outputs
	if len(outputs) == 0 {
		ext := ".png"
		if r.Clip != nil {
			ext = ".gif"
		}
		outputs = []eligen.Output{{Path: "out/" + r.Name + ext, Source: r.Source}}
	}
	for _, o := range outputs {
		if o.Path == "" && r.Broken["output"] {
			continue
		}
		local, ok := jd.path(o.Path, &o.Source)
		if !ok || !jd.format(w, o) {
			continue
		}
		jd.applicable(w, o)
		ext := strings.ToLower(filepath.Ext(local))
		if format := strings.TrimPrefix(ext, "."); r.Clip != nil && (format == clip.MP4 || format == clip.WebM) && jd.options.Video != nil {
			version, err := jd.options.Video(format)
			if err != nil {
				jd.diags.Errorf(&o.Source, "Video can't be written", "%s.", sentence(err))
				continue
			}
			jd.video = version
		}
		if o.Overlay && len(r.Entities) == 0 && !r.Broken["entities"] {
			jd.diags.Warnf(&o.Source, noEffect, "overlay draws regions, and %s has no entities.", r.Address)
			o.Overlay = false
		}
		w.outputs = append(w.outputs, output{o, local, ext})
	}
}

func sentence(err error) string {
	return words.Capital(strings.TrimSuffix(err.Error(), "."))
}

// path returns where a file that the scene names is written, if it may be.
func (jd *judge) path(name string, at *eligen.Source) (string, bool) {
	local := filepath.FromSlash(name)
	if !filepath.IsLocal(local) {
		jd.diags.Errorf(at, badPath, "Outputs are written below the folder of the scene, and %q is not there.", name)
		return "", false
	}
	local = filepath.Clean(local)
	if first, taken := jd.paths[local]; taken {
		jd.diags.Errorf(at, "Duplicate output", "Two outputs write %s. Give one of them another path.", name).Note(first,
			"the other output is here")
		return "", false
	}
	jd.paths[local] = *at
	return filepath.Join(jd.folder, local), true
}

// sheet plans a picture of several renders.
func (b *builder) sheet(s eligen.Sheet, works []*work) {
	path, ok := b.path(s.Path, &s.Source)
	if !ok {
		return
	}
	op := still.Sheet{Shown: &still.Shown{}}
	var inputs []eligen.Ref
	var first *work
	for i, address := range s.Renders {
		for _, w := range works {
			if w.render.Address != address || w.render.Clip != nil && len(w.shown) == 0 {
				continue
			}
			if first == nil {
				first, op.Size = w, w.size
			}
			if w.size == op.Size {
				pictured, caption := w, s.Captions[i]
				if w.render.Clip != nil { // a clip is shown by its middle frame
					pictured = w.shown[len(w.shown)/2]
					caption += fmt.Sprintf(", frame %d", pictured.number)
				}
				inputs, op.Captions = append(inputs, w.picture), append(op.Captions, caption)
				resolved := b.resolved(pictured)
				op.Shown.Renders = append(op.Shown.Renders, resolved)
				op.Background = either(op.Background, resolved.Background())
				for _, o := range w.outputs {
					if m := b.mark(w, o.Output); m != nil && op.Mark == nil {
						op.Mark = &eligen.Mark{Source: m.Source}
					}
				}
			}
		}
	}
	if first == nil {
		return
	}
	ref := b.add(first, first.render.Address+".sheet", s.Source, op, inputs...)
	b.plan.Outputs = append(b.plan.Outputs, eligen.PlannedOutput{Path: path, Stage: ref, Source: s.Source})
}

// still plans a picture's file.
func (b *builder) still(w *work, o output, path string, resolved still.Resolved, picture eligen.Ref) {
	name := w.render.Address + ".still"
	if o.Overlay {
		name = w.render.Address + ".overlay"
	}
	var op eligen.Op
	switch o.ext {
	case ".jpg", ".jpeg":
		quality := o.Quality
		if quality == 0 {
			quality = 90
		}
		op, name = still.JPEG{Resolved: resolved, Overlay: o.Overlay, Strip: o.StripMetadata, Quality: quality,
			Mark: b.mark(w, o.Output)}, name+".jpeg"
	case ".webp":
		op, name = still.WebP{Resolved: resolved, Overlay: o.Overlay, Strip: o.StripMetadata, Mark: b.mark(w, o.Output)}, name+".webp"
	default:
		op = still.Op{Resolved: resolved, Overlay: o.Overlay, Strip: o.StripMetadata, Mark: b.mark(w, o.Output)}
	}
	ref := b.add(w, name, o.Source, op, picture)
	b.plan.Outputs = append(b.plan.Outputs, eligen.PlannedOutput{Render: w.render.Address, Path: path, Stage: ref, Source: o.Source})
}

// mark returns what a file says to others of its origin; nil where the output says that it is to say nothing.
func (b *builder) mark(w *work, o eligen.Output) *eligen.Mark {
	if o.Unmarked {
		return nil
	}
	m := &eligen.Mark{Source: eligen.TrainedMedia, Model: w.spec.File}
	switch r := w.render; {
	case w.spec.Untrained:
		m.Source = eligen.DrawnMedia
	case r.Inpaint != nil || r.Transfer != nil:
		m.Source = eligen.CompositeMedia
	}
	return m
}
