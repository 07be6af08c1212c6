package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/color"
	"io"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/dsl"
	"github.com/eligen/eligen/internal/files"
	"github.com/eligen/eligen/internal/page"
	"github.com/eligen/eligen/internal/pixels"
	"github.com/eligen/eligen/stage/measure"
	"github.com/eligen/eligen/stage/still"
)

// diffOptions are the flags of `eligen diff`.
type diffOptions struct {
	sceneOptions
	out      string
	detailed bool
}

func newDiff() *cobra.Command {
	var o diffOptions
	c := &cobra.Command{
		Use:   "diff A B",
		Short: "Say how two scenes, plans or pictures differ",
		Long: `Say how two scenes, plans or pictures differ.

Two scenes are compared by what they mean, not by their text: order, comments and layout don't count, and a box that is computed is the box that comes of it. Plans are what "eligen plan --json" prints. Pictures are PNG, JPEG or WebP.`,
		Example: `eligen diff scenes/rain.hcl scenes/seven.hcl
# two plans, as eligen plan --json prints them
eligen diff before.json after.json
eligen diff out/a.png out/b.png --out where.png`,
		Args:              exactly(2),
		ValidArgsFunction: complete("hcl"),
		RunE:              o.run,
	}
	o.flags(c)
	c.Flags().StringVar(&o.out, "out", "", "of two pictures: write a PNG to `FILE` that shows where they differ")
	c.Flags().BoolVar(&o.detailed, "detailed-exitcode", false, "exit with 2 if they differ")
	return c
}

func (o *diffOptions) run(c *cobra.Command, args []string) error {
	var kinds [2]string
	for i, path := range args {
		kind, err := fileKind(path)
		if err != nil {
			return err
		}
		kinds[i] = kind
	}
	if kinds[0] != kinds[1] {
		return fmt.Errorf("%s is a %s and %s a %s; diff compares two of one kind", args[0], kinds[0], args[1], kinds[1])
	}
	if o.out != "" && kinds[0] != "picture" {
		return usageError{errors.New("--out draws where two pictures differ, and these are " + kinds[0] + "s")}
	}
	compare := map[string]func(*cobra.Command, string, string) (bool, error){"scene": o.scenes, "plan": o.plans, "picture": o.pictures}[kinds[0]]
	differ, err := compare(c, args[0], args[1])
	if err == nil && differ && o.detailed {
		return exit{code: exitChanges}
	}
	return err
}

// maxPlan is how much of a plan is read, bytes.
const maxPlan = 64 << 20

// fileKind is what a file is by its name; JSON may be a plan or a scene.
func fileKind(path string) (string, error) {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".hcl":
		return "scene", nil
	case ".png", ".jpg", ".jpeg", ".webp":
		return "picture", nil
	case ".json":
		if _, err := readPlan(path); errors.Is(err, errNoPlan) {
			return "scene", nil
		} else if err != nil {
			return "", err
		}
		return "plan", nil
	}
	return "", fmt.Errorf("%s: diff compares scenes (.hcl, .json), plans (.json) and pictures (.png, .jpg, .webp)", path)
}

// scenes compares what two scenes mean.
func (o *diffOptions) scenes(c *cobra.Command, a, b string) (bool, error) {
	var scenes [2]*eligen.Scene
	for i, path := range []string{a, b} {
		var err error
		if scenes[i], err = o.load(c, path); err != nil {
			return false, err
		}
	}
	moved := func(address string) string { return movedTo(scenes[1].Moves, address) }
	return printChanges(c.OutOrStdout(), changes(sceneThings(scenes[0], moved), sceneThings(scenes[1], func(s string) string { return s })), 0)
}

// A thing is what can be added, removed and changed: a block or a stage.
type thing struct {
	address string
	brief   string
	facts   []fact
	digest  string // of a stage
}

// A fact is one thing that a scene or a plan says: names and values as people
// write them.
type fact struct{ name, value string }

// longText is the most characters of a value that is shown. Longer ones end in a
// digest, so that different ones still look different.
const longText = 300

func shorten(s string) string {
	if r := []rune(s); len(r) > longText {
		return string(r[:longText-40]) + "… (" + eligen.DigestOf([]byte(s)).Short() + ")"
	}
	return s
}

