//go:build goexperiment.simd

package backend

// SIMD reports whether the Go backend computes with vector instructions in this build.
const SIMD = true
