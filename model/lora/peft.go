package lora

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
)

// Settings are the scales that PEFT keeps next to the factors: in the metadata of a
// file of diffusers', or in adapter_config.json. A file's own alphas come first.
type Settings struct {
	alpha    float64 // of every module
	patterns []pattern
	root     bool // alpha is divided by the square root of the rank (rsLoRA)
	rank     int  // of a LoKr's or LoHa's modules; 0 is their factors'

	newly string // what tells the settings apart that no earlier version read; "" for none
}

// A pattern is an alpha of its own for the modules that a regular expression fits.
type pattern struct {
	fits  *regexp.Regexp
	alpha float64
}

// metadataKey is diffusers' key of settings in a file's metadata.
const metadataKey = "lora_adapter_metadata"

// settingsOf lists the components with the prefixes of their settings.
var settingsOf = []struct {
	part     Part
	prefixes []string
}{{Transformer, []string{"transformer.", ""}}, {CLIP, []string{"text_encoder."}}, {T5, []string{"text_encoder_2."}}}

// fromMetadata reads the settings of each component in a safetensors header. The
// transformer's may be without a prefix.
func fromMetadata(metadata map[string]string) (map[Part]*Settings, error) {
	all := map[Part]*Settings{}
	text, ok := metadata[metadataKey]
	if !ok {
		return all, nil
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &fields); err != nil {
		return nil, fmt.Errorf("the metadata %s are no JSON: %w", metadataKey, err)
	}
	for _, of := range settingsOf {
		for _, prefix := range of.prefixes {
			field := func(name string) json.RawMessage { return fields[prefix+name] }
			if all[of.part] != nil || !saysScale(field) {
				continue
			}
			s, err := readSettings(field)
			if err != nil {
				return nil, fmt.Errorf("the metadata %s: %w", metadataKey, err)
			}
			if prefix != "" && len(s.patterns) == 0 && !s.root && s.alpha != 0 {
				s.newly = "" // as it was always read
			}
			all[of.part] = s
		}
	}
	return all, nil
}

// ReadConfig reads an adapter_config.json, as PEFT writes next to a file that says
// nothing of its scales itself.
func ReadConfig(data []byte) (*Settings, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil {
		return nil, fmt.Errorf("it is not a JSON object: %w", err)
	}
	var kind string
	if err := json.Unmarshal([]byte(cmp.Or(string(fields["peft_type"]), `""`)), &kind); err != nil {
		return nil, fmt.Errorf("peft_type is %s, no string", fields["peft_type"])
	}
	lycoris := kind == "LOHA" || kind == "LOKR"
	field := func(name string) json.RawMessage {
		if name == "lora_alpha" && lycoris {
			name = "alpha"
		}
		return fields[name]
	}
	if !saysScale(field) {
		return nil, nil
	}
	s, err := readSettings(field)
	if err != nil || !lycoris {
		return s, err
	}
	// PEFT scales by its own rank, also where both factors of a LoKr are whole.
	if err := json.Unmarshal(fields["r"], &s.rank); err != nil || s.rank < 1 {
		return nil, fmt.Errorf("r is %s, no rank", fields["r"])
	}
	return s, nil
}

// saysScale reports whether settings say anything of how strong a LoRA is.
func saysScale(field func(name string) json.RawMessage) bool {
	return field("lora_alpha") != nil || field("alpha_pattern") != nil || field("use_rslora") != nil
}

// defaultAlpha is PEFT's lora_alpha of settings that don't say theirs.
const defaultAlpha = 8

func readSettings(field func(name string) json.RawMessage) (*Settings, error) {
	s := &Settings{alpha: defaultAlpha}
	number := func(name string, text json.RawMessage) (float64, error) {
		var x *float64
		if err := json.Unmarshal(text, &x); err != nil || x == nil {
			return 0, fmt.Errorf("%s is %s, no number", name, text)
		}
		return *x, nil
	}
	var err error
	if text := field("lora_alpha"); text != nil {
		if s.alpha, err = number("lora_alpha", text); err != nil {
			return nil, err
		}
	}
	if text := field("use_rslora"); len(text) > 0 && string(text) != "null" {
		if err := json.Unmarshal(text, &s.root); err != nil {
			return nil, fmt.Errorf("use_rslora is %s, neither true nor false", text)
		}
	}
	alphas := field("alpha_pattern")
	err = inOrder(alphas, func(key string, text json.RawMessage) error {
		alpha, err := number("the alpha of "+key, text)
		if err != nil {
			return err
		}
		fits, err := regexp.Compile(`^(?:.*\.)?(?:` + key + `)$`)
		if err != nil {
			return fmt.Errorf("alpha_pattern: eligen can't read the expression %q: %w", key, err)
		}
		s.patterns = append(s.patterns, pattern{fits, alpha})
		return nil
	})
	if err != nil {
		return nil, err
	}
	s.newly = fmt.Sprintf("alpha %v patterns %s root %t", s.alpha, alphas, s.root)
	return s, nil
}

// inOrder calls f for each member of a JSON object, in order: of patterns, the first that
// fits counts.
func inOrder(object json.RawMessage, f func(key string, value json.RawMessage) error) error {
	if len(object) == 0 || string(object) == "null" {
		return nil
	}
	dec := json.NewDecoder(bytes.NewReader(object))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return fmt.Errorf("alpha_pattern is %.60s, no JSON object", object)
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return err
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return err
		}
		if err := f(key.(string), value); err != nil {
			return err
		}
	}
	return nil
}

// apply gives a change without an alpha of its own the settings'.
func (s *Settings) apply(c *change) {
	c.alpha, c.root, c.rank = s.alpha, s.root, cmp.Or(s.rank, c.rank)
	name := trim(c.stem)
	if _, rest, ok := encoder(c.stem); ok {
		name = rest
	}
	for _, x := range s.patterns {
		if x.fits.MatchString(name) {
			c.alpha = x.alpha
			return
		}
	}
}
