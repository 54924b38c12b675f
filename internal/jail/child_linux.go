package jail

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// child is the guest's process.
type child struct {
	pid int

	mu sync.Mutex // guards what follows
	fd int        // pidfd; -1: it was waited for
}

func startChild(g *guestClone) (*child, error) {
	pid, err := g.clone()
	if err != nil {
		return nil, err
	}
	c := &child{pid: pid}
	// Not waited for yet, so the pid is its own.
	if c.fd, err = unix.PidfdOpen(pid, 0); err != nil {
		_ = unix.Kill(pid, unix.SIGKILL)
		_ = reapChild(pid)
		return nil, fmt.Errorf("pidfd of the guest (Linux 5.3): %w", err)
	}
	return c, nil
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
	for {
		c.mu.Lock()
		fd := c.fd // closed by one who waits, and by nobody else
		c.mu.Unlock()
		if fd < 0 {
			return nil
		}
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
	if c.fd < 0 {
		return nil // another was faster
	}
	if err := unix.Waitid(unix.P_PIDFD, c.fd, nil, unix.WEXITED, nil); err != nil && err != unix.ECHILD {
		return err // ECHILD: somebody of this process waits for any child
	}
	fd := c.fd
	c.fd = -1
	return unix.Close(fd)
}
