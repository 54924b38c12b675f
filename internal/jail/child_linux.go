package jail

import (
	"context"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// child is the guest's process. It is started by the syscall package, as the os
// package forks a process of its own to find out about pidfds, which costs more
// than a millisecond, and waits for a process on a thread of its own.
type child struct {
	pid int

	mu sync.Mutex // guards what follows
	fd int        // pidfd; -1: it was waited for
}

func startChild(path string, args []string, files []*os.File, env []string, sys *syscall.SysProcAttr) (*child, error) {
	if err := roomToClone(files[0].Fd()); err != nil {
		return nil, err
	}
	c := &child{fd: -1}
	sys.PidFD = &c.fd
	attr := &syscall.ProcAttr{Dir: "/", Env: env, Sys: sys}
	for _, f := range files {
		attr.Files = append(attr.Files, f.Fd())
	}
	var err error
	if c.pid, _, err = syscall.StartProcess(path, args, attr); err != nil {
		return nil, err
	}
	if c.fd < 0 {
		err = fmt.Errorf("this kernel gives no pidfd (Linux 5.2): %w", unix.ENOSYS)
		_ = unix.Kill(c.pid, unix.SIGKILL)
		_, _ = unix.Wait4(c.pid, nil, 0, nil)
		return nil, err
	}
	return c, nil
}

// roomToClone makes sure that there are descriptors for what package syscall
// needs for a clone: where clone(2) fails, be it for want of a pidfd, it does not
// close the pipe by which it tells a child that its ids are mapped (Go 1.26).
func roomToClone(some uintptr) error {
	const needed = 5 // that pipe, the pipe for the child's error, the pidfd
	for range needed {
		fd, err := unix.FcntlInt(some, unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
	}
	return nil
}

// kill may be called at any time before wait has returned nil, and after.
func (c *child) kill() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fd < 0 {
		return nil
	}
	err := unix.PidfdSendSignal(c.fd, unix.SIGKILL, nil, 0)
	if err == unix.ESRCH {
		return nil
	}
	return err
}

// wait waits until the guest is dead. Guest and all: the kernel lets an init be
// waited for when all of its PID namespace is gone.
func (c *child) wait(ctx context.Context) error {
	const tick = 100 * time.Millisecond // how late a cancelled context is noticed
	c.mu.Lock()
	fd := c.fd // closed by the one who waits, and by nobody else
	c.mu.Unlock()
	if fd < 0 {
		return nil
	}
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(tick.Milliseconds()))
		if err != nil && err != unix.EINTR {
			return err
		}
		if n > 0 {
			break
		}
		if ctx.Err() != nil {
			return fmt.Errorf("guest %d does not die: %w", c.pid, ctx.Err())
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := unix.Waitid(unix.P_PIDFD, fd, nil, unix.WEXITED, nil); err != nil && err != unix.ECHILD {
		return err // ECHILD: somebody of this process waits for any child
	}
	c.fd = -1
	return unix.Close(fd)
}
