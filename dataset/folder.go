package dataset

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	_ "image/jpeg" // pictures of others' datasets
	"image/png"
	"io"
	"maps"
	"math"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/annotated"
	"github.com/eligen/eligen/internal/files"
	"github.com/eligen/eligen/internal/pixels"
)

// An item is one entry of metadata.json. The first four keys are the reference
// trainer's, which ignores the others.
type item struct {
	Image         string   `json:"image"`
	Prompt        string   `json:"prompt"`
	EntityPrompts []string `json:"eligen_entity_prompts,omitempty"`
	EntityMasks   []string `json:"eligen_entity_masks,omitempty"` // white where the region is

	Name        string        `json:"name,omitempty"`
	Background  string        `json:"background,omitempty"`
	Style       string        `json:"style,omitempty"`
	Classes     []string      `json:"entity_classes,omitempty"`
	Boxes       []*[4]float64 `json:"entity_boxes,omitempty"`       // x0 y0 x1 y1, fractions of the picture; null: the region is no box
	Silhouettes []string      `json:"entity_silhouettes,omitempty"` // white where the object is seen; "": unknown

	line int // of the file, from 1
}

const metadata = "metadata.json"

// Write stores samples 0 … n-1 in dir in the reference trainer's format: images/ and masks/
// of PNG files, and metadata.json, which it writes last and atomically, so that a folder
// with it is complete. Masks show the entities' regions, white on black; the objects' own
// outlines are in silhouettes/. It leaves a folder that already holds a dataset alone, with
// an error.
func Write(dir string, samples annotated.Samples, n int) error { return write(dir, samples, n, false) }

// WriteBare does as Write, with the reference trainer's keys alone.
func WriteBare(dir string, samples annotated.Samples, n int) error {
	return write(dir, samples, n, true)
}

func write(dir string, samples annotated.Samples, n int, bare bool) error {
	if n <= 0 {
		return fmt.Errorf("%d samples to write; at least one is needed", n)
	}
	target := filepath.Join(dir, metadata)
	if _, err := os.Lstat(target); err == nil {
		return fmt.Errorf("%s already holds a dataset; choose another folder, or remove it", dir)
	} else if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	folders := []string{"images", "masks", "silhouettes"}
	if bare {
		folders = folders[:2]
	}
	for _, sub := range folders {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o777); err != nil {
			return err
		}
	}
	items := make([]item, n)
	for i := range items {
		s, err := samples(i)
		if err != nil {
			return fmt.Errorf("sample %d: %w", i, err)
		}
		if bare {
			s.Name, s.Background, s.Style = "", "", ""
			for k := range s.Entities {
				s.Entities[k].Mask = nil
			}
		}
		if items[i], err = writeSample(dir, i, s); err != nil {
			return fmt.Errorf("sample %d: %w", i, err)
		}
		if bare {
			items[i].Classes, items[i].Boxes, items[i].Silhouettes = nil, nil, nil
		}
	}
	data, err := json.MarshalIndent(items, "", "  ")
	if err != nil {
		return err
	}
	return files.WriteBytes(target, append(data, '\n'))
}

func writeSample(dir string, i int, s annotated.Sample) (item, error) {
	if s.Image == nil || s.Image.Rect.Empty() {
		return item{}, errors.New("it has no picture")
	}
	size := eligen.Size{W: s.Image.Rect.Dx(), H: s.Image.Rect.Dy()}
	it := item{Image: fmt.Sprintf("images/%06d.png", i), Prompt: s.Prompt, Name: s.Name, Background: s.Background, Style: s.Style}
	if err := writePNG(dir, it.Image, s.Image); err != nil {
		return item{}, err
	}
	boxes := false
	for k, e := range s.Entities {
		mask := image.NewRGBA(image.Rect(0, 0, size.W, size.H))
		for p, on := range e.Region.Mask(size) {
			mask.SetRGBA(p%size.W, p/size.W, blackOrWhite(on))
		}
		name := fmt.Sprintf("masks/%06d_%d.png", i, k)
		if err := writePNG(dir, name, mask); err != nil {
			return item{}, err
		}
		var box *[4]float64
		if r := e.Region; r.Kind == "box" && !r.Pixels && len(r.Numbers) == 4 {
			box, boxes = (*[4]float64)(r.Numbers), true
		}
		silhouette := ""
		if e.Mask != nil {
			if e.Mask.Rect.Size() != s.Image.Rect.Size() {
				return item{}, fmt.Errorf("entity %d: a mask of %v for a picture of %v pixels", k, e.Mask.Rect.Size(), s.Image.Rect.Size())
			}
			silhouette = fmt.Sprintf("silhouettes/%06d_%d.png", i, k)
			if err := writePNG(dir, silhouette, e.Mask); err != nil {
				return item{}, err
			}
		}
		it.EntityPrompts = append(it.EntityPrompts, e.Prompt)
		it.EntityMasks = append(it.EntityMasks, name)
		it.Classes = append(it.Classes, e.Class)
		it.Boxes = append(it.Boxes, box)
		it.Silhouettes = append(it.Silhouettes, silhouette)
	}
	if !boxes {
		it.Boxes = nil
	}
	return it, nil
}

