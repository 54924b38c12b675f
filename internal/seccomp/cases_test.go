package seccomp

import (
	"slices"
	"strings"
	"testing"
)

// What a filter shall answer to some calls, written without the tables.
type want string

const (
	allows  want = "allowed"
	refuses want = "refused"
	missing want = "ENOSYS"
)

type arguments [6]uint64

func answer(t *testing.T, v vm, f filter, m machine, name string, args arguments) (want, bool) {
	t.Helper()
	i := slices.IndexFunc(m.calls, func(s syscall) bool { return s.name == name })
	if i < 0 {
		return "", false
	}
	switch got := v.run(t, data{nr: m.calls[i].nr, arch: m.audit, args: args}); got {
	case retAllow:
		return allows, true
	case f.refusal:
		return refuses, true
	case retErrno | errENOSYS:
		return missing, true
	default:
		t.Fatalf("%s answers %#x", name, got)
		return "", false
	}
}

func TestCalls(t *testing.T) {
	for _, row := range []struct {
		why   string
		in    profiles
		want  want
		calls string
	}{
		{"row 18: another process's memory and descriptors", commands, refuses,
			"ptrace process_vm_readv process_vm_writev pidfd_getfd kcmp"},
		{"row 43", commands, refuses, "io_uring_setup io_uring_enter io_uring_register"},
		{"row 45: the kernel's own", commands, refuses,
			"bpf perf_event_open userfaultfd keyctl add_key request_key init_module finit_module delete_module kexec_load kexec_file_load modify_ldt iopl ioperm"},
		{"mounts", commands, refuses,
			"mount umount2 fsopen fsconfig fsmount fspick open_tree open_tree_attr move_mount mount_setattr pivot_root chroot open_by_handle_at"},
		{"row 26", commands, refuses, "setns"},
		{"row 25: clone3 hides its flags", commands, missing, "clone3"},
		{"the machine", commands, refuses,
			"swapon swapoff reboot acct quotactl quotactl_fd syslog settimeofday clock_settime adjtimex clock_adjtime sethostname setdomainname vhangup nfsservctl lookup_dcookie uselib _sysctl fanotify_init"},
		{"NUMA placement", commands, refuses, "move_pages migrate_pages mbind set_mempolicy set_mempolicy_home_node"},
		{"what every C program does", commands, allows,
			"read write openat close mmap munmap mprotect brk futex rt_sigaction rt_sigprocmask exit_group newfstatat getrandom clock_gettime set_robust_list rseq arch_prctl"},
		{"row 22 and shells", commands, allows, "execve execveat fork vfork wait4 waitid pipe2 dup3 setsid setpgid kill tgkill"},
		{"servers", commands, allows, "bind listen accept4 connect epoll_pwait epoll_ctl recvmsg splice sendfile"},
		{"Landlock only takes away", commands, allows, "landlock_create_ruleset landlock_add_rule landlock_restrict_self"},
		{"recent calls of libraries", commands, allows, "mseal setxattrat getxattrat fchmodat2 faccessat2 openat2 close_range epoll_pwait2 futex_waitv"},
		{"databases", inDefault, allows, "shmget semget msgget mq_open io_setup"},
		{"the same under strict", inStrict, refuses,
			"shmget shmat semget semop semtimedop msgget msgsnd mq_open io_setup io_submit seccomp personality vmsplice tee memfd_secret process_madvise name_to_handle_at sched_setscheduler sched_setattr ioprio_set statmount listmount cachestat get_robust_list"},
	} {
		t.Run(row.why, func(t *testing.T) {
			each(t, row.in, func(t *testing.T, f filter, m machine, program []Instruction) {
				v := newVM(t, program)
				for name := range strings.FieldsSeq(row.calls) {
					if got, ok := answer(t, v, f, m, name, arguments{}); ok && got != row.want {
						t.Errorf("%s is %s, want %s", name, got, row.want)
					}
				}
			})
		})
	}
}

const (
	high     = 1 << 32 // a bit that an int does not have
	pointer  = 0x7f00_0000_0000
	bigFlag  = 1 << 63
	sigchld  = 17
	goThread = 0x50f00 // runtime.cloneFlags of Go's os_linux.go
)

