// Package process runs commands on this kernel, in namespaces of their own,
// behind a pivoted root, without capabilities, with no_new_privs, a seccomp
// filter, a Landlock domain and limits. As root it maps root away; as an
// ordinary user it needs nothing but user namespaces.
//
// What this package does not protect: the kernel is shared with the host. Where
// code is hostile enough to bring a kernel exploit, choose a backend that has a
// kernel of its own (gvisor, firecracker).
package process

import "github.com/kavach-dev/kavach/policy"

// Name is the name of this backend.
const Name = "process"

// Backend makes sandboxes of namespaces on this kernel. The zero value is ready
// for use where kavach is in PATH or the program imports guest/self.
type Backend struct {
	// Guest is the path of the program that is run as PID 1 inside: kavach, or
	// any that imports guest/self. Empty: this program if it can, else kavach
	// in PATH.
	Guest string

	// without leaves layers out, landlockABI uses no newer Landlock, and noOverlay
	// has the kernel refuse the overlay of an image; tests set them.
	without     []policy.Control
	landlockABI int
	noOverlay   bool
}

// Name returns "process".
func (*Backend) Name() string { return Name }
