package seccomp

// refused are the calls that no profile allows, and why.
var refused = [...]group{
	// The namespace flags of clone3 are in a structure behind a pointer, which
	// a filter cannot read. ENOSYS makes glibc (2.34) and Go call clone.
	{absent: true, why: "flags that a filter cannot see", calls: `clone3`},

	{why: "reads and writes another process, or takes its descriptors", calls: `
		ptrace process_vm_readv process_vm_writev pidfd_getfd kcmp
		process_mrelease`},

	{why: "acts past a filter: requests in a ring are no system calls", calls: `
		io_uring_setup io_uring_enter io_uring_register`},

	{why: "programs and probes in the kernel", calls: `bpf perf_event_open lookup_dcookie`},

	{why: "keys are not separated by namespaces (CVE-2016-0728)", calls: `
		add_key request_key keyctl`},

	{why: "stops the kernel at a page of choice, which makes races easy to win", calls: `
		userfaultfd`},

	{why: "code for the kernel, and another kernel", calls: `
		init_module finit_module delete_module create_module
		get_kernel_syms query_module kexec_load kexec_file_load`},

	{why: "segments and ports of the processor (CVE-2017-17053, modify_ldt)", calls: `
		modify_ldt iopl ioperm set_thread_area get_thread_area`},

	{why: "mounts and the root; open_by_handle_at opens files past both (Shocker, 2014)", calls: `
		mount umount2 pivot_root chroot
		open_tree open_tree_attr move_mount mount_setattr
		fsopen fsconfig fsmount fspick open_by_handle_at`},

	{why: "other namespaces", calls: `setns listns`},

	{why: "the machine: swap, restart, accounting, quota, log, names, terminal", calls: `
		swapon swapoff reboot acct quotactl quotactl_fd syslog
		sethostname setdomainname vhangup`},

	// adjtimex and clock_adjtime can also read, but say so behind a pointer.
	{why: "clocks of the machine", calls: `
		settimeofday clock_settime adjtimex clock_adjtime`},

	{why: "watches and blocks file access of others (needs CAP_SYS_ADMIN)", calls: `
		fanotify_init fanotify_mark`},

	{why: "places of pages on NUMA nodes: programs do without", calls: `
		move_pages migrate_pages mbind set_mempolicy set_mempolicy_home_node`},

	{why: "changes the security module's label of the process", calls: `lsm_set_self_attr`},

	{why: "obsolete, mostly without an implementation", calls: `
		uselib _sysctl sysfs nfsservctl getpmsg putpmsg afs_syscall tuxcall
		security vserver epoll_ctl_old epoll_wait_old`},
}
