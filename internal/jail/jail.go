// Package jail puts a process of ours into namespaces of its own and speaks to
// the guest that runs in it. It is what the process backend is made of, and what
// the workers of other backends are jailed with.
//
//	Start: record → cgroup → clone the guest into its namespaces → mounts →
//	       guest builds, confines itself, forks a probe → evidence → ready
//	Exec:  stdio as descriptors → the guest forks from its launcher
//	Close: kill the guest, and with it its PID namespace → cgroup → record
//
// What this package does not protect: the kernel itself is shared with the host,
// and a bug in a system call that the filter allows is a way out.
package jail

import (
	"github.com/kavach-dev/kavach/internal/seccomp"
	"github.com/kavach-dev/kavach/policy"
)

// Config says what to jail, and how.
type Config struct {
	// ID names the jail on this machine.
	ID string

	// Backend is noted in the record, for people.
	Backend string

	// Guest is the path of the program that is run as the guest. It must import
	// guest/self.
	Guest string

	// UID and GID are what commands see as their own.
	UID, GID int

	// Layers are directories that, laid over each other, are the root directory,
	// the lowest first (backend.Image); Root is "" then. With them, and where root
	// makes the jail, the ids of an image, 0 to 65535, are all there.
	Layers []string

	// Container, where it is not nil, makes the jail a keeper, in which an OCI
	// runtime is run. What the rest says of commands, UID and Root and Filters and
	// all, is for those of the container. Nil: it is for those of the jail.
	Container *Container

	// Hidden are directories of the host, beside those of records and what
	// owndir.Places lists, that no mount shows. Nil: none.
	Hidden []string

	// Worker, where it is not nil, makes the jail a place for a program of ours that
	// runs the caller's code itself. Nil: it is for commands.
	Worker *Worker

	// Root, Writable, Scratch and Mounts are as in policy.Filesystem.
	Root     string
	Writable bool
	Scratch  int64
	Mounts   []policy.Mount

	// SecretFiles are the paths that Give can show files at. Nil: none.
	SecretFiles []string

	// Loopback brings up lo.
	Loopback bool

	// Landlock puts commands into a Landlock domain; where Loopback is false,
	// it refuses TCP as well.
	Landlock bool

	// LandlockABI is the newest version of Landlock that is used. 0: the
	// kernel's. It is for tests, which show with it what an older kernel does.
	LandlockABI int

	// Filters are the seccomp filters. Nil: none.
	Filters *seccomp.Filters

	// Unheard says that the kernel which the filters are for has no listeners, and
	// is for Of.
	Unheard bool

	// NoSetID says that Filters let no command make a file setuid or setgid.
	// Without it, nothing that root mounts is writable (access direct).
	NoSetID bool

	// Bare, where it is not nil, makes a bare jail: no namespaces, and this filter
	// (of struct sock_filter, seccomp.Bare) for what they would have kept. What
	// BareProblem names cannot be jailed so.
	Bare []byte

	// Limits, each Unlimited (-1) or more than zero.
	Memory, PIDs int64
	CPUs         float64

	// Swap, IORead and IOWrite are as in policy.Resources: zero is no swap, and
	// no bound. Where they cannot be had, Start fails with a *LimitError.
	Swap, IORead, IOWrite int64

	// Without leaves layers out. It is for tests, which show with it that no
	// other layer stands in for the one that is left out.
	Without []policy.Control

	// NoOverlay makes the kernel refuse the overlay of the root directory. It is for
	// tests, which show with it what is done where there is no overlayfs.
	NoOverlay bool

	copied *rootCopy // nil: the root directory, if it is of layers, is an overlay
	place  string    // of a bare jail: its own directory
}

// rootCopy says that the root directory is a copy in memory, and why.
type rootCopy struct {
	bytes, files int64
	why          error
}

// Container says what a keeper is for.
type Container struct {
	// Config is the runtime's config.json (OCI runtime-spec).
	Config []byte

	// Programs are executables of the host that the runtime needs and that are in
	// no directory which Root "host" shows.
	Programs []string

	// Devices are device nodes of the host that the runtime needs, beside those
	// that every jail has.
	Devices []string

	// BindTmp says that Config has the runtime bind Tmp to /tmp, as it must be for
	// one that would put a /tmp of its own there.
	BindTmp bool

	// Memory, in bytes, and Tasks are allowed on top of those limits for what the
	// runtime leaves running beside the commands. Zero: nothing.
	Memory, Tasks int64

	// UserNS is how many user namespaces the runtime makes. -1: any number.
	UserNS int64
}

// Worker is a program of ours that runs code which is no command of this kernel.
type Worker struct {
	// Program is its path on the host, which is WorkerPath inside.
	Program string

	// Memory, in bytes, and Tasks are allowed on top of the limits for all workers
	// of the jail themselves. Zero: nothing.
	Memory, Tasks int64
}

// Where things of a worker are in its jail.
const (
	WorkerPath = "/.kavach/worker"
	WorkerDir  = "/.kavach/own" // which it can write to
)

func (c *Config) with(layer policy.Control) bool {
	for _, w := range c.Without {
		if w == layer {
			return false
		}
	}
	return true
}
