package layouts

import (
	"fmt"
	"math"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/words"
)

// A Written is a scene made of a reading, and the files that it names.
type Written struct {
	Text  []byte
	Files map[string][]byte // by their path from the scene's folder: masks
	Said  []string          // what was changed on the way
}

// maxName is how long a name is made of words.
const maxName = 36

// A writer makes a scene of a reading.
type writer struct {
	*Reading
	ans   Answer
	b     strings.Builder
	taken map[string]bool
	masks string // their folder, from the scene's
	out   *Written
	clips []string // timelines
}

// Write makes a scene of a reading: a render a record. base is the name of its file without .hcl, which masks
// go into a folder of. Its text is to be formatted.
func Write(r *Reading, base string, a Answer) (*Written, error) {
	w := &writer{Reading: r, ans: a, taken: map[string]bool{}, masks: base + "-masks", out: &Written{Files: map[string][]byte{}}}
	fmt.Fprintf(&w.b, "# Imported from %s: %s; boxes %s, %s.\n", line(path.Base(r.File)), r.Format, r.Convention.Order, r.Convention.Unit)
	for i := range r.Scenes {
		if err := w.scene(&r.Scenes[i]); err != nil {
			return nil, err
		}
	}
	w.out.Text = []byte(w.b.String())
	return w.out, nil
}

// line makes a comment's words of strangers' ones.
func line(s string) string { return strings.TrimSpace(tidy(s)) }

func (w *writer) said(format string, args ...any) {
	if s := fmt.Sprintf(format, args...); !slices.Contains(w.out.Said, s) {
		w.out.Said = append(w.out.Said, s)
	}
}

// name returns an unused name made of words. kind keeps apart the names of blocks of different kinds.
func (w *writer) name(kind, words, other string) string {
	base := slug(words)
	if base == "" {
		base = other
	}
	name := base
	for i := 2; w.taken[kind+"."+name]; i++ {
		name = base + "_" + strconv.Itoa(i)
	}
	w.taken[kind+"."+name] = true
	return name
}

var article_ = regexp.MustCompile(`^(a|an|the|one)\s+`)

// slug makes a name of words: whole words, as many as fit.
func slug(s string) string {
	s = article_.ReplaceAllString(strings.ToLower(strings.TrimSpace(s)), "")
	var out string
	for _, word := range strings.FieldsFunc(s, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') }) {
		if out == "" && word[0] >= '0' && word[0] <= '9' {
			word = "n" + word
		}
		if next := out + "_" + word; len(next) > maxName && out != "" {
			break
		} else if out == "" {
			out = word[:min(len(word), maxName)]
		} else {
			out = next
		}
	}
	return out
}

// quoted returns an HCL string with nothing in it that HCL would evaluate.
func quoted(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co) {
			return ' '
		}
		return r
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	return words.HCL(s)
}

// number writes a coordinate.
func number(v float64) string {
	s := strconv.FormatFloat(math.Round(v*1e6)/1e6, 'f', -1, 64)
	if s == "-0" {
		return "0"
	}
	return s
}

var group = regexp.MustCompile(`\(([^()]*?)(?::\s*[0-9.]+\s*)?\)`)

// words returns a prompt as FLUX reads it.
func (w *writer) words(s string) string {
	switch w.Format {
	case "comfyui", "comfyui-workflow", "a1111":
		s = strings.NewReplacer(`\(`, "\x01", `\)`, "\x02").Replace(s)
		for range 4 { // they nest
			s = group.ReplaceAllString(s, "$1")
		}
		s = strings.NewReplacer("\x01", "(", "\x02", ")").Replace(s)
	}
	return s
}

// painted is an entity that the scene has.
type painted struct {
	*Entity
	name string
}

// scene writes a render and its entities.
func (w *writer) scene(s *Scene) error {
	size, err := w.sizeOf(s)
	if err != nil {
		return err
	}
	var kept []painted
	for i := range s.Entities {
		e := &s.Entities[i]
		if why := w.unfit(e, size); why != "" {
			if why != "said" {
				w.said("%s %s is left out: %s", s.Name, e.ID, why)
			}
			continue
		}
		label := e.Name
		if label == "" {
			label = w.words(*e.Prompt)
		}
		kept = append(kept, painted{e, w.name("entity", label, "entity")})
	}
	w.render(s, kept, size)
	for _, e := range kept {
		if err := w.entity(e, size, depths(kept)); err != nil {
			return err
		}
	}
	w.timeline(s, kept)
	return nil
}

