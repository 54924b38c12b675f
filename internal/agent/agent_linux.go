package agent

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/guest"
)

// Agent speaks to one guest that is ready.
type Agent struct {
	cfg  Config
	done chan struct{} // closed when nothing is read any more

	mu      sync.Mutex // guards what follows
	next    uint32
	running map[uint32]*Process
	down    error // why nothing can be started any more
}

// Config is what an Agent works with.
type Config struct {
	// Conn is the channel, which is the agent's from now on. It reads all that
	// comes, and ends with it.
	Conn *guest.Conn

	// Kill ends the guest, and so all that it started. It may be called at any
	// time, and again.
	Kill func() error

	// Lost says, of an error on the channel, what is known of the guest's end.
	Lost func(doing string, err error) error
}

// New makes an agent, and reads what the guest says until its end.
func New(cfg Config) *Agent {
	a := &Agent{cfg: cfg, done: make(chan struct{}), running: make(map[uint32]*Process)}
	go a.read()
	return a
}

// Close closes the channel, and returns when nothing is left that reads from it
// and all that waited for a command has its answer. The guest is to be dead
// before, as what it still says is lost.
func (a *Agent) Close() error {
	err := a.cfg.Conn.Close()
	<-a.done
	return err
}

// Process is one command.
type Process struct {
	agent   *Agent
	id      uint32
	screen  bool          // it has a terminal
	started chan error    // gets one answer: nil, or why it was refused
	began   bool          // it was answered; used by read alone
	done    chan struct{} // closed at its end
	exit    Exit          // set before done is closed
	err     error         // set before done is closed: the guest ended first
}

// Exit says how a command ended.
type Exit struct {
	Status  uint32 // as wait4(2) tells it
	CPU     time.Duration
	MaxRSS  int64
	Denials map[int64]guest.DeniedCall // by number
}

