package annotate

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// A Box is x0, y0, x1 and y1 in fractions of the picture.
type Box [4]float64

func (b Box) area() float64 { return max(0, b[2]-b[0]) * max(0, b[3]-b[1]) }

func (b Box) iou(c Box) float64 {
	both := Box{max(b[0], c[0]), max(b[1], c[1]), min(b[2], c[2]), min(b[3], c[3])}.area()
	if union := b.area() + c.area() - both; union > 0 {
		return both / union
	}
	return 0
}

// A form is how a model writes boxes.
type form struct {
	name string
	read func(n [4]float64, w, h float64) Box
}

func corners(x, y func(side float64) float64) func(n [4]float64, w, h float64) Box {
	return func(n [4]float64, w, h float64) Box { return Box{n[0] / x(w), n[1] / y(h), n[2] / x(w), n[3] / y(h)} }
}

func of(n float64) func(float64) float64 { return func(float64) float64 { return n } }
func side(v float64) float64             { return v }

var forms = []form{
	{"xyxy/1000", corners(of(1000), of(1000))},
	{"xyxy/px", corners(side, side)},
	{"xyxy/1", corners(of(1), of(1))},
	{"xyxy/100", corners(of(100), of(100))},
	{"yxyx/1000", func(n [4]float64, _, _ float64) Box { return Box{n[1] / 1000, n[0] / 1000, n[3] / 1000, n[2] / 1000} }},
	{"xywh/px", func(n [4]float64, w, h float64) Box {
		return Box{n[0] / w, n[1] / h, (n[0] + n[2]) / w, (n[1] + n[3]) / h}
	}},
	{"xywh/1000", func(n [4]float64, _, _ float64) Box {
		return Box{n[0] / 1000, n[1] / 1000, (n[0] + n[2]) / 1000, (n[1] + n[3]) / 1000}
	}},
}

// Forms lists the ways in which models write boxes.
func Forms() (out []string) {
	for _, f := range forms {
		out = append(out, f.name)
	}
	return out
}

func formOf(name string) (form, error) {
	for _, f := range forms {
		if f.name == name {
			return f, nil
		}
	}
	return form{}, fmt.Errorf("there is no form of boxes %q: pass one of %s", name, strings.Join(Forms(), ", "))
}

// A thing is an item of an answer, its numbers as the model wrote them.
type thing struct {
	label string
	box   [4]float64
}

// Limits of an answer. Beyond them it is broken, or hostile.
const (
	maxAnswer = 64 << 10
	maxThings = 200
	maxLabel  = 200 // characters
)

var errNoList = errors.New("it has no JSON list of things with boxes")

// things reads the list in an answer. What is around it is passed over.
func things(text string) ([]thing, error) {
	if len(text) > maxAnswer {
		return nil, fmt.Errorf("it has %d bytes; %d are the most", len(text), maxAnswer)
	}
	for at, tries := 0, 0; tries < 20; tries++ {
		i := strings.IndexByte(text[at:], '[')
		if i < 0 {
			break
		}
		at += i
		var list []map[string]json.RawMessage
		d := json.NewDecoder(strings.NewReader(text[at:]))
		if d.Decode(&list) == nil {
			return thingsOf(list)
		}
		at++
	}
	return nil, errNoList
}

func thingsOf(list []map[string]json.RawMessage) ([]thing, error) {
	if len(list) > maxThings {
		return nil, fmt.Errorf("it lists %d things; %d are the most", len(list), maxThings)
	}
	out := []thing{}
	for i, m := range list {
		var t thing
		for _, key := range []string{"label", "description", "prompt", "name", "phrase", "object"} {
			if json.Unmarshal(m[key], &t.label) == nil && m[key] != nil {
				break
			}
		}
		found := false
		for _, key := range []string{"bbox_2d", "bbox", "box", "box_2d", "bounding_box"} {
			if m[key] == nil {
				continue
			}
			b, err := four(m[key])
			if err != nil {
				return nil, fmt.Errorf("thing %d: its %s is %w", i+1, key, err)
			}
			t.box, found = b, true
			break
		}
		if !found {
			return nil, fmt.Errorf("thing %d has no bbox_2d", i+1)
		}
		out = append(out, t)
	}
	return out, nil
}

// four reads four numbers, of strings too.
func four(data json.RawMessage) (out [4]float64, err error) {
	var list []json.RawMessage
	wrong := errors.New("no list of four numbers")
	if json.Unmarshal(data, &list) != nil || len(list) != 4 {
		return out, wrong
	}
	for i, v := range list {
		out[i], err = strconv.ParseFloat(strings.Trim(string(v), `" `), 64)
		if err != nil || math.IsNaN(out[i]) || math.Abs(out[i]) > 1e6 {
			return out, wrong
		}
	}
	return out, nil
}

// tidy makes one line of a model's words, without what can't be seen.
func tidy(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co) || r == unicode.ReplacementChar {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, " "))
	return strings.Join(strings.Fields(s), " ")
}

// An Entity is a thing of a picture, checked.
type Entity struct {
	Prompt string
	Box    Box
}

// checked returns the things that can be entities of a picture of w×h pixels, and says why others can't.
func checked(list []thing, as form, w, h, most int) (kept []Entity, dropped []string) {
	drop := func(t thing, why string, args ...any) {
		dropped = append(dropped, fmt.Sprintf("“%s”: ", short(tidy(t.label)))+fmt.Sprintf(why, args...))
	}
	for _, t := range list {
		b := as.read(t.box, float64(w), float64(h))
		label := strings.TrimRight(tidy(t.label), ".")
		const slack = 0.02
		switch {
		case label == "":
			drop(t, "it has no words")
			continue
		case len([]rune(label)) > maxLabel:
			drop(t, "its words have more than %d characters", maxLabel)
			continue
		case b[0] >= b[2] || b[1] >= b[3]:
			drop(t, "its box %v ends before it begins", t.box)
			continue
		case min(b[0], b[1]) < -slack || max(b[2], b[3]) > 1+slack:
			drop(t, "its box %v reaches beyond the picture", t.box)
			continue
		}
		for i := range b {
			b[i] = math.Round(min(max(b[i], 0), 1)*1e4) / 1e4
		}
		if (b[2]-b[0])*float64(w) < 16 || (b[3]-b[1])*float64(h) < 16 {
			drop(t, "its box is smaller than an image token of 16×16 pixels")
			continue
		}
		if b.area() > 0.95 {
			drop(t, "its box is the whole picture")
			continue
		}
		twin := slices.IndexFunc(kept, func(e Entity) bool {
			return e.Box.iou(b) > 0.95 || strings.EqualFold(e.Prompt, label) && e.Box.iou(b) > 0.5
		})
		if twin >= 0 {
			drop(t, "it lies where “%s” does", short(kept[twin].Prompt))
			continue
		}
		if len(kept) == most {
			drop(t, "there are %d before it, the most", most)
			continue
		}
		kept = append(kept, Entity{label, b})
	}
	return kept, dropped
}

func short(s string) string {
	if r := []rune(s); len(r) > 60 {
		return string(r[:60]) + "…"
	}
	return s
}

// yes reads an answer to a question; ok is false where it is neither.
func yes(text string) (is, ok bool) {
	word, _, _ := strings.Cut(strings.ToLower(tidy(text)), " ")
	switch strings.Trim(word, `.,!:;"'*`) {
	case "yes":
		return true, true
	case "no":
		return false, true
	}
	return false, false
}
