package weights

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/names"
	"github.com/eligen/eligen/model/quant"
)

// A weight that is quantised has tensors beside it, and its file may have notes in its header.
type companions map[names.Role]entry

// settings are what a file says of how a layer is quantised.
type settings struct {
	Format  string `json:"format"`
	Rotated bool   `json:"convrot"` // each row was turned by a matrix of its own
}

// quantised are the names of ComfyUI's formats that are read, and the dtypes of their weights.
var quantised = map[string]string{"float8_e4m3fn": "F8_E4M3", "float8_e5m2": "F8_E5M2", "int8_tensorwise": "INT8"}

// check refuses a format that isn't read.
func (s settings) check() error {
	switch _, ok := quantised[s.Format]; {
	case s.Format == "":
	case !ok:
		return fmt.Errorf("it is quantised as %s; eligen reads %s", s.Format, strings.Join(slices.Sorted(maps.Keys(quantised)), ", "))
	case s.Rotated:
		return fmt.Errorf("it is quantised as %s with rotated rows (convrot), which eligen doesn't read", s.Format)
	}
	return nil
}

// dequantise gives weights their scales, and leaves out the tensors that only say how others are
// stored. What it can't make sense of stays, for Check to point at.
func (c *Checkpoint) dequantise(all []entry, notes map[string]settings) ([]entry, error) {
	have := make(map[string]bool, len(all))
	for _, e := range all {
		have[e.info.Name] = true
	}
	if err := rename(all, have); err != nil {
		return nil, err
	}
	beside := map[string]companions{}
	var out []entry
	for _, e := range all {
		weight, role := names.Companion(e.info.Name)
		switch {
		case role != names.NoRole && have[weight]:
			if beside[weight] == nil {
				beside[weight] = companions{}
			}
			beside[weight][role] = e
			if role == names.InputScale {
				c.Ignored = append(c.Ignored, e.info.Name)
			}
		case role == names.Settings: // of a layer whose weight has another name
			if note, err := e.settings(); err == nil {
				notes[strings.TrimSuffix(weight, ".weight")] = note
			}
			out = append(out, e)
		case names.Marker(e.info.Name):
			c.Ignored = append(c.Ignored, e.info.Name)
		default:
			out = append(out, e)
		}
	}
	var refused refusals
	for _, layer := range slices.Sorted(maps.Keys(notes)) {
		if !have[layer+".weight"] { // stored under other names: its format says why
			refused.add(layer, notes[layer].check())
		}
	}
	for i := range out {
		name := out[i].info.Name
		note := noteOf(notes, strings.TrimSuffix(name, ".weight"))
		with := beside[name]
		if with == nil && note.Format == "" {
			continue
		}
		refused.add(strings.TrimSuffix(name, ".weight"), out[i].apply(with, note))
	}
	return out, refused.err()
}

// rename takes from weights' names what a library puts behind them.
func rename(all []entry, have map[string]bool) error {
	for i := range all {
		file := all[i].info.Name
		name := names.Whole(file, func(name string) bool { return have[name] })
		if name != file && have[name] {
			return fmt.Errorf("%s: it is stored twice, as %s too", name, file)
		}
		all[i].info.Name, have[name] = name, true
	}
	return nil
}

// noteOf returns what a header says of a layer, whose prefix it may leave out.
func noteOf(notes map[string]settings, layer string) settings {
	for len(notes) > 0 {
		if n, ok := notes[layer]; ok {
			return n
		}
		_, rest, ok := strings.Cut(layer, ".")
		if !ok {
			break
		}
		layer = rest
	}
	return settings{}
}

// settings reads a tensor that is JSON.
func (e entry) settings() (s settings, err error) {
	data, err := e.segments[0].of.bytes()
	if err == nil {
		err = json.Unmarshal(data, &s)
	}
	return s, err
}

// apply gives a weight its scales.
func (e *entry) apply(with companions, note settings) error {
	if s, ok := with[names.Settings]; ok {
		var err error
		if note, err = s.settings(); err != nil {
			return fmt.Errorf("its comfy_quant can't be read: %w", err)
		}
	}
	if _, ok := with[names.Absmax]; ok {
		return e.blockwise(with)
	}
	of := *e.segments[0].of // the scaled one is another
	if err := note.check(); err != nil {
		return err
	}
	if note.Format != "" {
		dtype := quantised[note.Format]
		if of.format.Bytes != 1 || of.format.Elements != 1 {
			return fmt.Errorf("it is said to be %s, and is stored as %s", note.Format, of.format.Name)
		}
		of.format, _ = quant.Of(dtype)
	}
	scale, ok := with[names.Scale]
	if maxima, rows := with[names.Maxima]; rows {
		if err := maxima.rows(with); err != nil {
			return err
		}
		scale, ok = maxima, true
	}
	if !ok {
		if note.Format != "" {
			return fmt.Errorf("it is %s, and has no weight_scale", note.Format)
		}
		return nil
	}
	if of.format.Name == "I8" {
		of.format, _ = quant.Of("INT8")
	}
	n := scale.segments[0].of.n
	rows := 0
	if len(e.info.Shape) > 0 {
		rows = e.info.Shape[0]
	}
	switch {
	case !tensor.IsFloat(scale.info.DType) || n == 0 || n != 1 && (n != rows || scale.info.Shape[0] != rows):
		return fmt.Errorf("its scale is %s%v, of a weight of %v: eligen reads one number, or one a row",
			scale.info.DType, scale.info.Shape, e.info.Shape)
	case of.n > 0:
		of.scales, of.span = scale.segments[0].of, of.n/n
	}
	e.info.DType = of.format.Name
	e.segments = []segment{{&of, 0, of.n}}
	return nil
}

