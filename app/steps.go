package app

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"image"
	"image/png"
	"math"
	"os"
	"path/filepath"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/files"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/stage/decode"
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

// picture returns latents in colours, or nil where nothing is known of them.
func (m *colourMap) picture(latents tensor.Tensor) *image.NRGBA {
	w := m.solve()
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

// colours returns the map of an autoencoder, empty where nothing is known.
func (a *App) colours(autoencoder eligen.Digest) *colourMap {
	a.mu.Lock()
	defer a.mu.Unlock()
	if m, ok := a.maps[autoencoder]; ok {
		return m
	}
	if a.maps == nil {
		a.maps = map[eligen.Digest]*colourMap{}
		if err := json.Unmarshal(known, &a.maps); err != nil {
			panic(err) // it is embedded
		}
	}
	m, ok := a.maps[autoencoder]
	if !ok {
		m = &colourMap{}
		if data, err := files.Read(a.mapFile(autoencoder), 1<<20); err == nil && json.Unmarshal(data, m) != nil {
			m = &colourMap{}
		}
		a.maps[autoencoder] = m
	}
	return m
}

// mapFile is where the map of an autoencoder is kept. It can be made again.
func (a *App) mapFile(autoencoder eligen.Digest) string {
	return filepath.Join(a.options.Folder, "previews", string(autoencoder)+".json")
}

// learn fits the map of an autoencoder to a picture that it has decoded.
func (a *App) learn(autoencoder eligen.Digest, latents tensor.Tensor, img image.Image) {
	m := a.colours(autoencoder)
	a.mu.Lock()
	defer a.mu.Unlock()
	if m.Pictures >= fitted || len(latents.Shape) != 3 {
		return
	}
	m.add(latents, img)
	if data, err := json.Marshal(m); err == nil && a.options.Folder != "" {
		path := a.mapFile(autoencoder)
		if os.MkdirAll(filepath.Dir(path), 0o755) == nil {
			_ = files.WriteBytes(path, data) // it can be fitted again
		}
	}
}

// watchSteps returns what makes pictures of a plan's steps, and learns from those that are decoded.
func (a *App) watchSteps(p *Plan) func(eligen.Event, func(StepPicture)) {
	autoencoders, from := map[string]eligen.Digest{}, map[string]eligen.Stage{}
	for _, s := range p.Stages {
		if op, ok := s.Op.(decode.Op); ok {
			latents := p.Stages[s.Inputs[0]]
			autoencoders[latents.Name], from[s.Name] = op.Autoencoder, latents
			autoencoders[s.Name] = op.Autoencoder
		}
	}
	return func(e eligen.Event, show func(StepPicture)) {
		autoencoder, ok := autoencoders[e.Stage]
		switch {
		case !ok:
		case e.Type == eligen.Stepped && e.Estimate != nil:
			m := a.colours(autoencoder)
			a.mu.Lock()
			img := m.picture(*e.Estimate)
			a.mu.Unlock()
			if img != nil {
				show(StepPicture{e.Stage, e.Step, e.Of, img})
			}
		case e.Type == eligen.Done && from[e.Stage].Name != "" && a.colours(autoencoder).Pictures < fitted:
			a.learnFrom(autoencoder, from[e.Stage].Digest, e.Artifact.Digest)
		}
	}
}

// learnFrom reads latents and their picture out of the store. What is not there teaches nothing.
func (a *App) learnFrom(autoencoder, latents, picture eligen.Digest) {
	store, err := a.made()
	if err != nil {
		return
	}
	from, ok, err := result(context.Background(), store, latents)
	if !ok || err != nil {
		return
	}
	to, ok, err := result(context.Background(), store, picture)
	if !ok || err != nil {
		return
	}
	tensors, err := tensor.Read(from.Data)
	if err != nil {
		return
	}
	if img, err := png.Decode(bytes.NewReader(to.Data)); err == nil {
		a.learn(autoencoder, tensors["latents"], img)
	}
}
