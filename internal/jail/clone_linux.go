package jail

import (
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach/internal/rawfile"
)

// The clone of the guest. Package syscall copies the page tables of the whole
// program where a user namespace is asked for, which takes the longer the more
// memory the program has. Here the child is in its parent's memory until its
// execve, whatever the namespaces. As in package guest, nothing of the Go runtime
// runs in it: one straight list of raw system calls, on memory that was made
// ready before.

//go:linkname runtimeBeforeFork syscall.runtime_BeforeFork
func runtimeBeforeFork()

//go:linkname runtimeAfterFork syscall.runtime_AfterFork
func runtimeAfterFork()

//go:linkname runtimeAfterForkInChild syscall.runtime_AfterForkInChild
func runtimeAfterForkInChild()

// entersyscallblock lets the runtime go on without this thread, which the kernel
// holds until the child's execve: somebody else has to map the child's ids
// meanwhile. Reachable by name, as gVisor needs it (go.dev/issue/67401).
//
//go:linkname entersyscallblock runtime.entersyscallblock
func entersyscallblock()

//go:linkname exitsyscall runtime.exitsyscall
func exitsyscall()

// rawClone makes the system call clone or clone3 for a child on the caller's
// stack.
func rawClone(trap, a1, a2, a3 uintptr) (pid, errno uintptr)

// cloneStep numbers what the child does, so that a failure says where it was.
type cloneStep uint32

const (
	stepSetsid cloneStep = iota + 1
	stepMapIDs
	stepSetIDs
	stepAmbient
	stepChdir
	stepFiles
	stepExec
)

var cloneStepNames = map[cloneStep]string{
	stepSetsid: "setsid", stepMapIDs: "map ids", stepSetIDs: "set ids", stepAmbient: "keep capabilities",
	stepChdir: "chdir", stepFiles: "stdio", stepExec: "exec",
}

// What is known of the child.
const (
	childUnborn uint32 = iota
	childThere         // and waits for its ids to be mapped
	childGone          // there is nobody to map ids for
)

// guestClone says how to start the guest.
type guestClone struct {
	program *os.File
	args    []string
	env     []string
	files   []*os.File // its descriptors from 0 on
	flags   uintptr    // CLONE_NEW…
	ids     *idMaps    // nil: no user namespace of its own
}

// idMaps is who the guest is in its user namespace.
type idMaps struct {
	uid, gid         int // inside
	hostUID, hostGID int
	setgroups        bool // the caller may, and the groups of the caller are dropped
}

// cloneSpec is all that the child needs, in memory that does not move.
type cloneSpec struct {
	flags   uintptr
	pid     int32  // on the host; the kernel writes it before the child runs
	state   uint32 // a futex
	gate    [2]int // a pipe, on which the child waits; its end, should we die, is the child's
	setIDs  bool
	groups  bool
	uid     uintptr
	gid     uintptr
	ambient uintptr // the capabilities below this number are kept; 0: as execve does
	caps    unix.CapUserHeader
	capData [2]unix.CapUserData
	files   []int32 // what becomes its descriptors from 0 on; none is one of these
	program int
	root    *byte
	empty   *byte
	argv    []*byte
	env     []*byte
	byte    byte

	failed struct {
		at  cloneStep
		err syscall.Errno
	}
}

// clone starts the guest and returns its pid, which is to be waited for.
func (g *guestClone) clone() (pid int, err error) {
	s, err := g.spec()
	if err != nil {
		return 0, err
	}
	// Copies above the places that they go to, so that none overwrites another.
	defer func() {
		for _, fd := range s.files {
			unix.Close(int(fd))
		}
	}()
	for _, f := range g.files {
		fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, len(g.files))
		if err != nil {
			return 0, err
		}
		s.files = append(s.files, int32(fd))
	}
	if err := unix.Pipe2(s.gate[:], unix.O_CLOEXEC); err != nil {
		return 0, err
	}
	defer unix.Close(s.gate[0])
	mapped := make(chan error, 1)
	go func() { mapped <- s.mapIDs(g.ids) }()
	errno := cloneGuest(s)
	s.gone() // or it is the guest by now; in no case does it wait
	mapErr := <-mapped
	runtime.KeepAlive(g)
	if errno != 0 {
		return 0, errno
	}
	if s.failed.at == 0 && mapErr == nil {
		return int(s.pid), nil
	}
	if _, err := wait4(int(s.pid)); err != nil {
		return 0, err
	}
	if mapErr != nil {
		return 0, mapErr
	}
	return 0, fmt.Errorf("start the guest: %s: %w", cloneStepNames[s.failed.at], s.failed.err)
}

