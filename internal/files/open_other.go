//go:build !unix

package files

const nonblock = 0

func notFile(_ string, err error) error { return err }
