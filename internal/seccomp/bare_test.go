package seccomp

import (
	"slices"
	"strings"
	"testing"
)

func TestBare(t *testing.T) {
	const eperm = retErrno | errEPERM
	minusOne := uint64(0xffff_ffff)
	for _, arch := range []string{"amd64", "arm64"} {
		program, err := Bare(arch, false)
		if err != nil {
			t.Fatal(err)
		}
		m, err := machineOf(arch)
		if err != nil {
			t.Fatal(err)
		}
		v := newVM(t, program)
		ask := func(name string, args arguments) (uint32, bool) {
			i := slices.IndexFunc(m.calls, func(s syscall) bool { return s.name == name })
			if i < 0 {
				return 0, false
			}
			return v.run(t, data{nr: m.calls[i].nr, arch: m.audit, args: args}), true
		}
		for _, row := range []struct {
			why, calls string
			args       arguments
			allowed    bool
		}{
			{"no network", "socket connect bind listen accept accept4", arguments{}, false},
			{"a pair of streams", "socketpair", arguments{afUnix, sockStream}, true},
			{"with flags", "socketpair", arguments{afUnix, sockStream | 0o2000000}, true},
			{"a pair of packets", "socketpair", arguments{afUnix, sockSeqpacket}, true},
			{"a pair of datagrams can be connected anew", "socketpair", arguments{afUnix, sockDgram}, false},
			{"hidden in the upper half", "socketpair", arguments{afUnix, sockDgram | 1<<32}, false},
			{"to nobody in particular", "sendto", arguments{3, 4, 5, 0, 0, 0}, true},
			{"to an address", "sendto", arguments{3, 4, 5, 0, 1 << 32, 16}, false},
			{"modes and owners of the user's files", "chmod fchmod fchmodat fchownat utimensat setxattr fsetxattr removexattr", arguments{}, false},
			{"flags of files", "ioctl", arguments{3, fsSetFlags}, false},
			{"owner by ioctl", "ioctl", arguments{3, fioSetOwn | 1<<32}, false},
			{"size of a terminal", "ioctl", arguments{1, 0x5413}, true},
			{"owner of a descriptor", "fcntl", arguments{3, fSetOwn}, false},
			{"flags of a descriptor", "fcntl", arguments{3, 2}, true},
			{"everybody", "kill", arguments{minusOne, 9}, false},
			{"everybody, in 64 bits", "kill", arguments{^uint64(0), 9}, false},
			{"one", "kill", arguments{17, 9}, true},
			{"one's own priority", "setpriority", arguments{prioProcess, 0, 5}, true},
			{"another's", "setpriority", arguments{prioProcess, 17, 5}, false},
			{"the user's", "setpriority", arguments{2, 0, 5}, false},
			{"one's own processors", "sched_setaffinity", arguments{0}, true},
			{"another's", "sched_setaffinity", arguments{17}, false},
			{"IPC", "shmget semget msgget mq_open", arguments{}, false},
			{"names in directories that cannot be read", "inotify_add_watch", arguments{}, false},
			{"the rest", "read write openat execve clone mmap getpid exit_group setsid", arguments{}, true},
		} {
			for call := range strings.FieldsSeq(row.calls) {
				got, there := ask(call, row.args)
				want := uint32(eperm)
				if row.allowed {
					want = retAllow
				}
				if there && got != want {
					t.Errorf("%s: %s: %s answers %#x, want %#x", arch, row.why, call, got, want)
				}
			}
		}
		if got := v.run(t, data{nr: 1, arch: 0x4000_0003}); got != retKillProcess {
			t.Errorf("%s: i386 gets %#x", arch, got)
		}
	}
}

// TestBareCallsExist: a name that is spelled wrong would refuse nothing.
func TestBareCallsExist(t *testing.T) {
	known := groupsOf()
	for i := range bare {
		for call := range strings.FieldsSeq(bare[i].calls) {
			if len(known[call]) == 0 {
				t.Errorf("there is no system call %s", call)
			}
		}
	}
}