func TestArguments(t *testing.T) {
	for _, row := range []struct {
		why  string
		in   profiles
		call string
		args arguments
		want want
	}{
		{"fork", commands, "clone", arguments{sigchld}, allows},
		{"a Go thread", commands, "clone", arguments{goThread}, allows},
		{"glibc's thread", commands, "clone", arguments{0x3d0f00}, allows},
		{"Go's ForkExec: CLONE_VFORK|CLONE_VM|CLONE_PIDFD", commands, "clone", arguments{0x4000 | 0x100 | 0x1000 | sigchld}, allows},
		{"a thread in a namespace", commands, "clone", arguments{goThread | 0x4000_0000}, refuses},
		{"CLONE_NEWNS", commands, "clone", arguments{0x0002_0000 | sigchld}, refuses},
		{"CLONE_NEWCGROUP", commands, "clone", arguments{0x0200_0000 | sigchld}, refuses},
		{"CLONE_NEWUTS", commands, "clone", arguments{0x0400_0000 | sigchld}, refuses},
		{"CLONE_NEWIPC", commands, "clone", arguments{0x0800_0000 | sigchld}, refuses},
		{"CLONE_NEWUSER", commands, "clone", arguments{0x1000_0000 | sigchld}, refuses},
		{"CLONE_NEWPID", commands, "clone", arguments{0x2000_0000 | sigchld}, refuses},
		{"CLONE_NEWNET", commands, "clone", arguments{0x4000_0000 | sigchld}, refuses},
		{"a namespace under a high bit", commands, "clone", arguments{high | 0x1000_0000}, refuses},
		{"clone ignores high bits", commands, "clone", arguments{high | sigchld}, allows},
		{"0x80 is part of clone's signal", commands, "clone", arguments{0x80}, allows},

		{"unshare nothing", commands, "unshare", arguments{0}, allows},
		{"CLONE_FS|CLONE_FILES", commands, "unshare", arguments{0x600}, allows},
		{"CLONE_NEWUSER", commands, "unshare", arguments{0x1000_0000}, refuses},
		{"CLONE_NEWTIME", commands, "unshare", arguments{0x80}, refuses},
		{"CLONE_NEWCGROUP with a harmless flag", commands, "unshare", arguments{0x0200_0200}, refuses},
		{"a flag not yet known", commands, "unshare", arguments{0x0010_0000}, refuses},
		{"a flag not yet known, above", commands, "unshare", arguments{high}, refuses},

		{"a terminal's size", commands, "ioctl", arguments{0, 0x5413}, allows},
		{"row 21, TIOCSTI", commands, "ioctl", arguments{0, 0x5412}, refuses},
		{"CVE-2019-10063", commands, "ioctl", arguments{0, high | 0x5412}, refuses},
		{"all of the upper half", commands, "ioctl", arguments{0, 0xffff_ffff_0000_5412}, refuses},
		{"TIOCLINUX", commands, "ioctl", arguments{0, 0x541c}, refuses},
		{"TIOCLINUX under a high bit", commands, "ioctl", arguments{0, bigFlag | 0x541c}, refuses},
		{"TIOCSETD", commands, "ioctl", arguments{0, 0x5423}, refuses},
		{"the number as another argument", commands, "ioctl", arguments{0x5412, 0x5413, 0x5412}, allows},

		{"AF_UNIX", commands, "socket", arguments{1, 1 | 0x80000}, allows},
		{"TCP, close-on-exec, nonblocking", commands, "socket", arguments{2, 1 | 0x80800, 6}, allows},
		{"UDP over IPv6", commands, "socket", arguments{10, 2}, allows},
		{"ping", commands, "socket", arguments{2, 2, 1}, allows},
		{"MPTCP", commands, "socket", arguments{2, 1, 262}, allows},
		{"an int's upper half is dropped", commands, "socket", arguments{high | 2, high | 1, high | 6}, allows},
		{"raw", commands, "socket", arguments{2, 3, 1}, refuses},
		{"raw, close-on-exec", commands, "socket", arguments{2, 3 | 0x80000, 1}, refuses},
		{"raw IPv6", commands, "socket", arguments{10, 3, 58}, refuses},
		{"SOCK_PACKET of AF_INET is AF_PACKET", commands, "socket", arguments{2, 10, 768}, refuses},
		{"SCTP", commands, "socket", arguments{2, 1, 132}, refuses},
		{"DCCP", commands, "socket", arguments{2, 6, 33}, refuses},
		{"row 41, AF_NETLINK route", inDefault, "socket", arguments{16, 3, 0}, allows},
		{"row 41, AF_NETLINK route", inStrict, "socket", arguments{16, 3, 0}, refuses},
		{"NETLINK_NETFILTER", commands, "socket", arguments{16, 3, 12}, refuses},
		{"NETLINK_GENERIC", commands, "socket", arguments{16, 3, 16}, refuses},
		{"NETLINK_AUDIT under a high bit", commands, "socket", arguments{16, 3, high | 9}, refuses},
		{"route under a high bit is route", inDefault, "socket", arguments{16, 3, high}, allows},
		{"AF_PACKET", commands, "socket", arguments{17, 3, 768}, refuses},
		{"AF_ALG", commands, "socket", arguments{38, 5}, refuses},
		{"AF_VSOCK", commands, "socket", arguments{40, 1}, refuses},
		{"AF_VSOCK under a high bit", commands, "socket", arguments{high | 40, 1}, refuses},
		{"AF_UNSPEC", commands, "socket", arguments{0, 1}, refuses},
		{"a pair", commands, "socketpair", arguments{1, 1}, allows},
		{"a pair of TIPC", commands, "socketpair", arguments{30, 1}, refuses},

		{"SO_REUSEADDR", commands, "setsockopt", arguments{3, 1, 2}, allows},
		{"TCP_NODELAY", commands, "setsockopt", arguments{3, 6, 1}, allows},
		{"IPV6_V6ONLY, whose number is SO_ATTACH_FILTER's", commands, "setsockopt", arguments{3, 41, 26}, allows},
		{"SO_ATTACH_FILTER", inDefault, "setsockopt", arguments{3, 1, 26}, allows},
		{"MSG_NOSIGNAL", commands, "sendto", arguments{3, pointer, 1, 0x4000}, allows},

		{"read a limit", commands, "prlimit64", arguments{0, 6, 0, pointer}, allows},
		{"read another's", commands, "prlimit64", arguments{77, 6, 0, pointer}, allows},
		{"set RLIMIT_NOFILE", commands, "prlimit64", arguments{0, 7, pointer}, allows},
		{"set RLIMIT_NPROC", commands, "prlimit64", arguments{0, 6, pointer}, allows},
		{"set RLIMIT_DATA", commands, "prlimit64", arguments{0, 2, pointer}, allows},
		{"a pointer whose lower half is zero", commands, "prlimit64", arguments{77, 6, high}, refuses},
		{"a pointer whose upper half is zero", commands, "prlimit64", arguments{77, 6, 0x1000}, refuses},
		{"set another's", commands, "prlimit64", arguments{1, 7, pointer}, refuses},
		{"pid 0 under a high bit is the caller", commands, "prlimit64", arguments{high, 7, pointer}, allows},
		{"setrlimit RLIMIT_NPROC", commands, "setrlimit", arguments{6, pointer}, allows},
		{"setrlimit RLIMIT_DATA", commands, "setrlimit", arguments{high | 2, pointer}, allows},
		{"setrlimit RLIMIT_CORE: the guest's 1 stays (core(5))", commands, "setrlimit", arguments{4, pointer}, refuses},
		{"prlimit RLIMIT_CORE", commands, "prlimit64", arguments{0, high | 4, pointer}, refuses},
		{"read RLIMIT_CORE", commands, "prlimit64", arguments{0, 4, 0, pointer}, allows},
		{"F_SETLEASE", commands, "fcntl", arguments{3, 1024, 0}, refuses},
		{"F_SETLEASE under a high bit", commands, "fcntl", arguments{3, high | 1024, 0}, refuses},
		{"F_SETFL", commands, "fcntl", arguments{3, 4, 0x800}, allows},

		{"row 10, a character device", commands, "mknod", arguments{pointer, 0o020666, 0x103}, refuses},
		{"row 10, a block device", commands, "mknodat", arguments{3, pointer, 0o060666}, refuses},
		{"a device under high bits: the mode has 16", commands, "mknodat", arguments{3, pointer, high | 1<<16 | 0o020666}, refuses},
		{"a named pipe", commands, "mknodat", arguments{3, pointer, 0o010644}, allows},
		{"a file, which no type means", commands, "mknod", arguments{pointer, 0o644}, allows},
		{"a socket", commands, "mknodat", arguments{3, pointer, 0o140644}, allows},

		{"query", inDefault, "personality", arguments{0xffff_ffff}, allows},
		{"setarch -R", inDefault, "personality", arguments{0x40000}, allows},
		{"READ_IMPLIES_EXEC", inDefault, "personality", arguments{0x400000}, refuses},
		{"with a good one", inDefault, "personality", arguments{0x440000}, refuses},

		{"own filter", inDefault, "seccomp", arguments{1, 0, pointer}, allows},
		{"own filter on all threads", inDefault, "seccomp", arguments{1, 1, pointer}, allows},
		{"a listener", inDefault, "seccomp", arguments{1, 8, pointer}, refuses},
		{"a listener among flags, under high bits", inDefault, "seccomp", arguments{high | 1, high | 9, pointer}, refuses},
		{"SECCOMP_GET_ACTION_AVAIL", inDefault, "seccomp", arguments{2, 0, pointer}, allows},

		{"PR_SET_NAME", commands, "prctl", arguments{15}, allows},
		{"PR_SET_PDEATHSIG", commands, "prctl", arguments{1}, allows},
		{"PR_SET_NO_NEW_PRIVS", commands, "prctl", arguments{38}, allows},
		{"PR_SET_VMA of Go and glibc", commands, "prctl", arguments{0x53564d41}, allows},
		{"PR_SET_MM", commands, "prctl", arguments{35}, refuses},
		{"PR_SET_MM under a high bit", commands, "prctl", arguments{high | 35}, refuses},
		{"PR_SET_PTRACER", commands, "prctl", arguments{0x59616d61}, refuses},
		{"PR_TASK_PERF_EVENTS_ENABLE", commands, "prctl", arguments{32}, refuses},
		{"PR_SET_SECCOMP", inDefault, "prctl", arguments{22, 2}, allows},
	} {
		t.Run(row.call+" "+row.why, func(t *testing.T) {
			each(t, row.in, func(t *testing.T, f filter, m machine, program []Instruction) {
				if got, ok := answer(t, newVM(t, program), f, m, row.call, row.args); ok && got != row.want {
					t.Errorf("%s%#x is %s, want %s", row.call, row.args, got, row.want)
				}
			})
		})
	}
}

