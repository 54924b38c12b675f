package jail

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach/guest"
	"github.com/kavach-dev/kavach/internal/cgroup"
	"github.com/kavach-dev/kavach/policy"
)

const hostname = "kavach"

// Jail is a guest in its namespaces.
type Jail struct {
	cfg      Config
	ids      ids
	record   *record
	group    *cgroup.Group // nil: none can be made here
	groupErr error         // why not
	process  *child
	conn     *guest.Conn
	evidence Evidence
	said     *tail       // what the guest wrote to its stderr
	frozen   atomic.Bool // it was paused at some time

	close  sync.Mutex // held by the one Close that works; guards closed
	closed bool

	mu      sync.Mutex // guards what follows
	next    uint32
	running map[uint32]*Process
	down    error // why nothing can be started any more
}

// Start builds a jail and proves it. Where it fails, it has left nothing behind.
func Start(ctx context.Context, cfg Config) (_ *Jail, err error) {
	if !cfg.with(policy.NSUser) && !(cfg.with(policy.NSMount) && cfg.with(policy.NSUts)) {
		return nil, errors.New("the guest would pivot and rename the host itself")
	}
	sweepOnce()
	j := &Jail{cfg: cfg, ids: hostIDs(cfg.ID, cfg.UID, cfg.GID), running: make(map[uint32]*Process)}
	defer func() {
		if err != nil {
			err = errors.Join(err, j.Close(context.WithoutCancel(ctx)))
		}
	}()
	// The clone takes as long as the rest. It needs no record: a guest whose
	// host dies ends by itself.
	spawned := make(chan error, 1)
	go func() { spawned <- j.spawn() }()
	err = j.putOnRecord()
	ops, sources, planErr := plan(&j.cfg, j.ids)
	if err := errors.Join(err, planErr, <-spawned); err != nil {
		return nil, err
	}
	if err := j.setUp(ctx, ops, sources); err != nil {
		return nil, err
	}
	go j.read()
	return j, nil
}

// putOnRecord records the jail, and then makes what would outlive its owner.
func (j *Jail) putOnRecord() (err error) {
	if j.record, err = newRecord(Record{
		ID: j.cfg.ID, Backend: j.cfg.Backend, Owner: os.Getpid(), Created: time.Now(), Cgroups: j.cgroupDirs(),
	}); err != nil {
		return err
	}
	return j.makeGroup()
}

// recordGuest adds the guest to the record.
func (j *Jail) recordGuest() (err error) {
	j.record.Guest = j.process.pid
	if j.record.Started, err = startTime(j.process.pid); err != nil {
		return err
	}
	return j.record.save()
}

func (j *Jail) cgroupDirs() []string {
	if !j.ids.root {
		return nil
	}
	return cgroup.Dirs(j.cfg.ID)
}

// makeGroup makes the cgroup, where this user can have one. Where not, rlimits
// are what is left, and the evidence says so.
func (j *Jail) makeGroup() error {
	if !j.cfg.with(policy.Limits) {
		j.groupErr = errors.New("left out")
		return nil
	}
	if !j.ids.root {
		j.groupErr = errors.New("an ordinary user has no cgroup v1 to write to")
		return nil
	}
	group, err := cgroup.New(j.cfg.ID, cgroup.Limits{Memory: j.cfg.Memory, CPUs: j.cfg.CPUs, PIDs: j.cfg.PIDs})
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, unix.EROFS) || errors.Is(err, unix.EACCES) {
		j.groupErr = err
		return nil
	}
	j.group = group
	return err
}

// namespaces are the layers that are clone(2) flags.
var namespaces = []struct {
	layer policy.Control
	flag  uintptr
}{
	{policy.NSPid, unix.CLONE_NEWPID}, {policy.NSMount, unix.CLONE_NEWNS}, {policy.NSNet, unix.CLONE_NEWNET},
	{policy.NSIpc, unix.CLONE_NEWIPC}, {policy.NSUts, unix.CLONE_NEWUTS}, {policy.NSCgroup, unix.CLONE_NEWCGROUP},
	{policy.NSUser, unix.CLONE_NEWUSER},
}

