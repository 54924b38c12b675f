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
// do where root, a directory or an image that the caller named, is the reason.
func setupFailed(c *Config, f *guest.Failed) error {
	wrong := ""
	switch unix.Errno(f.Errno) {
	case unix.ELOOP:
		wrong = "is a link, or is reached by one, and no link is followed there"
	case unix.ENOTDIR:
		wrong = "is not a directory, or is below what is none"
	}
	if len(c.layers()) == 0 || f.Step != stepRoot || !filepath.IsAbs(f.Detail) || wrong == "" {
		return fmt.Errorf("set up the sandbox: %w", f)
	}
	at := f.Detail
	if below, err := filepath.Rel(bundleRoot, at); err == nil && filepath.IsLocal(below) {
		at = "/" + below
	}
	if len(c.Layers) > 0 {
		return &policy.FieldError{
			Field: "filesystem.image", Problem: fmt.Sprintf("%s in the image %s", at, wrong),
			Fix: "make a directory of it, in an image of your own",
		}
	}
	return &policy.FieldError{
		Field: "filesystem.root", Problem: fmt.Sprintf("%s in %s %s", at, c.Root, wrong),
		Fix: "make a directory of it, in a copy of the root directory",
	}
}
