//go:build linux

package main

import (
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// harmless are calls that change nothing, whatever comes of them: their
// arguments are invalid, or ask for nothing. What matters is who refuses: a
// filter answers EPERM before the kernel has looked at an argument.
var harmless = map[string][6]uintptr{
	// io_uring
	"io_uring_setup":    {unix.SYS_IO_URING_SETUP, 1, 0},
	"io_uring_enter":    {unix.SYS_IO_URING_ENTER, noFD, 0, 0, 0, 0},
	"io_uring_register": {unix.SYS_IO_URING_REGISTER, noFD, 0, 0, 0},

	// code for the kernel
	"bpf":             {unix.SYS_BPF, 0, 0, tooLong},
	"perf_event_open": {unix.SYS_PERF_EVENT_OPEN, 0, 0, noFD, noFD, 0},
	"userfaultfd":     {unix.SYS_USERFAULTFD, 1}, // UFFD_USER_MODE_ONLY: what everybody may have
	"init_module":     {unix.SYS_INIT_MODULE, 0, 0, 0},
	"finit_module":    {unix.SYS_FINIT_MODULE, noFD, 0, 0},
	"delete_module":   {unix.SYS_DELETE_MODULE, 0, 0},
	"kexec_load":      {unix.SYS_KEXEC_LOAD, 0, 1, 0, all},
	"kexec_file_load": {unix.SYS_KEXEC_FILE_LOAD, noFD, noFD, 0, 0, all},

	// keys
	"keyctl":      {unix.SYS_KEYCTL, 0xffff},
	"add_key":     {unix.SYS_ADD_KEY, 0, 0, 0, 0, 0},
	"request_key": {unix.SYS_REQUEST_KEY, 0, 0, 0, 0},

	// other processes, other namespaces, other files
	"kcmp":              {unix.SYS_KCMP, 0, 0, 0xff, 0, 0},
	"process_mrelease":  {unix.SYS_PROCESS_MRELEASE, noFD, 0},
	"setns":             {unix.SYS_SETNS, noFD, 0},
	"fanotify_init":     {unix.SYS_FANOTIFY_INIT, unix.FAN_REPORT_FID | unix.FAN_CLOEXEC, 0},
	"fanotify_mark":     {unix.SYS_FANOTIFY_MARK, noFD, 0, 0, 0, 0},
	"lsm_set_self_attr": {unix.SYS_LSM_SET_SELF_ATTR, 0, 0, 0, all},
	"open_by_handle_at": {unix.SYS_OPEN_BY_HANDLE_AT, noFD, 0, 0},
	"mount_setattr":     {unix.SYS_MOUNT_SETATTR, noFD, 0, all, 0, 0},
	"reboot":            {unix.SYS_REBOOT, 0, 0, 0, 0}, // no magic numbers, no reboot
	"swapoff":           {unix.SYS_SWAPOFF, 0},
	"acct":              {unix.SYS_ACCT, 1}, // no address, no file
	"syslog":            {unix.SYS_SYSLOG, 10, 0, 0},
	"clock_adjtime":     {unix.SYS_CLOCK_ADJTIME, 0, 0},
	"quotactl":          {unix.SYS_QUOTACTL, 0, 0, 0, 0},

	// what only the strict profile refuses
	"set_mempolicy": {unix.SYS_SET_MEMPOLICY, 0, 0, 0},
	"move_pages":    {unix.SYS_MOVE_PAGES, 0, 0, 0, 0, 0},
	"io_setup":      {unix.SYS_IO_SETUP, 0, 0},
	"vmsplice":      {unix.SYS_VMSPLICE, noFD, 0, 0, 0},
	"shmget":        {unix.SYS_SHMGET, 0, 0, 0},
	"msgget":        {unix.SYS_MSGGET, 0x7fff_1234, 0}, // no IPC_CREAT: none is made
	"mq_open":       {unix.SYS_MQ_OPEN, 0, 0, 0, 0},
	"personality":   {unix.SYS_PERSONALITY, 0xffff_ffff},
	"seccomp":       {unix.SYS_SECCOMP, 0xffff, 0, 0},
	"memfd_secret":  {unix.SYS_MEMFD_SECRET, all},
	"cachestat":     {unix.SYS_CACHESTAT, noFD, 0, 0, 0},
	"prctl-seccomp": {unix.SYS_PRCTL, unix.PR_SET_SECCOMP, 99, 0, 0, 0},
	"prctl-core":    {unix.SYS_PRCTL, unix.PR_SCHED_CORE, 99, 0, 0, 0},
}

const (
	noFD    = ^uintptr(0)
	all     = uintptr(0xffff_ffff)
	tooLong = uintptr(1 << 20)
)

// absent are calls that a filter answers with ENOSYS, as an older kernel would.
var absent = map[string][6]uintptr{
	"clone3": {unix.SYS_CLONE3, 0, 0},
}

// call NAME… gets through if the kernel itself answers one of the calls.
func call(args []string) (string, error) {
	var through, stopped []string
	for _, name := range args {
		c, ok := harmless[name]
		refusal := unix.EPERM
		if !ok {
			if c, ok = ofThisMachine[name]; !ok {
				c, ok = absent[name]
				refusal = unix.ENOSYS
			}
		}
		if !ok {
			broken(fmt.Errorf("no call %q", name))
		}
		_, _, errno := unix.RawSyscall6(c[0], c[1], c[2], c[3], c[4], c[5], 0)
		said := name + ": " + errno.Error()
		if errno == refusal {
			stopped = append(stopped, said)
		} else {
			through = append(through, said)
		}
	}
	return verdict(through, stopped)
}

// callUpper makes a refused call with a bit set in the upper half of the
// register of its number, where a filter sees 32 bits and the kernel as many.
func callUpper([]string) (string, error) {
	_, _, errno := unix.RawSyscall(unix.SYS_IO_URING_SETUP|1<<32, 1, 0, 0)
	if errno == unix.EPERM || errno == unix.ENOSYS {
		return "io_uring_setup + 2^32", errno
	}
	return "io_uring_setup + 2^32: " + errno.Error(), nil
}

// callInt80 asks for the pid by the i386 way into the kernel.
func callInt80([]string) (string, error) {
	const getpid = 20 // arch/x86/entry/syscalls/syscall_32.tbl
	if r := int80(getpid); r != uintptr(unix.Getpid()) {
		return "int 0x80", fmt.Errorf("it answers %#x", r)
	}
	return "int 0x80 tells the pid", nil
}

// callX32 asks for the pid by the number of the x32 ABI.
func callX32([]string) (string, error) {
	const bit, getpid = 0x4000_0000, 39
	r, _, errno := unix.RawSyscall(bit|getpid, 0, 0, 0)
	if errno != 0 {
		return "x32", errno
	}
	return fmt.Sprintf("x32 tells the pid %d", r), nil
}

// outOfBand sends a byte out of band over a local socket (CVE-2025-38236).
func outOfBand([]string) (string, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		broken(err)
	}
	return "send with MSG_OOB", unix.Sendto(pair[0], []byte{1}, unix.MSG_OOB|unix.MSG_NOSIGNAL, nil)
}

// socketFilter puts a program for the kernel on a socket: one that takes all.
func socketFilter([]string) (string, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		broken(err)
	}
	take := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: 0xffff}
	prog := unix.SockFprog{Len: 1, Filter: &take}
	_, _, errno := unix.Syscall6(unix.SYS_SETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
		uintptr(unsafe.Pointer(&prog)), unsafe.Sizeof(prog), 0)
	if errno != 0 {
		return "SO_ATTACH_FILTER", errno
	}
	return "a filter is on the socket", nil
}

// threads N makes threads, and a child beside them, says so, and waits to be
// looked at.
func threads(args []string) (string, error) {
	n, err := strconv.Atoi(args[0])
	if err != nil {
		broken(err)
	}
	up := make(chan bool)
	for range n {
		go func() {
			runtime.LockOSThread()
			up <- true
			for {
				_ = unix.Nanosleep(&unix.Timespec{Sec: 1}, nil) // on a thread of its own
			}
		}()
	}
	for range n {
		<-up
	}
	if _, err := forkIdle(); err != nil {
		broken(err)
	}
	fmt.Println("ready")
	time.Sleep(time.Minute)
	return "", errors.New("nobody came to look")
}
