//go:build !linux

package guest

import (
	"fmt"
	"os"
	"runtime"
)

// Main is the guest's whole life. It exists on Linux only.
func Main() {
	fmt.Fprintln(os.Stderr, "kavach guest: not supported on", runtime.GOOS)
	os.Exit(1)
}

// ExportMain exists on Linux only.
func ExportMain() { Main() }