// unfit says why an entity is not in the scene: "" if it is, "said" if the reading said so.
func (w *writer) unfit(e *Entity, size eligen.Size) string {
	switch {
	case e.Prompt == nil, e.Empty, e.Kind == "none", e.Kind == "point":
		return "said"
	case e.Crowd != nil && *e.Crowd && !w.ans.Crowds:
		return "said"
	case e.Edit == "keep" || e.Edit == "remove":
		return "the edit says " + e.Edit
	case len(e.Keys) == 0 && !e.covers(size):
		return "it covers no image token of 16×16 pixels"
	}
	return ""
}

// covers reports whether an entity covers an image token of the canvas.
func (e *Entity) covers(size eligen.Size) bool {
	if size == (eligen.Size{}) {
		size = eligen.Size{W: 256, H: 256}
	}
	return len(e.region().Tokens(size, eligen.DefaultGeometry)) > 0
}

// Boxed returns an entity in a box of fractions, x0, y0, x1 and y1.
func Boxed(prompt string, box [4]float64) Entity {
	e := Entity{Prompt: &prompt, shape: shape{kind: "box", box: box}}
	e.show()
	return e
}

// Usable reports whether an entity has words, a place and an area.
func (e *Entity) Usable() bool {
	crowd := e.Crowd != nil && *e.Crowd
	return e.Prompt != nil && !blank(*e.Prompt) && !e.Empty && !e.shape.pixels && !crowd && e.Kind != "none" && e.Kind != "point"
}

// Place returns the region of an entity that is Usable.
func (e *Entity) Place() eligen.Region { return e.region() }

// region returns an entity's place as scenes know it.
func (e *Entity) region() eligen.Region {
	switch s := e.shape; s.kind {
	case "ellipse":
		return eligen.Region{Kind: "ellipse", Numbers: []float64{(s.box[0] + s.box[2]) / 2, (s.box[1] + s.box[3]) / 2,
			(s.box[2] - s.box[0]) / 2, (s.box[3] - s.box[1]) / 2}}
	case "polygon", "polygons":
		r := eligen.Region{Kind: "union"}
		for _, p := range s.pieces {
			one := eligen.Region{Kind: "polygon"}
			for _, at := range p {
				one.Numbers = append(one.Numbers, at[0], at[1])
			}
			r.Parts = append(r.Parts, one)
		}
		if len(r.Parts) == 1 {
			return r.Parts[0]
		}
		return r
	case "mask":
		m := s.mask
		return eligen.Region{Kind: "image", Fit: "stretch", Bitmap: eligen.NewBitmap(m.w, m.h, func(x, y int) bool { return m.on[y*m.w+x] })}
	}
	b := cut(e.shape.box)
	return eligen.Box(b[0], b[1], b[2], b[3])
}

// sizeOf returns the render's size: of --size, or of the file, in multiples of 16 and of a size that can be painted.
func (w *writer) sizeOf(s *Scene) (eligen.Size, error) {
	size := w.ans.Size
	if size == (eligen.Size{}) && s.Canvas != nil {
		size = eligen.Size{W: s.Canvas.W, H: s.Canvas.H}
	}
	if size == (eligen.Size{}) {
		return size, nil
	}
	short, long := min(size.W, size.H), max(size.W, size.H)
	if uneven(size) {
		return size, fmt.Errorf("%s: a canvas of %d×%d is no size of a picture: its sides differ more than %d times. Pass --size WxH",
			s.Name, size.W, size.H, most/least)
	}
	by := 1.0
	if short < least {
		by = math.Ceil(least / float64(short))
	}
	if float64(long)*by > most {
		by = most / float64(long)
	}
	out := eligen.Size{W: sixteens(float64(size.W) * by), H: sixteens(float64(size.H) * by)}
	if out != size {
		w.said("%s: the canvas of %d×%d becomes %d×%d", s.Name, size.W, size.H, out.W, out.H)
	}
	return out, nil
}

// least and most are what the sides of a render are to be, where the file's are smaller or larger.
const least, most = 256, 2048

// uneven reports whether the sides differ so much that no scale makes both of them such as can be painted.
func uneven(size eligen.Size) bool {
	return max(size.W, size.H)*least > min(size.W, size.H)*most
}

func sixteens(v float64) int { return max(16, int(math.Round(v/16))*16) }

