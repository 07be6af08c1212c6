// Package words makes sentences of what programs say to one another.
package words

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// names are words that stay lower case everywhere.
var names = []string{"eligen", "nano", "flux", "ffmpeg", "diffusers", "kohya", "safetensors", "gif", "mp4", "webm", "xla"}

// Capital begins a sentence with a capital letter. What begins with a path, an address, a
// quotation or the name of a file or a program stays as it is: its case is its own.
func Capital(s string) string {
	first, _, _ := strings.Cut(s, " ")
	word := strings.TrimRight(first, ",;.!?")
	if slices.Contains(names, word) {
		return s
	}
	for _, r := range word {
		if !unicode.IsLetter(r) && r != '\'' && r != '’' {
			return s
		}
	}
	r, n := utf8.DecodeRuneInString(s)
	if n == 0 || r == utf8.RuneError {
		return s
	}
	return string(unicode.ToUpper(r)) + s[n:]
}

// Quoted lists words for a sentence: "a", "b" or "c", with last before the last one.
func Quoted(list []string, last string) string {
	quoted := make([]string, len(list))
	for i, w := range list {
		quoted[i] = `"` + w + `"`
	}
	return Listed(quoted, last)
}

// Listed lists words for a sentence as they are: a, b or c, with last before the last one.
func Listed(list []string, last string) string {
	n := len(list) - 1
	if n < 1 {
		return strings.Join(list, "")
	}
	return strings.Join(list[:n], ", ") + " " + last + " " + list[n]
}

// Count returns a number with its noun: "1 entity", "2 entities".
func Count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// Bytes returns a number of bytes for people: "17 B", "3.5 MiB", "23.8 GiB".
func Bytes(n int64) string {
	for _, u := range []struct {
		name  string
		bytes int64
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if n >= u.bytes {
			return fmt.Sprintf("%.1f %s", float64(n)/float64(u.bytes), u.name)
		}
	}
	return fmt.Sprintf("%d B", n)
}
