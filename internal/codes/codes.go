// Package codes is the table of what can be wrong: the stock words that begin a
// diagnostic, the stable code that stands for them, and what eligen explain says.
//
// A code is given once and never again: where a kind of problem goes away, its entry
// stays, marked as gone. It imports nothing, so that everything may look codes up.
package codes

import (
	"slices"
	"strings"
	"sync"
	"unicode"
)

// An Entry is one kind of problem.
type Entry struct {
	Code    string   // "E0301"
	Summary string   // stock words: "Incorrect type"
	Also    []string // other words for the same kind, such as those of the HCL library
	Text    string   // what it means, why, and how to mend it; paragraphs are apart by an empty line
	Wrong   string   // a scene that has the problem, where one can show it; "" if none can
	Right   string   // the same scene, mended
	Gone    bool     // no release reports it any more
}

// All returns every entry, ordered by code.
func All() []Entry { return slices.Clone(table) }

// Of returns the code of a summary, or "" where the table does not have it.
func Of(summary string) string { return bySummary()[summary] }

// Find returns the entry of a code, in upper or lower case.
func Find(code string) (Entry, bool) {
	i, ok := slices.BinarySearchFunc(table, strings.ToUpper(code), func(e Entry, code string) int { return strings.Compare(e.Code, code) })
	if !ok {
		return Entry{}, false
	}
	return table[i], true
}

// Search returns the entries whose summary, or other words, have a word that begins with each
// word of a text, whatever their case; where there are none, those whose explanation has.
func Search(text string) (out []Entry) {
	begins := wordsOf(text)
	if len(begins) == 0 {
		return nil
	}
	for _, of := range []func(Entry) string{
		func(e Entry) string { return strings.Join(append([]string{e.Summary}, e.Also...), " ") },
		func(e Entry) string { return e.Summary + " " + e.Text },
	} {
		for _, e := range table {
			words := wordsOf(of(e))
			if !slices.ContainsFunc(begins, func(begin string) bool {
				return !slices.ContainsFunc(words, func(w string) bool { return strings.HasPrefix(w, begin) })
			}) {
				out = append(out, e)
			}
		}
		if len(out) > 0 {
			break
		}
	}
	return out
}

// wordsOf splits a text into words in lower case, without what stands around them.
func wordsOf(text string) []string {
	return strings.FieldsFunc(strings.ToLower(text), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("_'-", r)
	})
}

// table is the parts of the table together, ordered by code.
var table = slices.Concat(files, language, values, parts, regions, models, motion, outputs, runs)

var bySummary = sync.OnceValue(func() map[string]string {
	out := map[string]string{}
	for _, e := range table {
		for _, s := range append([]string{e.Summary}, e.Also...) {
			out[s] = e.Code
		}
	}
	return out
})