// render writes a render block.
func (w *writer) render(s *Scene, kept []painted, size eligen.Size) {
	name := w.name("render", s.Name, "render")
	fmt.Fprintf(&w.b, "\nrender %q {\n  prompt = %s\n", name, quoted(w.prompt(s, kept)))
	if len(w.Scenes) > 1 || len(kept) == 0 {
		var refs []string
		for _, e := range kept {
			refs = append(refs, "entity."+e.name)
		}
		if list := "  entities = [" + strings.Join(refs, ", ") + "]\n"; len(list) <= 100 {
			w.b.WriteString(list)
		} else {
			w.b.WriteString("  entities = [\n    " + strings.Join(refs, ",\n    ") + ",\n  ]\n")
		}
	}
	if size != (eligen.Size{}) {
		fmt.Fprintf(&w.b, "  size = [%d, %d]\n", size.W, size.H)
	}
	if s.Seed != nil {
		fmt.Fprintf(&w.b, "  seed = %d\n", uint32(*s.Seed))
	}
	if s.Negative != "" && s.CFG != nil && *s.CFG > 1 {
		fmt.Fprintf(&w.b, "  negative = %s\n", quoted(w.words(s.Negative)))
	} else if s.Negative != "" {
		w.said("%s: the negative prompt needs cfg above 1, which the file doesn't give: it is a comment", s.Name)
		fmt.Fprintf(&w.b, "  # negative = %s\n", quoted(w.words(s.Negative)))
	}
	if depths(kept) {
		w.b.WriteString("  overlap = \"over\"\n")
	}
	w.sampler(s)
	w.adapters(s, kept)
	if s.Clip != nil && moving(kept) {
		w.clips = append(w.clips, name)
		fmt.Fprintf(&w.b, "  timeline = timeline.%s\n", name)
	}
	if s.Edit && w.ans.Picture != "" {
		fmt.Fprintf(&w.b, "\n  inpaint {\n    image = image(%s)\n    fit   = \"cover\"\n  }\n", quoted(w.ans.Picture))
	}
	w.b.WriteString("}\n")
}

// sampler writes how the file samples.
func (w *writer) sampler(s *Scene) {
	if s.Steps == nil && s.CFG == nil && s.Guidance == nil {
		return
	}
	w.b.WriteString("\n  sampler {\n")
	if s.Steps != nil && *s.Steps > 0 && *s.Steps <= 1000 {
		fmt.Fprintf(&w.b, "    steps = %d\n", *s.Steps)
	}
	if s.CFG != nil && *s.CFG >= 1 {
		fmt.Fprintf(&w.b, "    cfg = %s\n", number(*s.CFG))
	}
	if s.Guidance != nil && *s.Guidance > 0 {
		fmt.Fprintf(&w.b, "    # guidance = %s\n", number(*s.Guidance))
		w.said("guidance is a comment: it is for models that embed it, such as FLUX.1-dev")
	}
	w.b.WriteString("  }\n")
}

// adapters names what is not in the file.
func (w *writer) adapters(s *Scene, kept []painted) {
	list := slices.Clone(s.Adapters)
	for _, e := range kept {
		list = append(list, e.Adapters...)
	}
	for _, a := range list {
		if a.Kind == "lora" {
			scale := ""
			if a.Scale != nil {
				scale = ", scale " + number(*a.Scale)
			}
			fmt.Fprintf(&w.b, "  # LoRA: %s%s\n", line(a.Source), scale)
		}
	}
}

// depths reports whether entities have different depths.
func depths(kept []painted) bool {
	for _, e := range kept {
		if e.Z != nil && *e.Z != *firstZ(kept) {
			return true
		}
	}
	return false
}

func firstZ(kept []painted) *float64 {
	for _, e := range kept {
		if e.Z != nil {
			return e.Z
		}
	}
	return new(float64)
}

// prompt returns the words for the whole picture.
func (w *writer) prompt(s *Scene, kept []painted) string {
	var words []string
	if s.Prompt != nil && !blank(*s.Prompt) {
		words = append(words, strings.TrimSpace(w.words(w.cited(*s.Prompt, s))))
	} else {
		var names []string
		for _, e := range kept {
			names = append(names, strings.TrimRight(article(strings.TrimSpace(w.words(*e.Prompt))), "."))
		}
		if len(names) > 12 {
			names = unique(names)
		}
		words = append(words, strings.Join(names, ", "))
	}
	if b := strings.TrimSpace(s.Background); b != "" && !strings.Contains(words[0], b) {
		words = append(words, w.words(b))
	}
	for _, e := range s.Entities {
		if e.Kind == "none" && e.Prompt != nil {
			words = append(words, strings.TrimSpace(w.words(*e.Prompt)))
		}
	}
	words = append(words, styleWords(s.Style)...)
	out := ""
	for _, p := range words {
		switch {
		case p == "":
		case out == "":
			out = p
		case strings.ContainsRune(".!?", rune(out[len(out)-1])):
			out += " " + p
		default:
			out += ". " + p
		}
	}
	if out == "" {
		w.said("%s has no words at all: its prompt is “a picture”", s.Name)
		return "a picture"
	}
	return out
}