func blackOrWhite(on bool) color.RGBA {
	if on {
		return color.RGBA{255, 255, 255, 255}
	}
	return color.RGBA{A: 255}
}

func writePNG(dir, name string, img image.Image) error {
	f, err := os.Create(filepath.Join(dir, filepath.FromSlash(name)))
	if err != nil {
		return err
	}
	encoder := png.Encoder{CompressionLevel: png.BestSpeed}
	return errors.Join(encoder.Encode(f, img), f.Close())
}

// A Folder is a dataset on disk.
type Folder struct {
	dir   string
	file  string // that lists the items
	size  eligen.Size
	items []item
}

// Read opens the dataset in dir: metadata.json, or metadata.jsonl with one item a line. It
// checks at once the lengths of the items' lists, that all files exist, and that masks have
// their picture's size; it reads pixels on request. Errors name the file, the line and the
// item.
//
// Pictures have the given size; the zero size means each one's own, cut to multiples of 16.
// A picture of another size is scaled by one factor so that it covers the size, and cropped
// at the centre, as the reference trainer does, to the bit (pixels.Cover). Its masks are
// scaled alike and are on where they are at least 128. Nothing is resampled if sizes agree.
func Read(dir string, size eligen.Size) (*Folder, error) {
	if size != (eligen.Size{}) {
		if err := checkSize(size); err != nil {
			return nil, err
		}
	}
	items, file, err := readMetadata(dir)
	if err != nil {
		return nil, err
	}
	if len(items) == 0 {
		return nil, fmt.Errorf("%s lists no pictures", file)
	}
	for i, it := range items {
		if err := it.check(dir); err != nil {
			return nil, it.at(file, i, err)
		}
	}
	return &Folder{dir: dir, file: file, size: size, items: items}, nil
}

// at returns an error with its item.
func (it *item) at(file string, i int, err error) error {
	return fmt.Errorf("%s:%d: item %d: %w", file, it.line, i, err)
}

func readMetadata(dir string) (items []item, file string, err error) {
	file = filepath.Join(dir, metadata)
	data, err := os.ReadFile(file)
	list := true
	if errors.Is(err, os.ErrNotExist) {
		lines := filepath.Join(dir, metadata+"l")
		if data, err = os.ReadFile(lines); errors.Is(err, os.ErrNotExist) {
			if _, err := os.Stat(filepath.Join(dir, "metadata.csv")); err == nil {
				return nil, "", fmt.Errorf("%s: a metadata.csv cannot hold entities; write them to %s", dir, metadata)
			}
			return nil, "", fmt.Errorf("%s is no dataset: it has neither %s nor %sl", dir, metadata, metadata)
		}
		file, list = lines, false
	}
	if err != nil {
		return nil, "", err
	}
	d := json.NewDecoder(bytes.NewReader(data))
	line, counted := 1, 0
	here := func() int { // the line of what comes next
		at := int(d.InputOffset())
		for at < len(data) && strings.ContainsRune(" \t\r\n,", rune(data[at])) {
			at++
		}
		line += bytes.Count(data[counted:at], []byte("\n"))
		counted = at
		return line
	}
	if list {
		if t, err := d.Token(); err != nil || t != json.Delim('[') {
			return nil, "", fmt.Errorf("%s: it must be a list of items, [{\"image\": …, \"prompt\": …}, …]", file)
		}
	}
	for {
		it := item{line: here()}
		if list && !d.More() {
			break
		}
		var text json.RawMessage
		err := d.Decode(&text)
		if !list && errors.Is(err, io.EOF) {
			return items, file, nil
		}
		if err == nil {
			err = it.parse(text)
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = errors.New("the file ends in the middle of it")
		}
		if err != nil {
			return nil, "", it.at(file, len(items), err)
		}
		items = append(items, it)
	}
	if _, err := d.Token(); err != nil {
		return nil, "", fmt.Errorf("%s:%d: the list of items has no end", file, line)
	}
	return items, file, nil
}