// movedTo is an address's present form, by the moved blocks of a scene.
func movedTo(moves []eligen.Move, address string) string {
	for range moves { // a move may lead to another
		for _, m := range moves {
			if m.From == address {
				address = m.To
			}
		}
	}
	return address
}

// sceneThings is a scene in its own words; rename gives addresses their present form.
func sceneThings(s *eligen.Scene, rename func(string) string) []thing {
	var out []thing
	for _, r := range s.Renders {
		t := thing{address: rename(r.Address), brief: strconv.Quote(r.Prompt)}
		add := func(name, format string, args ...any) {
			t.facts = append(t.facts, fact{name, fmt.Sprintf(format, args...)})
		}
		add("prompt", "%q", r.Prompt)
		if r.Negative != "" {
			add("negative", "%q", r.Negative)
		}
		if r.Size.W > 0 {
			add("size", "[%d, %d]", r.Size.W, r.Size.H)
		}
		add("seed", "%d", r.Seed)
		add("model", "%s", strings.Join(strings.Fields(strings.Join([]string{r.Model.Family, r.Model.Name, r.Model.Path, r.Model.DType}, " ")), " "))
		if r.Adapters != nil {
			var list []string
			for _, a := range r.Adapters {
				what := strings.TrimSpace(fmt.Sprintf("%s %s %s", a.Kind, a.Name, a.Path)) + fmt.Sprintf(" × %g", a.Scale)
				for _, p := range a.Images {
					what += fmt.Sprintf(" %s (%s)", p.Path, p.Digest.Short())
				}
				list = append(list, strings.TrimSpace(what+" "+a.Encoder))
			}
			add("adapters", "[%s]", strings.Join(list, ", "))
		}
		var list []string
		for _, e := range r.Entities {
			list = append(list, rename(e.Address))
		}
		add("entities", "[%s]", strings.Join(list, ", "))
		if r.Overlap != "" && r.Overlap != "blend" {
			add("overlap", "%q", r.Overlap)
		}
		sampler := reflect.ValueOf(r.Sampler)
		for i, name := range []string{"steps", "cfg", "guidance", "schedule", "shift", "negative_entities", "tea_cache"} {
			if v := sampler.Field(i); !v.IsZero() {
				add("sampler."+name, "%v", reflect.Indirect(v))
			}
		}
		if v := r.VAE; v != nil && v.Tiled {
			add("vae.tiled", "true")
			if v.Tile != 0 {
				add("vae.tile", "%d", v.Tile)
			}
			if v.Stride != 0 {
				add("vae.stride", "%d", v.Stride)
			}
		}
		fit := func(block, fit string) {
			if fit != "" {
				add(block+".fit", "%q", fit)
			}
		}
		picture := func(name string, p eligen.Picture) {
			path, err := filepath.Rel(filepath.Dir(s.Path), p.Path)
			if err != nil {
				path = p.Path
			}
			add(name, "%s (%s)%s", filepath.ToSlash(path), p.Digest.Short(), seen(p.Behind(), p.Profile))
		}
		keeping := func(block string, k eligen.Keeping) {
			add(block+".mode", "%q", cmp.Or(k.Mode, "exact"))
			if k.Feather != 0 {
				add(block+".feather", "%g", k.Feather)
			}
			if k.Background != 0 {
				add(block+".background_weight", "%g", k.Background)
			}
		}
		if r.Init != nil {
			picture("init.image", r.Init.Image)
			fit("init", r.Init.Fit)
			add("init.strength", "%g", r.Init.Strength)
		}
		if p := r.Inpaint; p != nil {
			picture("inpaint.image", p.Image)
			fit("inpaint", p.Fit)
			keeping("inpaint", p.Keeping)
		}
		if t := r.Transfer; t != nil {
			picture("transfer.source", t.From)
			picture("transfer.target", t.To)
			fit("transfer", t.Fit)
			keeping("transfer", t.Keeping)
			if t.Clean != nil {
				add("transfer.clean_source", "%t", *t.Clean)
			}
		}
		for i, o := range r.Outputs {
			text := o.Path
			if o.Overlay {
				text += ", overlay"
			}
			if o.StripMetadata {
				text += ", strip_metadata"
			}
			name := "output"
			if i > 0 {
				name = fmt.Sprintf("output %d", i+1)
			}
			add(name, "%s", text)
		}
		out = append(out, t)
	}
	for _, e := range s.Entities {
		t := thing{address: rename(e.Address), brief: fmt.Sprintf("%q in %s", e.Prompt, shorten(e.Region.String()))}
		where := "region"
		for _, name := range []string{"box", "mask"} {
			if _, ok := e.At[name]; ok {
				where = name
			}
		}
		t.facts = []fact{{"prompt", strconv.Quote(e.Prompt)}, {where, shorten(e.Region.String())}, {"strength", fmt.Sprint(e.Strength)}, {"z", fmt.Sprint(e.Z)}}
		out = append(out, t)
	}
	for _, c := range s.Checks {
		t := thing{address: c.Address}
		for i, a := range c.Asserts {
			line := []rune(a.Source.Code)
			t.facts = append(t.facts, fact{fmt.Sprintf("assert %d", i+1), string(line[min(a.Source.Start, len(line)):min(a.Source.End, len(line))])})
		}
		out = append(out, t)
	}
	for _, r := range s.Recipes {
		t := thing{address: "recipe." + r.Name}
		v := reflect.ValueOf(r)
		for i := range v.NumField() {
			name := v.Type().Field(i).Name
			switch name {
			case "Name", "Source":
			case "Model":
				t.facts = append(t.facts, fact{"model", strings.TrimSpace(r.Model.Family + " " + r.Model.Path)})
			default:
				t.facts = append(t.facts, fact{strings.ToLower(name), fmt.Sprint(v.Field(i))})
			}
		}
		out = append(out, t)
	}
	return out
}

