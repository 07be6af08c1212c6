package dataset

import (
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/srwiley/oksvg"
	"github.com/srwiley/rasterx"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/annotated"
)

// Solid is the style of the sprites that Open reads: shaded, as if made of clay.
const Solid = annotated.DefaultStyle

// A Style is another way of drawing the same objects, from a package of SVG icons.
type Style struct {
	Name string // "flat": what captions call it

	Package string // in the npm registry
	Version string
	SHA256  eligen.Digest // of the tarball
	License string
}

// Folder returns the name of the folder of the style's unpacked files.
func (s Style) Folder() string {
	return s.Package[strings.LastIndexByte(s.Package, '/')+1:] + "-" + s.Version
}

// Styles are all styles but Solid.
var Styles = []Style{
	{"flat", "@iconify-json/fluent-emoji-flat", "1.2.6", "7d064769dee690815f823bc5bcc511d957198caf9f5edd8dd9c1aa48a6aeb175", "MIT"},
	{"ink", "@iconify-json/fluent-emoji-high-contrast", "1.2.6", "0b92d48c90d2200bd499e3cdd09a127ca6a8c8ddefd34c35eb5a1e4994012ae0", "MIT"},
	{"noto", "@iconify-json/noto", "1.2.9", "3e918d88fc945c0bb3d468dbace6f88caef67f01c9f0e7bcae0915a042e8f1ad", "Apache-2.0"},
}

// StyleNames returns the names of all styles, Solid first.
func StyleNames() []string {
	names := []string{Solid}
	for _, s := range Styles {
		names = append(names, s.Name)
	}
	return names
}

// StyleFiles are the files that are read of a style's package.
var StyleFiles = []string{"icons.json", "chars.json"}

// drawnSide is an icon's size in pixels before it becomes a sprite.
const drawnSide = 256

// OpenStyle reads a style's icons from the folder that its package was unpacked
// to. Pictures drawn with it differ in rounding between kinds of processors.
func (s *Sprites) OpenStyle(name, dir string) error {
	k := slices.IndexFunc(Styles, func(s Style) bool { return s.Name == name })
	if k < 0 {
		return fmt.Errorf("no style is called %q; there are %s", name, strings.Join(StyleNames(), ", "))
	}
	icons, err := readIcons(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %s holds no icons of %s %s, for the style %s; fetch them with\n\n    eligen dataset fetch --styles",
			ErrNoAssets, dir, Styles[k].Package, Styles[k].Version, name)
	}
	if err != nil {
		return err
	}
	loaded := make([]func() (*sprite, error), len(s.classes))
	for i, c := range s.classes {
		loaded[i] = sync.OnceValues(func() (*sprite, error) {
			sp, err := icons.draw(c.File, name == "ink")
			if err != nil {
				return nil, fmt.Errorf("%s as %s: %w", c.Name, name, err)
			}
			return sp, nil
		})
	}
	if s.styles == nil {
		s.styles = map[string][]func() (*sprite, error){}
	}
	s.styles[name] = loaded
	return nil
}

// icons are a package of the format of Iconify.
type icons struct {
	byChar        map[string]string // code points to name
	Icons         map[string]icon   `json:"icons"`
	Width, Height int
}

type icon struct {
	Body          string `json:"body"`
	Width, Height int
}

func readIcons(dir string) (icons, error) {
	var x icons
	for _, f := range []struct {
		name string
		to   any
	}{{StyleFiles[0], &x}, {StyleFiles[1], &x.byChar}} {
		data, err := os.ReadFile(filepath.Join(dir, f.name))
		if err != nil {
			return x, err
		}
		if err := json.Unmarshal(data, f.to); err != nil {
			return x, fmt.Errorf("%s: %w", filepath.Join(dir, f.name), err)
		}
	}
	return x, nil
}