// parse reads one item.
func (it *item) parse(text []byte) error {
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(text, &keys); err != nil {
		return errors.New("an item is an object, {\"image\": …, \"prompt\": …}")
	}
	if err := json.Unmarshal(text, it); err != nil {
		var other *json.UnmarshalTypeError
		if errors.As(err, &other) && other.Field != "" {
			return fmt.Errorf("%s is a %s; it must be %s", other.Field, other.Value, kindOf(other.Field))
		}
		return err
	}
	if _, ok := keys["prompt"]; !ok {
		return errors.New("there is no prompt; give an empty one if none is meant")
	}
	// Other keys are other programs'; a misspelt one of these would train without entities.
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		if strings.Contains(k, "entit") && !slices.Contains(entityKeys, k) {
			return fmt.Errorf("there is no key %q; those of entities are %s", k, strings.Join(entityKeys, ", "))
		}
	}
	return nil
}

var entityKeys = []string{"eligen_entity_prompts", "eligen_entity_masks", "entity_classes", "entity_boxes", "entity_silhouettes"}

func kindOf(key string) string {
	switch {
	case strings.HasPrefix(key, "entity_boxes"):
		return "a list with four numbers, or null, for each entity"
	case slices.ContainsFunc(entityKeys, func(k string) bool { return strings.HasPrefix(key, k) }):
		return "a list with a text for each entity"
	}
	return "a text"
}

// check holds what can be known without decoding pictures.
func (it *item) check(dir string) error {
	n := len(it.EntityPrompts)
	if len(it.EntityMasks) != n {
		return fmt.Errorf("%d entity prompts but %d entity masks; each entity needs both", n, len(it.EntityMasks))
	}
	for _, own := range []struct {
		key    string
		length int
	}{{"entity_classes", len(it.Classes)}, {"entity_boxes", len(it.Boxes)}, {"entity_silhouettes", len(it.Silhouettes)}} {
		if own.length != 0 && own.length != n {
			return fmt.Errorf("%d entity prompts but %d %s; give one for each entity, or leave the key out", n, own.length, own.key)
		}
	}
	if it.Image == "" {
		return errors.New("no image is named")
	}
	own, err := sizeOf(dir, "image", it.Image)
	if err != nil {
		return err
	}
	masks := func(what string, names []string) error {
		for k, m := range names {
			if m == "" && what == "silhouette" {
				continue
			}
			size, err := sizeOf(dir, fmt.Sprintf("%s of entity %d", what, k), m)
			if err != nil {
				return err
			}
			if size != own {
				return fmt.Errorf("%s has %d×%d pixels, but %s has %d×%d; a mask has its picture's size", m, size.W, size.H, it.Image, own.W, own.H)
			}
		}
		return nil
	}
	if err := masks("mask", it.EntityMasks); err != nil {
		return err
	}
	if err := masks("silhouette", it.Silhouettes); err != nil {
		return err
	}
	for k, b := range it.Boxes {
		if b != nil && !(b[0] >= 0 && b[1] >= 0 && b[2] <= 1 && b[3] <= 1 && b[0] < b[2] && b[1] < b[3]) {
			return fmt.Errorf("entity %d: the box %v is not x0 < x1 and y0 < y1 between 0 and 1", k, *b)
		}
	}
	return nil
}

