// Package paint is an engine without weights: it fills regions with flat colours.
// It shows a layout before a model spends minutes on it, and makes tests fast.
//
// It is an engine in full: prompts become conditionings, noise is denoised along
// the schedule, latents are decoded. Only what comes of it is a poster: the
// background in the prompt's colour, each entity's image tokens in the colour of its
// own prompt, tokens of several entities in their mixture by strength. A prompt that
// names a colour ("a red mat") has that one. Pictures that an adapter brings in tint
// it all, each by its scale. A negative prompt, guidance and a picture to start from
// leave no trace in flat colours.
package paint

import (
	"context"
	"fmt"
	"hash/fnv"
	"image"
	"image/color"
	"math"
	"strings"
	"unicode"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/internal/words"
	"github.com/eligen/eligen/model/families"
	"github.com/eligen/eligen/model/family"
)

// Digests that stand for the weights which this engine does without.
var (
	text        = eligen.DigestOf([]byte("paint 1: text"))
	transformer = eligen.DigestOf([]byte("paint 1: transformer"))
	pictures    = eligen.DigestOf([]byte("paint 1: ip"))
)

// autoencoder returns the digest of the autoencoder that a family's pictures would have.
func autoencoder(g eligen.Geometry) eligen.Digest {
	if g == eligen.DefaultGeometry {
		return eligen.DigestOf([]byte("paint 1: autoencoder"))
	}
	return eligen.DigestOf(fmt.Appendf(nil, "paint 1: autoencoder %d %d", g.Channels, g.Factor))
}

// colours is how many channels of latents hold red, green and blue in [-1, 1]: the first.
const colours = 3

// Engine paints. Its zero value is ready.
type Engine struct {
	Families family.Table // nil is families.All
}

var _ eligen.Engine = Engine{}

// ID names the engine.
func (Engine) ID() string { return "paint/" + eligen.Version }

func (e Engine) table() family.Table {
	if e.Families == nil {
		return families.All
	}
	return e.Families
}

// Spec returns the same for every model and adapter of a family: files that they name are not
// looked for. What the family says of its models before a file is read holds.
func (e Engine) Spec(m eligen.Model, adapters []eligen.Adapter) (eligen.Spec, error) {
	f, err := e.table().Find(m.Family)
	if err != nil {
		var ds eligen.Diagnostics
		ds.Errorf(&m.Source, "Model can't be used", "%s.", words.Capital(err.Error()))
		return eligen.Spec{}, ds
	}
	s := f.Outline()
	if s.Geometry.Channels < colours {
		s.Geometry.Channels = colours
	}
	for i := range s.Encoders { // a colour, however long the prompt
		s.Encoders[i].Limit, s.Encoders[i].Count = 0, func(string) int { return 1 }
	}
	s.Family, s.DType, s.Unread, s.Untrained = m.Family, "float32", unread(s.Unread), true
	s.Text, s.Transformer, s.Autoencoder = text, transformer, autoencoder(s.Geometry)
	s.Prompt, s.EntityPrompt = eligen.Reading{Length: 1, Pooled: true}, eligen.Reading{Length: 1}
	s.HasGuidance, s.Guidance, s.Schedule = true, 0, "eligen"
	s.Steps, s.StepsWithEntities = 4, 4
	s.CFG, s.CFGWithNegative, s.CFGWithEntities, s.CFGWithSource = 1, 3, 1, 0
	for _, a := range adapters {
		if a.Kind == "ip" {
			s.Adapters = append(s.Adapters, eligen.AdapterWeights{Kind: a.Kind, Digest: pictures, Scale: a.Scale})
			continue
		}
		s.Adapters = append(s.Adapters, eligen.AdapterWeights{Kind: a.Kind,
			Digest: eligen.DigestOf([]byte("paint 1: " + a.Kind + " " + a.Name)), Scale: a.Scale, Alpha: a.Alpha})
	}
	return s, nil
}

// unread returns what the text encoder of a family's models can't read, for a scene that is
// painted before it is rendered. This engine reads everything itself.
func unread(of func(string) eligen.Unread) func(string) eligen.Unread {
	return func(prompt string) eligen.Unread {
		// All encoders read English, and a tokenizer takes a moment to load.
		if of == nil || !strings.ContainsFunc(prompt, func(r rune) bool { return r > unicode.MaxASCII }) {
			return eligen.Unread{}
		}
		return of(prompt)
	}
}

// geometry returns the geometry of the families whose autoencoder a digest stands for.
func (e Engine) geometry(weights eligen.Digest) (eligen.Geometry, error) {
	for _, f := range e.table() {
		if g := f.Outline().Geometry; autoencoder(g) == weights {
			return g, nil
		}
	}
	return eligen.Geometry{}, known(weights, autoencoder(eligen.DefaultGeometry))
}

