package jail

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/guest"
	"github.com/kavach-dev/kavach/internal/agent"
	"github.com/kavach-dev/kavach/internal/cgroup"
	"github.com/kavach-dev/kavach/internal/evidence"
	"github.com/kavach-dev/kavach/internal/seccomp"
	"github.com/kavach-dev/kavach/policy"
)

// Hostname is what a sandbox calls its machine.
const Hostname = "kavach"

// Jail is a guest in its namespaces.
type Jail struct {
	cfg      Config
	ids      ids
	record   *record
	group    *cgroup.Group // nil: none can be made here
	groupErr error         // why not
	process  *child
	conn     *guest.Conn
	agent    *agent.Agent // nil until the guest is ready
	evidence evidence.Evidence
	layers   []backend.Layer
	memory   memory
	closers  []io.Closer // of what is in the jail
	said     *agent.Tail // what the guest wrote to its stderr
	frozen   atomic.Bool // it was paused at some time

	close  sync.Mutex // held by the one Close that works; guards closed
	closed bool
}

// Start builds a jail and proves it. Where it fails, it has left nothing behind.
func Start(ctx context.Context, cfg Config) (_ *Jail, err error) {
	if !cfg.with(policy.NSUser) && !(cfg.with(policy.NSMount) && cfg.with(policy.NSUts)) {
		return nil, errors.New("the guest would pivot and rename the host itself")
	}
	if cfg.Filters == nil {
		cfg.Filters = &seccomp.Filters{}
	}
	sweepOnce()
	j := &Jail{cfg: cfg, ids: hostIDs(&cfg)}
	defer func() {
		if err != nil {
			err = errors.Join(err, j.Close(context.WithoutCancel(ctx)))
		}
	}()
	spawned := make(chan error, 1)
	if cgroup.Unified() {
		// The guest is started in its group, which so has to be there.
		if err := j.putOnRecord(); err != nil {
			return nil, err
		}
		spawned <- j.spawn()
	} else {
		// The clone takes as long as the rest. It needs no record: a guest whose
		// host dies ends by itself.
		go func() { spawned <- j.spawn() }()
		err = j.putOnRecord()
	}
	var ops []guest.Op
	var sources []source
	var planErr error
	if cfg.Bare == nil {
		ops, sources, planErr = layout(&j.cfg, j.ids)
	} else if err == nil {
		planErr = j.makePlace()
	}
	if err := errors.Join(err, planErr, <-spawned); err != nil {
		return nil, err
	}
	if err := j.setUp(ctx, ops, sources); err != nil {
		return nil, err
	}
	j.agent = agent.New(agent.Config{Conn: j.conn, Kill: j.killGuest, Lost: j.guestDied})
	j.closers = append(j.closers, j.agent)
	return j, nil
}

// putOnRecord records the jail, and then makes what would outlive its owner.
func (j *Jail) putOnRecord() (err error) {
	r := Record{ID: j.cfg.ID, Backend: j.cfg.Backend, Owner: os.Getpid(), Created: time.Now(), Cgroups: j.cgroupDirs(), Bare: j.cfg.Bare != nil}
	if r.Bare && j.ids.root {
		r.User = j.ids.uid
	}
	if j.record, err = newRecord(r); err != nil {
		return err
	}
	return j.makeGroup()
}

// recordGuest adds the guest to the record.
func (j *Jail) recordGuest() (err error) {
	j.record.Guest = j.process.pid
	if j.record.Started, err = guest.StartTime(j.process.pid); err != nil {
		return err
	}
	return j.record.save()
}

// cgroupDirs are the directories that a group will have, if there is to be one.
func (j *Jail) cgroupDirs() []string {
	if !j.cfg.with(policy.Limits) {
		return nil
	}
	return cgroup.Dirs(j.cfg.ID)
}

// LimitError says that a limit that was asked for cannot be had here.
type LimitError struct{ Err error }

func (e *LimitError) Error() string { return e.Err.Error() }
func (e *LimitError) Unwrap() error { return e.Err }

// makeGroup makes the cgroup, where this user can have one. Where not, rlimits
// are what is left, and the evidence says so.
func (j *Jail) makeGroup() error {
	if !j.cfg.with(policy.Limits) {
		j.groupErr = errors.New("left out")
		return nil
	}
	limits := cgroup.Limits{
		Memory: j.cfg.Memory, Swap: j.cfg.Swap, CPUs: j.cfg.CPUs, PIDs: j.cfg.PIDs,
		Read: j.cfg.IORead, Write: j.cfg.IOWrite,
	}
	if c := j.cfg.Container; c != nil { // what the runtime starts is in it, and a second guest
		limits.OwnMemory, limits.OwnTasks = c.Memory, c.Tasks+cgroup.GuestTasks
	}
	if w := j.cfg.Worker; w != nil {
		limits.OwnMemory, limits.OwnTasks = w.Memory, w.Tasks
	}
	limits.OwnMemory += j.cfg.copyMemory()
	beyond := limits.Read > 0 || limits.Write > 0 || limits.Swap > 0
	if limits.Read > 0 || limits.Write > 0 {
		var err error
		if limits.Disks, err = cgroup.Disks(seen(&j.cfg)); errors.Is(err, cgroup.ErrNoDisk) {
			return &LimitError{err}
		} else if err != nil {
			return err
		}
	}
	group, err := cgroup.New(j.cfg.ID, limits)
	switch {
	case err == nil:
		j.group = group
		return nil
	case errors.Is(err, cgroup.ErrNoIO) || errors.Is(err, cgroup.ErrNoSwap):
		return &LimitError{err}
	case errors.Is(err, errors.ErrUnsupported) || errors.Is(err, unix.EROFS) || errors.Is(err, unix.EACCES):
		if beyond {
			return &LimitError{fmt.Errorf("swap and disks are bounded by a cgroup only: %w", err)}
		}
		j.groupErr = err
		return nil
	}
	return err
}

// seen is what a sandbox shows of the host.
func seen(cfg *Config) []string {
	var list []string
	switch cfg.Root {
	case "":
	case policy.RootHost:
		list = append(list, systemDirs...)
	default:
		list = append(list, cfg.Root)
	}
	list = append(list, cfg.Layers...)
	for _, m := range cfg.Mounts {
		list = append(list, m.Source)
	}
	return list
}
