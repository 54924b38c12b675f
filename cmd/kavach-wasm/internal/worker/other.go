//go:build !linux

// Package worker runs one module of WASI preview 1 for kavach, on Linux.
package worker

import (
	"fmt"
	"os"
)

// Main says that there is nothing to do.
func Main() int {
	fmt.Fprintln(os.Stderr, "kavach-wasm: sandboxes are made on Linux only")
	return 2
}
