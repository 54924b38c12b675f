// Package container runs commands in containers that an OCI runtime makes: runc,
// crun or any other with their command line (backend "oci"), and runsc, which
// brings a kernel of its own (backend "gvisor").
//
// The runtime is trusted with as little as can be: it runs in a jail of ours, the
// keeper, where it is root and has nothing, and makes the container in there. On
// the host nobody is privileged, nothing is mounted, and the end of the keeper is
// the end of all.
//
//	kavach ──▶ keeper (our guest, PID 1 of a jail) ──▶ runtime ──▶ guest, PID 1 of the container
//	   └───────────────── channel, inherited through all of them ──────────┘
//
// What this package does not protect: with an OCI runtime the kernel is shared
// with the host, as with package process. A flaw in the runtime gets somebody as
// far as the keeper, from which the same kernel keeps the host.
package container

import (
	"time"

	"github.com/kavach-dev/kavach/policy"
)

// Kind is what keeps the code from the kernel.
type Kind int

// The kinds.
const (
	OCI    Kind = iota // namespaces, made by an OCI runtime
	GVisor             // a kernel in user space, runsc
)

// names are the names of the backends.
var names = map[Kind]string{OCI: "oci", GVisor: "gvisor"}

// Backend makes sandboxes of containers. The zero value is backend "oci" with the
// first runtime that is found.
type Backend struct {
	Kind Kind

	// Runtime is the path of the runtime, or its name, which is looked up in PATH,
	// and where systems have runtimes. Empty: the first that works of crun and
	// runc; of kavach-runsc and runsc.
	Runtime string

	// Platform is how gVisor gets at system calls: "systrap", "ptrace" or "kvm".
	// Empty: systrap, which works without hardware. Backend oci has none.
	Platform string

	// Guest is the path of the program that is run as the keeper, and as PID 1 of
	// the container: kavach, or any that imports guest/self. Empty: this program
	// if it can, else kavach in PATH.
	Guest string

	// without leaves layers out, but never ns.user, as the runtime would be the
	// host's root then, noOverlay has the kernel refuse the overlay of an image, and
	// patience is how long a runtime may take to start a container; tests set them.
	// Zero: startPatience.
	without   []policy.Control
	noOverlay bool
	patience  time.Duration
}

// Name returns "oci" or "gvisor".
func (b *Backend) Name() string { return names[b.Kind] }