// Exec starts a command and returns when it is executed.
func (a *Agent) Exec(ctx context.Context, cmd backend.Cmd) (*Process, error) {
	defer runtime.KeepAlive(cmd)
	frame := &guest.Exec{Args: cmd.Args, Env: cmd.Env, Dir: cmd.Dir}
	if size := cmd.Terminal; size != nil {
		frame.Terminal, frame.Rows, frame.Cols = true, uint32(size.Rows), uint32(size.Cols)
	}
	files := []*os.File{cmd.Stdin, cmd.Stdout, cmd.Stderr}
	for _, d := range cmd.Files {
		frame.FDs = append(frame.FDs, uint32(d.FD))
		files = append(files, d.File)
	}
	if len(cmd.Secrets) > 0 {
		values, err := Pour(cmd.Secrets)
		if err != nil {
			return nil, err
		}
		defer func() { _ = values.End() }() // a guest that has not read them has refused the command
		for _, s := range cmd.Secrets {
			frame.Given = append(frame.Given, guest.Given{Name: s.Name, Length: uint32(len(s.Value()))})
		}
		files = append(files, values.From)
	}
	fds, release, err := numbers(files)
	if err != nil {
		return nil, err
	}
	defer release()
	p := &Process{agent: a, screen: cmd.Terminal != nil, started: make(chan error, 1), done: make(chan struct{})}
	if err := a.register(p); err != nil {
		return nil, err
	}
	frame.ID = p.id
	if err := a.send(frame, fds...); err != nil {
		return nil, a.notSent(p, cmd.Args[0], err)
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

// numbers are the descriptors of files, with /dev/null in the place of nil. Passing
// one makes a copy; release closes what was opened here.
func numbers(files []*os.File) (fds []int, release func(), err error) {
	var null *os.File
	release = func() {
		null.Close() // nil is one that cannot be closed
		runtime.KeepAlive(files)
	}
	for _, f := range files {
		if f == nil && null == nil {
			if null, err = os.OpenFile(os.DevNull, os.O_RDWR, 0); err != nil {
				return nil, nil, err
			}
		}
		if f == nil {
			f = null
		}
		fds = append(fds, int(f.Fd()))
	}
	return fds, release, nil
}

// notSent says why a command did not reach the guest.
func (a *Agent) notSent(p *Process, path string, err error) error {
	a.unregister(p.id)
	gone := errors.Is(err, unix.EPIPE) || errors.Is(err, unix.ECONNRESET) || errors.Is(err, os.ErrClosed)
	if errors.Is(err, unix.E2BIG) {
		return &backend.ExecError{Path: path, Step: "arguments", Errno: unix.E2BIG}
	}
	err = a.cfg.Lost("start a command", err)
	if gone {
		err = fmt.Errorf("%w (%w)", backend.ErrDestroyed, err)
	}
	return err
}

// sendPatience is how long a guest, which does little else than to read, may
// leave a frame unread.
const sendPatience = 5 * time.Second

// send sends a frame. A guest that does not take it is of no use, and its end is
// what ends the wait for it.
func (a *Agent) send(f guest.Frame, fds ...int) error {
	defer time.AfterFunc(sendPatience, func() { _ = a.cfg.Kill() }).Stop()
	return a.cfg.Conn.Send(f, fds...)
}

func (a *Agent) register(p *Process) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.down != nil {
		return a.down
	}
	a.next++
	p.id = a.next
	a.running[p.id] = p
	return nil
}

func (a *Agent) unregister(id uint32) *Process {
	a.mu.Lock()
	defer a.mu.Unlock()
	p := a.running[id]
	delete(a.running, id)
	return p
}

func (a *Agent) find(id uint32) *Process {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.running[id]
}

// Signal sends sig to the command's process group.
func (p *Process) Signal(sig syscall.Signal) error {
	if sig < 1 || sig > 64 {
		return fmt.Errorf("signal %d: %w", sig, unix.EINVAL)
	}
	return p.agent.send(&guest.Signal{ID: p.id, Signal: uint32(sig)})
}

// Resize changes the size of the command's terminal.
func (p *Process) Resize(size backend.WindowSize) error {
	if !p.screen {
		return errors.New("resize: the command was started without a terminal")
	}
	return p.agent.send(&guest.Resize{ID: p.id, Rows: uint32(size.Rows), Cols: uint32(size.Cols)})
}

// Kill kills the command and all that it started.
func (p *Process) Kill() error { return p.agent.send(&guest.Kill{ID: p.id}) }

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
func (a *Agent) read() {
	defer close(a.done)
	for {
		frame, fds, err := a.cfg.Conn.Receive()
		if len(fds) > 0 {
			for _, fd := range fds {
				unix.Close(fd)
			}
			err = errors.New("the guest sent descriptors")
		}
		if err == nil {
			err = a.handle(frame)
		}
		if err != nil {
			_ = a.cfg.Kill() // it is of no use any more, and may be hostile
			a.end(err)
			return
		}
	}
}

func (a *Agent) handle(frame guest.Frame) error {
	switch f := frame.(type) {
	case *guest.Started:
		if p := a.find(f.ID); p != nil {
			if p.began {
				return fmt.Errorf("the guest started command %d twice", f.ID)
			}
			p.began = true
			p.answer(nil)
		}
	case *guest.Refused:
		if p := a.find(f.ID); p != nil {
			if p.began {
				return fmt.Errorf("the guest refused command %d, which it had started", f.ID)
			}
			a.unregister(f.ID)
			p.err = &backend.ExecError{Step: Printable(f.Step), Errno: syscall.Errno(f.Errno)}
			p.answer(p.err)
			close(p.done)
		}
	case *guest.Exited:
		if p := a.find(f.ID); p != nil {
			if !p.began {
				return fmt.Errorf("the guest ended command %d, which it had not started", f.ID)
			}
			a.unregister(f.ID)
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
func (a *Agent) end(err error) {
	err = fmt.Errorf("%w (%w)", backend.ErrDestroyed, a.cfg.Lost("its guest", err))
	a.mu.Lock()
	defer a.mu.Unlock()
	a.down = err
	for id, p := range a.running {
		delete(a.running, id)
		p.err = err
		p.answer(err)
		close(p.done)
	}
}