// A change is a line of a difference.
type change struct {
	sign byte // '+', '-', '~'
	text string
	of   string // address
}

// signs are the signs of changes, in their colours.
var signs = map[byte]string{'+': page.Added.Of("+"), '-': page.Removed.Of("-"), '~': page.Changed.Of("~")}

// changes is what leads from a to b, in the order of b, then of a.
func changes(a, b []thing) []change {
	var out []change
	find := func(list []thing, address string) *thing {
		if i := slices.IndexFunc(list, func(t thing) bool { return t.address == address }); i >= 0 {
			return &list[i]
		}
		return nil
	}
	whole := func(sign byte, t thing) change {
		text := t.address
		if t.brief != "" {
			text += ": " + t.brief
		}
		return change{sign, text, t.address}
	}
	for _, t := range b {
		old := find(a, t.address)
		if old == nil {
			out = append(out, whole('+', t))
			continue
		}
		for _, text := range factChanges(t.address+".", old.facts, t.facts) {
			out = append(out, change{'~', text, t.address})
		}
	}
	for _, t := range a {
		if find(b, t.address) == nil {
			out = append(out, whole('-', t))
		}
	}
	return out
}

// factChanges is a line for each fact that differs: "name: from → to".
func factChanges(prefix string, a, b []fact) []string {
	find := func(list []fact, name string) (text string, ok bool) {
		i := slices.IndexFunc(list, func(f fact) bool { return f.name == name })
		if i < 0 {
			return "unset", false
		}
		return list[i].value, true
	}
	var out []string
	for _, f := range b {
		from, _ := find(a, f.name)
		if to, _ := find(b, f.name); from != to {
			out = append(out, fmt.Sprintf("%s%s: %s → %s", prefix, f.name, from, to))
		}
	}
	for _, f := range a {
		if to, ok := find(b, f.name); !ok {
			from, _ := find(a, f.name)
			out = append(out, fmt.Sprintf("%s%s: %s → %s", prefix, f.name, from, to))
		}
	}
	return out
}