// sizeOf reads a picture's header.
func sizeOf(dir, what, name string) (eligen.Size, error) {
	local, err := filepath.Localize(path.Clean(name))
	if err != nil {
		return eligen.Size{}, fmt.Errorf("%s: the path %q leaves the dataset's folder", what, name)
	}
	file := filepath.Join(dir, local)
	info, err := os.Stat(file)
	if errors.Is(err, os.ErrNotExist) {
		return eligen.Size{}, fmt.Errorf("%s: there is no file %s", what, name)
	}
	if err != nil {
		return eligen.Size{}, fmt.Errorf("%s: %w", what, err)
	}
	if !info.Mode().IsRegular() {
		return eligen.Size{}, fmt.Errorf("%s: %s is not a file", what, name)
	}
	f, err := os.Open(file)
	if err != nil {
		return eligen.Size{}, err
	}
	defer f.Close()
	cfg, _, err := image.DecodeConfig(f)
	if err != nil {
		return eligen.Size{}, fmt.Errorf("%s: %s is no PNG or JPEG: %w", what, name, err)
	}
	if cfg.Width > maxSide || cfg.Height > maxSide || cfg.Width < 1 || cfg.Height < 1 {
		return eligen.Size{}, fmt.Errorf("%s has %d×%d pixels; at most %d×%d are read", name, cfg.Width, cfg.Height, maxSide, maxSide)
	}
	return eligen.Size{W: cfg.Width, H: cfg.Height}, nil
}

// At returns the same dataset with its pictures at another size; see [Read].
func (f *Folder) At(size eligen.Size) (*Folder, error) {
	if size != (eligen.Size{}) {
		if err := checkSize(size); err != nil {
			return nil, err
		}
	}
	g := *f
	g.size = size
	return &g, nil
}

// Len returns the number of pictures.
func (f *Folder) Len() int { return len(f.items) }

// Sample returns item i modulo Len; it is an annotated.Samples. An entity that cropping
// removes is left out. It is safe for concurrent use.
func (f *Folder) Sample(i int) (annotated.Sample, error) {
	i %= len(f.items)
	if i < 0 {
		i += len(f.items)
	}
	s, err := f.read(&f.items[i])
	if err != nil {
		return annotated.Sample{}, f.items[i].at(f.file, i, err)
	}
	if s.Name == "" {
		s.Name = fmt.Sprintf("item-%d", i)
	}
	return s, nil
}

func (f *Folder) read(it *item) (annotated.Sample, error) {
	img, err := f.decode(it.Image)
	if err != nil {
		return annotated.Sample{}, err
	}
	own := eligen.Size{W: img.Bounds().Dx(), H: img.Bounds().Dy()}
	size := f.size
	if size == (eligen.Size{}) {
		size = own.Within(own.W*own.H, 16)
		if size.W == 0 || size.H == 0 {
			return annotated.Sample{}, fmt.Errorf("%s has %d×%d pixels; at least 16×16 are needed", it.Image, own.W, own.H)
		}
	}
	s := annotated.Sample{Name: it.Name, Prompt: it.Prompt, Background: it.Background, Style: it.Style,
		Image: image.NewNRGBA(image.Rect(0, 0, size.W, size.H))}
	fit := cover(own, size)
	for i, x := range pixels.Cover(straight(img), 3, own, size, pixels.Bilinear) {
		s.Image.Pix[i/3*4+i%3], s.Image.Pix[i/3*4+3] = x, 255
	}
	for k := range it.EntityPrompts {
		e := annotated.Entity{Prompt: it.EntityPrompts[k]}
		if it.Classes != nil {
			e.Class = it.Classes[k]
		}
		asked, err := f.mask(it.EntityMasks[k], it.Image, own, size)
		if err != nil {
			return annotated.Sample{}, err
		}
		seen := bounds(asked)
		if seen.Empty() {
			continue
		}
		e.Region = regionOf(asked, seen, size)
		if it.Boxes != nil && it.Boxes[k] != nil {
			b := fit.box(*it.Boxes[k], own, size)
			w, h := float64(size.W), float64(size.H)
			for c, edge := range [4]int{seen.Min.X, seen.Min.Y, seen.Max.X, seen.Max.Y} {
				if math.Abs(b.Numbers[c]*[4]float64{w, h, w, h}[c]-float64(edge)) > 2 {
					return annotated.Sample{}, fmt.Errorf("entity %d: its box %v and its mask %s disagree; correct one of them, or leave out entity_boxes",
						k, *it.Boxes[k], it.EntityMasks[k])
				}
			}
			e.Region = b
		}
		if it.Silhouettes != nil && it.Silhouettes[k] != "" {
			if e.Mask, err = f.mask(it.Silhouettes[k], it.Image, own, size); err != nil {
				return annotated.Sample{}, err
			}
		}
		s.Entities = append(s.Entities, e)
	}
	return s, nil
}

// maxSide is the longest side of a picture.
const maxSide = 16384