// spawn clones the guest into its namespaces.
func (j *Jail) spawn() error {
	program, err := guestProgram(j.cfg.Guest, j.ids.root)
	if err != nil {
		return err
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("channel: %w", err)
	}
	theirs := os.NewFile(uintptr(pair[1]), "guest end of the channel")
	defer theirs.Close()
	if err := unix.SetNonblock(pair[0], true); err != nil {
		unix.Close(pair[0])
		return err
	}
	if j.conn, err = guest.NewHostConn(os.NewFile(uintptr(pair[0]), "channel")); err != nil {
		return err
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	said, stderr, err := newTail()
	if err != nil {
		return err
	}
	defer stderr.Close()
	j.said = said
	if err := j.startProcess(program, []*os.File{null, null, stderr, theirs}); err != nil {
		return explainClone(err)
	}
	return nil
}

func (j *Jail) sysProcAttr() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setsid: true}
	for _, ns := range namespaces {
		if j.cfg.with(ns.layer) {
			attr.Cloneflags |= ns.flag
		}
	}
	if !j.cfg.with(policy.NSUser) {
		return attr
	}
	attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: j.cfg.UID, HostID: j.ids.uid, Size: 1}}
	attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: j.cfg.GID, HostID: j.ids.gid, Size: 1}}
	attr.GidMappingsEnableSetgroups = j.ids.root
	attr.Credential = &syscall.Credential{Uid: uint32(j.cfg.UID), Gid: uint32(j.cfg.GID), NoSetGroups: !j.ids.root}
	if j.cfg.UID != 0 {
		// Only uid 0 keeps its capabilities over the execve of the guest, which
		// needs them to build the root and drops them then.
		for c := uintptr(0); c <= lastCap(); c++ {
			attr.AmbientCaps = append(attr.AmbientCaps, c)
		}
	}
	return attr
}

// env is an environment with nothing of ours in it, unless that layer is left
// out.
func (j *Jail) env(env []string) []string {
	if j.cfg.with(policy.EnvClean) {
		return env
	}
	return append(os.Environ(), env...)
}

// startProcess starts the guest.
func (j *Jail) startProcess(program *os.File, files []*os.File) (err error) {
	path, args := fmt.Sprintf("/proc/self/fd/%d", program.Fd()), []string{guest.Name}
	if !j.cfg.with(policy.FDsClean) {
		args = append(args, guest.KeepFDs)
	}
	j.process, err = startChild(path, args, files, j.env([]string{}), j.sysProcAttr())
	return err
}

// explainClone says what to do where the kernel refuses namespaces.
func explainClone(err error) error {
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EACCES) || errors.Is(err, unix.EINVAL) {
		return &NamespaceError{err}
	}
	return fmt.Errorf("start the guest: %w", err)
}

// NamespaceError says that the kernel refused new namespaces.
type NamespaceError struct{ Err error }

func (e *NamespaceError) Error() string {
	return fmt.Sprintf("clone into new namespaces: %v", e.Err)
}

func (e *NamespaceError) Unwrap() error { return e.Err }

// bootPatience is how long a guest may take to be ready. It takes milliseconds;
// on a machine that is out of memory it can take seconds.
const bootPatience = 30 * time.Second

// setUp sends the set-up, looks at the probe, and waits for Ready.
func (j *Jail) setUp(ctx context.Context, ops []guest.Op, sources []source) (err error) {
	ctx, cancel := context.WithTimeout(ctx, bootPatience)
	defer cancel()
	defer context.AfterFunc(ctx, func() { _ = j.process.kill() })() // ends the wait for an answer
	if j.evidence.HostFile, err = hostCanary(&j.cfg, j.record.path); err != nil {
		return err
	}
	var fds []int
	defer func() {
		for _, fd := range fds {
			unix.Close(fd)
		}
	}()
	if j.ids.root {
		if fds, err = j.openTrees(sources); err != nil {
			return err
		}
	}
	setup := &guest.Setup{
		Hostname: hostname,
		Scratch:  j.cfg.Scratch + ownSpace, ScratchInodes: j.cfg.Scratch/bytesPerInode + ownInodes,
		Ops: ops, RootReadonly: !j.cfg.Writable && j.cfg.with(policy.RootReadonly),
		Pivot: j.cfg.with(policy.RootPivoted), Loopback: j.cfg.Loopback && j.cfg.with(policy.NSNet),
		Confine: j.confine(), Rlimits: j.rlimits(), Probe: true,
	}
	if j.group != nil {
		tasks, err := j.group.Tasks()
		if err != nil {
			return err
		}
		for _, f := range tasks {
			defer f.Close()
			fds = append(fds, dup(f))
		}
		setup.Tasks = uint32(len(tasks))
	}
	probe, err := newProbe()
	if err != nil {
		return err
	}
	defer probe.close()
	if err := j.conn.Send(setup, append(fds, probe.inside, probe.inside)...); err != nil {
		return j.guestDied("send the set-up", err)
	}
	probe.sent(j.evidence.HostFile)
	if err := j.recordGuest(); err != nil { // while the guest is at it
		return err
	}
	if err := j.examine(probe); err != nil {
		return j.answer(err)
	}
	probe.close()
	return j.answer(nil)
}

