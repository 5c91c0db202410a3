//go:build !cgo

package engine

const withCgo = false
