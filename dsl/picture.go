package dsl

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/pixels"
	"github.com/eligen/eligen/internal/words"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

// A picture is a file that image() has read, as a picture and as two masks.
type picture struct {
	err       error
	file      eligen.Picture
	luminance *eligen.Bitmap
	alpha     *eligen.Bitmap // nil: the picture has no alpha channel
	varies    bool           // its alpha channel holds different values
}

var imageOptions = []string{"channel", "fit"}

func (l *disk) imageFunction() function.Function {
	return function.New(&function.Spec{
		Params:   []function.Parameter{{Name: "file", Type: cty.String}},
		VarParam: &function.Parameter{Name: "options", Type: cty.DynamicPseudoType},
		Type:     function.StaticReturnType(shapeType),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			if len(args) > 2 {
				return cty.NilVal, function.NewArgErrorf(2, "image takes a file and one object of options")
			}
			var channel, fit string
			if len(args) == 2 {
				var err error
				if channel, fit, err = readImageOptions(args[1]); err != nil {
					return cty.NilVal, err
				}
			}
			p := l.picture(args[0].AsString())
			if p.err != nil {
				return cty.NilVal, function.NewArgErrorf(0, "%v", p.err)
			}
			s := &shape{picture: &p.file, options: len(args) == 2, leaves: 1}
			s.region = eligen.Region{Kind: "image", Bitmap: p.luminance, Fit: fit}
			switch {
			case channel == "alpha" && p.alpha == nil:
				return cty.NilVal, function.NewArgErrorf(1, "%s has no alpha channel", args[0].AsString())
			case channel == "alpha":
				s.region.Bitmap = p.alpha
			case channel == "" && p.varies:
				s.trouble = fmt.Sprintf("the transparency of %s varies, so it could mean two masks: say { channel = \"alpha\" } for what is "+
					"opaque, or { channel = \"luminance\" } for what is bright", args[0].AsString())
			}
			var on bool
			if s.bitmap, on = s.region.Bitmap.Box(); !on && s.trouble == "" {
				s.trouble = fmt.Sprintf("the mask %s is empty: none of its pixels is at 128 of 255 or above", args[0].AsString())
			}
			return cty.CapsuleVal(shapeType, s), nil
		},
	})
}

func readImageOptions(v cty.Value) (channel, fit string, err error) {
	if v.IsNull() || !v.Type().IsObjectType() && !v.Type().IsMapType() {
		return "", "", function.NewArgErrorf(1, `must be an object, as { channel = "alpha", fit = "cover" }`)
	}
	for it := v.ElementIterator(); it.Next(); {
		k, e := it.Element()
		name := k.AsString()
		var values []string
		switch name {
		case "channel":
			values = []string{"luminance", "alpha"}
		case "fit":
			values = []string{"stretch", "cover", "contain"}
		default:
			hint := didYouMean(name, imageOptions)
			if hint == "" {
				hint = fmt.Sprintf(" There is %s.", words.Quoted(imageOptions, "or"))
			}
			return "", "", function.NewArgErrorf(1, "there is no option %q.%s", name, hint)
		}
		if e.IsNull() {
			continue
		}
		s := ""
		if e.Type() == cty.String {
			s = e.AsString()
		}
		found := false
		for _, x := range values {
			found = found || x == s
		}
		if !found {
			return "", "", function.NewArgErrorf(1, "%s can be %s, not %s.%s", name, words.Quoted(values, "or"), short(e), didYouMean(s, values))
		}
		if name == "channel" {
			channel = s
		} else {
			fit = s
		}
	}
	return channel, fit, nil
}

// picture reads a file of the scene's folder once.
func (l *disk) picture(name string) *picture {
	key := name
	if l.folder != "." {
		key = path.Join(l.folder, name)
	}
	if p, ok := l.pictures[key]; ok {
		return p
	}
	p := &picture{}
	l.waiting(func() { p.err = l.readPicture(name, p) })
	l.pictures[key] = p
	return p
}

// localPath checks a path that a scene names: below its folder, or the module's,
// with slashes, on every system alike.
func localPath(name, whose string) (string, error) {
	clean := path.Clean(name)
	switch {
	case name == "" || clean == ".":
		return "", errors.New("the path is empty")
	case strings.ContainsRune(name, '\\'):
		return "", fmt.Errorf("%q: write paths with / on every system", name)
	case strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return "", fmt.Errorf("%q holds a control character", name)
	case path.IsAbs(name) || filepath.IsAbs(name) || len(name) > 1 && name[1] == ':':
		return "", fmt.Errorf("%q is absolute; a scene names files below its own folder, so that it works elsewhere too", name)
	case clean == ".." || strings.HasPrefix(clean, "../") || !filepath.IsLocal(filepath.FromSlash(clean)):
		return "", fmt.Errorf("%q leads out of the %s folder; what a file names is below its folder", name, whose)
	}
	return clean, nil
}

