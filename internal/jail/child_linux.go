package jail

import (
	"context"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// child is the guest's process. It is started by the syscall package, as the os
// package forks a process of its own to find out about pidfds, which costs more
// than a millisecond, and waits for a process on a thread of its own.
type child struct {
	pid int
	fd  int // pidfd
}

func startChild(path string, args []string, files []*os.File, env []string, sys *syscall.SysProcAttr) (*child, error) {
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

// kill may be called at any time before wait has returned nil, and after.
func (c *child) kill() error {
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
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(c.fd), Events: unix.POLLIN}}, int(tick.Milliseconds()))
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
	err := unix.Waitid(unix.P_PIDFD, c.fd, nil, unix.WEXITED, nil)
	if err == unix.ECHILD {
		return nil // it was waited for before
	}
	return err
}
