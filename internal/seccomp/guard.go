package seccomp

import (
	"slices"
	"strings"
)

// guard is what must be refused where no profile of ours does it, because
// another layer relies on it. The profiles refuse all of it (a test holds this).
var guard = [...]group{
	{why: "RLIMIT_CORE stays 1, or the host's core_pattern is run as root (core(5))", calls: `prlimit64`, when: prlimitNoCore},
	{why: "RLIMIT_CORE stays 1", calls: `setrlimit`, when: setrlimitOwn},
	{why: "no input into a terminal that the caller may read", calls: `ioctl`, when: ioctlNoInjection},
	{why: "the session keyring is the caller's own, and no namespace keeps it apart (keyrings(7))", calls: `
		add_key request_key keyctl`},
	{why: "families that no network namespace keeps apart", calls: `socket`, when: socketOfNamespace},
}

// prlimitNoCore lets any limit be read, and any but that of cores be set.
var prlimitNoCore = rule{
	{{arg: 2, mask: whole, values: []uint64{0}}},
	{{arg: 1, mask: low, not: true, values: []uint64{rlimitCore}}},
}

// Families of sockets that lead out of a network namespace: to the hypervisor
// (vsock(7)), and to the modem (net/qrtr).
const (
	afVsock   = 40
	afQipcrtr = 42
)

var socketOfNamespace = rule{{{arg: 0, mask: low, not: true, values: []uint64{afVsock, afQipcrtr}}}}

func guardList(m machine, unknown uint32) list { return restrictions(m, guard[:], unknown) }

// restrictions is the list that lets pass what is not in a table; what is there,
// only as the rule of its group says, whatever profiles that is in.
func restrictions(m machine, table []group, unknown uint32) list {
	decided := make(map[string]*ruling)
	for i := range table {
		g := &table[i]
		r := allowIf(g.when)
		if g.absent {
			r = always(retErrno | errENOSYS)
		}
		for name := range strings.FieldsSeq(g.calls) {
			decided[name] = r
		}
	}
	return fill(m, decided, always(retAllow), unknown)
}

// somewhere stands for an address in the arguments of a call.
const somewhere = 0x7f00_0000_1000

// startCalls are what is called under a command's filter before the command
// itself runs: by the thread that forks it, with the Go runtime that is on it,
// and by the child up to its execve, or by the probe. A filter that refused one
// would stop every command, or the guest.
var startCalls = [...]struct {
	call string
	args [6]uint64
}{
	{"clone", [6]uint64{0x4000 | 0x100 | 17}}, // CLONE_VFORK|CLONE_VM|SIGCHLD
	{"clone", [6]uint64{17}},
	{"futex", [6]uint64{somewhere, 128}},    // FUTEX_WAIT_PRIVATE
	{"futex", [6]uint64{somewhere, 129, 1}}, // FUTEX_WAKE_PRIVATE
	{"nanosleep", [6]uint64{somewhere}},
	{"sched_yield", [6]uint64{}},
	{"rt_sigprocmask", [6]uint64{2, somewhere, 0, 8}},
	{"rt_sigaction", [6]uint64{15, somewhere, 0, 8}},
	{"rt_sigreturn", [6]uint64{}},
	{"sigaltstack", [6]uint64{somewhere}},
	{"tgkill", [6]uint64{1, 1, 23}}, // SIGURG: the Go runtime preempts with it
	{"getpid", [6]uint64{}},
	{"gettid", [6]uint64{}},
	{"mmap", [6]uint64{0, 1 << 16, 3, 0x22, 0xffff_ffff, 0}},
	{"munmap", [6]uint64{somewhere, 1 << 16}},
	{"madvise", [6]uint64{somewhere, 1 << 16, 4}},
	{"fstat", [6]uint64{5, somewhere}},
	{"openat", [6]uint64{0xffff_ff9c, somewhere, 0x80000}},
	{"prctl", [6]uint64{4, 1}}, // PR_SET_DUMPABLE, by the probe

	{"setsid", [6]uint64{}},
	{"dup3", [6]uint64{9, 0, 0}},
	{"close_range", [6]uint64{4, low, 0}},
	{"prlimit64", [6]uint64{0, 7, somewhere}}, // RLIMIT_NOFILE
	{"openat2", [6]uint64{0xffff_ff9c, somewhere, somewhere, 24}},
	{"fchdir", [6]uint64{4}},
	{"close", [6]uint64{4}},
	{"read", [6]uint64{0, somewhere, 1}},
	{"write", [6]uint64{3, somewhere, 8}},
	{"wait4", [6]uint64{1 << 10, somewhere}},
	{"execve", [6]uint64{somewhere, somewhere, somewhere}},
	{"exit_group", [6]uint64{0}},
}

// mustStart refuses files under which no command would start.
func (f *Filters) mustStart(files []*File) error {
	for _, file := range files {
		var missing []string
		for _, c := range startCalls {
			for i, s := range f.machine.calls {
				if s.name == c.call && !passes(file.list.calls[i].eval(c.args)) && !slices.Contains(missing, c.call) {
					missing = append(missing, c.call)
				}
			}
		}
		if len(missing) > 0 {
			return &FileError{
				File: file.Name, Problem: "it refuses what Kavach starts commands with: " + strings.Join(missing, " "),
				Fix: "allow these with any arguments",
			}
		}
	}
	return nil
}
