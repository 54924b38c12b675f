package guest

import (
	"encoding/binary"
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// CanaryPath is a file that every sandbox has, that everybody may read, and
// that no Landlock rule grants: a confined process cannot open it.
const CanaryPath = "/.landlock-canary"

// Attempt is something forbidden that the probe tries.
type Attempt int

// The attempts, in the order of a Report.
const (
	TryIOUring  Attempt = iota // io_uring_setup(1, NULL): EFAULT where no filter refuses it
	TryCanary                  // open CanaryPath
	TryControl                 // the same, by the guest, which has no Landlock domain
	TryWrite                   // create a file in the root directory
	TryRoute                   // connect a UDP socket to 192.0.2.1 (RFC 5737); nothing is sent
	TryTCP                     // connect to port 1 of 127.0.0.1
	TryHostFile                // stat a file that is there on the host
	attempts
)

// Report is what the kernel answered to each attempt; 0: it was let through.
type Report [attempts]syscall.Errno

// ReportSize is the length of an encoded Report.
const ReportSize = 4 * int(attempts)

// DecodeReport reads what a probe wrote.
func DecodeReport(b []byte) (r Report, err error) {
	if len(b) != ReportSize {
		return r, fmt.Errorf("%w: a report of %d bytes", errFrame, len(b))
	}
	for i := range r {
		r[i] = syscall.Errno(binary.NativeEndian.Uint32(b[4*i:]))
	}
	return r, nil
}

// probeSpec is what a probe needs, in memory that does not move.
type probeSpec struct {
	canary, root, hostFile *byte
	route, local           unix.RawSockaddrInet4
	report                 [attempts]uint32
}

func newProbeSpec(hostFile string, bare *Bare) (*probeSpec, error) {
	p := new(probeSpec)
	var err error
	canary, write := CanaryPath, "/.write-canary"
	if bare != nil {
		canary, write = bare.Canary, bare.Write
	}
	if p.canary, err = unix.BytePtrFromString(canary); err != nil {
		return nil, err
	}
	if p.root, err = unix.BytePtrFromString(write); err != nil {
		return nil, err
	}
	if p.hostFile, err = unix.BytePtrFromString(hostFile); err != nil {
		return nil, err
	}
	p.route = unix.RawSockaddrInet4{Family: unix.AF_INET, Port: 9 << 8, Addr: [4]byte{192, 0, 2, 1}}
	p.local = unix.RawSockaddrInet4{Family: unix.AF_INET, Port: 1 << 8, Addr: [4]byte{127, 0, 0, 1}}
	fd, err := unix.Open(canary, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err == nil {
		unix.Close(fd)
	} else {
		p.report[TryControl] = errnoOf(err)
	}
	return p, nil
}

// runProbe tries what a command shall not be able to do, writes what came of it
// to stdout, and waits until the host has looked at it and closes stdin. It runs
// where an execve would be, under the same rules as runChild, and in the guest's
// memory, which can be looked at for as long.
//
//go:norace
//go:nosplit
func runProbe(c *childSpec) {
	p := c.probe
	var fd uintptr
	var err syscall.Errno

	// An executed command can be looked at by its owner; so that the host may
	// look at the probe as at a command, this says what execve would.
	syscall.RawSyscall6(unix.SYS_PRCTL, unix.PR_SET_DUMPABLE, 1, 0, 0, 0, 0)

	// Something that changes nothing in the probe, whatever comes of it.
	_, _, err = syscall.RawSyscall(unix.SYS_IO_URING_SETUP, 1, 0, 0)
	p.report[TryIOUring] = uint32(err)

	fd, _, err = syscall.RawSyscall6(unix.SYS_OPENAT, ^uintptr(99), uintptr(unsafe.Pointer(p.canary)), unix.O_RDONLY, 0, 0, 0)
	p.report[TryCanary] = uint32(err)
	if err == 0 {
		syscall.RawSyscall(unix.SYS_CLOSE, fd, 0, 0)
	}

	fd, _, err = syscall.RawSyscall6(unix.SYS_OPENAT, ^uintptr(99), uintptr(unsafe.Pointer(p.root)),
		unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, 0o600, 0, 0)
	p.report[TryWrite] = uint32(err)
	if err == 0 {
		syscall.RawSyscall(unix.SYS_CLOSE, fd, 0, 0)
		syscall.RawSyscall(unix.SYS_UNLINKAT, ^uintptr(99), uintptr(unsafe.Pointer(p.root)), 0)
	}

	p.report[TryRoute] = tryConnect(unix.SOCK_DGRAM, &p.route)
	p.report[TryTCP] = tryConnect(unix.SOCK_STREAM, &p.local)

	_, _, err = syscall.RawSyscall6(unix.SYS_FACCESSAT, ^uintptr(99), uintptr(unsafe.Pointer(p.hostFile)), 0, 0, 0, 0)
	p.report[TryHostFile] = uint32(err)

	syscall.RawSyscall(unix.SYS_WRITE, 1, uintptr(unsafe.Pointer(&p.report)), uintptr(ReportSize))
	var b byte
	for {
		n, _, err := syscall.RawSyscall(unix.SYS_READ, 0, uintptr(unsafe.Pointer(&b)), 1)
		if err != unix.EINTR && (err != 0 || n == 0) {
			break
		}
	}
	for {
		syscall.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
	}
}

//go:norace
//go:nosplit
func tryConnect(kind uintptr, to *unix.RawSockaddrInet4) uint32 {
	fd, _, err := syscall.RawSyscall(unix.SYS_SOCKET, unix.AF_INET, kind, 0)
	if err != 0 {
		return uint32(err)
	}
	_, _, err = syscall.RawSyscall(unix.SYS_CONNECT, fd, uintptr(unsafe.Pointer(to)), unix.SizeofSockaddrInet4)
	syscall.RawSyscall(unix.SYS_CLOSE, fd, 0, 0)
	return uint32(err)
}
