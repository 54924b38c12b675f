package jail

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach/internal/vfork"
)

// The clone of the guest. Package syscall copies the page tables of the whole
// program where a user namespace is asked for, which takes the longer the more
// memory the program has. Here nothing is copied:
//
//	this thread            mapper                      guest
//	  │ vfork ───────────▶ │ clone, on a new stack ───▶ │ wait at the gate
//	  │ (stands still)     │ map its ids, by the        │
//	  │                    │ rights of the caller       │
//	  │                    │ open the gate ───────────▶ │ take the ids, stdio
//	  │ ◀───────────────── │ exit                       │ execve
//	  │ ◀── end of the report ───────────────────────── │
//
// All three are in the memory of this program until they end or execute another,
// and so nothing of the Go runtime may run in the last two: each is a straight
// list of raw system calls, on memory that was made ready before. Nothing of them
// waits for another thread of this program: the runtime may have stopped those.

// cloneOnStack makes the system call clone or clone3 for a child with a stack of
// its own, that runs run.
func cloneOnStack(trap, a1, a2, a3 uintptr, run func(unsafe.Pointer), with unsafe.Pointer) (errno uintptr)

// cloneStep numbers what the child does, so that a failure says where it was.
type cloneStep uint32

const (
	stepClone cloneStep = iota + 1
	stepSetsid
	stepMapIDs
	stepSetIDs
	stepAmbient
	stepChdir
	stepFiles
	stepExec
)

var cloneStepNames = map[cloneStep]string{
	stepClone: "clone into new namespaces", stepSetsid: "setsid", stepMapIDs: "map ids", stepSetIDs: "set ids", stepAmbient: "keep capabilities",
	stepChdir: "chdir", stepFiles: "stdio", stepExec: "exec",
}

// guestClone says how to start the guest.
type guestClone struct {
	program *os.File
	args    []string
	env     []string
	files   []*os.File // its descriptors from 0 on
	flags   uintptr    // CLONE_NEW…
	ids     *idMaps    // nil: no user namespace of its own
	user    *cloneUser // who it becomes, where ids is nil; nil: the caller
	cgroup  *os.File   // of version 2, to start in; nil: that of the caller
}

// cloneUser is who the guest becomes, and what it keeps of the caller's power.
type cloneUser struct {
	uid, gid  int
	setgroups bool   // drop the groups of the caller
	keep      uint64 // capabilities, by their numbers
}

// idMaps is who the guest is in its user namespace.
type idMaps struct {
	uid, gid         int // inside
	hostUID, hostGID int
	first, count     int  // what 0 is on the host, and how many ids there are; 0: only those above
	setgroups        bool // the caller may, and the groups of the caller are dropped
}

// guestStack is for runGuestChild and the system calls that it makes, none of
// which takes more than a few hundred bytes.
const guestStack = 16 << 10

// cloneSpec is all that the mapper and the guest need, in memory that does not
// move.
type cloneSpec struct {
	trap, a1, a2, a3 uintptr // the clone
	args             cloneArgs
	stack            []byte
	run              func(unsafe.Pointer)

	pid    int32     // on the host; the kernel writes it before the child runs
	path   [32]byte  // "/proc/PID/…"
	maps   []idFile  // what is written to let the guest have ids
	gate   [2]int    // a pipe; a byte opens it, its end says to give up
	report [2]int    // a pipe; eight bytes say what failed, its end that nothing did
	byte   [1]byte   // what comes through the gate
	failed [2]uint32 // step, errno: of the mapper

	setIDs, groups bool
	uid, gid       uintptr
	keep           uint64 // the capabilities that are kept, by their numbers; 0: as execve does
	caps           unix.CapUserHeader
	capData        [2]unix.CapUserData
	files          []int32 // what becomes its descriptors from 0 on; none is one of these
	program        int
	root, empty    *byte
	argv, env      []*byte
}

// idFile is a file of /proc/PID, and what is written to it.
type idFile struct{ name, text []byte }

// cloneArgs is struct clone_args of clone3(2), Linux 5.7.
type cloneArgs struct {
	flags, pidfd, childTID, parentTID, exitSignal, stack, stackSize, tls uint64
	setTID, setTIDSize, cgroup                                           uint64
}