func wait4(pid int) (int, error) {
	for {
		n, err := unix.Wait4(pid, nil, 0, nil)
		if err != unix.EINTR {
			return n, err
		}
	}
}

// spec puts everything where a child can use it.
func (g *guestClone) spec() (s *cloneSpec, err error) {
	s = &cloneSpec{
		flags:   g.flags | unix.CLONE_VM | unix.CLONE_VFORK | unix.CLONE_PARENT_SETTID | uintptr(unix.SIGCHLD),
		program: int(g.program.Fd()),
	}
	if g.ids != nil {
		s.setIDs, s.groups = true, g.ids.setgroups
		s.uid, s.gid = uintptr(g.ids.uid), uintptr(g.ids.gid)
		if g.ids.uid != 0 {
			// Only uid 0 keeps its capabilities over the execve of the guest,
			// which needs them to build the root and drops them then.
			s.ambient = lastCap() + 1
		}
	}
	s.caps.Version = unix.LINUX_CAPABILITY_VERSION_3
	for c := range s.ambient {
		s.capData[c/32].Effective |= 1 << (c % 32)
	}
	for i := range s.capData {
		s.capData[i].Permitted, s.capData[i].Inheritable = s.capData[i].Effective, s.capData[i].Effective
	}
	for text, p := range map[string]**byte{"/": &s.root, "": &s.empty} {
		if *p, err = unix.BytePtrFromString(text); err != nil {
			return nil, err
		}
	}
	if s.argv, err = syscall.SlicePtrFromStrings(g.args); err != nil {
		return nil, err
	}
	s.env, err = syscall.SlicePtrFromStrings(g.env)
	return s, err
}

// mapIDs waits for the child, maps its ids, which takes the caller's rights in
// the caller's own namespace (user_namespaces(7)), and lets it go on.
func (s *cloneSpec) mapIDs(m *idMaps) error {
	defer unix.Close(s.gate[1]) // without a byte, it gives up
	for atomic.LoadUint32(&s.state) == childUnborn {
		// EAGAIN, EINTR: look again.
		_, _, _ = syscall.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(&s.state)), futexWait, uintptr(childUnborn), 0, 0, 0)
	}
	if atomic.LoadUint32(&s.state) == childGone {
		return nil
	}
	if m != nil {
		if err := m.write(s.pid); err != nil {
			return fmt.Errorf("map the ids of the guest: %w", err)
		}
	}
	_, err := unix.Write(s.gate[1], []byte{1})
	return err
}

func (m *idMaps) write(pid int32) error {
	file := func(name, text string) error { return rawfile.Write(fmt.Sprintf("/proc/%d/%s", pid, name), text) }
	if err := file("uid_map", fmt.Sprintf("%d %d 1\n", m.uid, m.hostUID)); err != nil {
		return err
	}
	if !m.setgroups { // without the right to map others, gid_map takes this first
		if err := file("setgroups", "deny"); err != nil {
			return err
		}
	}
	return file("gid_map", fmt.Sprintf("%d %d 1\n", m.gid, m.hostGID))
}

// Operations of futex(2), among those who share memory.
const (
	futexWait = 0 | 128
	futexWake = 1 | 128
)

// gone tells mapIDs not to wait for a child that never came to be.
func (s *cloneSpec) gone() {
	if atomic.CompareAndSwapUint32(&s.state, childUnborn, childGone) {
		_, _, _ = syscall.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(&s.state)), futexWake, 1, 0, 0, 0)
	}
}