// printChanges prints changes and their sum; follow is how many stages more come
// out differently.
func printChanges(w io.Writer, list []change, follow int) (bool, error) {
	if len(list) == 0 && follow == 0 {
		_, err := fmt.Fprintln(w, "They are equal.")
		return false, err
	}
	count := map[byte]int{}
	seen := map[string]bool{}
	for _, c := range list {
		fmt.Fprintf(w, "%s %s\n", signs[c.sign], c.text)
		if !seen[c.of] {
			count[c.sign]++
		}
		seen[c.of] = true
	}
	sum := fmt.Sprintf("%d changed, %d added, %d removed", count['~'], count['+'], count['-'])
	if follow > 0 {
		sum += fmt.Sprintf("; %d more made from these", follow)
	}
	_, err := fmt.Fprintf(w, "%s.\n", sum)
	return true, err
}

// A planFile is a plan as `eligen plan --json` prints it.
type planFile struct {
	Engine string
	Stages []struct {
		Address, Kind, Digest string
		Inputs                []string
		Recipe                json.RawMessage
	}
	Outputs []struct{ Render, Path, Stage string }
}

var errNoPlan = errors.New("it is no plan")

func readPlan(path string) (*planFile, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxPlan+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxPlan {
		return nil, fmt.Errorf("%s has more than %d MiB, which is the limit of a plan", path, maxPlan>>20)
	}
	p := &planFile{}
	if json.Unmarshal(data, p) != nil || p.Engine == "" || p.Stages == nil {
		return nil, errNoPlan // dsl says what is wrong with it, if it is no scene either
	}
	return p, nil
}

// plans compares the stages of two plans.
func (o *diffOptions) plans(c *cobra.Command, a, b string) (bool, error) {
	var things [2][]thing
	for i, path := range []string{a, b} {
		p, err := readPlan(path)
		if err != nil {
			return false, err
		}
		if things[i], err = p.things(); err != nil {
			return false, fmt.Errorf("%s: %w", path, err)
		}
	}
	list := changes(things[0], things[1])
	follow := 0
	for _, t := range things[1] {
		i := slices.IndexFunc(things[0], func(old thing) bool { return old.address == t.address })
		changed := slices.ContainsFunc(list, func(c change) bool { return c.of == t.address })
		if i >= 0 && !changed && things[0][i].digest != t.digest {
			follow++
		}
	}
	return printChanges(c.OutOrStdout(), list, follow)
}

func (p *planFile) things() ([]thing, error) {
	out := []thing{{address: "plan", facts: []fact{{"engine", p.Engine}}}}
	for _, s := range p.Stages {
		t := thing{address: s.Address, brief: s.Kind, digest: s.Digest, facts: []fact{{"kind", s.Kind}, {"inputs", "[" + strings.Join(s.Inputs, ", ") + "]"}}}
		dec := json.NewDecoder(bytes.NewReader(page.LowerKeys(s.Recipe))) // older plans have keys in Go's style
		dec.UseNumber()
		var recipe any
		if err := dec.Decode(&recipe); err != nil && len(s.Recipe) > 0 {
			return nil, fmt.Errorf("the recipe of %s can't be read: %w", s.Address, err)
		}
		flatten(&t.facts, "", recipe)
		out = append(out, t)
	}
	for _, o := range p.Outputs {
		out = append(out, thing{address: o.Path, brief: o.Stage, facts: []fact{{"stage", o.Stage}}})
	}
	return out, nil
}

// flatten lists the values in JSON by their paths: "schedule.steps", "entities[0].bucket".
// A list of numbers is one fact.
func flatten(facts *[]fact, path string, v any) {
	switch v := v.(type) {
	case map[string]any:
		names := make([]string, 0, len(v))
		for name := range v {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			flatten(facts, strings.TrimPrefix(path+"."+name, "."), v[name])
		}
	case []any:
		if !slices.ContainsFunc(v, func(e any) bool { _, number := e.(json.Number); return !number }) {
			var parts []string
			for _, e := range v {
				parts = append(parts, fmt.Sprint(e))
			}
			text := strings.Join(parts, ", ")
			if len(parts) > 8 {
				text = fmt.Sprintf("%s, … (%d in all, %s)", strings.Join(parts[:4], ", "), len(parts), eligen.DigestOf([]byte(text)).Short())
			}
			*facts = append(*facts, fact{path, "[" + text + "]"})
			return
		}
		for i, e := range v {
			flatten(facts, fmt.Sprintf("%s[%d]", path, i), e)
		}
	case string:
		*facts = append(*facts, fact{path, strconv.Quote(shorten(v))})
	case nil:
		if path != "" {
			*facts = append(*facts, fact{path, "null"})
		}
	default:
		*facts = append(*facts, fact{path, fmt.Sprint(v)})
	}
}

