//go:build !cgo

package nn_test

const withXLA = false
