package app

import "strings"

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

// An IntegrityError says that a file is not what it should be: weights that are damaged, or not those
// of the record; an archive of results that is not sound.
type IntegrityError struct{ Err error }

func (e *IntegrityError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *IntegrityError) Unwrap() error { return e.Err }
