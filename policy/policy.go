// Package policy says what a sandbox may do, as plain data.
//
// A Policy is compared, merged, printed and stored; nothing in it is live. Its
// zero value denies: an empty root, no network, the strict seccomp profile,
// Landlock on and the smallest limits. Reading and writing of files is in
// policy/policyfile, so that this package imports the standard library only.
//
// What this package does not protect: it enforces nothing. A policy is a wish;
// a score (package score) says which part of the wish was proven.
package policy

import "time"

// Unlimited, as a value of a limit, says that the caller wants no limit. It is
// spelled out (-1, or "unlimited" in a file), because zero means the default.
const Unlimited = -1

// Defaults that stand for a zero limit. They are no larger than the limits of
// any preset, and enough for an interpreter to start.
const (
	DefaultMemory  Bytes    = 256 << 20
	DefaultCPUs    float64  = 1
	DefaultPIDs    int      = 64
	DefaultOutput  Bytes    = 1 << 20
	DefaultTimeout Duration = Duration(time.Minute)
)

// Policy is everything that a caller asks of a sandbox.
type Policy struct {
	// Name is a label for people; it has no meaning to Kavach.
	Name string `json:"name,omitempty"`

	// Filesystem is what the command sees. Zero: an empty read-only root.
	Filesystem Filesystem `json:"filesystem,omitzero"`

	// Seccomp is which system calls the command may make. Zero: strict.
	Seccomp Seccomp `json:"seccomp,omitzero"`

	// Network is what the command reaches. Zero: nothing, not even itself.
	Network Network `json:"network,omitzero"`

	// Resources bounds what the command uses up. Zero: the default of each.
	Resources Resources `json:"resources,omitzero"`

	// Process is who the command runs as, where, and with which environment.
	Process Process `json:"process,omitzero"`

	// Wasm is what WebAssembly modules get, on the backend of that name. Zero: any module, the machine's clock, the kernel's
	// randomness.
	Wasm Wasm `json:"wasm,omitzero"`

	// Gate is what is looked for in whatever leaves the sandbox, and what is done
	// with what is found. Zero: secrets and harmful content are looked for, and
	// redacted.
	Gate Gate `json:"gate,omitzero"`

	// Credentials are the secrets that commands are given. Empty: none.
	Credentials []Credential `json:"credentials,omitempty"`

	// Require is what must be proven before any command runs.
	Require Require `json:"require,omitzero"`

	// BestEffort names the controls that may be missing where this machine
	// cannot enforce them. Empty: each control that is asked for is needed.
	BestEffort []Control `json:"best_effort,omitempty"`
}

// Filesystem is what a command sees of files.
type Filesystem struct {
	// Root is what the root directory holds: "" nothing; "host" the system
	// directories of the host (/usr, /bin, /lib*, /sbin, a made /etc); an
	// absolute path: that directory, as "/".
	Root string `json:"root,omitempty"`

	// Image is a reference to a container image whose files are the root
	// directory, in the place of Root, which must be empty then: NAME[:TAG][@DIGEST]
	// of a registry, "oci-layout:DIR[:TAG]", "docker-archive:FILE[:NAME]" or
	// "rootfs:DIR". Empty: none.
	Image string `json:"image,omitempty"`

	// Mounts are host paths that are visible.
	Mounts []Mount `json:"mounts,omitempty"`

	// Protected names what may be applied to the host of a writable mount
	// although it is protected (git hooks and settings, shell start files,
	// settings of editors and agents): paths relative to the mount. Empty: none.
	Protected []string `json:"protected,omitempty"`

	// Writable lets the command write to the root directory. What it writes
	// is bounded by TmpSize and vanishes with the sandbox; the host's files
	// never change. Zero: the root is read-only.
	Writable bool `json:"writable,omitempty"`

	// TmpSize bounds what all writable places of the sandbox (/tmp, /dev/shm,
	// a writable root, the changes to writable mounts) hold together. Zero: no
	// place is writable.
	TmpSize Bytes `json:"tmp_size,omitempty"`

	// Landlock says whether a Landlock domain (Linux 5.13, landlock(7)) backs
	// the mounts: "" or "on"; "off".
	Landlock string `json:"landlock,omitempty"`
}

// Mount is one host path that is visible in the sandbox.
type Mount struct {
	// Source is an absolute, clean path on the host, of a directory or file.
	Source string `json:"source"`

	// Target is where it is seen. Empty: at Source.
	Target string `json:"target,omitempty"`

	// Access is "" or "ro": read-only; "rw": what commands change is kept
	// apart, and applied to the host when it has been looked at; "direct":
	// commands change the host's files themselves, and nothing is looked at.
	Access string `json:"access,omitempty"`

	// Rights narrows what commands may do below Target to these Landlock rights
	// (landlock(7), in lower case: read_file, truncate, make_reg, …). A kernel
	// that cannot restrict one that is left out is refused. Empty: all that
	// Access implies.
	Rights []string `json:"rights,omitempty"`
}

// SeenAt is where the mount is seen inside.
func (m Mount) SeenAt() string {
	if m.Target != "" {
		return m.Target
	}
	return m.Source
}

