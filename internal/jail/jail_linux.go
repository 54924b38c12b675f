package jail

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/guest"
)

// Process is one command in a jail.
type Process struct {
	jail    *Jail
	id      uint32
	screen  bool          // it has a terminal
	started chan error    // gets one answer: nil, or why it was refused
	began   bool          // it was answered; used by read alone
	done    chan struct{} // closed at its end
	exit    Exit          // set before done is closed
	err     error         // set before done is closed: the jail ended first
}

// Exec starts a command and returns when it is executed.
func (j *Jail) Exec(ctx context.Context, cmd backend.Cmd) (*Process, error) {
	defer runtime.KeepAlive(cmd)
	if j.cfg.Bare != nil && cmd.Terminal != nil {
		return nil, fmt.Errorf("without namespaces a sandbox has no terminals of its own; leave out --tty: %w", errors.ErrUnsupported)
	}
	stdio := [3]*os.File{cmd.Stdin, cmd.Stdout, cmd.Stderr}
	var fds []int
	for _, f := range stdio {
		if f == nil {
			null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
			if err != nil {
				return nil, err
			}
			defer null.Close()
			f = null
		}
		fds = append(fds, int(f.Fd())) // passing it makes a copy
	}
	p := &Process{jail: j, screen: cmd.Terminal != nil, started: make(chan error, 1), done: make(chan struct{})}
	if err := j.register(p); err != nil {
		return nil, err
	}
	env, dir := j.inPlace(j.env(cmd.Env), cmd.Dir)
	frame := &guest.Exec{ID: p.id, Args: cmd.Args, Env: env, Dir: dir}
	if size := cmd.Terminal; size != nil {
		frame.Terminal, frame.Rows, frame.Cols = true, uint32(size.Rows), uint32(size.Cols)
	}
	if err := j.send(frame, fds...); err != nil {
		j.unregister(p.id)
		gone := errors.Is(err, unix.EPIPE) || errors.Is(err, unix.ECONNRESET) || errors.Is(err, os.ErrClosed)
		if errors.Is(err, unix.E2BIG) {
			return nil, &backend.ExecError{Path: cmd.Args[0], Step: "arguments", Errno: unix.E2BIG}
		}
		err = j.guestDied("start a command", err)
		if gone {
			err = fmt.Errorf("%w (%w)", backend.ErrDestroyed, err)
		}
		return nil, err
	}
	select {
	case err := <-p.started:
		var refused *backend.ExecError
		if errors.As(err, &refused) {
			refused.Path, refused.Dir = cmd.Args[0], cmd.Dir
		}
		if err != nil {
			return nil, err
		}
		return p, nil
	case <-ctx.Done():
		_ = p.Kill()
		return nil, ctx.Err()
	}
}

// sendPatience is how long a guest, which does little else than to read, may
// leave a frame unread.
const sendPatience = 5 * time.Second

// send sends a frame. A guest that does not take it is of no use, and its end is
// what ends the wait for it.
func (j *Jail) send(f guest.Frame, fds ...int) error {
	defer time.AfterFunc(sendPatience, func() { _ = j.killGuest() }).Stop()
	return j.conn.Send(f, fds...)
}

func (j *Jail) register(p *Process) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.down != nil {
		return j.down
	}
	j.next++
	p.id = j.next
	j.running[p.id] = p
	return nil
}

func (j *Jail) unregister(id uint32) *Process {
	j.mu.Lock()
	defer j.mu.Unlock()
	p := j.running[id]
	delete(j.running, id)
	return p
}

func (j *Jail) find(id uint32) *Process {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.running[id]
}

// Signal sends sig to the command's process group.
func (p *Process) Signal(sig syscall.Signal) error {
	if sig < 1 || sig > 64 {
		return fmt.Errorf("signal %d: %w", sig, unix.EINVAL)
	}
	return p.jail.send(&guest.Signal{ID: p.id, Signal: uint32(sig)})
}

