//go:build cgo

package engine

// withCgo tells that privileges cannot be dropped in this binary.
const withCgo = true
