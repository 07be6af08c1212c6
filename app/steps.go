package app

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"image"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/files"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/stage/decode"
	stageimage "github.com/eligen/eligen/stage/image"
)

// A StepPicture is what a step of denoising leads to, a pixel a latent.
type StepPicture struct {
	Stage    string // address
	Step, Of int
	Image    *image.NRGBA
}

// colourMap is how an autoencoder's latents become colours: sums of which its weights are the least
// squares. Rows are channels, the last one is constant 1; colours are 0 to 1.
type colourMap struct {
	Pictures int          `json:"pictures"`          // that it was fitted to
	Square   [][]float64  `json:"square,omitempty"`  // Σ x·xᵀ
	Product  [][3]float64 `json:"product,omitempty"` // Σ x·yᵀ
	Weights  [][3]float64 `json:"weights,omitempty"` // as they were solved; nil: from the sums
}

// fitted is how many pictures an autoencoder's map is fitted to, at most.
const fitted = 16

// known are the maps of the embedded models, by their autoencoders. They are fitted to pictures of scenes.
//
//go:embed steps.json
var known []byte

// add takes a picture, and its latents [channels, h, w], into account.
func (m *colourMap) add(latents tensor.Tensor, img image.Image) {
	n, h, w := latents.Shape[0]+1, latents.Shape[1], latents.Shape[2]
	if m.Square == nil {
		m.Square, m.Product = make([][]float64, n), make([][3]float64, n)
		for i := range m.Square {
			m.Square[i] = make([]float64, n)
		}
	}
	b := img.Bounds()
	if len(m.Square) != n || b.Dx() < w || b.Dy() < h {
		return
	}
	x := make([]float64, n)
	for row := range h {
		for column := range w {
			for c := range n - 1 {
				x[c] = float64(latents.Data[(c*h+row)*w+column])
			}
			x[n-1] = 1
			y := mean(img, image.Rect(b.Dx()*column/w, b.Dy()*row/h, b.Dx()*(column+1)/w, b.Dy()*(row+1)/h).Add(b.Min))
			for i := range n {
				for j := range n {
					m.Square[i][j] += x[i] * x[j]
				}
				for k := range 3 {
					m.Product[i][k] += x[i] * y[k]
				}
			}
		}
	}
	m.Pictures, m.Weights = m.Pictures+1, nil
}

// mean is the mean colour of a part of a picture.
func mean(img image.Image, part image.Rectangle) (y [3]float64) {
	for j := part.Min.Y; j < part.Max.Y; j++ {
		for i := part.Min.X; i < part.Max.X; i++ {
			r, g, b, _ := img.At(i, j).RGBA()
			y[0], y[1], y[2] = y[0]+float64(r), y[1]+float64(g), y[2]+float64(b)
		}
	}
	n := float64(part.Dx()*part.Dy()) * 0xffff
	return [3]float64{y[0] / n, y[1] / n, y[2] / n}
}

// ridge keeps channels that nothing was seen of at zero.
const ridge = 1e-4

// solve returns the weights, by Gaussian elimination of a positive definite matrix.
func (m *colourMap) solve() [][3]float64 {
	if m.Weights != nil || m.Pictures == 0 {
		return m.Weights
	}
	n := len(m.Square)
	a, y := make([][]float64, n), make([][3]float64, n)
	trace := 0.0
	for i := range n {
		a[i], y[i] = append([]float64{}, m.Square[i]...), m.Product[i]
		trace += a[i][i]
	}
	for i := range n {
		a[i][i] += ridge * trace / float64(n)
	}
	for i := range n {
		for j := i + 1; j < n; j++ {
			f := a[j][i] / a[i][i]
			for k := i; k < n; k++ {
				a[j][k] -= f * a[i][k]
			}
			for k := range 3 {
				y[j][k] -= f * y[i][k]
			}
		}
	}
	for i := n - 1; i >= 0; i-- {
		for k := range 3 {
			for j := i + 1; j < n; j++ {
				y[i][k] -= a[i][j] * y[j][k]
			}
			y[i][k] /= a[i][i]
		}
	}
	m.Weights = y
	return y
}

// inColours returns latents in colours, by a map's weights, or nil where they are of other latents.
func inColours(w [][3]float64, latents tensor.Tensor) *image.NRGBA {
	if len(latents.Shape) != 3 || len(w) != latents.Shape[0]+1 {
		return nil
	}
	channels, height, width := latents.Shape[0], latents.Shape[1], latents.Shape[2]
	out := image.NewNRGBA(image.Rect(0, 0, width, height))
	cells := height * width
	for i := range cells {
		y := w[channels]
		for c := range channels {
			x := float64(latents.Data[c*cells+i])
			y[0], y[1], y[2] = y[0]+w[c][0]*x, y[1]+w[c][1]*x, y[2]+w[c][2]*x
		}
		for k := range 3 {
			out.Pix[4*i+k] = uint8(math.Round(255 * min(1, max(0, y[k]))))
		}
		out.Pix[4*i+3] = 255
	}
	return out
}

// colourMaps are the maps of autoencoders. Those that were fitted are kept in a folder; they can be made again.
type colourMaps struct {
	folder string // "" keeps them as long as the App
	mu     sync.Mutex
	maps   map[eligen.Digest]*colourMap
}