// cited puts descriptions in the place of citations.
func (w *writer) cited(prompt string, s *Scene) string {
	return citation.ReplaceAllStringFunc(prompt, func(sign string) string {
		for _, e := range s.Entities {
			if "<"+e.Name+">" == sign && e.Prompt != nil {
				return strings.TrimRight(strings.TrimSpace(*e.Prompt), ".")
			}
		}
		if w.Format != "flux-3" {
			return sign
		}
		return strings.Trim(sign, "<>")
	})
}

// styleWords returns the words of Ideogram's style.
func styleWords(style any) []string {
	m, _ := style.(map[string]any)
	var out []string
	for _, k := range []string{"aesthetics", "lighting", "photo", "art_style", "medium"} {
		if s, ok := m[k].(string); ok && s != "" {
			out = append(out, s)
		}
	}
	if len(out) == 0 {
		return nil
	}
	return []string{strings.Join(out, ", ")}
}

// entity writes an entity block.
func (w *writer) entity(e painted, size eligen.Size, deep bool) error {
	prompt := strings.TrimSpace(w.words(*e.Prompt))
	if e.Text != "" && !strings.Contains(prompt, tidy(e.Text)) {
		prompt = strings.TrimRight(prompt, ". ") + fmt.Sprintf(", with the text “%s”", tidy(e.Text))
	}
	fmt.Fprintf(&w.b, "\nentity %q {\n  prompt = %s\n", e.name, quoted(prompt))
	switch e.shape.kind {
	case "box":
		b := cut(e.shape.box)
		fmt.Fprintf(&w.b, "  box = xyxy(%s, %s, %s, %s)\n", number(b[0]), number(b[1]), number(b[2]), number(b[3]))
	case "ellipse":
		n := e.region().Numbers
		fmt.Fprintf(&w.b, "  region = ellipse(%s, %s, %s, %s)\n", number(n[0]), number(n[1]), number(n[2]), number(n[3]))
	case "polygon":
		w.b.WriteString("  region = " + polygonText(e.shape.pieces[0]) + "\n")
	case "polygons":
		w.b.WriteString("  region = union(\n")
		for _, p := range e.shape.pieces {
			w.b.WriteString("    " + polygonText(p) + ",\n")
		}
		w.b.WriteString("  )\n")
	case "mask":
		name := w.masks + "/" + e.name + ".png"
		data, err := e.shape.mask.png()
		if err != nil {
			return err
		}
		w.out.Files[name], e.Mask = data, name
		fit := ""
		if m := e.shape.mask; size.W*m.h != size.H*m.w {
			fit = ", { fit = \"stretch\" }"
		}
		fmt.Fprintf(&w.b, "  mask = image(%s%s)\n", quoted(name), fit)
	}
	if e.Z != nil && *e.Z != 0 && deep {
		fmt.Fprintf(&w.b, "  z = %s\n", number(*e.Z))
	}
	if e.Strength != nil && *e.Strength != 1 {
		w.said("strength %g of %s is a comment: it has another meaning here", *e.Strength, e.ID)
		fmt.Fprintf(&w.b, "  # strength %s in the file\n", number(*e.Strength))
	}
	w.b.WriteString("}\n")
	return nil
}

func polygonText(p [][2]float64) string {
	var out []string
	for _, at := range p {
		out = append(out, "["+number(at[0])+", "+number(at[1])+"]")
	}
	return "polygon([" + strings.Join(out, ", ") + "])"
}

func moving(kept []painted) bool {
	return slices.ContainsFunc(kept, func(e painted) bool { return len(e.Keys) > 0 })
}

// timeline writes what moves in a clip.
func (w *writer) timeline(s *Scene, kept []painted) {
	if s.Clip == nil || !moving(kept) {
		return
	}
	fmt.Fprintf(&w.b, "\ntimeline %q {\n  frames = %d\n", w.clips[len(w.clips)-1], s.Clip.Frames)
	for _, e := range kept {
		if len(e.Keys) == 0 {
			continue
		}
		fmt.Fprintf(&w.b, "\n  track {\n    target = entity.%s.box\n    keys = [\n", e.name)
		for i, k := range e.Keys {
			at := (k.Frame - s.Clip.First) / s.Clip.Step
			ease := ""
			if i+1 < len(e.Keys) && (k.Outside || e.Keys[i+1].Outside) {
				ease = ", ease = \"hold\""
			}
			b := k.XYXY
			if k.Outside {
				b = []float64{-2, -2, -1, -1}
			}
			fmt.Fprintf(&w.b, "      { at = %d, value = xyxy(%s, %s, %s, %s)%s },\n",
				at, number(b[0]), number(b[1]), number(b[2]), number(b[3]), ease)
		}
		w.b.WriteString("    ]\n  }\n")
	}
	w.b.WriteString("}\n")
}
