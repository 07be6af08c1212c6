//go:build !unix

package mcp_test

import "errors"

func makePipe(string) error { return errors.ErrUnsupported }