// clone starts the guest and returns its pid, which is to be waited for.
func (g *guestClone) clone() (pid int, err error) {
	s, err := g.spec()
	if err != nil {
		return 0, err
	}
	var open []int
	defer func() {
		for _, fd := range open {
			unix.Close(fd)
		}
	}()
	// Copies above the places that they go to, so that none overwrites another.
	for _, f := range g.files {
		fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, len(g.files))
		if err != nil {
			return 0, err
		}
		open, s.files = append(open, fd), append(s.files, int32(fd))
	}
	for _, pipe := range []*[2]int{&s.gate, &s.report} {
		if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
			return 0, err
		}
		open = append(open, pipe[0], pipe[1])
	}
	defer keepDumpable()()
	mapper, errno := vfork.Start(runMapper, unsafe.Pointer(s))
	open = slices.DeleteFunc(open, func(fd int) bool { return fd == s.gate[1] || fd == s.report[1] })
	unix.Close(s.gate[1])
	unix.Close(s.report[1])
	if errno != 0 {
		return 0, errno
	}
	if err := reapChild(mapper); err != nil {
		return 0, err
	}
	var failed [2]uint32
	if s.pid != 0 {
		if n := readReport(s.report[0], &failed); n == 0 && s.failed[0] == 0 {
			runtime.KeepAlive(g)
			runtime.KeepAlive(s)
			return int(s.pid), nil
		}
		if err := reapChild(int(s.pid)); err != nil {
			return 0, err
		}
	}
	if s.failed[0] != 0 {
		failed = s.failed // what the guest says is only the consequence
	}
	return 0, fmt.Errorf("%s: %w", cloneStepNames[cloneStep(failed[0])], syscall.Errno(failed[1]))
}

// readReport returns when the guest has executed its program, or has ended.
func readReport(fd int, failed *[2]uint32) (n int) {
	b := unsafe.Slice((*byte)(unsafe.Pointer(failed)), unsafe.Sizeof(*failed))
	for {
		n, err := unix.Read(fd, b)
		if err != unix.EINTR {
			return max(n, 0)
		}
	}
}

// reapChild waits for a child that has ended or is about to. ECHILD: somebody of
// this program waits for any child.
func reapChild(pid int) error {
	for {
		_, err := unix.Wait4(pid, nil, 0, nil)
		if err == nil || err == unix.ECHILD {
			return nil
		}
		if err != unix.EINTR {
			return err
		}
	}
}

// dumpable keeps this program as it is (PR_SET_DUMPABLE, prctl(2)): where a guest
// that is being cloned, or a thread of ours, takes ids that are not the caller's,
// the kernel takes the attribute from the memory that it is in.
var dumpable struct {
	mu     sync.Mutex // guards what follows
	takers int        // that are at it
	was    int
}

func keepDumpable() (restore func()) {
	d := &dumpable
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.takers == 0 {
		d.was, _ = unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0) // it cannot fail
	}
	d.takers++
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.takers--; d.takers == 0 && d.was == 1 {
			_ = unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0) // it cannot fail
		}
	}
}