// pictures compares two pictures.
func (o *diffOptions) pictures(c *cobra.Command, a, b string) (bool, error) {
	var imgs [2]*image.NRGBA
	var made [2]*still.Resolved
	for i, path := range []string{a, b} {
		img, err := dsl.ReadPicture(path)
		if err != nil {
			return false, err
		}
		imgs[i], made[i] = nrgba(img), madeBy(path)
	}
	w := c.OutOrStdout()
	if sizes := [2]image.Point{imgs[0].Rect.Size(), imgs[1].Rect.Size()}; sizes[0] != sizes[1] {
		if o.out != "" {
			return false, fmt.Errorf("--out: pictures of %s and %s pixels can't be laid over one another", sizeText(sizes[0]), sizeText(sizes[1]))
		}
		_, err := fmt.Fprintf(w, "%s has %s pixels, %s has %s.\n", a, sizeText(sizes[0]), b, sizeText(sizes[1]))
		return true, err
	}
	d := comparePictures(imgs[0], imgs[1])
	fmt.Fprintln(w, d)
	if made[0] != nil && made[1] != nil {
		for _, text := range factChanges("", resolvedFacts(*made[0]), resolvedFacts(*made[1])) {
			fmt.Fprintf(w, "%s %s\n", signs['~'], text)
		}
	}
	if o.out != "" && d.differ > 0 {
		if err := writePicture(filepath.Dir(o.out), filepath.Base(o.out), d.picture()); err != nil {
			return true, err
		}
		fmt.Fprintln(w, o.out)
	}
	return d.differ > 0, nil
}

// madeBy is what a picture says about itself, or nil.
func madeBy(path string) *still.Resolved {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	r, err := still.Metadata(f)
	if err != nil {
		return nil
	}
	return &r
}

func sizeText(p image.Point) string { return fmt.Sprintf("%d×%d", p.X, p.Y) }

func nrgba(in image.Image) *image.NRGBA { return pixels.Straight(in) }

// A pictureDiff is how two pictures of one size differ.
type pictureDiff struct {
	a, b   *image.NRGBA
	psnr   float64         // dB; measure.Equal where no colour differs
	differ int             // pixels
	box    image.Rectangle // around them
}

func comparePictures(a, b *image.NRGBA) pictureDiff {
	d := pictureDiff{a: a, b: b, psnr: measure.PSNR(a, b)}
	for y := range a.Rect.Dy() {
		for x := range a.Rect.Dx() {
			if a.NRGBAAt(x, y) != b.NRGBAAt(x, y) {
				d.differ++
				d.box = d.box.Union(image.Rect(x, y, x+1, y+1))
			}
		}
	}
	return d
}

// String is the difference in words.
func (d pictureDiff) String() string {
	if d.differ == 0 {
		return "The pixels are equal."
	}
	r := d.box
	return fmt.Sprintf("%.2f dB PSNR; %.3g %% of the pixels differ, all in px(xywh(%d, %d, %d, %d)).", d.psnr, 100*float64(d.differ)/float64(d.a.Rect.Dx()*d.a.Rect.Dy()), r.Min.X, r.Min.Y, r.Dx(), r.Dy())
}

// picture shows where the difference is: the second picture in dark grey, and over
// it what differs, from red (little) to yellow (much).
func (d pictureDiff) picture() *image.NRGBA {
	out := image.NewNRGBA(d.a.Rect)
	for i := 0; i < len(out.Pix); i += 4 {
		most := 0
		for c := range 4 {
			most = max(most, int(d.a.Pix[i+c])-int(d.b.Pix[i+c]), int(d.b.Pix[i+c])-int(d.a.Pix[i+c]))
		}
		grey := color.GrayModel.Convert(color.NRGBA{d.b.Pix[i], d.b.Pix[i+1], d.b.Pix[i+2], 255}).(color.Gray).Y / 3
		out.Pix[i], out.Pix[i+1], out.Pix[i+2], out.Pix[i+3] = grey, grey, grey, 255
		if most > 0 {
			heat := math.Sqrt(float64(most) / 255) // small differences are what one looks for
			out.Pix[i], out.Pix[i+1], out.Pix[i+2] = uint8(128+127*heat), uint8(255*heat*heat), 0
		}
	}
	return out
}

