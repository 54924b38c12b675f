package seccomp

// allowed are the calls that at least one profile allows. Each call of the
// kernel is in this table or in refused, once for each profile (a test holds
// this), so that a new call is refused until someone has thought about it.
var allowed = [...]group{
	{in: commands, why: "memory of one's own", calls: `
		brk mmap munmap mprotect mremap madvise msync mincore mseal
		mlock munlock mlockall munlockall mlock2 membarrier
		pkey_alloc pkey_free pkey_mprotect map_shadow_stack`},

	{in: commands, why: "threads and what libraries do at their start; uretprobe and uprobe are made by trampolines of the kernel only, and a program traced from the host dies without them", calls: `
		exit exit_group gettid set_tid_address set_robust_list
		futex futex_waitv futex_wake futex_wait futex_requeue
		rseq rseq_slice_yield restart_syscall arch_prctl
		sched_yield sched_getaffinity getcpu uretprobe uprobe`},

	{in: commands, why: "signals, limited by the PID namespace and the uid", calls: `
		rt_sigaction rt_sigprocmask rt_sigreturn rt_sigpending
		rt_sigtimedwait rt_sigqueueinfo rt_tgsigqueueinfo rt_sigsuspend
		sigaltstack signalfd signalfd4 pause
		kill tkill tgkill pidfd_open pidfd_send_signal wait4 waitid`},

	{in: commands, why: "reading clocks, timers", calls: `
		time gettimeofday clock_gettime clock_getres clock_nanosleep nanosleep
		alarm getitimer setitimer
		timer_create timer_settime timer_gettime timer_getoverrun timer_delete
		timerfd_create timerfd_settime timerfd_gettime`},

	{in: commands, why: "descriptors and their data", calls: `
		read write readv writev pread64 pwrite64 preadv pwritev preadv2 pwritev2
		open openat openat2 creat close close_range lseek
		dup dup2 dup3 flock pipe pipe2 memfd_create eventfd eventfd2
		truncate ftruncate fallocate fsync fdatasync sync_file_range
		fadvise64 readahead sendfile copy_file_range`},

	// Go's io.Copy between sockets takes any error of splice but EINVAL for
	// final (internal/poll.Splice): refusing it would break every Go proxy.
	{in: commands, why: "splice: Go copies between sockets with it", calls: `splice`},

	{in: commands, why: "waiting for descriptors", calls: `
		poll ppoll select pselect6
		epoll_create epoll_create1 epoll_ctl
		epoll_wait epoll_pwait epoll_pwait2`},

	{in: commands, why: "the file tree, limited by mounts, Landlock and modes", calls: `
		stat fstat lstat newfstatat statx statfs fstatfs
		access faccessat faccessat2 readlink readlinkat
		getdents getdents64 getcwd chdir fchdir umask
		mkdir mkdirat rmdir unlink unlinkat rename renameat renameat2
		link linkat symlink symlinkat
		chmod fchmod fchmodat fchmodat2
		chown fchown lchown fchownat
		utime utimes futimesat utimensat`},

	{in: commands, why: "what a process may know about itself, and giving up capabilities", calls: `
		getpid getppid getuid geteuid getgid getegid getgroups
		getresuid getresgid getpgrp getpgid getsid
		getrlimit getrusage times uname sysinfo getrandom
		getpriority capget capset`},

	{in: commands, why: "starting programs", calls: `
		fork vfork execve execveat setpgid setsid`},

	{in: commands, why: "priority and processors of one's own: only for the worse", calls: `
		setpriority sched_setaffinity ioprio_get
		sched_getparam sched_getscheduler sched_getattr
		sched_get_priority_max sched_get_priority_min sched_rr_get_interval`},

	// Also what os/exec does between clone and execve for a Credential.
	{in: commands, why: "identities, limited to those that the user namespace maps", calls: `
		setuid setgid setreuid setregid setresuid setresgid
		setfsuid setfsgid setgroups`},

	{in: commands, why: "extended attributes (cp -a, tar), watching files, writing out", calls: `
		setxattr lsetxattr fsetxattr getxattr lgetxattr fgetxattr
		listxattr llistxattr flistxattr removexattr lremovexattr fremovexattr
		setxattrat getxattrat listxattrat removexattrat
		inotify_init inotify_init1 inotify_add_watch inotify_rm_watch
		sync syncfs`},

	{in: commands, why: "a program that restricts itself further does no harm", calls: `
		landlock_create_ruleset landlock_add_rule landlock_restrict_self`},

	{in: commands, why: "sockets that one has", calls: `
		recvfrom recvmsg recvmmsg shutdown
		getsockname getpeername getsockopt`},

	{in: inDefault, why: "sockets that one has", calls: `sendto sendmsg sendmmsg setsockopt`},
	{in: inStrict, why: "no out-of-band data", calls: `sendmsg`, when: flags2NoOOB},
	{in: inStrict, why: "no out-of-band data", calls: `sendto sendmmsg`, when: flags3NoOOB},
	{in: inStrict, why: "no programs for the kernel, no modules under TCP", calls: `setsockopt`, when: setsockoptPlain},

	{in: commands, why: "connections, limited by the network namespace and Landlock", calls: `
		connect bind listen accept accept4`},

	{in: inDefault, why: "no families and types that reach past the network stack", calls: `socket`, when: socketAny},
	// glibc's getaddrinfo, Go's and Python's servers do without netlink; only
	// a list of the interfaces (os.networkInterfaces) fails.
	{in: inStrict, why: "nor the interfaces' configuration", calls: `socket`, when: socketNoNetlink},
	{in: commands, why: "pairs of local sockets", calls: `socketpair`, when: socketpairLocal},

	{in: commands, why: "processes without namespaces (CVE-2022-0185 needs one)", calls: `clone`, when: cloneProcess},
	{in: commands, why: "parts of a process, no namespaces", calls: `unshare`, when: unshareNoNamespace},

	{in: commands, why: "no input into another's terminal", calls: `ioctl`, when: ioctlNoInjection},

	{in: inDefault, why: "no options that show or trace another process", calls: `prctl`, when: prctlDefault},
	{in: inStrict, why: "nor filters, nor core scheduling", calls: `prctl`, when: prctlStrict},

	{in: commands, why: "limits of the caller, not of the guest", calls: `prlimit64`, when: prlimitOwn},
	{in: commands, why: "limits of the caller, but for cores", calls: `setrlimit`, when: setrlimitOwn},
	{in: commands, why: "nobody is held up by a lease", calls: `fcntl`, when: fcntlNoLease},

	{in: commands, why: "pipes and sockets, no devices", calls: `mknod`, when: mode1NoDevice},
	{in: commands, why: "pipes and sockets, no devices", calls: `mknodat`, when: mode2NoDevice},

	// strict leaves the rest out: more code of the kernel, which sh, coreutils,
	// Python, Node, Go, gcc and git do not need.

	{in: inDefault, why: "System V and POSIX message IPC; databases want it, shm_open and sem_open do not", calls: `
		shmget shmat shmctl shmdt semget semop semtimedop semctl
		msgget msgsnd msgrcv msgctl
		mq_open mq_unlink mq_timedsend mq_timedreceive mq_notify mq_getsetattr`},

	{in: inDefault, why: "a program may filter itself, as browsers and file(1) do; strict has no second filter, which could hide what is refused", calls: `seccomp`, when: seccompNoListener},

	{in: inDefault, why: "repeatable addresses", calls: `personality`, when: personalityPlain},

	{in: inDefault, why: "pipes without copies beyond splice (CVE-2020-29374, vmsplice)", calls: `
		vmsplice tee`},

	{in: inDefault, why: "asynchronous I/O of old, for databases", calls: `
		io_setup io_destroy io_submit io_cancel io_getevents io_pgetevents`},

	{in: inDefault, why: "scheduling classes; real-time ones need CAP_SYS_NICE", calls: `
		sched_setparam sched_setscheduler sched_setattr ioprio_set`},

	{in: inDefault, why: "memory of rare kinds and views: hidden pages, the page cache (a side channel), NUMA, another process that one may trace", calls: `
		memfd_secret cachestat get_mempolicy remap_file_pages
		process_madvise get_robust_list`},

	{in: inDefault, why: "rare questions about files, mounts and security modules", calls: `
		name_to_handle_at statmount listmount ustat
		file_getattr file_setattr lsm_get_self_attr lsm_list_modules`},
}
