package studio

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"image"
	"image/png"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/eligen/eligen/app"
	"github.com/eligen/eligen/dsl/edit"
	"github.com/eligen/eligen/internal/files"
	"github.com/eligen/eligen/internal/pixels"
	"github.com/eligen/eligen/layouts"
)

// A Drop is a file that somebody brings to the page.
type Drop struct {
	Name  string         `json:"name"`  // of the file, without a folder
	Data  []byte         `json:"data"`  // base64
	As    string         `json:"as"`    // "", "layout"; of a picture: "init", "inpaint", "mask"; of a brush: "mask"
	Block string         `json:"block"` // the render, or the entity of a mask
	Says  layouts.Answer `json:"says"`  // what the layout leaves open
}

// A Dropped is what became of a Drop.
type Dropped struct {
	Answer
	Kind   string   `json:"kind"` // "picture", "layout"
	Format string   `json:"format"`
	Why    string   `json:"why"`
	Ask    []string `json:"ask"` // what must be answered first
	Said   []string `json:"said"`
	Boxes  []Figure `json:"boxes"` // of a layout that is asked about
	Counts []int    `json:"counts"`
}

// maxDrop is how many bytes a file that is dropped may have; in base64 it is a third longer.
const maxDrop = 48 << 20

// drop takes a file.
func (s *Server) drop(w http.ResponseWriter, r *http.Request) {
	var d Drop
	if !decode(w, r, &d, maxDrop) {
		return
	}
	out := &Dropped{Ask: []string{}, Said: []string{}, Boxes: []Figure{}, Counts: []int{}}
	var err error
	picture := strings.HasPrefix(http.DetectContentType(d.Data), "image/")
	switch {
	case d.As == "layout" || !picture:
		out.Kind = "layout"
		err = s.layout(r, d, out)
	case d.As == "":
		out.Kind = "picture"
		_, err = pixels.Open(d.Data)
	default:
		out.Kind = "picture"
		err = s.picture(d)
	}
	s.reply(w, r, err, &out.Answer, out)
}

