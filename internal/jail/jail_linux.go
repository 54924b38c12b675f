package jail

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/internal/evidence"
)

// Close ends the jail: all its processes, its cgroup, its record. It may be
// called again, and then goes on with what it could not do before.
func (j *Jail) Close(ctx context.Context) error {
	j.close.Lock()
	defer j.close.Unlock()
	if j.closed {
		return nil
	}
	err := j.shut(ctx)
	j.closed = err == nil
	return err
}

// shut is idempotent but for the record, which goes last.
func (j *Jail) shut(ctx context.Context) error {
	var errs []error
	if j.process != nil {
		errs = append(errs, j.kill(ctx))
	}
	for _, c := range j.closers {
		c.Close()
	}
	if j.conn != nil {
		j.conn.Close() // the agent ends; nothing is lost, all that was awaited is dead
	}
	if j.group != nil {
		errs = append(errs, j.group.Remove())
	}
	j.closeLayers()
	j.closeMemory()
	if err := errors.Join(errs...); err != nil {
		return err // it stays on record, for a sweep
	}
	if j.cfg.place != "" {
		if err := os.RemoveAll(j.cfg.place); err != nil {
			return err
		}
	}
	if j.record != nil {
		return j.record.remove()
	}
	return nil
}

// kill kills the guest, which is the init of its PID namespace: the kernel kills
// all else in there before it lets init be waited for. What is frozen cannot
// die, so it is thawed.
func (j *Jail) kill(ctx context.Context) error {
	thaw := func() error {
		if !j.frozen.Load() {
			return nil
		}
		deadline, _ := ctx.Deadline()
		return j.group.Freeze(false, deadline)
	}
	if j.cfg.Bare != nil { // what is frozen cannot be seen to die
		return errors.Join(thaw(), j.killBare(), j.process.wait(ctx))
	}
	if err := j.process.kill(); err != nil {
		return err
	}
	if err := thaw(); err != nil {
		return err
	}
	return j.process.wait(ctx)
}

// freezePatience is how long freezing may take; the kernel does it in
// milliseconds unless a task is in uninterruptible sleep.
const freezePatience = 2 * time.Second

// Pause freezes every command.
func (j *Jail) Pause(context.Context) error { return j.freeze(true) }

// Resume lets them go on.
func (j *Jail) Resume(context.Context) error { return j.freeze(false) }

func (j *Jail) freeze(frozen bool) error {
	if j.group == nil {
		return fmt.Errorf("pause needs the cgroup freezer (%w): %w", j.groupErr, errors.ErrUnsupported)
	}
	j.frozen.Store(true) // from the first attempt on, whatever comes of it
	return j.group.Freeze(frozen, time.Now().Add(freezePatience))
}

// Halt ends every process in the jail, for good. Its layers stay until Close.
func (j *Jail) Halt(ctx context.Context) error {
	j.close.Lock()
	defer j.close.Unlock()
	if j.closed {
		return backend.ErrDestroyed
	}
	return j.kill(ctx)
}

// Layers are those of the writable mounts.
func (j *Jail) Layers() []backend.Layer { return slices.Clone(j.layers) }

// Evidence is what was seen when the jail was made, before any command ran.
func (j *Jail) Evidence() evidence.Evidence { return j.evidence }

// OOMKills is how many processes the kernel has killed in the jail for want of
// memory. 0 where there is no cgroup to count them.
func (j *Jail) OOMKills() int64 {
	if j.group == nil {
		return 0
	}
	return j.group.OOMKills()
}

// Peaks are the most memory, in bytes, and the most tasks that there were in the
// jail at once. 0: not known.
func (j *Jail) Peaks() (memory, tasks int64) {
	if j.group == nil {
		return 0, 0
	}
	return j.group.Peaks()
}