// readLocal reads a file below the scene's folder, of at most so many bytes.
func (l *disk) readLocal(name, what string, limit int64) (clean string, data []byte, err error) {
	if clean, err = localPath(name, l.whose()); err != nil {
		return "", nil, err
	}
	clean = spelledIn(l.root, clean)
	data, err = readBelow(l.root, clean, l.whose(), what, limit)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil, fmt.Errorf("there is no file %s in the %s folder.%s", clean, l.whose(), similarIn(l.root, clean))
	}
	if err != nil {
		return "", nil, err
	}
	return clean, data, nil
}

// readBelow reads a regular file of at most so many bytes that lies below a folder, also
// where its name is a link.
func readBelow(root *os.Root, name, whose, what string, limit int64) ([]byte, error) {
	// Stat first: opening a pipe would wait for a writer.
	info, err := root.Stat(filepath.FromSlash(name))
	switch {
	case err != nil && escapes(err):
		return nil, fmt.Errorf("%s is a link that leads out of the %s folder", name, whose)
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is no regular file", name)
	case info.Size() > limit:
		return nil, fmt.Errorf("%s has %d bytes; %s has at most %d (%d MiB)", name, info.Size(), what, limit, limit>>20)
	}
	f, err := root.Open(filepath.FromSlash(name))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("%s has more than %d bytes (%d MiB), the most that %s may have", name, limit, limit>>20, what)
	}
	return data, err
}

// fileFunction makes the function that reads the text of a file below the scene's folder,
// for csvdecode and jsondecode.
func (l *disk) fileFunction() function.Function {
	return function.New(&function.Spec{
		Description: "The text of a file below the scene's folder, as for csvdecode(file(\"layouts.csv\")).",
		Params:      []function.Parameter{{Name: "path", Type: cty.String}},
		Type:        function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			t := l.text(args[0].AsString())
			if t.err != nil {
				return cty.NilVal, function.NewArgErrorf(0, "%v", t.err)
			}
			return cty.StringVal(t.text), nil
		},
	})
}

// A text is a file that file() or templatefile() has read, lines ending in \n.
type text struct {
	name string // below the scene's or the module's folder
	text string
	err  error
}

// text reads a file of the scene's folder once: a check's message is evaluated
// again when the folder is closed.
func (l *disk) text(name string) text {
	if t, ok := l.texts[name]; ok {
		return t
	}
	var clean string
	var data []byte
	var err error
	l.waiting(func() { clean, data, err = l.readText(name, "a text") })
	data = bytes.TrimPrefix(data, byteOrderMark)
	if err == nil && !utf8.Valid(data) {
		err = fmt.Errorf("%s is not text in UTF-8", clean)
	}
	t := text{clean, strings.ReplaceAll(string(data), "\r\n", "\n"), err}
	l.texts[name] = t
	return t
}

// whose folder paths begin at.
func (l *disk) whose() string {
	if l.folder != "." {
		return "module's"
	}
	return "scene's"
}

func (l *disk) readPicture(name string, p *picture) error {
	clean, data, err := l.readLocal(name, "a picture", pixels.MaxBytes)
	if err != nil {
		return err
	}
	f, err := pixels.Open(data)
	if err != nil {
		return fmt.Errorf("%s: %w", clean, err)
	}
	img, err := f.Numbers()
	if err != nil {
		return fmt.Errorf("%s is %w", clean, err)
	}
	p.file = eligen.Picture{
		Path: filepath.Join(l.dir, filepath.FromSlash(clean)), Digest: eligen.DigestOf(data), Size: f.Size,
		Transparent: !img.Opaque(), Profile: f.Profile, Unconverted: f.Trouble,
	}
	p.masks(img)
	return nil
}

// escapes reports whether os.Root refused a path because of where it leads.
func escapes(err error) bool {
	return strings.Contains(err.Error(), "escapes")
}

// masks reads luminance, as PIL's "L" conversion weighs it, and alpha; on is at
// least 128 of 255. A mask's numbers are data: they are those of the file, not
// converted by a profile and not multiplied by alpha.
func (p *picture) masks(img *image.NRGBA) {
	w, h := img.Rect.Dx(), img.Rect.Dy()
	p.luminance = eligen.NewBitmap(w, h, func(x, y int) bool {
		c := img.Pix[y*img.Stride+4*x:]
		return (19595*uint32(c[0])+38470*uint32(c[1])+7471*uint32(c[2])+1<<15)>>16 >= 128
	})
	if img.Opaque() {
		return
	}
	first := img.Pix[3]
	p.alpha = eligen.NewBitmap(w, h, func(x, y int) bool {
		a := img.Pix[y*img.Stride+4*x+3]
		p.varies = p.varies || a != first
		return a >= 128
	})
}
