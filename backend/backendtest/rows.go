//go:build linux

package backendtest

import "slices"

// Rows is the whole table.
func Rows() []Row {
	return slices.Concat(fileRows, processRows, networkRows, kernelRows, cgroupRows, resourceRows, workspaceRows, takeoutRows, credentialRows)
}