// Resize changes the size of the command's terminal.
func (p *Process) Resize(size backend.WindowSize) error {
	if !p.screen {
		return errors.New("resize: the command was started without a terminal")
	}
	return p.jail.send(&guest.Resize{ID: p.id, Rows: uint32(size.Rows), Cols: uint32(size.Cols)})
}

// Kill kills the command and all that it started.
func (p *Process) Kill() error { return p.jail.send(&guest.Kill{ID: p.id}) }

// Wait waits for the command's end.
func (p *Process) Wait(ctx context.Context) (Exit, error) {
	select {
	case <-p.done:
		return p.exit, p.err
	default:
	}
	select {
	case <-p.done:
		return p.exit, p.err
	case <-ctx.Done():
		return Exit{}, ctx.Err()
	}
}

// read takes what the guest says, until it ends or says something that no guest
// of ours would.
func (j *Jail) read() {
	for {
		frame, fds, err := j.conn.Receive()
		if len(fds) > 0 {
			for _, fd := range fds {
				unix.Close(fd)
			}
			err = errors.New("the guest sent descriptors")
		}
		if err == nil {
			err = j.handle(frame)
		}
		if err != nil {
			_ = j.killGuest() // it is of no use any more, and may be hostile
			j.end(err)
			return
		}
	}
}

func (j *Jail) handle(frame guest.Frame) error {
	switch f := frame.(type) {
	case *guest.Started:
		if p := j.find(f.ID); p != nil {
			if p.began {
				return fmt.Errorf("the guest started command %d twice", f.ID)
			}
			p.began = true
			p.answer(nil)
		}
	case *guest.Refused:
		if p := j.find(f.ID); p != nil {
			if p.began {
				return fmt.Errorf("the guest refused command %d, which it had started", f.ID)
			}
			j.unregister(f.ID)
			p.err = &backend.ExecError{Step: printable(f.Step), Errno: syscall.Errno(f.Errno)}
			p.answer(p.err)
			close(p.done)
		}
	case *guest.Exited:
		if p := j.find(f.ID); p != nil {
			if !p.began {
				return fmt.Errorf("the guest ended command %d, which it had not started", f.ID)
			}
			j.unregister(f.ID)
			p.exit = Exit{Status: f.Status, CPU: time.Duration(max(f.CPUMicros, 0)) * time.Microsecond, MaxRSS: max(f.MaxRSS, 0), Denials: sumDenials(f.Denials)}
			close(p.done)
		}
	default:
		return fmt.Errorf("the guest sent a frame of type %T", frame)
	}
	return nil // an id that is not known any more is no harm
}

// sumDenials puts together what a guest says of one call; ours says it once.
func sumDenials(calls []guest.DeniedCall) map[int64]guest.DeniedCall {
	sums := make(map[int64]guest.DeniedCall, len(calls))
	for _, c := range calls {
		sum := sums[c.Number]
		c.Count = uint32(min(uint64(sum.Count)+uint64(c.Count), math.MaxUint32))
		c.Refused |= sum.Refused
		c.Absent |= sum.Absent
		sums[c.Number] = c
	}
	return sums
}

// answer tells Exec what became of its command. Only the first answer counts: a
// guest that gives two is lying, and is not waited for.
func (p *Process) answer(err error) {
	select {
	case p.started <- err:
	default:
	}
}

// end fails everything that waits for a guest that is gone.
func (j *Jail) end(err error) {
	err = fmt.Errorf("%w (%w)", backend.ErrDestroyed, j.guestDied("its guest", err))
	j.mu.Lock()
	defer j.mu.Unlock()
	j.down = err
	for id, p := range j.running {
		delete(j.running, id)
		p.err = err
		p.answer(err)
		close(p.done)
	}
}

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
	if j.conn != nil {
		j.conn.Close() // read ends; nothing is lost, all that was awaited is dead
	}
	if j.group != nil {
		errs = append(errs, j.group.Remove())
	}
	j.closeLayers()
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
func (j *Jail) Evidence() Evidence { return j.evidence }

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
