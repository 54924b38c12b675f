package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/policy"
)

// exitPatience is how long a command may take to end after a signal that it was
// passed, before it is killed; secondSignal is within what time a second signal
// means that nobody wants to wait. endPatience is how long the end of what was
// cancelled may take, before the sandbox is removed all the same: longer than
// package kavach takes to kill a command.
const (
	exitPatience = 5 * time.Second
	secondSignal = time.Second
	endPatience  = 4 * time.Second
)

// stopper turns the signals that end kavach into an orderly end: the command
// gets them; when that does not help, ctx is cancelled, which kills it.
type stopper struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	came   chan os.Signal

	// session: the command has a terminal, and what would end kavach is the end
	// of the session on it. Set before a command is named.
	session bool

	mu     sync.Mutex
	target *kavach.Process // nil: no command is running
	got    bool            // a signal came that ends kavach, whatever came of it
}

// signalled reports whether somebody wanted kavach to end.
func (s *stopper) signalled() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.got || s.ctx.Err() != nil
}

// catch catches what would end kavach. What was ignored when it started (nohup,
// a job in the background of a script) stays ignored.
func catch() *stopper {
	s := &stopper{came: make(chan os.Signal, 8)}
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	for _, sig := range []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT} {
		if !signal.Ignored(sig) {
			signal.Notify(s.came, sig)
		}
	}
	// A write to a closed pipe is to be an error (os/signal), and not the end
	// of kavach, which has a sandbox to remove.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	go s.watch()
	return s
}

func (s *stopper) watch() {
	var (
		last     time.Time
		cause    stoppedError
		patience <-chan time.Time
	)
	for {
		select {
		case sig := <-s.came:
			cause = stoppedError(sig.(syscall.Signal))
			if time.Since(last) < secondSignal || !s.pass(syscall.Signal(cause)) {
				s.cancel(cause)
				return
			}
			last, patience = time.Now(), time.After(exitPatience)
		case <-patience:
			s.cancel(cause)
			return
		case <-s.ctx.Done():
			return
		}
	}
}

// pass passes a signal to the command. False: there is none. A session is hung
// up, as the kernel does it (SIGCONT, since it may be stopped): a shell on a
// terminal ignores SIGTERM, and tells its jobs of SIGHUP.
func (s *stopper) pass(sig syscall.Signal) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got = true
	if s.target == nil {
		return false
	}
	if s.session && sig != syscall.SIGINT {
		return s.target.Signal(syscall.SIGHUP) == nil && s.target.Signal(syscall.SIGCONT) == nil
	}
	return s.target.Signal(sig) == nil
}

// forward names the command that signals are passed to; nil: none.
func (s *stopper) forward(p *kavach.Process) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.target = p
}

// instead is why kavach was stopped, or err where it was not.
func (s *stopper) instead(err error) error {
	var stopped stoppedError
	if errors.As(context.Cause(s.ctx), &stopped) {
		return stopped
	}
	return err
}

// output is what a command's live output is written through. A reader that goes
// away ends the command as it would without kavach: by SIGPIPE.
type output struct {
	file *os.File
	gone func()
}

func (o output) Write(p []byte) (int, error) {
	n, err := o.file.Write(p)
	if errors.Is(err, syscall.EPIPE) {
		o.gone()
		return len(p), nil
	}
	return n, err
}

// Stat is that of the file: whether it is a terminal.
func (o output) Stat() (os.FileInfo, error) { return o.file.Stat() }

// display is what a session's terminal is shown on. Where the limit of output is
// reached nothing more would be seen of it, so the session is hung up.
type display struct {
	output
	left int64 // bytes; negative: any number
	full func()
}

func (d *display) Write(p []byte) (int, error) {
	n, err := d.output.Write(p)
	if d.left >= 0 {
		if d.left -= int64(n); d.left <= 0 {
			d.left = 0
			d.full()
		}
	}
	return n, err
}

// display makes the one of a command with a terminal.
func (s *stopper) display(limit policy.Bytes) io.Writer {
	s.session = true
	stdout, _ := s.outputs()
	return &display{stdout, int64(limit), sync.OnceFunc(func() { s.came <- syscall.SIGHUP })}
}

// outputs are stdout and stderr for a command.
func (s *stopper) outputs() (stdout, stderr output) {
	gone := sync.OnceFunc(func() { s.came <- syscall.SIGPIPE })
	return output{os.Stdout, gone}, output{os.Stderr, gone}
}
