package guest

import (
	"math"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The structures of seccomp_unotify(2), Linux 5.0. What stands from nr on is
// struct seccomp_data, which is what a filter sees.
type seccompNotif struct {
	id         uint64
	pid, flags uint32
	nr         int32
	arch       uint32
	ip         uint64
	args       [6]uint64
}

func (n *seccompNotif) data() []byte {
	const size = unsafe.Sizeof(*n) - unsafe.Offsetof(n.nr)
	return unsafe.Slice((*byte)(unsafe.Pointer(&n.nr)), size)
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

// maxSessions bounds what is remembered of which session is whose.
const maxSessions = 1024

// notify counts what the filter tells of, and answers EPERM, always: it reports,
// and decides nothing. It looks at numbers only, never at memory of the caller.
// Where it only logs, it lets the call go on (SECCOMP_USER_NOTIF_FLAG_CONTINUE,
// Linux 5.5), unless the guard refuses its numbers. What it does not refuse might
// be another by then as far as memory goes: a log protects from nothing.
func (g *guest) notify(listener int, c *Confine) {
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
		call := DeniedCall{Number: int64(n.nr), Count: 1}
		resp := seccompResp{id: n.id, error: -int32(unix.EPERM)}
		if c.LogOnly {
			call.Refused, call.Absent = verdict(c.Judges, n.data())
			if answerOf(c.Guard, n.data()) == retAllow {
				resp.error, resp.flags = 0, unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE
			}
		}
		g.count(int(n.pid), call)
		syscall.Syscall(unix.SYS_IOCTL, uintptr(listener), ioctlNotifSend, uintptr(unsafe.Pointer(&resp)))
	}
}

// count puts a refusal down to the command that it was made in. What cannot be
// put down to one that runs is not counted.
func (g *guest) count(tid int, call DeniedCall) {
	g.mu.Lock()
	defer g.mu.Unlock()
	cmd := g.maker(tid)
	if cmd == nil {
		return
	}
	sum, seen := cmd.denials[call.Number]
	if !seen && len(cmd.denials) >= maxDenials {
		return
	}
	sum.Number = call.Number
	sum.Count = uint32(min(uint64(sum.Count)+1, math.MaxUint32))
	sum.Refused |= call.Refused
	sum.Absent |= call.Absent
	cmd.denials[call.Number] = sum
}

// maker finds the command that a thread belongs to: by its session, else by
// descent, which means to look at every process. So what was found for a session
// is kept until a command starts or ends: a program that makes refused calls and
// nothing else must not take the guest's time. g.mu is held.
func (g *guest) maker(tid int) *command {
	sid, err := unix.Getsid(tid)
	if err != nil {
		return nil // it is gone
	}
	if cmd := g.byPID[sid]; cmd != nil && cmd.id != 0 {
		return cmd
	}
	if cmd, known := g.sessions[sid]; known {
		return cmd
	}
	all, _ := g.processes()
	cmd := g.owner(all, tid)
	if len(g.sessions) >= maxSessions {
		clear(g.sessions)
	}
	g.sessions[sid] = cmd
	return cmd
}