// Values of Mount.Access.
const (
	AccessRead   = "ro"
	AccessWrite  = "rw"
	AccessDirect = "direct"
)

// Rights lists the Landlock rights of files, in the order of their bits in
// linux/landlock.h. The first 13 are of ABI 1 (Linux 5.13), then refer (ABI 2),
// truncate (3), ioctl_dev (5).
func Rights() []string {
	return []string{
		"execute", "write_file", "read_file", "read_dir", "remove_dir", "remove_file",
		"make_char", "make_dir", "make_reg", "make_sock", "make_fifo", "make_block", "make_sym",
		"refer", "truncate", "ioctl_dev",
	}
}

// Values of Filesystem.Root that are not a path.
const RootHost = "host"

// Values of the fields that switch something on or off.
const (
	On  = "on"
	Off = "off"
)

// Seccomp is the system call filter (seccomp(2)).
type Seccomp struct {
	// Profile is "" or "strict"; "default"; "off".
	Profile string `json:"profile,omitempty"`

	// Files are profiles in the JSON of OCI or Docker, by absolute path. All of
	// them hold beside Profile: a call must be allowed by each. With Profile
	// "off", they alone decide. Empty: none.
	Files []string `json:"files,omitempty"`

	// Mode is "" or "enforce"; or "log": what would be refused is allowed, and
	// listed in the result. A filter that only logs confines nothing, and earns
	// nothing.
	Mode string `json:"mode,omitempty"`
}

// Values of Seccomp.Mode.
const (
	SeccompEnforce = "enforce"
	SeccompLog     = "log"
)

// Names of seccomp profiles.
const (
	SeccompStrict  = "strict"
	SeccompDefault = "default"
)

// Network is what a command reaches. There is no way out of a sandbox in this
// version: it has a network namespace of its own, with no route.
type Network struct {
	// Loopback lets the programs of one sandbox talk to each other over
	// 127.0.0.1 and ::1. Zero: no.
	Loopback bool `json:"loopback,omitempty"`
}

// Resources bounds what a sandbox uses. Zero means the Default constant of this
// package, where the field says nothing else, and Unlimited (-1) no limit.
type Resources struct {
	// Memory is the memory of all commands together, files in memory included.
	// Where there is no cgroup it is the data of each process (RLIMIT_DATA), which
	// is refused more rather than killed, so that nothing is reported as OOM.
	Memory Bytes `json:"memory,omitempty"`

	// Swap is how much of it may be swapped out, beyond Memory. Zero: none.
	Swap Bytes `json:"swap,omitempty"`

	// IORead and IOWrite bound the bytes a second that are read from, and
	// written to, each disk that the sandbox sees (cgroup v2 io.max; on v1
	// blkio.throttle, which does not count what is written back from memory
	// later). Zero: not bounded.
	IORead  Bytes `json:"io_read,omitempty"`
	IOWrite Bytes `json:"io_write,omitempty"`

	// CPUs is how many processors' time the commands get together; 0.5 is half
	// of one.
	CPUs float64 `json:"cpus,omitempty"`

	// PIDs is how many tasks (processes and threads) there are at once.
	PIDs int `json:"pids,omitempty"`

	// Output is how many bytes of stdout, and as many of stderr, one command
	// gets through; the rest is read and dropped, and the result is flagged.
	Output Bytes `json:"output,omitempty"`

	// Timeout is the wall time of one command.
	Timeout Duration `json:"timeout,omitempty"`
}

// Process is how a command runs.
type Process struct {
	// User is the uid, or "uid:gid", that the command sees as its own. It never
	// is that user on the host. Empty: what the image says, where there is one,
	// else the numbers of the caller. With an image neither is above 65535.
	User string `json:"user,omitempty"`

	// Env is the whole environment, but for PATH, HOME and LANG, which have
	// defaults, and for what the image says. Nothing of the caller's environment
	// is inherited.
	Env map[string]string `json:"env,omitempty"`

	// Workdir is where commands start. Empty: where the image says, else "/".
	Workdir string `json:"workdir,omitempty"`
}

// Wasm is what WebAssembly modules get.
type Wasm struct {
	// Modules are the only modules that may run, each by the digest of its file:
	// "sha256:" and 64 lower-case hexadecimal digits. They are the only code that
	// may run at all, so other backends are refused then. Empty: any.
	Modules []string `json:"modules,omitempty"`

	// Clock is the time, in the form of RFC 3339, at which all clocks of a module
	// start; they go on by a microsecond with each look at one, and by as much as
	// is slept, so that, with a Seed, each run sees the same. Other backends are
	// refused then. Empty: the machine's clocks.
	Clock string `json:"clock,omitempty"`

	// Seed is what all randomness of a module follows from, so that each run gets
	// the same. It is no secret. Other backends are refused then. Empty: the kernel's randomness.
	Seed string `json:"seed,omitempty"`
}

// Require is what must hold, or nothing runs.
type Require struct {
	// MinScore is the lowest score, 0 to 100, with which a command may run.
	MinScore int `json:"min_score,omitempty"`

	// Backends are the only backends that may be chosen. Empty: any but noop,
	// which runs only where it is named.
	Backends []string `json:"backends,omitempty"`
}