// spec puts everything where a child can use it.
func (g *guestClone) spec() (s *cloneSpec, err error) {
	s = &cloneSpec{program: int(g.program.Fd()), stack: make([]byte, guestStack), run: runGuestChild}
	s.clone(g)
	user := g.user
	if m := g.ids; m != nil {
		user, s.maps = &cloneUser{uid: m.uid, gid: m.gid, setgroups: m.setgroups}, m.files()
		if m.uid != 0 {
			// Only uid 0 keeps its capabilities over the execve of the guest,
			// which needs them to build the root and drops them then.
			user.keep = 1<<(lastCap()+1) - 1
		}
	}
	if user != nil {
		s.setIDs, s.groups, s.keep = true, user.setgroups, user.keep
		s.uid, s.gid = uintptr(user.uid), uintptr(user.gid)
	}
	s.caps.Version = unix.LINUX_CAPABILITY_VERSION_3
	for i := range s.capData {
		s.capData[i].Effective = uint32(s.keep >> (32 * i))
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

// clone puts together the system call. CLONE_PARENT: the guest is a child of this
// program, not of the mapper.
func (s *cloneSpec) clone(g *guestClone) {
	flags := g.flags | unix.CLONE_VM | unix.CLONE_PARENT | unix.CLONE_PARENT_SETTID
	top := uintptr(unsafe.Pointer(&s.stack[0])) + guestStack
	if g.cgroup == nil {
		s.trap, s.a1, s.a2, s.a3 = unix.SYS_CLONE, flags, top&^15, uintptr(unsafe.Pointer(&s.pid))
		return
	}
	s.args = cloneArgs{
		flags: uint64(flags | unix.CLONE_INTO_CGROUP), parentTID: uint64(uintptr(unsafe.Pointer(&s.pid))),
		stack: uint64(uintptr(unsafe.Pointer(&s.stack[0]))), stackSize: uint64(top&^15 - uintptr(unsafe.Pointer(&s.stack[0]))),
		cgroup: uint64(g.cgroup.Fd()),
	}
	s.trap, s.a1, s.a2 = unix.SYS_CLONE3, uintptr(unsafe.Pointer(&s.args)), unsafe.Sizeof(s.args)
}

// files are what maps the ids (user_namespaces(7)). Without the right to map
// others, gid_map takes a "deny" first.
func (m *idMaps) files() []idFile {
	uids, gids := fmt.Appendf(nil, "%d %d 1\n", m.uid, m.hostUID), fmt.Appendf(nil, "%d %d 1\n", m.gid, m.hostGID)
	if m.count > 0 {
		uids = fmt.Appendf(nil, "0 %d %d\n", m.first, m.count)
		gids = uids
	}
	list := []idFile{{[]byte("/uid_map\x00"), uids}}
	if !m.setgroups {
		list = append(list, idFile{[]byte("/setgroups\x00"), []byte("deny")})
	}
	return append(list, idFile{[]byte("/gid_map\x00"), gids})
}

// runMapper is the mapper's whole life, by the rules of vfork.Start. It writes to
// nothing of its *cloneSpec but what is there for it.
//
//go:norace
//go:nosplit
func runMapper(with unsafe.Pointer) {
	s := (*cloneSpec)(with)
	var fd uintptr
	var err syscall.Errno
	at := stepClone
	if err = syscall.Errno(cloneOnStack(s.trap, s.a1, s.a2, s.a3, s.run, with)); err != 0 {
		goto failed
	}
	at = stepMapIDs
	for i := 0; i < len(s.maps); i++ {
		s.putPath(s.maps[i].name)
		fd, _, err = syscall.RawSyscall6(unix.SYS_OPENAT, ^uintptr(99), uintptr(unsafe.Pointer(&s.path)), unix.O_WRONLY|unix.O_CLOEXEC, 0, 0, 0)
		if err != 0 {
			goto failed
		}
		text := s.maps[i].text
		_, _, err = syscall.RawSyscall(unix.SYS_WRITE, fd, uintptr(unsafe.Pointer(&text[0])), uintptr(len(text)))
		if err != 0 {
			goto failed
		}
		syscall.RawSyscall(unix.SYS_CLOSE, fd, 0, 0)
	}
	syscall.RawSyscall(unix.SYS_WRITE, uintptr(s.gate[1]), uintptr(unsafe.Pointer(&s.byte)), 1)
failed:
	if err != 0 {
		s.failed[0], s.failed[1] = uint32(at), uint32(err)
	}
	for {
		syscall.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
	}
}

// putPath makes the path of a file of the guest's directory in /proc. (It does
// without copy, which the race detector makes a call.)
//
//go:norace
//go:nosplit
func (s *cloneSpec) putPath(name []byte) {
	const dir = "/proc/"
	n := 0
	for ; n < len(dir); n++ {
		s.path[n] = dir[n]
	}
	end := n + 1
	for p := s.pid; p >= 10; p /= 10 {
		end++
	}
	for i, p := end-1, s.pid; i >= n; i-- {
		s.path[i] = byte('0' + p%10)
		p /= 10
	}
	for i := 0; i < len(name); i++ {
		s.path[end+i] = name[i]
	}
}

// runGuestChild is the guest's whole life until its execve, under the same rules.
//
//go:norace
//go:nosplit
func runGuestChild(with unsafe.Pointer) {
	s := (*cloneSpec)(with)
	var at cloneStep
	var n uintptr
	var err syscall.Errno

	// Until it is the guest, whose channel ends with the host, it ends with it so.
	syscall.RawSyscall6(unix.SYS_PRCTL, unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0, 0)
	at = stepSetsid
	if _, _, err = syscall.RawSyscall(unix.SYS_SETSID, 0, 0, 0); err != 0 {
		goto failed
	}

	// Should both who have the other end die, this ends, too.
	at = stepMapIDs
	syscall.RawSyscall(unix.SYS_CLOSE, uintptr(s.gate[1]), 0, 0)
	if n, _, err = syscall.RawSyscall(unix.SYS_READ, uintptr(s.gate[0]), uintptr(unsafe.Pointer(&s.byte)), 1); n != 1 {
		if err == 0 {
			err = syscall.ECANCELED
		}
		goto failed
	}

	at = stepSetIDs
	if s.keep != 0 {
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
	if s.keep != 0 {
		if _, _, err = syscall.RawSyscall(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&s.caps)), uintptr(unsafe.Pointer(&s.capData[0])), 0); err != 0 {
			goto failed
		}
		for c := uintptr(0); c < 64; c++ {
			if s.keep&(1<<c) == 0 {
				continue
			}
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

	// The host's thread may well end before the host does.
	syscall.RawSyscall6(unix.SYS_PRCTL, unix.PR_SET_PDEATHSIG, 0, 0, 0, 0, 0)
	at = stepExec
	_, _, err = syscall.RawSyscall6(unix.SYS_EXECVEAT, uintptr(s.program), uintptr(unsafe.Pointer(s.empty)),
		uintptr(unsafe.Pointer(&s.argv[0])), uintptr(unsafe.Pointer(&s.env[0])), unix.AT_EMPTY_PATH, 0)

failed:
	failure := [2]uint32{uint32(at), uint32(err)}
	syscall.RawSyscall(unix.SYS_WRITE, uintptr(s.report[1]), uintptr(unsafe.Pointer(&failure)), unsafe.Sizeof(failure))
	for {
		syscall.RawSyscall(unix.SYS_EXIT_GROUP, 126, 0, 0)
	}
}