// of returns the map of an autoencoder, empty where nothing is known. The maps are locked.
func (c *colourMaps) of(autoencoder eligen.Digest) *colourMap {
	if c.maps == nil {
		c.maps = map[eligen.Digest]*colourMap{}
		if err := json.Unmarshal(known, &c.maps); err != nil {
			panic(err) // it is embedded
		}
	}
	m, ok := c.maps[autoencoder]
	if !ok {
		m = &colourMap{}
		if data, err := files.Read(c.file(autoencoder), 1<<20); err == nil && (json.Unmarshal(data, m) != nil || !m.sound()) {
			m = &colourMap{}
		}
		c.maps[autoencoder] = m
	}
	return m
}

// sound reports whether sums out of a file fit together.
func (m *colourMap) sound() bool {
	n := len(m.Square)
	uneven := func(row []float64) bool { return len(row) != n }
	return len(m.Product) == n && (m.Weights == nil || n == 0) && !slices.ContainsFunc(m.Square, uneven)
}

func (c *colourMaps) file(autoencoder eligen.Digest) string {
	return filepath.Join(c.folder, string(autoencoder)+".json")
}

// picture returns an autoencoder's latents in colours, or nil where nothing is known of them.
func (c *colourMaps) picture(autoencoder eligen.Digest, latents tensor.Tensor) *image.NRGBA {
	c.mu.Lock()
	weights := c.of(autoencoder).solve()
	c.mu.Unlock() // solved weights never change
	return inColours(weights, latents)
}

// knows reports whether an autoencoder's map has seen enough.
func (c *colourMaps) knows(autoencoder eligen.Digest) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.of(autoencoder).Pictures >= fitted
}

// learn fits the map of an autoencoder to a picture and its latents.
func (c *colourMaps) learn(autoencoder eligen.Digest, latents tensor.Tensor, img image.Image) {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := c.of(autoencoder)
	if m.Pictures >= fitted || len(latents.Shape) != 3 {
		return
	}
	m.add(latents, img)
	if data, err := json.Marshal(m); err == nil && c.folder != "" {
		if os.MkdirAll(c.folder, 0o755) == nil {
			_ = files.WriteBytes(c.file(autoencoder), data) // it can be fitted again
		}
	}
}

// A lesson is a stage whose latents are those of a picture: one that the autoencoder decodes, or one that it
// encodes, before the first step.
type lesson struct {
	autoencoder      eligen.Digest
	latents, picture eligen.Digest // of results; no picture: read is the way to it
	read             func() (image.Image, error)
}

// stepWatch makes pictures of a run's steps, and learns from what the run decodes and encodes.
type stepWatch struct {
	app          *App
	autoencoders map[string]eligen.Digest // by the stages that denoise
	lessons      map[string]lesson        // by the stages after which they can be had
	todo         chan lesson
	learned      chan struct{} // closed when all are
}

// watchSteps begins to watch a run of a plan. The caller ends it.
func (a *App) watchSteps(p *Plan) *stepWatch {
	w := &stepWatch{app: a, autoencoders: map[string]eligen.Digest{}, lessons: map[string]lesson{}, learned: make(chan struct{})}
	for _, s := range p.Stages {
		switch op := s.Op.(type) {
		case decode.Op:
			latents := p.Stages[s.Inputs[0]]
			w.autoencoders[latents.Name] = op.Autoencoder
			w.lessons[s.Name] = lesson{autoencoder: op.Autoencoder, latents: latents.Digest, picture: s.Digest}
		case stageimage.Latents:
			w.lessons[s.Name] = lesson{autoencoder: op.Autoencoder, latents: s.Digest, picture: p.Stages[s.Inputs[0]].Digest}
		case stageimage.Op:
			w.lessons[s.Name] = lesson{autoencoder: op.Autoencoder, latents: s.Digest, read: op.Seen}
		}
	}
	w.todo = make(chan lesson, fitted) // more would teach nothing
	go func() {
		defer close(w.learned)
		for l := range w.todo {
			a.learnFrom(l)
		}
	}()
	return w
}

// end returns when all is learned.
func (w *stepWatch) end() {
	close(w.todo)
	<-w.learned
}

// see adds to an event what its step leads to. What takes long is put aside: events are waited for.
func (w *stepWatch) see(e *eligen.Event) {
	if e.Type == eligen.Stepped && e.Estimate != nil {
		if autoencoder, ok := w.autoencoders[e.Stage]; ok {
			e.Picture = w.app.colours.picture(autoencoder, *e.Estimate)
		}
		return
	}
	l, ok := w.lessons[e.Stage]
	if !ok || e.Type != eligen.Done && e.Type != eligen.Cached || e.Unused || w.app.colours.knows(l.autoencoder) {
		return
	}
	select {
	case w.todo <- l:
	default: // so many at once teach enough
	}
}

// learnFrom reads latents and their picture. What is not there teaches nothing.
func (a *App) learnFrom(l lesson) {
	store, err := a.made()
	if err != nil || a.colours.knows(l.autoencoder) {
		return
	}
	from, ok, err := result(context.Background(), store, l.latents)
	if !ok || err != nil {
		return
	}
	tensors, err := tensor.Read(from.Data)
	if err != nil {
		return
	}
	read := l.read
	if read == nil {
		read = func() (image.Image, error) {
			made, ok, err := result(context.Background(), store, l.picture)
			if !ok {
				return nil, errors.Join(errors.New("gone"), err)
			}
			return png.Decode(bytes.NewReader(made.Data))
		}
	}
	if img, err := read(); err == nil {
		a.colours.learn(l.autoencoder, tensors["latents"], img)
	}
}