// layout reads another program's layout, and makes the scene of it where nothing is open.
func (s *Server) layout(r *http.Request, d Drop, out *Dropped) error {
	dir, err := os.MkdirTemp("", "eligen-drop-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	at := filepath.Join(dir, fileName(d.Name))
	if err := os.WriteFile(at, d.Data, 0o600); err != nil {
		return err
	}
	d.Says.Picture, d.Says.Images = "", "" // files of the machine are not the page's to name
	reading, err := s.app.ReadLayout(app.LayoutFile{Path: at, Answer: d.Says, Below: dir})
	if err != nil {
		return errors.New(strings.ReplaceAll(err.Error(), filepath.ToSlash(at), d.Name))
	}
	out.Format, out.Why, out.Ask, out.Said = reading.Format, reading.Why, some(reading.Ask), some(reading.Said)
	for _, scene := range reading.Scenes {
		out.Counts = append(out.Counts, len(scene.Entities))
		out.Ask = append(out.Ask, scene.Ask...)
	}
	if reading.Verdict != layouts.Import || d.As != "layout" {
		return nil
	}
	made, err := s.app.WriteLayout(r.Context(), reading, s.doc.path, d.Says)
	if err != nil {
		return err
	}
	return s.doc.change("import "+d.Name, "", func([]byte) ([]byte, error) {
		for name, data := range made.Files {
			if err := s.keep(name, data); err != nil {
				return nil, err
			}
		}
		return made.Text, nil
	})
}

var unsafe = regexp.MustCompile(`[^A-Za-z0-9._-]+`)

// fileName returns a name as a file of the scene's folder may have it.
func fileName(name string) string {
	name = strings.Trim(unsafe.ReplaceAllString(path.Base(filepath.ToSlash(name)), "-"), ".-")
	if len(name) > 80 {
		name = name[len(name)-80:]
	}
	if name == "" {
		return "file"
	}
	return name
}

// keep writes a file next to the scene, unless it is there as it is. Another one of its name is never replaced.
func (s *Server) keep(name string, data []byte) error {
	if s.doc.readOnly != "" {
		return errors.New(s.doc.readOnly)
	}
	root, err := os.OpenRoot(filepath.Dir(s.doc.path))
	if err != nil {
		return err
	}
	defer root.Close()
	if old, err := root.ReadFile(name); err == nil {
		if bytes.Equal(old, data) {
			return nil
		}
		return fmt.Errorf("%s is there already, and is another file", name)
	}
	if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	if _, err := root.Stat(path.Dir(name)); err != nil { // a link that leads out of the folder
		return err
	}
	return files.WriteBytes(filepath.Join(filepath.Dir(s.doc.path), filepath.FromSlash(name)), data)
}

// picture writes a picture next to the scene, and makes a block name it.
func (s *Server) picture(d Drop) error {
	if _, err := pixels.Open(d.Data); err != nil {
		return fmt.Errorf("%s: %w", d.Name, err)
	}
	sum := sha256.Sum256(d.Data)
	ext := path.Ext(fileName(d.Name))
	name := path.Join("pictures", strings.TrimSuffix(fileName(d.Name), ext)+"-"+hex.EncodeToString(sum[:4])+ext)
	var change func(*edit.Text) ([]byte, error)
	switch d.As {
	case "mask":
		return s.mask(d)
	case "init", "inpaint":
		change = func(t *edit.Text) ([]byte, error) {
			return t.Set(d.Block+"."+d.As, "image", "image("+edit.Quote(name)+")", false)
		}
	default:
		return fmt.Errorf("a picture can be init, inpaint or mask, not %q", d.As)
	}
	return s.doc.change("drop "+d.Name, "", func(src []byte) ([]byte, error) {
		text, ds := edit.Parse(s.doc.path, src)
		if err := ds.Err(); err != nil {
			return nil, err
		}
		out, err := change(text)
		if err != nil {
			return nil, err
		}
		if d.As == "init" {
			if out, err = strength(s.doc.path, out, d.Block+".init"); err != nil {
				return nil, err
			}
		}
		return out, s.keep(name, d.Data)
	})
}

// strength gives an init block without one a strength in the middle: the language has no default.
func strength(file string, src []byte, block string) ([]byte, error) {
	text, ds := edit.Parse(file, src)
	if err := ds.Err(); err != nil {
		return nil, err
	}
	for _, b := range text.Blocks() {
		for _, a := range b.Attributes {
			if b.Address == block && a.Name == "strength" {
				return src, nil
			}
		}
	}
	return text.Set(block, "strength", "0.6", false)
}

// mask makes a picture an entity's mask: black and white, a file of its own for each, so that undo finds the
// one of before.
func (s *Server) mask(d Drop) error {
	img, err := pixels.Decode(d.Data)
	if err != nil {
		return fmt.Errorf("%s: %w", d.Name, err)
	}
	grey := image.NewGray(img.Bounds())
	for i := range grey.Pix {
		p := img.Pix[4*i : 4*i+4]
		if p[3] >= 128 && (int(p[0])+int(p[1])+int(p[2])) >= 3*128 {
			grey.Pix[i] = 255
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, grey); err != nil {
		return err
	}
	sum := sha256.Sum256(b.Bytes())
	stem := strings.NewReplacer("entity.", "", `"`, "").Replace(d.Block)
	name := path.Join("masks", fileName(stem)+"-"+hex.EncodeToString(sum[:4])+".png")
	return s.doc.change("mask of "+d.Block, "", func(src []byte) ([]byte, error) {
		out, err := masked(s.doc.path, src, d.Block, "image("+edit.Quote(name)+")")
		if err != nil {
			return nil, err
		}
		return out, s.keep(name, b.Bytes())
	})
}

// masked gives an entity a mask in place of its box or region. What hangs on something else is not replaced.
func masked(file string, src []byte, block, mask string) ([]byte, error) {
	for _, name := range where {
		text, ds := edit.Parse(file, src)
		if err := ds.Err(); err != nil {
			return nil, err
		}
		for _, b := range text.Blocks() {
			for _, a := range b.Attributes {
				if b.Address != block || a.Name != name || name == "mask" {
					continue
				}
				if len(a.Refs) > 0 {
					return nil, &edit.DerivedError{Address: block, Attribute: name, Slot: -1, Text: a.Text, Refs: a.Refs}
				}
				out, err := text.Unset(block, name)
				if err != nil {
					return nil, err
				}
				src = out
			}
		}
	}
	text, ds := edit.Parse(file, src)
	if err := ds.Err(); err != nil {
		return nil, err
	}
	for _, b := range text.Blocks() {
		for _, a := range b.Attributes {
			if b.Address == block && a.Name == "mask" && len(a.Refs) == 0 {
				return text.Set(block, "mask", mask, true)
			}
		}
	}
	return text.Set(block, "mask", mask, false)
}
