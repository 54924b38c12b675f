package jail

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach/guest"
	"github.com/kavach-dev/kavach/internal/agent"
	"github.com/kavach-dev/kavach/internal/cgroup"
	"github.com/kavach-dev/kavach/internal/evidence"
	"github.com/kavach-dev/kavach/policy"
)

// bootPatience is how long a guest may take to be ready. It takes milliseconds;
// on a machine that is out of memory it can take seconds.
const bootPatience = 30 * time.Second

// setUp sends the set-up, looks at the probe, and waits for Ready.
func (j *Jail) setUp(ctx context.Context, ops []guest.Op, sources []source) (err error) {
	ctx, cancel := context.WithTimeout(ctx, j.cfg.patience())
	defer cancel()
	defer context.AfterFunc(ctx, func() { _ = j.killGuest() })() // ends the wait for an answer
	if j.evidence.HostFile, err = hostCanary(&j.cfg, j.record.path); err != nil {
		return err
	}
	var fds []int
	defer func() { closeAll(fds) }()
	if err := j.openBases(sources); err != nil {
		return err
	}
	if j.ids.root && j.cfg.Bare == nil {
		if fds, err = j.openTrees(sources); err != nil {
			return err
		}
		made, err := j.makeMemory()
		fds = append(fds, made...)
		if err != nil {
			return err
		}
	}
	setup := j.setupFrame(ops)
	if j.group != nil {
		tasks, err := j.group.Tasks()
		if err != nil {
			return err
		}
		fds = append(fds, tasks...)
		setup.Tasks = uint32(len(tasks))
		setup.CgroupNS = j.cfg.Bare == nil && j.cfg.with(policy.NSCgroup)
		setup.OOMFirst = cgroup.Unified() // the guest is in the group
	}
	if j.cfg.Container != nil { // there is nothing to look at yet
		if err := j.conn.Send(setup, fds...); err != nil {
			return j.guestDied("send the set-up", err)
		}
		return j.answer(j.recordGuest())
	}
	probe, err := evidence.NewProbe()
	if err != nil {
		return err
	}
	defer probe.Close()
	if err := j.conn.Send(setup, append(fds, probe.Inside(), probe.Inside())...); err != nil {
		return j.guestDied("send the set-up", err)
	}
	probe.Sent(j.evidence.HostFile)
	if err := j.recordGuest(); err != nil { // while the guest is at it
		return err
	}
	look := func() error { return j.examine(probe) }
	if j.cfg.Bare != nil && j.ids.root {
		err = asUser(j.ids, look)
	} else {
		err = look()
	}
	if err != nil {
		return j.answer(err)
	}
	probe.Close()
	return j.answer(nil)
}

// examine looks at the probe while it waits.
func (j *Jail) examine(p *evidence.Probe) error {
	e := &j.evidence
	e.ABI, e.Bare, e.RightsGaps = j.cfg.landlockABI(), j.cfg.Bare != nil, RightsGaps(&j.cfg)
	if j.cfg.Worker != nil {
		e.OwnMemory = j.cfg.Worker.Memory
	}
	if e.Bare {
		e.Canary = j.cfg.canary()
	}
	return e.Look(p, j.group, j.groupErr)
}

// setupFrame is what the guest is told.
func (j *Jail) setupFrame(ops []guest.Op) *guest.Setup {
	if j.cfg.Bare != nil {
		return j.bareSetup()
	}
	if j.cfg.Container != nil {
		return j.keeperSetup(ops)
	}
	bytes, inodes := j.cfg.stage(ownSpace)
	return &guest.Setup{
		Hostname: Hostname, Scratch: bytes, ScratchInodes: inodes,
		Ops: ops, RootReadonly: !j.cfg.Writable && j.cfg.with(policy.RootReadonly),
		Pivot: j.cfg.with(policy.RootPivoted), Loopback: j.cfg.Loopback && j.cfg.with(policy.NSNet),
		Confine: j.confine(), Rlimits: j.rlimits(), Probe: true, ProbeForks: j.cfg.Filters.Kills,
	}
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
		op := s.op(mountKind(s.mount), false)
		fd, err := guest.CloneTree(&op)
		if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
			return fds, &NamespaceError{fmt.Errorf("mount %s: %w", s.path, err)}
		}
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
		if err == unix.EINVAL && readonly(s.mount) {
			err = nil
		}
		if err == unix.EINVAL {
			return fds, fmt.Errorf("mount %s: its file system cannot show files as another user's (idmapped mounts), so no command could write to it; "+
				"make it read-only, or use a directory on another file system: %w", s.path, errors.ErrUnsupported)
		}
		if err != nil {
			return fds, fmt.Errorf("mount %s: map the owner: %w", s.path, err)
		}
	}
	return fds, nil
}

func (j *Jail) confine() guest.Confine {
	c := guest.Confine{
		UserNS:   -1,
		DropCaps: j.cfg.with(policy.CapsNone), NoNewPrivs: j.cfg.with(policy.NoNewPrivs),
		CloseFDs: j.cfg.with(policy.FDsClean),
		Landlock: j.cfg.Landlock && j.cfg.with(policy.LandlockOn), LandlockNet: !j.cfg.Loopback,
	}
	if j.cfg.with(policy.NSUser) && j.cfg.with(policy.SeccompOn) {
		c.UserNS = 0
	}
	if c.Landlock {
		c.LandlockRule, c.LandlockABI = landlockRules(&j.cfg), uint32(j.cfg.landlockABI())
	}
	if j.cfg.with(policy.SeccompOn) {
		f := j.cfg.Filters
		c.Filter, c.CommandFilter, c.LogOnly, c.Guard = f.Guest, f.Command, f.Judges != nil, f.Guard
		for _, judge := range f.Judges {
			c.Judges = append(c.Judges, judge.Program)
		}
	}
	return c
}

// openFiles is the limit of open descriptors of each command: enough for
// servers, far from what would hurt the host.
const openFiles = 16384

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
	if !j.cfg.with(policy.Limits) || j.cfg.Bare != nil { // see bareLimits
		return limits
	}
	var own Worker
	if j.cfg.Worker != nil {
		own = *j.cfg.Worker
	}
	if j.cfg.PIDs >= 0 && j.cfg.with(policy.NSUser) {
		limits = append(limits, guest.Rlimit{Resource: unix.RLIMIT_NPROC, Value: uint64(j.cfg.PIDs + own.Tasks + cgroup.GuestTasks)})
	}
	if j.group == nil && j.cfg.Memory >= 0 {
		limits = append(limits, guest.Rlimit{Resource: unix.RLIMIT_DATA, Value: uint64(j.cfg.Memory + own.Memory)})
	}
	return limits
}

// answer reads the guest's word on its set-up. Problem is what went wrong on
// our side; what the guest says explains it better.
func (j *Jail) answer(problem error) error {
	fds, err := agent.Answer(j.conn)
	var failed *guest.Failed
	switch {
	case errors.As(err, &failed):
		if refused := asNamespaceError(failed); refused != nil {
			return refused
		}
		if refused := asOverlayError(failed); refused != nil {
			return refused
		}
		return setupFailed(&j.cfg, failed)
	case problem != nil:
		closeAll(fds)
		return problem
	case err != nil:
		return j.guestDied("wait for the guest", err)
	}
	return j.takeDirs(fds)
}

func closeAll(fds []int) {
	for _, fd := range fds {
		unix.Close(fd)
	}
}

// guestDied tells what the guest said at its end.
func (j *Jail) guestDied(doing string, err error) error { return j.lost(doing, err, j.said) }
