//go:build !linux

package image

// runs is not known here.
func runs(string) bool { return false }
