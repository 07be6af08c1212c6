package page

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"unicode"
)

// JSON writes a value for programs, indented. Every key is in lower_snake, whatever the
// fields are called that the value is made of: their names are hashed, and stay.
func JSON(w io.Writer, v any) error {
	data, err := lowerJSON(v)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := json.Indent(&b, data, "", "  "); err != nil {
		return err
	}
	b.WriteByte('\n')
	_, err = w.Write(b.Bytes())
	return err
}

// JSONLine writes JSON on one line.
func JSONLine(w io.Writer, v any) error {
	data, err := lowerJSON(v)
	if err != nil {
		return err
	}
	_, err = w.Write(append(data, '\n'))
	return err
}

func lowerJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return LowerKeys(bytes.TrimSuffix(b.Bytes(), []byte("\n"))), nil
}

// LowerKeys returns JSON whose keys in Go's style are in lower_snake: HeadDim becomes
// head_dim. Values, and other keys, stay.
func LowerKeys(data []byte) []byte {
	var out bytes.Buffer
	for i := 0; i < len(data); {
		if data[i] != '"' {
			out.WriteByte(data[i])
			i++
			continue
		}
		end := i + 1
		for end < len(data) && data[end] != '"' {
			if data[end] == '\\' {
				end++
			}
			end++
		}
		end = min(end+1, len(data))
		text := data[i:end]
		i = end
		if after := bytes.TrimLeft(data[end:], " \t\r\n"); len(after) > 0 && after[0] == ':' && goName(text[1:len(text)-1]) {
			text = []byte(`"` + snake(string(text[1:len(text)-1])) + `"`)
		}
		out.Write(text)
	}
	return out.Bytes()
}

// goName reports whether a key is an exported name of Go's.
func goName(key []byte) bool {
	for _, c := range key {
		if !unicode.IsLetter(rune(c)) && !unicode.IsDigit(rune(c)) || c >= 0x80 {
			return false
		}
	}
	return len(key) > 0 && unicode.IsUpper(rune(key[0]))
}

// snake returns a name in lower_snake; an abbreviation is one word.
func snake(name string) string {
	name = strings.ReplaceAll(name, "DType", "Dtype")
	var b strings.Builder
	for i := range len(name) {
		c := name[i]
		upper := unicode.IsUpper(rune(c))
		if upper && i > 0 {
			before := unicode.IsUpper(rune(name[i-1]))
			next := i+1 < len(name) && unicode.IsLower(rune(name[i+1]))
			if !before || next {
				b.WriteByte('_')
			}
		}
		b.WriteByte(byte(unicode.ToLower(rune(c))))
	}
	return b.String()
}