func (f *Folder) decode(name string) (image.Image, error) {
	file, err := os.Open(filepath.Join(f.dir, filepath.FromSlash(name)))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	cfg, _, err := image.DecodeConfig(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if cfg.Width > maxSide || cfg.Height > maxSide || cfg.Width < 1 || cfg.Height < 1 {
		return nil, fmt.Errorf("%s has %d×%d pixels; at most %d×%d are read", name, cfg.Width, cfg.Height, maxSide, maxSide)
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	img, _, err := image.Decode(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return img, nil
}

func (f *Folder) mask(name, of string, own, size eligen.Size) (*image.Gray, error) {
	img, err := f.decode(name)
	if err != nil {
		return nil, err
	}
	if b := img.Bounds(); b.Dx() != own.W || b.Dy() != own.H {
		return nil, fmt.Errorf("%s has %d×%d pixels, but %s has %d×%d; a mask has its picture's size", name, b.Dx(), b.Dy(), of, own.W, own.H)
	}
	gray := image.NewGray(image.Rect(0, 0, own.W, own.H))
	draw.Draw(gray, gray.Rect, img, img.Bounds().Min, draw.Src)
	mask := image.NewGray(image.Rect(0, 0, size.W, size.H))
	for i, v := range pixels.Cover(gray.Pix, 1, own, size, pixels.Bilinear) {
		if v >= 128 {
			mask.Pix[i] = 255
		}
	}
	return mask, nil
}

// straight returns a picture's red, green and blue. It drops transparency, as the
// reference's conversion to RGB does.
func straight(img image.Image) []uint8 {
	b := img.Bounds()
	n, ok := img.(*image.NRGBA)
	if !ok {
		n = image.NewNRGBA(image.Rect(0, 0, b.Dx(), b.Dy()))
		draw.Draw(n, n.Rect, img, b.Min, draw.Src)
	}
	out := make([]uint8, 0, 3*b.Dx()*b.Dy())
	for y := range b.Dy() {
		row := n.Pix[y*n.Stride:]
		for x := range b.Dx() {
			out = append(out, row[4*x], row[4*x+1], row[4*x+2])
		}
	}
	return out
}

// A covering is pixels.Cover's scaling and crop, for coordinates.
type covering struct {
	w, h int // the scaled picture
	x, y int // the corner of what is kept
}

func cover(own, size eligen.Size) covering {
	scale := max(float64(size.W)/float64(own.W), float64(size.H)/float64(own.H))
	side := func(own, size int) (whole, corner int) {
		whole = max(size, int(math.RoundToEven(float64(own)*scale)))
		return whole, int(math.RoundToEven(float64(whole-size) / 2))
	}
	var c covering
	c.w, c.x = side(own.W, size.W)
	c.h, c.y = side(own.H, size.H)
	return c
}

// box takes a box of the picture as it was to one of the picture as it is.
func (c covering) box(b [4]float64, own, size eligen.Size) eligen.Region {
	if c.w == size.W && c.h == size.H {
		return eligen.Box(b[0], b[1], b[2], b[3])
	}
	x := func(v float64) float64 { return min(1, max(0, (v*float64(c.w)-float64(c.x))/float64(size.W))) }
	y := func(v float64) float64 { return min(1, max(0, (v*float64(c.h)-float64(c.y))/float64(size.H))) }
	return eligen.Box(x(b[0]), y(b[1]), x(b[2]), y(b[3])).Round()
}

// bounds returns the box of the pixels that are on.
func bounds(mask *image.Gray) image.Rectangle {
	r := image.Rectangle{}
	for y := range mask.Rect.Dy() {
		for x := range mask.Rect.Dx() {
			if mask.Pix[y*mask.Stride+x] != 0 {
				r = r.Union(image.Rect(x, y, x+1, y+1))
			}
		}
	}
	return r
}

// regionOf returns a box if the mask is a filled rectangle, else the mask itself.
func regionOf(mask *image.Gray, box image.Rectangle, size eligen.Size) eligen.Region {
	full := true
	for y := box.Min.Y; y < box.Max.Y && full; y++ {
		for x := box.Min.X; x < box.Max.X; x++ {
			full = full && mask.Pix[y*mask.Stride+x] != 0
		}
	}
	if full {
		return fractions(box, size)
	}
	return eligen.Region{Kind: "image", Bitmap: eligen.NewBitmap(size.W, size.H, func(x, y int) bool {
		return mask.Pix[y*mask.Stride+x] != 0
	})}
}
