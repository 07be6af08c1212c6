package container

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// MaxText is the longest record, in bytes, that a file holds, and the longest that is
// read.
const MaxText = 32 << 20

// fullText is how long a text may be that holds every mask.
const fullText = 1 << 20

// About returns a file's record of itself as JSON. Where that would be more than 1 MiB,
// masks are named by size and digest alone, as other pictures are, the largest first.
func About(v any) ([]byte, error) {
	text, err := json.Marshal(v)
	if err == nil && len(text) > fullText {
		text, err = withoutMasks(text, len(text)-fullText)
	}
	if err == nil && len(text) > MaxText {
		err = fmt.Errorf(
			"the file's metadata would have %d MiB; at most %d MiB can be read back. Set strip_metadata = true in its output",
			len(text)>>20, MaxText>>20)
	}
	return text, err
}

// withoutMasks leaves pixels of masks out of a text, until it is shorter by as much as
// is too much, or there are none.
func withoutMasks(text []byte, over int) ([]byte, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	type mask struct {
		fields map[string]any
		size   int
	}
	var masks []mask
	each(v, func(m map[string]any) {
		if runs, ok := m["runs"].(string); ok && m["digest"] != nil {
			masks = append(masks, mask{m, len(runs)})
		}
		if bits, ok := m["bits"].(string); ok && m["digest"] != nil {
			masks = append(masks, mask{m, len(bits)})
		}
	})
	if len(masks) == 0 {
		return text, nil
	}
	slices.SortStableFunc(masks, func(a, b mask) int { return b.size - a.size })
	for _, m := range masks {
		if over <= 0 {
			break
		}
		delete(m.fields, "runs")
		delete(m.fields, "bits")
		over -= m.size
	}
	return json.Marshal(v)
}

// each calls f with every object in some JSON, in an order that is always the same.
func each(v any, f func(map[string]any)) {
	switch v := v.(type) {
	case map[string]any:
		f(v)
		for _, name := range slices.Sorted(maps.Keys(v)) {
			each(v[name], f)
		}
	case []any:
		for _, e := range v {
			each(e, f)
		}
	}
}
