//go:build !cgo

package self

const usable = true
