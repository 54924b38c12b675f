//go:build linux

package worker

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach/internal/wasmwire"
)

func isSocket(fd int) bool {
	_, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	return err == nil
}

// instruction is struct sock_filter (linux/filter.h).
const instruction = 8

// confine puts the filter on all threads, and tries what it must refuse.
func confine(filter []byte) (*wasmwire.Hello, error) {
	if err := defaultSignals(); err != nil {
		return nil, fmt.Errorf("signals: %w", err)
	}
	if len(filter) > 0 {
		if err := install(filter); err != nil {
			return nil, fmt.Errorf("filter: %w", err)
		}
	}
	return &wasmwire.Hello{Exec: tryExec(), Socket: trySocket(), Filter: tryFilter()}, nil
}

func install(filter []byte) error {
	if len(filter)%instruction != 0 || len(filter)/instruction > 0xffff {
		return unix.EINVAL
	}
	program := make([]unix.SockFilter, len(filter)/instruction)
	for i := range program {
		b := filter[i*instruction:]
		program[i] = unix.SockFilter{Code: binary.NativeEndian.Uint16(b), Jt: b[2], Jf: b[3], K: binary.NativeEndian.Uint32(b[4:])}
	}
	fprog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&fprog)))
	runtime.KeepAlive(program)
	if errno != 0 {
		return errno
	}
	return nil
}

// tryExec asks for a program that is not there: a kernel that looks says so.
func tryExec() uint32 {
	name := []byte("/\x00")
	_, _, errno := unix.RawSyscall(unix.SYS_EXECVE, uintptr(unsafe.Pointer(&name[0])), 0, 0)
	runtime.KeepAlive(name)
	return uint32(errno)
}

func trySocket() uint32 {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		unix.Close(fd)
	}
	return uint32(errnoOf(err))
}

// tryFilter asks for one that is nowhere: EFAULT is a kernel that would take it.
func tryFilter() uint32 {
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, 0)
	return uint32(errno)
}

// errnoOf is the kernel's part in an error; 0: it had none.
func errnoOf(err error) syscall.Errno {
	var errno syscall.Errno
	_ = errors.As(err, &errno)
	return errno
}

// sigaction is struct sigaction of the kernel (asm-generic/signal.h), of a size
// that is enough for every architecture; zero is SIG_DFL.
type sigaction [4]uint64

// defaultSignals lets signals do what they do to a program that does not handle
// them: a module cannot, and Go would print where its goroutines are.
func defaultSignals() error {
	var action sigaction
	for _, sig := range []syscall.Signal{
		unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGABRT, unix.SIGUSR1, unix.SIGUSR2,
		unix.SIGPIPE, unix.SIGALRM, unix.SIGTERM, unix.SIGVTALRM, unix.SIGSYS,
	} {
		const setSize = 8
		_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(&action)), 0, setSize, 0, 0)
		if errno != 0 {
			return errno
		}
	}
	return nil
}

// die ends the worker by a signal, as a program ends that is at fault itself.
func die(sig syscall.Signal) {
	runtime.LockOSThread()
	_ = unix.Tgkill(unix.Getpid(), unix.Gettid(), sig)
	const aborted = 128
	unix.Exit(aborted + int(sig))
}
