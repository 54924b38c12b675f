// Package self makes the program that imports it able to be its own guest:
//
//	import _ "github.com/kavach-dev/kavach/guest/self"
//
// The program must be built without cgo (CGO_ENABLED=0); one that is built with
// it uses kavach from PATH as the guest instead. Its initialisation runs before that of most other packages, and takes over
// when the program was started as the guest. What this package does not protect:
// a program that imports it has the guest's code in it, and nothing more.
package self

import (
	"os"

	"github.com/kavach-dev/kavach/guest"
)

func init() {
	if len(os.Args) > 0 && os.Args[0] == guest.Name {
		guest.Main()
	}
	guest.Self = usable
}
