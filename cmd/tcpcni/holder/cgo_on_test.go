//go:build cgo

package holder

// withCgo tells that privileges cannot be dropped in this binary.
const withCgo = true
