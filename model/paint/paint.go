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
	"io/fs"
	"math"
	"strings"
	"sync"
	"unicode"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/family/nano"
	encoders "github.com/eligen/eligen/model/text"
)

// Digests that stand for the weights which this engine does without.
var (
	text        = eligen.DigestOf([]byte("paint 1: text"))
	transformer = eligen.DigestOf([]byte("paint 1: transformer"))
	autoencoder = eligen.DigestOf([]byte("paint 1: autoencoder"))
	pictures    = eligen.DigestOf([]byte("paint 1: ip"))
)

// channels of latents; the first three hold red, green and blue in [-1, 1].
const channels = 16

// Engine paints. Its zero value is ready.
type Engine struct{}

var _ eligen.Engine = Engine{}

// ID names the engine.
func (Engine) ID() string { return "paint/" + eligen.Version }

// Spec returns the same for every model and adapter, except for the native size: files that
// they name are not looked for.
func (Engine) Spec(m eligen.Model, adapters []eligen.Adapter) (eligen.Spec, error) {
	s := eligen.Spec{
		Family: m.Family, Geometry: eligen.DefaultGeometry, Native: eligen.Size{W: 256, H: 256},
		Text: text, Transformer: transformer, Autoencoder: autoencoder,
		// a colour, however long the prompt
		Encoders: []eligen.Encoder{{Name: "T5", Role: "the text encoder", Count: func(string) int { return 1 }}},
		Prompt:   eligen.Reading{Length: 1, Pooled: true}, EntityPrompt: eligen.Reading{Length: 1}, HasGuidance: true, DType: "float32",
		Steps: 4, StepsWithEntities: 4, CFG: 1, CFGWithNegative: 3, CFGWithEntities: 1, Schedule: "eligen",
		Unread: unread(m.Family), EliGen: true, InContext: m.Family == "nano", LeastTeaCache: eligen.LeastTeaCache,
	}
	if m.Family == "flux" {
		s.Native, s.WithoutLoRA = eligen.Size{W: 1024, H: 1024}, withoutLoRA
	}
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

const withoutLoRA = "FLUX.1 has learned regional attention through EliGen's LoRA only; without it, entities are likely to " +
	"ignore their regions."

// unread returns what the text encoder of a family's models can't read, for a scene that is
// painted before it is rendered. This engine reads everything itself.
func unread(family string) func(string) eligen.Unread {
	load := nanoTokenizer
	if family == "flux" {
		load = encoders.EmbeddedT5
	}
	return func(prompt string) eligen.Unread {
		// Both tokenizers read English, and one of them takes a moment to load.
		if !strings.ContainsFunc(prompt, func(r rune) bool { return r > unicode.MaxASCII }) {
			return eligen.Unread{}
		}
		t, err := load()
		if err != nil { // a build without weights
			return eligen.Unread{}
		}
		return eligen.Unread{Pieces: t.Unknown(prompt)}
	}
}

var nanoTokenizer = sync.OnceValues(func() (*encoders.T5Tokenizer, error) {
	file, err := fs.ReadFile(nano.Files(), "tokenizer.json")
	if err != nil {
		return nil, err
	}
	return encoders.NewT5Tokenizer(file)
})

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

// EncodeImage returns the mean colour of every 8×8 pixels.
func (Engine) EncodeImage(_ context.Context, weights eligen.Digest, img image.Image, _ *eligen.Tiling) (tensor.Tensor, error) {
	if err := known(weights, autoencoder); err != nil {
		return tensor.Tensor{}, err
	}
	b := img.Bounds()
	w, h := b.Dx()/8, b.Dy()/8
	out := tensor.New(channels, h, w)
	for y := range 8 * h {
		for x := range 8 * w {
			c := color.NRGBAModel.Convert(img.At(b.Min.X+x, b.Min.Y+y)).(color.NRGBA)
			for k, v := range [3]uint8{c.R, c.G, c.B} {
				out.Data[(k*h+y/8)*w+x/8] += unit(v) / 64
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

// Denoise moves latents [16, h, w] to the poster along the schedule, by Euler's
// method. It stops between two steps when ctx ends.
func (Engine) Denoise(ctx context.Context, d eligen.Denoise) (tensor.Tensor, error) {
	if err := known(d.Transformer, transformer); err != nil {
		return tensor.Tensor{}, err
	}
	if len(d.Latents.Shape) != 3 || d.Latents.Shape[0] != channels {
		return tensor.Tensor{}, fmt.Errorf("latents of shape %v; expected [%d, h, w]", d.Latents.Shape, channels)
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
	for _, e := range d.Entities {
		txt := e.Prompt[eligen.Txt]
		if len(txt.Data) < 3 {
			return tensor.Tensor{}, fmt.Errorf("an entity's prompt of shape %v; expected [length, 3]", txt.Shape)
		}
		for _, t := range e.Tokens {
			if int(t) < 0 || int(t) >= tokens {
				return tensor.Tensor{}, fmt.Errorf("image token %d of %d", t, tokens)
			}
			for k := range 3 {
				paint[t][k] += e.Strength * float64(txt.Data[k])
			}
			weight[t] += e.Strength
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
	out := tensor.New(channels, h, w)
	for y := range h {
		for x := range w {
			t := min(y/d.Patch, rows-1)*columns + min(x/d.Patch, columns-1)
			for k := range 3 {
				v := prompt.Data[k]
				if weight[t] > 0 {
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

// Decode makes 8×8 pixels of every cell.
func (Engine) Decode(_ context.Context, weights eligen.Digest, latents tensor.Tensor, _ *eligen.Tiling) (image.Image, error) {
	if err := known(weights, autoencoder); err != nil {
		return nil, err
	}
	if len(latents.Shape) != 3 || latents.Shape[0] != channels {
		return nil, fmt.Errorf("latents of shape %v; expected [%d, h, w]", latents.Shape, channels)
	}
	h, w := latents.Shape[1], latents.Shape[2]
	img := image.NewNRGBA(image.Rect(0, 0, 8*w, 8*h))
	for y := range 8 * h {
		for x := range 8 * w {
			p := img.Pix[img.PixOffset(x, y):]
			for k := range 3 {
				v := latents.Data[(k*h+y/8)*w+x/8]
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