// EncodePrompt returns a prompt's colour: txt [length, 3], every row the same, and vec [3].
func (Engine) EncodePrompt(_ context.Context, weights eligen.Digest, prompt string, as eligen.Reading) (eligen.Conditioning, error) {
	if err := known(weights, text); err != nil {
		return nil, err
	}
	c := Colour(prompt)
	txt := tensor.New(as.Length, 3)
	for i := range as.Length {
		txt.Data[3*i], txt.Data[3*i+1], txt.Data[3*i+2] = unit(c.R), unit(c.G), unit(c.B)
	}
	out := eligen.Conditioning{eligen.Txt: txt}
	if as.Pooled {
		out[eligen.Vec] = tensor.Tensor{Shape: []int{3}, Data: append([]float32{}, txt.Data[:3]...)}
	}
	return out, nil
}

// EncodeImage returns the mean colour of each latent's pixels.
func (e Engine) EncodeImage(_ context.Context, weights eligen.Digest, img image.Image, _ *eligen.Tiling) (tensor.Tensor, error) {
	g, err := e.geometry(weights)
	if err != nil {
		return tensor.Tensor{}, err
	}
	b, n := img.Bounds(), g.Factor
	out := tensor.New(g.Shape(eligen.Size{W: b.Dx(), H: b.Dy()})...)
	h, w := out.Shape[1], out.Shape[2]
	for y := range n * h {
		for x := range n * w {
			c := color.NRGBAModel.Convert(img.At(b.Min.X+x, b.Min.Y+y)).(color.NRGBA)
			for k, v := range [colours]uint8{c.R, c.G, c.B} {
				out.Data[(k*h+y/n)*w+x/n] += unit(v) / float32(n*n)
			}
		}
	}
	return out, nil
}

// EncodeImagePrompt returns a picture's mean colour, [1, 3]; without a picture, that of
// none, grey.
func (Engine) EncodeImagePrompt(_ context.Context, weights eligen.Digest, img image.Image) (tensor.Tensor, error) {
	out := tensor.New(1, 3)
	if err := known(weights, pictures); err != nil || img == nil {
		return out, err
	}
	b := img.Bounds()
	var sum [3]float64
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			c := color.NRGBAModel.Convert(img.At(x, y)).(color.NRGBA)
			for k, v := range [3]uint8{c.R, c.G, c.B} {
				sum[k] += float64(unit(v))
			}
		}
	}
	for k := range out.Data {
		out.Data[k] = float32(sum[k] / float64(max(1, b.Dx()*b.Dy())))
	}
	return out, nil
}

// Denoise moves latents [C, h, w] to the poster along the schedule, by Euler's
// method. It stops between two steps when ctx ends.
func (Engine) Denoise(ctx context.Context, d eligen.Denoise) (tensor.Tensor, error) {
	if err := known(d.Transformer, transformer); err != nil {
		return tensor.Tensor{}, err
	}
	if len(d.Latents.Shape) != 3 || d.Latents.Shape[0] < colours || d.Patch < 1 {
		return tensor.Tensor{}, fmt.Errorf("latents of shape %v in tokens of %d; expected [channels, h, w], three channels or more",
			d.Latents.Shape, d.Patch)
	}
	poster, err := poster(d)
	if err != nil {
		return tensor.Tensor{}, err
	}
	x := tensor.Tensor{Shape: d.Latents.Shape, Data: append([]float32{}, d.Latents.Data...)}
	of := len(d.Sigmas) - 1
	for step := d.From; step < of; step++ {
		if err := ctx.Err(); err != nil {
			return tensor.Tensor{}, err
		}
		ratio := d.Sigmas[step+1] / d.Sigmas[step]
		for i, p := range poster.Data {
			x.Data[i] = p + float32((x.Data[i]-p)*ratio)
		}
		if d.Step != nil {
			d.Step(step+1, of, x)
		}
	}
	return x, nil
}

// poster returns the latents that denoising ends at.
func poster(d eligen.Denoise) (tensor.Tensor, error) {
	h, w := d.Latents.Shape[1], d.Latents.Shape[2]
	rows, columns := h/d.Patch, w/d.Patch
	tokens := rows * columns
	paint := make([][3]float64, tokens)
	weight := make([]float64, tokens)
	layered := false
	for _, e := range d.Entities {
		txt := e.Prompt[eligen.Txt]
		if len(txt.Data) < 3 {
			return tensor.Tensor{}, fmt.Errorf("an entity's prompt of shape %v; expected [length, 3]", txt.Shape)
		}
		for j, t := range e.Tokens {
			if int(t) < 0 || int(t) >= tokens {
				return tensor.Tensor{}, fmt.Errorf("image token %d of %d", t, tokens)
			}
			share := e.Strength * mean(e.Factors)
			if e.Cover != nil {
				share *= float64(e.Cover[j])
			}
			if e.Share != nil { // of the whole, of which the prompt has the rest
				share, layered = float64(e.Share[j]), true
			}
			for k := range 3 {
				paint[t][k] += share * float64(txt.Data[k])
			}
			weight[t] += share
		}
	}
	prompt := d.Prompt[eligen.Txt]
	if len(prompt.Data) < 3 {
		return tensor.Tensor{}, fmt.Errorf("a prompt of shape %v; expected [length, 3]", prompt.Shape)
	}
	tint, whole, err := tinted(d.ImagePrompts)
	if err != nil {
		return tensor.Tensor{}, err
	}
	out := tensor.New(d.Latents.Shape...)
	for y := range h {
		for x := range w {
			t := min(y/d.Patch, rows-1)*columns + min(x/d.Patch, columns-1)
			for k := range 3 {
				v := prompt.Data[k]
				if layered {
					v = float32((1-weight[t])*float64(v) + paint[t][k])
				} else if weight[t] > 0 {
					v = float32(paint[t][k] / weight[t])
				}
				if len(d.ImagePrompts) > 0 {
					v = float32((float64(v) + tint[k]) / whole)
				}
				i := (k*h+y)*w + x
				if f := d.Fusion; f != nil {
					if len(f.Paint) != h*w || len(f.Picture.Data) != len(out.Data) {
						return tensor.Tensor{}, fmt.Errorf("a picture to keep of shape %v for latents of %v", f.Picture.Shape, d.Latents.Shape)
					}
					v = f.Picture.Data[i] + f.Paint[y*w+x]*(v-f.Picture.Data[i])
				}
				out.Data[i] = v
			}
		}
	}
	return out, nil
}

