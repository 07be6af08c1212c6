package text

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rivo/uniseg"
	"golang.org/x/text/unicode/norm"
)

// A normalizer rewrites text before it is cut into pieces.
type normalizer func(string) string

// maxNesting of normalisers in a tokenizer.json; real files have a depth of 2.
const maxNesting = 8

// parseNormalizer reads the "normalizer" of a tokenizer.json.
func parseNormalizer(raw json.RawMessage, depth int) (normalizer, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return func(s string) string { return s }, nil
	}
	if depth > maxNesting {
		return nil, errors.New("its normalizers are nested too deeply")
	}
	var n normalizerJSON
	if err := json.Unmarshal(raw, &n); err != nil {
		return nil, fmt.Errorf("its normalizer is damaged: %w", err)
	}
	switch n.Type {
	case "Sequence":
		return n.sequence(depth)
	case "Precompiled":
		c, err := parseCharsmap(n.Charsmap)
		if err != nil {
			return nil, err
		}
		return c.normalize, nil
	case "Strip":
		return n.strip, nil
	case "Replace":
		return n.replace()
	case "Lowercase":
		return lower, nil
	case "NFC":
		return norm.NFC.String, nil
	case "NFD":
		return norm.NFD.String, nil
	case "NFKC":
		return norm.NFKC.String, nil
	case "NFKD":
		return norm.NFKD.String, nil
	}
	return nil, fmt.Errorf("it has a normalizer of type %q, which eligen does not know", n.Type)
}

// normalizerJSON is a normalizer as a tokenizer.json has it.
type normalizerJSON struct {
	Type        string
	Normalizers []json.RawMessage
	Charsmap    string `json:"precompiled_charsmap"`
	StripLeft   bool   `json:"strip_left"`
	StripRight  bool   `json:"strip_right"`
	Pattern     struct{ Regex, String *string }
	Content     string
}

func (n *normalizerJSON) sequence(depth int) (normalizer, error) {
	var steps []normalizer
	for _, r := range n.Normalizers {
		step, err := parseNormalizer(r, depth+1)
		if err != nil {
			return nil, err
		}
		steps = append(steps, step)
	}
	return func(s string) string {
		for _, step := range steps {
			s = step(s)
		}
		return s
	}, nil
}

func (n *normalizerJSON) strip(s string) string {
	if n.StripLeft {
		s = strings.TrimLeftFunc(s, unicode.IsSpace)
	}
	if n.StripRight {
		s = strings.TrimRightFunc(s, unicode.IsSpace)
	}
	return s
}

func (n *normalizerJSON) replace() (normalizer, error) {
	switch p := n.Pattern; {
	case p.Regex != nil:
		// The classes \s, \w and the like are Unicode's in these files, and
		// ASCII's in Go.
		re, err := regexp.Compile(*p.Regex)
		if err != nil || shorthand.MatchString(*p.Regex) {
			return nil, fmt.Errorf("its normalizer replaces by a pattern that eligen does not know: %q", *p.Regex)
		}
		return func(s string) string { return re.ReplaceAllLiteralString(s, n.Content) }, nil
	case p.String != nil && *p.String != "":
		return func(s string) string { return strings.ReplaceAll(s, *p.String, n.Content) }, nil
	}
	return nil, errors.New("its normalizer replaces by a pattern that is neither a Regex nor a String")
}

var shorthand = regexp.MustCompile(`\\[bBdDhHsSwW]`)

// lower returns Unicode's lower case, each character by itself: a capital sigma is
// never a final one, and a dotted capital I keeps its dot.
func lower(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r == 'İ' {
			b.WriteString("i\u0307")
			continue
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// A charsmap is SentencePiece's compiled table of replacements: a double-array
// trie (Darts) from byte strings to offsets in a block of NUL-ended texts.
type charsmap struct {
	units []uint32
	texts string
}

func parseCharsmap(encoded string) (charsmap, error) {
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return charsmap{}, fmt.Errorf("its precompiled_charsmap is damaged: %w", err)
	}
	if len(raw) < 4 {
		return charsmap{}, errors.New("its precompiled_charsmap is empty")
	}
	n := int64(binary.LittleEndian.Uint32(raw))
	raw = raw[4:]
	if n == 0 || n%4 != 0 || n > int64(len(raw)) {
		return charsmap{}, fmt.Errorf("its precompiled_charsmap is damaged: a trie of %d bytes in %d", n, len(raw))
	}
	c := charsmap{units: make([]uint32, n/4), texts: string(raw[n:])}
	for i := range c.units {
		c.units[i] = binary.LittleEndian.Uint32(raw[4*i:])
	}
	return c, nil
}

// replacement returns what the shortest prefix of s in the table becomes.
// Callers give it one character, or a cluster that they replace as a whole.
func (c charsmap) replacement(s string) (string, bool) {
	offset := func(u uint32) uint32 { return u >> 10 << (u >> 6 & 8) }
	at := offset(c.units[0])
	for i := range len(s) {
		b := uint32(s[i])
		at ^= b
		if b == 0 || int64(at) >= int64(len(c.units)) {
			return "", false
		}
		u := c.units[at]
		if u&(1<<31|0xff) != b {
			return "", false
		}
		at ^= offset(u)
		if u>>8&1 == 0 {
			continue
		}
		if int64(at) >= int64(len(c.units)) {
			return "", false
		}
		text := int64(c.units[at] &^ (1 << 31))
		if text >= int64(len(c.texts)) {
			return "", false
		}
		out, _, _ := strings.Cut(c.texts[text:], "\x00")
		return out, true
	}
	return "", false
}

// normalize goes through the grapheme clusters: a short one (a letter and its
// accent, say) is replaced as a whole if it starts with an entry of the table,
// any other character by character. That is how the fast tokenizers do it, and
// not how SentencePiece does; the difference shows with stacked accents only.
func (c charsmap) normalize(s string) string {
	var b strings.Builder
	state := -1
	for len(s) > 0 {
		var cluster string
		cluster, s, _, state = uniseg.FirstGraphemeClusterInString(s, state)
		if len(cluster) < 6 {
			if r, ok := c.replacement(cluster); ok {
				b.WriteString(r)
				continue
			}
		}
		for len(cluster) > 0 {
			_, n := utf8.DecodeRuneInString(cluster)
			if r, ok := c.replacement(cluster[:n]); ok {
				b.WriteString(r)
			} else {
				b.WriteString(cluster[:n])
			}
			cluster = cluster[n:]
		}
	}
	return strings.ToValidUTF8(b.String(), "\uFFFD") // a damaged table may hold anything
}
