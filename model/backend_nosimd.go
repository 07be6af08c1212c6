//go:build !goexperiment.simd

package model

const simdBuild = false