// What the guest does once the filter is on all of its threads: its Go runtime,
// the thread that answers notifications, the reaper, and the child between fork
// and execve. The calls without arguments are allowed whatever those are.
func TestGuestMayDoItsWork(t *testing.T) {
	const why = "a refused call by the thread that answers notifications would hang the sandbox"
	for _, row := range []struct {
		what  string
		calls string
		args  *arguments
	}{
		{"waiting and waking", "futex nanosleep sched_yield epoll_create1 epoll_ctl epoll_wait epoll_pwait eventfd2", nil},
		{"memory", "mmap munmap madvise mincore", nil},
		{"signals", "rt_sigaction rt_sigprocmask rt_sigreturn sigaltstack tgkill getpid gettid", nil},
		{"the channel from the host", "recvmsg close", nil},
		{"the channel to the host: MSG_NOSIGNAL", "sendmsg", &arguments{3, pointer, 0x4000}},
		{"commands", "wait4 kill getsid", nil},
		{"/proc", "openat read getdents64 fstat newfstatat close", nil},
		{"F_GETFL", "fcntl", &arguments{3, 3}},
		{"where a program is", "newfstatat faccessat faccessat2", nil},
		{"a thread", "clone", &arguments{goThread}},
		{"a fork", "clone", &arguments{sigchld}},
		{"the child", "pipe2 setsid dup3 close_range openat2 fchdir close execve write read exit_group", nil},
		{"limits of the child", "prlimit64", &arguments{0, 7, pointer}},
		{"no capabilities", "capget capset", nil},
		{"PR_SET_DUMPABLE", "prctl", &arguments{4, 0}},
		{"PR_SET_VMA", "prctl", &arguments{0x53564d41, 0, pointer}},
		{"SECCOMP_IOCTL_NOTIF_RECV", "ioctl", &arguments{3, 0xc050_2100, pointer}},
		{"SECCOMP_IOCTL_NOTIF_SEND", "ioctl", &arguments{3, 0xc018_2101, pointer}},
	} {
		t.Run(row.what, func(t *testing.T) {
			each(t, commands, func(t *testing.T, f filter, m machine, program []Instruction) {
				v := newVM(t, program)
				for name := range strings.FieldsSeq(row.calls) {
					i := slices.IndexFunc(m.calls, func(s syscall) bool { return s.name == name })
					if i < 0 {
						continue // the architecture does without
					}
					d := data{nr: m.calls[i].nr, arch: m.audit}
					var ok bool
					if row.args == nil {
						_, ok = constAllow(program, d)
					} else {
						d.args = *row.args
						ok = v.run(t, d) == retAllow
					}
					if !ok {
						t.Errorf("%s is refused: %s", name, why)
					}
				}
			})
		})
	}
}

func TestForeignCode(t *testing.T) {
	each(t, commands, func(t *testing.T, f filter, m machine, program []Instruction) {
		v := newVM(t, program)
		for _, arch := range []uint32{auditI386, auditARM, 0, m.audit ^ 0x8000_0000, m.audit ^ 1} {
			for _, nr := range []uint32{0, 1, 26, 101, 117, 360} {
				if got := v.run(t, data{nr: nr, arch: arch}); got != retKillProcess {
					t.Errorf("call %d on %#x answers %#x, want kill", nr, arch, got)
				}
			}
		}
		for _, nr := range []uint32{x32, x32 | 59, x32 | 514, x32 | 520, ^uint32(0), 1 << 31, 600} {
			if got := v.run(t, data{nr: nr, arch: m.audit}); got != retErrno|errENOSYS {
				t.Errorf("call %#x answers %#x, want ENOSYS", nr, got)
			}
		}
	})
}
