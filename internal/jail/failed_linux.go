package jail

import (
	"fmt"
	"path/filepath"

	"github.com/kavach-dev/kavach/guest"
	"github.com/kavach-dev/kavach/policy"
	"golang.org/x/sys/unix"
)

// stepRoot is the step of the guest that builds the root directory.
const stepRoot = "build root"

// setupFailed is what a guest said that could not build the place, with what to
// do where root, a directory that the caller named, is the reason.
func setupFailed(root string, f *guest.Failed) error {
	named := filepath.IsAbs(root) && f.Step == stepRoot && filepath.IsAbs(f.Detail)
	wrong := ""
	switch unix.Errno(f.Errno) {
	case unix.ELOOP:
		wrong = "is a link, or is reached by one, and no link is followed there"
	case unix.ENOTDIR:
		wrong = "is not a directory, or is below what is none"
	}
	if !named || wrong == "" {
		return fmt.Errorf("set up the sandbox: %w", f)
	}
	return &policy.FieldError{
		Field:   "filesystem.root",
		Problem: fmt.Sprintf("%s in %s %s", f.Detail, root, wrong),
		Fix:     "make a directory of it, in a copy of the root directory",
	}
}
