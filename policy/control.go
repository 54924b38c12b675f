package policy

import (
	"slices"
	"strings"
)

// Control is the id of one thing that confines a command. The points of each
// are in package score; the ids are the same in policies, results and doctor.
type Control string

// Base controls: what a backend is made of. Each policy asks for all of those
// that its backend has.
const (
	NSPid         Control = "ns.pid"
	NSMount       Control = "ns.mount"
	NSNet         Control = "ns.net"
	NSIpc         Control = "ns.ipc"
	NSUts         Control = "ns.uts"
	NSCgroup      Control = "ns.cgroup"
	NSUser        Control = "ns.user"
	RootPivoted   Control = "root.pivoted"
	CapsNone      Control = "caps.none"
	NoNewPrivs    Control = "no_new_privs"
	FDsClean      Control = "fds.clean"
	EnvClean      Control = "env.clean"
	ProcMasked    Control = "proc.masked"
	ImageVerified Control = "image.verified"
	KernelOwn     Control = "kernel.separate"
)

// Modifiers: what a policy adds to the base.
const (
	SeccompOn    Control = "seccomp"
	LandlockOn   Control = "landlock"
	NetOff       Control = "net.off"
	RootReadonly Control = "root.readonly"
	Limits       Control = "limits"
)

var base = []Control{
	NSPid, NSMount, NSNet, NSIpc, NSUts, NSCgroup, NSUser, RootPivoted, CapsNone,
	NoNewPrivs, FDsClean, EnvClean, ProcMasked, ImageVerified, KernelOwn,
}

var modifiers = []Control{SeccompOn, LandlockOn, NetOff, RootReadonly, Limits}

// Namespaces, in best_effort, stands for all of NamespaceControls.
const Namespaces Control = "namespaces"

// NamespaceControls lists the controls that take namespaces: what a machine that
// refuses them, as some containers and distributions do, cannot enforce.
func NamespaceControls() []Control {
	return []Control{NSPid, NSMount, NSNet, NSIpc, NSUts, NSCgroup, NSUser, RootPivoted, ProcMasked}
}

// Controls lists every control there is, base controls first.
func Controls() []Control { return slices.Concat(base, modifiers) }

// IsBase reports whether c belongs to a backend's base.
func (c Control) IsBase() bool { return slices.Contains(base, c) }

// Known reports whether c is one of Controls.
func (c Control) Known() bool { return c.IsBase() || slices.Contains(modifiers, c) }

// Asks reports whether p asks for a control: for each base control, but that what
// is run came from a digest only where it names what has one.
func (p *Policy) Asks(c Control) bool {
	if c == ImageVerified {
		return p.Filesystem.Image != "" && !strings.HasPrefix(p.Filesystem.Image, "rootfs:") || len(p.Wasm.Modules) > 0
	}
	return c.IsBase() || slices.Contains(p.Modifiers(), c)
}

// Modifiers lists the modifiers that p asks for.
func (p *Policy) Modifiers() []Control {
	asked := []Control{NetOff}
	if p.Seccomp.Mode != SeccompLog && (p.Seccomp.Profile != Off || len(p.Seccomp.Files) > 0) {
		asked = append(asked, SeccompOn)
	}
	if p.Filesystem.Landlock != Off {
		asked = append(asked, LandlockOn)
	}
	if !p.Filesystem.Writable {
		asked = append(asked, RootReadonly)
	}
	if p.Resources.Memory >= 0 && p.Resources.CPUs >= 0 && p.Resources.PIDs >= 0 {
		asked = append(asked, Limits)
	}
	return asked
}

// MayMiss reports whether p goes on without c where it cannot be enforced.
func (p *Policy) MayMiss(c Control) bool {
	return slices.Contains(p.BestEffort, c) ||
		slices.Contains(p.BestEffort, Namespaces) && slices.Contains(NamespaceControls(), c)
}

// BestEffortNames lists what best_effort may hold.
func BestEffortNames() []Control { return append(Controls(), Namespaces) }
