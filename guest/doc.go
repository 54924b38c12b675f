// Package guest is what runs as PID 1 inside a sandbox, and the protocol to it.
//
// The guest builds the place that it is in, confines itself, and then starts
// commands, many at once. It is the program of Kavach itself, chosen by argv[0]
// (Name) and run from a sealed copy; guest/self takes over before main.
//
//	host (internal/jail)                    guest (PID 1 of its namespaces)
//	  │ clone into namespaces, exec guest ──▶ │ mark dumpable 0
//	  │ Setup, with mounts as descriptors ──▶ │ build the root, pivot into it
//	  │                                       │ start the launcher thread:
//	  │                                       │   caps, no_new_privs, Landlock
//	  │                                       │ drop own caps, seccomp on all threads
//	  │                                       │ fork a probe from the launcher
//	  │ ◀── probe's report, on its stdout ────│   (started as a command is)
//	  │ look at /proc of the probe            │
//	  │ close its stdin ─────────────────────▶│ the probe ends
//	  │ ◀── Ready ─────────────────────────── │
//	  │ Exec, with stdio as descriptors ────▶ │ fork from the launcher, execve
//	  │ ◀── Started, Exited ───────────────── │ reap
//	  │ close ──────────────────────────────▶ │ exit; the kernel kills the rest
//
// Commands are forked from one locked OS thread, the launcher, that already is
// what a command shall be: no capability, no_new_privs, in the Landlock domain,
// behind the filter. So nothing has to be put on between fork and exec, and all
// commands of a sandbox are in one domain and may signal each other.
//
// What this package does not protect: the guest is inside. To the host each
// frame from it is hostile input. It keeps order among commands of one sandbox,
// which may kill each other; the walls are the kernel's.
package guest

// Name is the argv[0] by which a program knows that it is to be the guest.
const Name = "kavach-guest"

// Called reports whether these arguments say so. An OCI runtime executes what
// argv[0] names, so there it is argv[1], after a descriptor of the program.
func Called(args []string) bool {
	return len(args) > 0 && args[0] == Name || len(args) > 1 && args[0] == ProgramPath && args[1] == Name
}

// ProgramFD is the descriptor of the guest program in a container, and
// ProgramPath the way to execute it, whatever is in the container's files.
const (
	ProgramFD   = 4
	ProgramPath = "/proc/self/fd/4"
)

// KeepFDs, as argv[1], leaves open what the guest inherits. Tests show with it
// that the closing of descriptors is what keeps them out.
const KeepFDs = "keep-descriptors"

// ChannelFD is the descriptor of the channel in the guest.
const ChannelFD = 3

// Self says that this program takes over as the guest when it is started under
// Name. Package guest/self sets it; see CanBeSelf.
var Self bool
