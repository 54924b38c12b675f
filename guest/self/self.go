// Package self makes the program that imports it able to be its own guest:
//
//	import _ "github.com/kavach-dev/kavach/guest/self"
//
// A program that links cgo (as package net does where there is a C compiler,
// unless CGO_ENABLED is 0) cannot be a guest, and uses kavach from PATH instead.
// Its initialisation runs before that of most other packages, and takes over
// when the program was started as the guest, or to export files. What this package does not protect:
// a program that imports it has the guest's code in it, and nothing more.
package self

import (
	"os"

	"github.com/kavach-dev/kavach/guest"
)

func init() {
	if guest.Called(os.Args) {
		guest.Main()
	}
	if guest.CalledToExport(os.Args) {
		guest.ExportMain()
	}
	guest.Self = true
}
