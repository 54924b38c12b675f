package seccomp

import "strings"

// ofWorker are the calls of a worker that runs somebody's code itself: what Go's
// runtime needs, and files by descriptor. It starts no program and no process,
// opens no socket, and puts no filter on after this one.
var ofWorker = [...]group{
	{why: "memory of one's own; compiled code is written, and then made executable", calls: `
		brk mmap munmap mprotect mremap madvise mincore`},
	{why: "threads, signals to them, and waiting", calls: `
		exit exit_group gettid getpid set_tid_address set_robust_list rseq
		futex sched_yield sched_getaffinity restart_syscall
		rt_sigaction rt_sigprocmask rt_sigreturn sigaltstack tgkill
		nanosleep clock_nanosleep clock_gettime clock_getres gettimeofday
		poll ppoll select pselect6 epoll_create1 epoll_ctl epoll_pwait epoll_wait eventfd2`},
	{why: "threads, no processes", calls: `clone`, when: rule{{{arg: 0, mask: cloneThread, values: []uint64{cloneThread}}, {arg: 0, mask: cloneNamespaces, values: []uint64{0}}}}},
	{why: "the channel to the host, and what comes over it", calls: `recvmsg sendmsg`},
	{why: "descriptors and their data", calls: `
		read write readv writev pread64 pwrite64 close lseek dup3
		ftruncate fsync fdatasync fallocate getdents64 getrandom`},
	{why: "status and blocking of descriptors; no leases", calls: `fcntl`, when: fcntlNoLease},
	{why: "files below directories that are open", calls: `
		openat openat2 unlinkat mkdirat renameat renameat2 linkat symlinkat readlinkat
		fstat newfstatat statx fchmod fchmodat faccessat faccessat2 utimensat getcwd`},
	{why: "what Go asks for and can do without", absent: true, calls: `prctl clone3 pidfd_open`},
}

// cloneThread is CLONE_THREAD (linux/sched.h).
const cloneThread = 0x0001_0000

// Worker returns the filter that a worker puts on itself, before it has seen
// anything of the code that it is to run.
func Worker(arch string) ([]Instruction, error) {
	m, err := machineOf(arch)
	if err != nil {
		return nil, err
	}
	decided := make(map[string]*ruling)
	for i := range ofWorker {
		g := &ofWorker[i]
		r := always(retAllow)
		switch {
		case g.absent:
			r = always(retErrno | errENOSYS)
		case g.when != nil:
			r = allowIf(g.when)
		}
		for name := range strings.FieldsSeq(g.calls) {
			decided[name] = r
		}
	}
	return compile(fill(m, decided, always(retErrno|errEPERM), retErrno|errENOSYS), m, nil)
}