// tinted returns the colour that image prompts add, and the weight of all that is mixed.
func tinted(prompts []eligen.ImagePrompt) (tint [3]float64, whole float64, err error) {
	whole = 1
	for _, p := range prompts {
		if len(p.Tokens.Data) != 3 {
			return tint, whole, fmt.Errorf("an image prompt of shape %v; expected [1, 3]", p.Tokens.Shape)
		}
		for k, v := range p.Tokens.Data {
			tint[k] += p.Scale * float64(v)
		}
		whole += math.Abs(p.Scale)
	}
	return tint, whole, nil
}

// Decode makes a square of pixels of every cell.
func (e Engine) Decode(_ context.Context, weights eligen.Digest, latents tensor.Tensor, _ *eligen.Tiling) (image.Image, error) {
	g, err := e.geometry(weights)
	if err != nil {
		return nil, err
	}
	if len(latents.Shape) != 3 || latents.Shape[0] < colours {
		return nil, fmt.Errorf("latents of shape %v; expected [channels, h, w], three channels or more", latents.Shape)
	}
	h, w, n := latents.Shape[1], latents.Shape[2], g.Factor
	img := image.NewNRGBA(image.Rect(0, 0, n*w, n*h))
	for y := range n * h {
		for x := range n * w {
			p := img.Pix[img.PixOffset(x, y):]
			for k := range colours {
				v := latents.Data[(k*h+y/n)*w+x/n]
				p[k] = uint8(math.Round(float64(min(255, max(0, (v+1)*127.5)))))
			}
			p[3] = 255
		}
	}
	return img, nil
}

func known(got, want eligen.Digest) error {
	if got != want {
		return fmt.Errorf("the paint engine has no weights %s", got.Short())
	}
	return nil
}

func unit(v uint8) float32 { return float32(v)/127.5 - 1 }

// named are colours that prompts name.
var named = map[string]color.NRGBA{
	"red": {205, 58, 52, 255}, "orange": {240, 140, 50, 255}, "yellow": {246, 208, 66, 255}, "gold": {222, 178, 58, 255},
	"golden": {222, 178, 58, 255},
	"green":  {92, 158, 88, 255}, "teal": {58, 150, 146, 255}, "cyan": {94, 200, 214, 255}, "blue": {66, 112, 196, 255},
	"navy":   {38, 54, 104, 255},
	"purple": {128, 84, 170, 255}, "violet": {140, 96, 190, 255}, "pink": {238, 150, 178, 255}, "brown": {132, 92, 62, 255},
	"beige": {224, 208, 178, 255},
	"black": {34, 34, 38, 255}, "white": {244, 244, 240, 255}, "grey": {142, 146, 150, 255}, "gray": {142, 146, 150, 255},
	"silver": {186, 190, 196, 255},
}

// Colour returns the colour of a prompt: the last that it names, or else one chosen by
// its letters.
func Colour(prompt string) color.NRGBA {
	words := strings.FieldsFunc(strings.ToLower(prompt), func(r rune) bool { return !unicode.IsLetter(r) })
	for i := len(words) - 1; i >= 0; i-- {
		if c, ok := named[words[i]]; ok {
			return c
		}
	}
	f := fnv.New32a()
	f.Write([]byte(strings.Join(words, " ")))
	n := f.Sum32()
	hue := float64(n%360) / 60
	saturation := 0.42 + float64(n>>9%32)/100
	value := 0.66 + float64(n>>16%26)/100
	// HSV to RGB: each channel falls off with its distance from the hue.
	channel := func(shift float64) uint8 {
		k := math.Mod(shift+hue, 6)
		return uint8(math.Round(255 * (value - float64(value*saturation)*max(0, min(k, 4-k, 1)))))
	}
	return color.NRGBA{channel(5), channel(3), channel(1), 255}
}

// mean returns the mean of what a strength is multiplied by in each step: a poster has none.
func mean(factors []float32) float64 {
	if len(factors) == 0 {
		return 1
	}
	sum := 0.0
	for _, f := range factors {
		sum += float64(f)
	}
	return sum / float64(len(factors))
}