// rows makes scales of what 127 stands for in each row of bitsandbytes' int8.
func (e *entry) rows(with companions) error {
	if layout, ok := with[names.Layout]; ok {
		if how, err := layout.segments[0].of.small(1); err != nil || how[0] != 0 {
			return fmt.Errorf("it is int8 of bitsandbytes whose rows lie in tiles for a card (weight_format %v), which eligen doesn't read", how)
		}
	}
	of := *e.segments[0].of
	of.times = 1. / 127
	e.segments = []segment{{&of, 0, of.n}}
	return nil
}

// blocks are what bitsandbytes says of a weight.
type blocks struct {
	Type   string  `json:"quant_type"`
	Size   int     `json:"blocksize"`
	Shape  []int   `json:"shape"`
	Nested int     `json:"nested_blocksize"`
	Offset float32 `json:"nested_offset"`
}

// blockwise makes a weight of bitsandbytes' 4-bit codes.
func (e *entry) blockwise(with companions) error {
	state, ok := with[names.State]
	if !ok {
		return errors.New("it is of bitsandbytes, and has no quant_state that says how")
	}
	var b blocks
	data, err := state.segments[0].of.bytes()
	if err == nil {
		err = json.Unmarshal(data, &b)
	}
	if err != nil {
		return fmt.Errorf("its quant_state can't be read: %w", err)
	}
	f, ok := quant.Of(strings.ToUpper(b.Type))
	if !ok || f.Elements != 2 {
		return fmt.Errorf("it is %q of bitsandbytes; eligen reads nf4 and fp4", b.Type)
	}
	of := *e.segments[0].of
	n := 1
	for _, d := range b.Shape {
		if d < 0 || d > 0 && n > 2*of.n/d {
			return fmt.Errorf("its quant_state says the shape %v, of %d bytes", b.Shape, of.n)
		}
		n *= d
	}
	scales := *with[names.Absmax].segments[0].of
	if of.format.Bytes != 1 || (n+1)/2 != of.n || b.Size < 1 || scales.n != (n+b.Size-1)/b.Size {
		return fmt.Errorf("its quant_state says the shape %v in blocks of %d, of %d bytes and %d scales", b.Shape, b.Size, of.n, scales.n)
	}
	levels, ok := with[names.Levels]
	if !ok {
		return errors.New("it is of bitsandbytes, and has no quant_map")
	}
	if of.levels, err = levels.segments[0].of.small(16); err != nil {
		return fmt.Errorf("its quant_map: %w", err)
	}
	if nested, ok := with[names.NestedAbsmax]; ok {
		if err := scales.nest(b, nested, with[names.NestedLevels]); err != nil {
			return err
		}
	} else if !tensor.IsFloat(scales.format.Name) {
		return fmt.Errorf("its absmax is %s, and has no nested_absmax", scales.format.Name)
	}
	of.format, of.n, of.scales, of.span = f, n, &scales, b.Size
	e.info.DType, e.info.Shape = f.Name, b.Shape
	e.segments = []segment{{&of, 0, n}}
	return nil
}

// nest makes scales of those that are quantised themselves.
func (s *stored) nest(b blocks, nested, levels entry) (err error) {
	if len(levels.segments) == 0 || s.format.Bytes != 1 || b.Nested < 1 {
		return errors.New("its absmax is quantised, and its nested_quant_map or nested_blocksize is missing")
	}
	if s.levels, err = levels.segments[0].of.small(256); err != nil {
		return fmt.Errorf("its nested_quant_map: %w", err)
	}
	s.format, _ = quant.Of("U8")
	s.scales, s.span, s.add = nested.segments[0].of, b.Nested, b.Offset
	if want := (s.n + b.Nested - 1) / b.Nested; s.scales.n != want {
		return fmt.Errorf("its nested_absmax has %d numbers, not %d", s.scales.n, want)
	}
	return nil
}

// refusals counts what is wrong with layers, one line a kind.
type refusals struct {
	order []string
	first map[string]string
	more  map[string]int
}

func (r *refusals) add(layer string, err error) {
	if err == nil {
		return
	}
	if r.first == nil {
		r.first, r.more = map[string]string{}, map[string]int{}
	}
	if _, ok := r.first[err.Error()]; ok {
		r.more[err.Error()]++
		return
	}
	r.order, r.first[err.Error()] = append(r.order, err.Error()), layer
}

func (r *refusals) err() error {
	var lines []string
	for _, what := range r.order {
		and := ""
		if n := r.more[what]; n > 0 {
			and = fmt.Sprintf(" (and %d more)", n)
		}
		lines = append(lines, fmt.Sprintf("%s%s: %s", r.first[what], and, what))
	}
	if len(lines) == 0 {
		return nil
	}
	if n := len(lines) - maxListed; n > 0 {
		lines = append(lines[:maxListed], fmt.Sprintf("and %d more", n))
	}
	return errors.New(strings.Join(lines, "\n  "))
}

// layerNotes reads what a header says of the layers: ComfyUI's _quantization_metadata.
func layerNotes(metadata map[string]string, into map[string]settings) error {
	text, ok := metadata["_quantization_metadata"]
	if !ok {
		return nil
	}
	var doc struct {
		Layers map[string]settings `json:"layers"`
	}
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		return fmt.Errorf("its header's _quantization_metadata can't be read: %w", err)
	}
	maps.Copy(into, doc.Layers)
	return nil
}
