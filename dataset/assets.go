package dataset

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"image"
	_ "image/png" // sprites may be PNG
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	_ "golang.org/x/image/webp" // the sprites are WebP

	"github.com/eligen/eligen/internal/sha"
)

// Assets names the package of the sprites.
var Assets = struct {
	Name    string // in the npm registry
	Version string
	URL     string
	SHA256  string // of the tarball
	Folder  string // of the sprites, inside the tarball
	License string
}{
	Name:    "@lobehub/fluent-emoji-3d",
	Version: "1.1.0",
	URL:     "https://registry.npmjs.org/@lobehub/fluent-emoji-3d/-/fluent-emoji-3d-1.1.0.tgz",
	SHA256:  "c1bb7eee7de090205a232518a9ab4adb3df458bfbe8a1f78232991194c8b2e58",
	Folder:  "package/assets",
	License: "MIT",
}

// usedDigest is SHA-256 over the sprite files of all classes, in the table's
// order, each as its SHA-256 and its name.
const usedDigest = "525a25bd56d5406469b26734d9ecf2f35d6679bde4e1d242e34544e7cf4bf534"

// ErrNoAssets is wrapped by errors about a missing folder of sprites.
var ErrNoAssets = errors.New("the sprites are not there")

// Sprites are the pictures of objects. They are decoded when first used and kept; all
// methods are safe for concurrent use.
type Sprites struct {
	classes []Class
	index   map[string]int
	loaded  []func() (*sprite, error)
	styles  map[string][]func() (*sprite, error) // by style, as loaded
}

// Open reads the sprites of all classes from an unpacked Assets package: dir is
// the folder it was unpacked to, or the inner one that holds the files. Every
// file is checked against a digest in the program, so that samples are the
// same everywhere.
func Open(dir string) (*Sprites, error) {
	found := ""
	for _, d := range []string{dir, filepath.Join(dir, "assets"), filepath.Join(dir, filepath.FromSlash(Assets.Folder))} {
		if _, err := os.Stat(filepath.Join(d, classes[0].File+".webp")); err == nil {
			found = d
			break
		}
	}
	if found == "" {
		return nil, fmt.Errorf("%w: %s holds no %s.webp of %s %s; fetch them with\n\n    eligen dataset fetch",
			ErrNoAssets, dir, classes[0].File, Assets.Name, Assets.Version)
	}
	s, digest, err := load(os.DirFS(found), classes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", found, err)
	}
	if digest != usedDigest {
		return nil, fmt.Errorf("%s: the files are not those of %s %s (digest %s, want %s); remove the folder and run\n\n    eligen dataset fetch",
			found, Assets.Name, Assets.Version, digest, usedDigest)
	}
	return s, nil
}

func load(fsys fs.FS, classes []Class) (*Sprites, string, error) {
	if len(classes) == 0 {
		return nil, "", errors.New("no classes")
	}
	s := &Sprites{classes: classes, index: map[string]int{}}
	total := sha.New()
	for i, c := range classes {
		if _, twice := s.index[c.Name]; twice || c.Name == "" {
			return nil, "", fmt.Errorf("class %d: the name %q is empty or taken", i, c.Name)
		}
		s.index[c.Name] = i
		var data []byte
		var err error
		name := ""
		for _, ext := range []string{".webp", ".png"} {
			name = c.File + ext
			if data, err = fs.ReadFile(fsys, name); !errors.Is(err, fs.ErrNotExist) {
				break
			}
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil, "", fmt.Errorf("%w: neither %s.webp nor %s.png, for %q; fetch them with\n\n    eligen dataset fetch", ErrNoAssets, c.File,
				c.File, c.Name)
		}
		if err != nil {
			return nil, "", fmt.Errorf("sprite of %q: %w", c.Name, err)
		}
		fmt.Fprintf(total, "%x %s\n", sha256.Sum256(data), name)
		s.loaded = append(s.loaded, sync.OnceValues(func() (*sprite, error) { return decode(name, data) }))
	}
	return s, hex.EncodeToString(total.Sum(nil)), nil
}

func decode(name string, data []byte) (*sprite, error) {
	cfg, _, err := image.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("sprite %s: %w", name, err)
	}
	if cfg.Width > maxSprite || cfg.Height > maxSprite {
		return nil, fmt.Errorf("sprite %s has %d×%d pixels; at most %d×%d are read", name, cfg.Width, cfg.Height, maxSprite, maxSprite)
	}
	img, _, err := image.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("sprite %s: %w", name, err)
	}
	s, err := newSprite(img)
	if err != nil {
		return nil, fmt.Errorf("sprite %s: %w", name, err)
	}
	return s, nil
}

// get returns a class and its sprite in a style; "" is Solid.
func (s *Sprites) get(class, style string) (Class, *sprite, error) {
	i, ok := s.index[class]
	if !ok {
		return Class{}, nil, fmt.Errorf("no class is called %q", class)
	}
	loaded := s.loaded
	if style != "" && style != Solid {
		if loaded = s.styles[style]; loaded == nil {
			return Class{}, nil, fmt.Errorf("the style %q is not there", style)
		}
	}
	p, err := loaded[i]()
	return s.classes[i], p, err
}
