//go:build !cgo

package holder

const withCgo = false
