package guest

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The structures of seccomp_unotify(2), Linux 5.0.
type seccompNotif struct {
	id         uint64
	pid, flags uint32
	nr         int32
	arch       uint32
	ip         uint64
	args       [6]uint64
}

type seccompResp struct {
	id    uint64
	val   int64
	error int32
	flags uint32
}

// ioctl requests: _IOWR('!', 0 and 1, …) of the structures above.
const (
	ioctlNotifRecv = 3<<30 | unsafe.Sizeof(seccompNotif{})<<16 | '!'<<8
	ioctlNotifSend = 3<<30 | unsafe.Sizeof(seccompResp{})<<16 | '!'<<8 | 1
)

// notify counts what the filter refuses, and answers EPERM, always: it reports,
// and decides nothing. It looks at numbers only, never at memory of the caller.
func (g *guest) notify(listener int) {
	for {
		var n seccompNotif
		_, _, err := syscall.Syscall(unix.SYS_IOCTL, uintptr(listener), ioctlNotifRecv, uintptr(unsafe.Pointer(&n)))
		if err == unix.EINTR || err == unix.ENOENT {
			continue // ENOENT: the caller is dead already
		}
		if err != 0 {
			// Nobody answers any more, and the kernel says ENOSYS to all that
			// would have been asked: closed, not open.
			unix.Close(listener)
			return
		}
		g.count(int(n.pid), int64(n.nr))
		resp := seccompResp{id: n.id, error: -int32(unix.EPERM)}
		syscall.Syscall(unix.SYS_IOCTL, uintptr(listener), ioctlNotifSend, uintptr(unsafe.Pointer(&resp)))
	}
}

// count puts a refusal down to the command that it was made in: by the session,
// else by descent. What cannot be put down to one that runs is not counted.
func (g *guest) count(tid int, nr int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	sid, err := unix.Getsid(tid)
	cmd := g.byPID[sid]
	if err != nil || cmd == nil {
		all, _ := g.processes()
		cmd = g.owner(all, tid)
	}
	if cmd == nil || cmd.id == 0 || len(cmd.denials) >= maxDenials && cmd.denials[nr] == 0 {
		return
	}
	cmd.denials[nr]++
}