// draw makes a sprite of the icon of an emoji. Of a drawing in lines, what the
// lines go around is filled with white, so that it is seen on any background.
func (x icons) draw(file string, lines bool) (*sprite, error) {
	name, ok := x.byChar[file]
	if !ok {
		name, ok = x.byChar[strings.TrimSuffix(file, "-fe0f")]
	}
	if !ok {
		return nil, errors.New("the package has no such icon")
	}
	i := x.Icons[name]
	w, h := i.Width, i.Height
	if w == 0 {
		w = x.Width
	}
	if h == 0 {
		h = x.Height
	}
	svg := fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 %d %d">%s</svg>`,
		w, h, strings.ReplaceAll(i.Body, "currentColor", "#1a1a1a"))
	drawing, err := oksvg.ReadIconStream(strings.NewReader(svg), oksvg.IgnoreErrorMode)
	if err != nil {
		return nil, err
	}
	img := image.NewRGBA(image.Rect(0, 0, drawnSide, drawnSide))
	drawing.SetTarget(0, 0, drawnSide, drawnSide)
	drawing.Draw(rasterx.NewDasher(drawnSide, drawnSide, rasterx.NewScannerGV(drawnSide, drawnSide, img, img.Bounds())), 1)
	if lines {
		fillInside(img)
	}
	return newSprite(img)
}

// fillInside puts white under all that can't be reached from the edge of the
// picture without crossing a line.
func fillInside(img *image.RGBA) {
	w, h := img.Rect.Dx(), img.Rect.Dy()
	outside := make([]bool, w*h)
	var todo []int
	visit := func(x, y int) {
		if x < 0 || y < 0 || x >= w || y >= h {
			return
		}
		if k := y*w + x; !outside[k] && img.Pix[4*k+3] < 128 {
			outside[k] = true
			todo = append(todo, k)
		}
	}
	for x := range w {
		visit(x, 0)
		visit(x, h-1)
	}
	for y := range h {
		visit(0, y)
		visit(w-1, y)
	}
	for len(todo) > 0 {
		k := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		x, y := k%w, k/w
		visit(x-1, y)
		visit(x+1, y)
		visit(x, y-1)
		visit(x, y+1)
	}
	for k, out := range outside {
		if out {
			continue
		}
		p := img.Pix[4*k : 4*k+4]
		rest := 255 - int(p[3]) // premultiplied: white adds what is missing
		for c := range 3 {
			p[c] = uint8(min(255, int(p[c])+rest))
		}
		p[3] = 255
	}
}

// tagStyle is the random stream of pictures' styles: a separate one, so that pictures of
// Solid are the same with and without it.
const tagStyle = 0x7374

// style draws which style sample i has.
func (c *Composer) style(i int) string {
	if len(c.options.Styles) == 0 {
		return Solid
	}
	at := float64(newStream(c.options.Seed, tagStyle, uint64(i)).below(one)) / one
	for _, name := range slices.Sorted(maps.Keys(c.options.Styles)) {
		if at -= c.options.Styles[name]; at < 0 {
			return name
		}
	}
	return Solid
}

// styleTokens is how many of nano's tokens a style's name takes: its tokenizer doesn't know
// the names and spells them.
const styleTokens = 6

// checkStyles refuses shares that can't be.
func (s *Sprites) checkStyles(styles map[string]float64) error {
	sum := 0.0
	for name, share := range styles {
		if !slices.Contains(StyleNames(), name) {
			return fmt.Errorf("no style is called %q; there are %s", name, strings.Join(StyleNames(), ", "))
		}
		if name != Solid && s.styles[name] == nil {
			return fmt.Errorf("%w: the style %s; fetch it with\n\n    eligen dataset fetch --styles", ErrNoAssets, name)
		}
		if !(share >= 0 && share <= 1) {
			return fmt.Errorf("style %s: a share is from 0 to 1, not %v", name, share)
		}
		sum += share
	}
	if sum > 1+1e-9 {
		return fmt.Errorf("the styles' shares add up to %v; at most 1", sum)
	}
	return nil
}
