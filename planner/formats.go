package planner

import (
	"path"
	"slices"
	"strings"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/words"
)

// Formats by the ends of files' names: of pictures, and of clips.
var (
	stillFormats = []string{".png", ".jpg", ".jpeg", ".webp"}
	clipFormats  = []string{".gif", ".apng", ".webp", ".mp4", ".webm"}
)

// format reports whether a file of that name can hold what the render is: a picture, a
// clip, the frames of one by their numbers, or all of them side by side.
func (p *problems) format(w *work, o eligen.Output) bool {
	clip, numbered := w.render.Clip != nil, strings.Contains(o.Path, "%")
	ext := strings.ToLower(path.Ext(o.Path))
	stem := strings.TrimSuffix(o.Path, path.Ext(o.Path))
	refuse := func(detail string, args ...any) bool {
		p.diags.Errorf(&o.Source, badPath, detail, args...)
		return false
	}
	switch {
	case numbered && !clip:
		return refuse("%q numbers the frames of a clip, and this render has no timeline.", o.Path)
	case numbered && o.Sheet:
		return refuse("A sheet is one picture of all frames; %q numbers them.", o.Path)
	case clip && o.Sheet && ext != ".png":
		return refuse("A sheet is written as .png; %q ends in %q.", o.Path, ext)
	case clip && o.Sheet:
	case clip && !numbered && slices.Contains(stillFormats, ext) && ext != ".webp":
		return refuse("This render is a clip: number its frames, such as %q, set sheet = true, or write a clip, such as %q.", stem+"/%04d"+ext,
			stem+".gif")
	case clip && !numbered && !slices.Contains(clipFormats, ext):
		return refuse("The name of a clip ends in %s; %q does not.", words.Quoted(clipFormats, "or"), o.Path)
	case (!clip || numbered) && !slices.Contains(stillFormats, ext):
		hint := ""
		if !clip && slices.Contains(clipFormats, ext) {
			hint = " A clip needs a timeline."
		}
		return refuse("The name of a picture ends in %s; %q does not.%s", words.Quoted(stillFormats, "or"), o.Path, hint)
	}
	return true
}

// applicable refuses options that the file's format does not have.
func (p *problems) applicable(w *work, o eligen.Output) {
	ext := strings.ToLower(path.Ext(o.Path))
	clip := w.render.Clip != nil
	moving := clip && !o.Sheet && !strings.Contains(o.Path, "%")
	for _, x := range []struct {
		name string
		ok   bool
		why  string
	}{
		{"quality", ext == ".jpg" || ext == ".jpeg", "applies to a JPEG"},
		{"dither", ext == ".gif", "applies to a GIF"},
		{"loop", moving && ext != ".mp4" && ext != ".webm", "applies to a GIF, an APNG or an animated WebP"},
		{"overlay", !moving && !o.Sheet, "draws regions over pictures, not over clips or sheets"},
		{"sheet", clip || !o.Sheet, "puts the frames of a clip side by side, and this render has no timeline"},
	} {
		if at, set := o.At[x.name]; set && !x.ok {
			p.diags.Errorf(&at, notApplicable, "%s: %q %s. Remove it, or choose another path.", o.Path, x.name, x.why)
		}
	}
}
