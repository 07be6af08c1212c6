//go:build !unix

package files

const nonblock = 0

func named(_ string, err error) error { return err }
