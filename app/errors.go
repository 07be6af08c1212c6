package app

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"github.com/eligen/eligen/internal/codes"
	"github.com/eligen/eligen/internal/page"
	"github.com/eligen/eligen/internal/words"
)

// An InputError says that a field of a request can't be honoured. It is the caller's mistake;
// mistakes in a scene are eligen.Diagnostics.
type InputError struct {
	Field   string // in lower case, singular: "target", "frames", "engine"
	Value   string // what the field holds; "" where the problem says it
	Problem string // what is wrong, and what to do
}

func (e *InputError) Error() string {
	return strings.TrimSuffix(e.Field+" "+e.Value, " ") + ": " + e.Problem
}

// Code returns the code of such errors, which Explain tells more about.
func (e *InputError) Code() string { return codes.Of("Invalid flag") }

// mostNamed is how many values an error lists.
const mostNamed = 12

// Unknown returns the error of a field whose value is none of those that are known: the one that
// comes closest, or all. noun says what they are: "engine".
func Unknown(field, value, noun string, known []string) *InputError {
	e := &InputError{Field: field, Value: value}
	if value == "" || strings.ContainsFunc(value, unicode.IsSpace) {
		e.Value = strconv.Quote(value)
	}
	near := page.Nearest(value, known)
	switch {
	case near != "" && len(known) > 2:
		e.Problem = fmt.Sprintf("unknown %s. Did you mean %s?", noun, near)
	case len(known) == 0:
		e.Problem = fmt.Sprintf("unknown %s; there is none", noun)
	case len(known) > mostNamed:
		e.Problem = fmt.Sprintf("unknown %s; use %s or %d others", noun, strings.Join(known[:mostNamed], ", "), len(known)-mostNamed)
	default:
		e.Problem = fmt.Sprintf("unknown %s; use %s", noun, words.Listed(known, "or"))
	}
	return e
}

// An IntegrityError says that a file is not what it should be: weights that are damaged, or not those
// of the record; an archive of results that is not sound.
type IntegrityError struct{ Err error }

func (e *IntegrityError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *IntegrityError) Unwrap() error { return e.Err }