// writePicture writes a PNG below a folder, whole or not at all. What eligen did not
// write stays.
func writePicture(folder, name string, img image.Image) (err error) {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return err
	}
	defer root.Close()
	path := filepath.Join(folder, name)
	if old, err := files.OpenIn(root, name); err == nil {
		ours := still.Untouched(old)
		old.Close()
		if !ours {
			return fmt.Errorf("%s is there already, and eligen did not write it, or it was changed since. Move it away, or choose another path", path)
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	temp := filepath.Join(filepath.Dir(name), fmt.Sprintf(".eligen-new-%08x", rand.Uint32()))
	f, err := root.OpenFile(temp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = root.Remove(temp) // what went wrong first is what is told
			err = fmt.Errorf("%s can't be written: %w", path, err)
		}
	}()
	if err := errors.Join(still.Plain(f, img), f.Close()); err != nil {
		return err
	}
	return root.Rename(temp, name)
}

// resolvedFacts is a render with nothing left open, in words. Weights are told by
// digests, elsewhere.
func resolvedFacts(r still.Resolved) []fact {
	out := []fact{{"prompt", strconv.Quote(r.Prompt)}}
	add := func(name, format string, args ...any) { out = append(out, fact{name, fmt.Sprintf(format, args...)}) }
	if r.Negative != "" {
		add("negative", "%q", r.Negative)
	}
	add("size", "[%d, %d]", r.Size.W, r.Size.H)
	add("seed", "%d", r.Seed)
	add("noise", "%s", r.Noise)
	add("steps", "%d", r.Steps)
	add("cfg", "%g", r.CFG)
	if r.Guidance != 0 {
		add("guidance", "%g", r.Guidance)
	}
	add("schedule", "%s", r.Schedule)
	if r.Shift != 0 {
		add("shift", "%g", r.Shift)
	}
	if r.NegativeEntities {
		add("negative_entities", "true")
	}
	if r.Approximate != nil {
		add("approximate", "%v", r.Approximate)
	}
	if r.Overlap != "" && r.Overlap != "blend" {
		add("overlap", "%s", r.Overlap)
	}
	add("model", "%s %s", r.Model.Family, r.Model.DType)
	for i, a := range r.Adapters {
		what := fmt.Sprintf("%s × %g", a.Kind, a.Scale)
		if a.Alpha != "" {
			what += fmt.Sprintf(", alpha %q", a.Alpha)
		}
		for _, p := range a.Pictures {
			what += ", picture " + p.Short()
		}
		what += seen(a.Background, "")
		add(fmt.Sprintf("adapter %d", i+1), "%s", what)
	}
	if r.Init != nil {
		add("init", "%s, strength %g%s", r.Init.Picture.Short(), r.Init.Strength, seen(r.Init.Background, ""))
	}
	if p := r.Inpaint; p != nil {
		add("inpaint", "%s, %s", p.Picture.Short(), kept(p.Mode, p.Feather, p.Background)+seen(p.Colour, p.Profile))
	}
	if t := r.Transfer; t != nil {
		add("transfer", "%s into %s, %s", t.Source.Short(), t.Target.Short(), kept(t.Way(), t.Feather, t.Background)+seen(t.Colour, t.Profile))
	}
	var list []string
	for _, e := range r.Entities {
		list = append(list, e.Address)
	}
	if len(list) > 0 {
		add("entities", "[%s]", strings.Join(list, ", "))
	}
	for _, e := range r.Entities {
		add(e.Address+".prompt", "%q", e.Prompt)
		add(e.Address+".region", "%s", shorten(e.Region.String()))
		if e.Strength != 1 {
			add(e.Address+".strength", "%g", e.Strength)
		}
	}
	return out
}