// cloneGuest returns when the child has executed its program, or has ended, of
// which s.failed then says why.
//
//go:norace
//go:noinline
//go:nosplit
func cloneGuest(s *cloneSpec) syscall.Errno {
	entersyscallblock()
	runtimeBeforeFork()
	pid, errno := rawClone(unix.SYS_CLONE, s.flags, 0, uintptr(unsafe.Pointer(&s.pid)))
	if errno != 0 || pid != 0 {
		runtimeAfterFork()
		exitsyscall()
		return syscall.Errno(errno)
	}
	runtimeAfterForkInChild()
	runGuestChild(s)
	return 0 // not reached
}

// runGuestChild is the child's whole life until its execve. It must not allocate,
// grow the stack or call anything that might, and writes to nothing of s but what
// is there for it.
//
//go:norace
//go:nosplit
func runGuestChild(s *cloneSpec) {
	var at cloneStep
	var n uintptr
	var err syscall.Errno

	at = stepSetsid
	if _, _, err = syscall.RawSyscall(unix.SYS_SETSID, 0, 0, 0); err != 0 {
		goto failed
	}

	// The pipe's other end is the parent's alone: should that die, this ends.
	at = stepMapIDs
	s.state = childThere
	syscall.RawSyscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(&s.state)), futexWake, 1, 0, 0, 0)
	syscall.RawSyscall(unix.SYS_CLOSE, uintptr(s.gate[1]), 0, 0)
	if n, _, err = syscall.RawSyscall(unix.SYS_READ, uintptr(s.gate[0]), uintptr(unsafe.Pointer(&s.byte)), 1); n != 1 {
		if err == 0 {
			err = syscall.ECANCELED
		}
		goto failed
	}

	at = stepSetIDs
	if s.ambient != 0 {
		if _, _, err = syscall.RawSyscall6(unix.SYS_PRCTL, unix.PR_SET_KEEPCAPS, 1, 0, 0, 0, 0); err != 0 {
			goto failed
		}
	}
	if s.groups {
		if _, _, err = syscall.RawSyscall(unix.SYS_SETGROUPS, 0, 0, 0); err != 0 {
			goto failed
		}
	}
	if s.setIDs {
		if _, _, err = syscall.RawSyscall(unix.SYS_SETGID, s.gid, 0, 0); err != 0 {
			goto failed
		}
		if _, _, err = syscall.RawSyscall(unix.SYS_SETUID, s.uid, 0, 0); err != 0 {
			goto failed
		}
	}

	at = stepAmbient
	if s.ambient != 0 {
		if _, _, err = syscall.RawSyscall(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&s.caps)), uintptr(unsafe.Pointer(&s.capData[0])), 0); err != 0 {
			goto failed
		}
		for c := uintptr(0); c < s.ambient; c++ {
			if _, _, err = syscall.RawSyscall6(unix.SYS_PRCTL, unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_RAISE, c, 0, 0, 0); err != 0 {
				goto failed
			}
		}
	}

	at = stepChdir
	if _, _, err = syscall.RawSyscall(unix.SYS_CHDIR, uintptr(unsafe.Pointer(s.root)), 0, 0); err != 0 {
		goto failed
	}

	at = stepFiles
	for i := 0; i < len(s.files); i++ {
		if _, _, err = syscall.RawSyscall(unix.SYS_DUP3, uintptr(s.files[i]), uintptr(i), 0); err != 0 {
			goto failed
		}
	}

	at = stepExec
	_, _, err = syscall.RawSyscall6(unix.SYS_EXECVEAT, uintptr(s.program), uintptr(unsafe.Pointer(s.empty)),
		uintptr(unsafe.Pointer(&s.argv[0])), uintptr(unsafe.Pointer(&s.env[0])), unix.AT_EMPTY_PATH, 0)

failed:
	s.failed.at, s.failed.err = at, err
	for {
		syscall.RawSyscall(unix.SYS_EXIT_GROUP, 126, 0, 0)
	}
}
