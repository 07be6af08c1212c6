//go:build !unix

package dsl

import "errors"

func makePipe(string) error { return errors.ErrUnsupported }
