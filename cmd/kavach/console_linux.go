package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/backend"
)

// console is the terminal that kavach was started from, while the command has
// one of its own. Where stdin is connected it is in raw mode, so that each key
// is the command's to interpret: ^C is a byte. It is put back at the end of the
// session; where kavach cannot do that itself, by the guardian.
type console struct {
	tty   *os.File
	typed bool // stdin is connected
	saved unix.Termios
	guard *guardian // nil: the mode was never changed

	mu     sync.Mutex // guards what follows
	raw    bool
	closed bool
}

// openConsole looks at the terminal, and leaves it as it is.
func openConsole(tty *os.File, typed bool) (*console, error) {
	saved, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
	if err != nil {
		return nil, fmt.Errorf("read the settings of the terminal: %w", err)
	}
	return &console{tty: tty, typed: typed, saved: *saved}, nil
}

// size is that of the terminal; zero where it is not known.
func (c *console) size() backend.WindowSize {
	ws, err := unix.IoctlGetWinsize(int(c.tty.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return backend.WindowSize{}
	}
	return backend.WindowSize{Rows: ws.Row, Cols: ws.Col}
}

// connect begins the session. A kavach that is in the background is stopped here
// by the kernel (SIGTTOU), until it is brought to the foreground.
func (c *console) connect() (err error) {
	if !c.typed {
		return nil
	}
	if c.guard, err = guardTerminal(c.tty, &c.saved); err != nil {
		return err
	}
	if err := c.enter(); err != nil {
		return errors.Join(err, c.close())
	}
	return nil
}

// enter sets raw mode.
func (c *console) enter() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.typed || c.closed {
		return nil
	}
	raw := makeRaw(c.saved)
	if err := setTermios(c.tty, &raw); err != nil {
		return fmt.Errorf("set the terminal to raw mode: %w", err)
	}
	c.raw = true
	return nil
}

// makeRaw is cfmakeraw(3).
func makeRaw(t unix.Termios) unix.Termios {
	t.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON
	t.Oflag &^= unix.OPOST
	t.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
	t.Cflag &^= unix.CSIZE | unix.PARENB
	t.Cflag |= unix.CS8
	t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
	return t
}

// setTermios changes settings at once, and keeps what was typed ahead (TCSETS).
func setTermios(tty *os.File, t *unix.Termios) error {
	for {
		err := unix.IoctlSetTermios(int(tty.Fd()), unix.TCSETS, t)
		if err != unix.EINTR {
			return err
		}
	}
}

// leave puts the terminal back.
func (c *console) leave() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.raw || !inForeground(c.tty) {
		return nil
	}
	c.raw = false
	return setTermios(c.tty, &c.saved)
}

// inForeground reports whether the terminal is kavach's to set. In the
// background it is a shell's, which has settings of its own.
func inForeground(tty *os.File) bool {
	group, err := unix.IoctlGetInt(int(tty.Fd()), unix.TIOCGPGRP)
	return err != nil || group == unix.Getpgrp() // err: it is not our controlling terminal, so nobody is in charge
}

// close ends the session. It may be called again, and on a nil console.
func (c *console) close() error {
	if c == nil {
		return nil
	}
	err := c.leave()
	c.mu.Lock()
	again := c.closed
	c.closed = true
	c.mu.Unlock()
	if c.guard != nil && !again {
		c.guard.dismiss()
	}
	if err != nil && !errors.Is(err, unix.EIO) { // EIO: it was hung up
		return fmt.Errorf("put the terminal back, which stty sane does as well: %w", err)
	}
	return nil
}

// follow keeps the terminal of a command like this one until it is called off:
// its size; and what a stop of kavach, and going on again, do to raw mode.
func (c *console) follow(p *kavach.Process) (off func()) {
	came := make(chan os.Signal, 8)
	signal.Notify(came, unix.SIGWINCH, unix.SIGCONT)
	if c.typed {
		signal.Notify(came, unix.SIGTSTP)
	}
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		_ = p.Resize(c.size()) // it may have changed since it was given; a command that has ended needs none
		for {
			select {
			case sig := <-came:
				c.react(sig, p)
			case <-stop:
				return
			}
		}
	}()
	return func() {
		signal.Stop(came)
		close(stop)
		<-done
	}
}

// react does what a signal asks for. Its errors are those of a terminal that is
// gone, whose hang-up ends kavach.
func (c *console) react(sig os.Signal, p *kavach.Process) {
	switch sig {
	case unix.SIGTSTP:
		_ = c.leave()
		_ = syscall.Kill(os.Getpid(), unix.SIGSTOP)
	case unix.SIGCONT:
		_ = c.enter()
		_ = p.Resize(c.size())
	case unix.SIGWINCH:
		_ = p.Resize(c.size())
	}
}