func dup(f *os.File) int {
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return -1 // the frame that passes it is refused with EBADF
	}
	return fd
}

// openTrees opens what the caller named as this user, root, who may reach what
// the guest cannot, and maps the owner: what belongs to the caller on the host
// belongs to the command inside, and stays read-only.
func (j *Jail) openTrees(sources []source) (fds []int, err error) {
	userns, err := os.Open(fmt.Sprintf("/proc/%d/ns/user", j.process.pid))
	if err != nil {
		return nil, err
	}
	defer userns.Close()
	for _, s := range sources {
		fd, err := guest.CloneTree(s.path, s.dev, s.ino, false)
		if err != nil {
			return fds, fmt.Errorf("mount %s: %w", s.path, err)
		}
		fds = append(fds, fd)
		if !j.cfg.with(policy.NSUser) {
			continue
		}
		err = unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH|unix.AT_RECURSIVE,
			&unix.MountAttr{Attr_set: unix.MOUNT_ATTR_IDMAP, Userns_fd: uint64(userns.Fd())})
		// A file system that cannot be mapped (overlayfs, FUSE) shows what it
		// shows to any other user: less, never more.
		if err != nil && err != unix.EINVAL {
			return fds, fmt.Errorf("mount %s: map the owner: %w", s.path, err)
		}
	}
	return fds, nil
}

func (j *Jail) confine() guest.Confine {
	c := guest.Confine{
		NoUserNS: j.cfg.with(policy.NSUser) && j.cfg.with(policy.SeccompOn),
		DropCaps: j.cfg.with(policy.CapsNone), NoNewPrivs: j.cfg.with(policy.NoNewPrivs),
		CloseFDs: j.cfg.with(policy.FDsClean),
		Landlock: j.cfg.Landlock && j.cfg.with(policy.LandlockOn), LandlockNet: !j.cfg.Loopback,
	}
	if c.Landlock {
		c.LandlockRule = landlockRules(&j.cfg)
	}
	if j.cfg.with(policy.SeccompOn) {
		c.Filter = j.cfg.Filter
	}
	return c
}

// openFiles is the limit of open descriptors of each command: enough for
// servers, far from what would hurt the host.
const openFiles = 16384

// guestTasks is how many threads the guest may have, which count as processes
// of the user that it shares with its commands.
const guestTasks = 24

// rlimits bound each single command; together they are bounded by the cgroup,
// where there is one.
func (j *Jail) rlimits() []guest.Rlimit {
	files := uint64(openFiles)
	var now unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &now); err == nil {
		files = min(files, now.Max) // more is not ours to give
	}
	limits := []guest.Rlimit{
		{Resource: unix.RLIMIT_NOFILE, Value: files},
	}
	if !j.cfg.with(policy.Limits) {
		return limits
	}
	if j.cfg.PIDs >= 0 && j.cfg.with(policy.NSUser) {
		limits = append(limits, guest.Rlimit{Resource: unix.RLIMIT_NPROC, Value: uint64(j.cfg.PIDs + guestTasks)})
	}
	if j.group == nil && j.cfg.Memory >= 0 {
		limits = append(limits, guest.Rlimit{Resource: unix.RLIMIT_DATA, Value: uint64(j.cfg.Memory)})
	}
	return limits
}

// answer reads the guest's word on its set-up. Problem is what went wrong on
// our side; what the guest says explains it better.
func (j *Jail) answer(problem error) error {
	frame, fds, err := j.conn.Receive()
	for _, fd := range fds {
		unix.Close(fd)
	}
	if len(fds) > 0 {
		return errors.New("wait for the guest: it sent descriptors")
	}
	switch f := frame.(type) {
	case *guest.Failed:
		f.Step, f.Detail = printable(f.Step), printable(f.Detail)
		return fmt.Errorf("set up the sandbox: %w", f)
	case *guest.Ready:
		return problem
	}
	if problem != nil {
		return problem
	}
	return j.guestDied("wait for the guest", err)
}

// guestDied tells what the guest said at its end.
func (j *Jail) guestDied(doing string, err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, unix.EPIPE) || errors.Is(err, unix.ECONNRESET) || err == nil {
		err = errors.New("the guest has ended")
	}
	if last := strings.TrimSpace(j.said.String()); last != "" {
		err = fmt.Errorf("%w: %s", err, last)
	}
	return fmt.Errorf("%s: %w", doing, err)
}
