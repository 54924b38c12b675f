package jail

import (
	"context"
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach/backend"
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
	layers   []backend.Layer
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
	var ops []guest.Op
	var sources []source
	var planErr error
	if cfg.Bare == nil {
		ops, sources, planErr = plan(&j.cfg, j.ids)
	} else if err == nil {
		planErr = j.makePlace()
	}
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

func (j *Jail) cgroupDirs() []string {
	if !j.ids.root {
		return nil
	}
	return cgroup.Dirs(j.cfg.ID)
}

// LauncherTasks is what the guest has in the group of its commands: the thread
// that they are forked from.
const LauncherTasks = 1

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
	limits := cgroup.Limits{Memory: j.cfg.Memory, CPUs: j.cfg.CPUs, PIDs: j.cfg.PIDs}
	if limits.PIDs >= 0 {
		limits.PIDs += LauncherTasks
	}
	group, err := cgroup.New(j.cfg.ID, limits)
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, unix.EROFS) || errors.Is(err, unix.EACCES) {
		j.groupErr = err
		return nil
	}
	j.group = group
	return err
}
