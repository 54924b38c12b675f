package guest

import (
	"bytes"
	"fmt"

	"golang.org/x/sys/unix"
)

// oomScore is the guest's oom_score_adj (proc_pid_oom_score_adj(5)). A command
// inherits what it is at the fork. It cannot be changed between fork and execve:
// the child's files in /proc belong to whoever owns the guest's memory, which is
// nobody in the sandbox.
type oomScore struct {
	fd    int
	usual []byte // what it is but during a fork
}

// first makes a process the first to be killed.
var first = []byte("1000")

func openOOMScore() (o oomScore, err error) {
	const name = "/proc/self/oom_score_adj"
	if o.fd, err = unix.Open(name, unix.O_RDWR|unix.O_CLOEXEC, 0); err != nil {
		return o, fmt.Errorf("oom score: open %s: %w", name, err)
	}
	usual := make([]byte, len("-1000\n"))
	n, err := unix.Read(o.fd, usual)
	if err != nil {
		o.close()
		return o, fmt.Errorf("oom score: read %s: %w", name, err)
	}
	o.usual = bytes.TrimSpace(usual[:n])
	return o, nil
}

func (o *oomScore) close() {
	unix.Close(o.fd)
	o.fd = -1
}

// raise makes what is forked next die first. Raising it, and going back to what
// it was, needs no privilege.
func (o *oomScore) raise() { o.write(first) }

func (o *oomScore) restore() { o.write(o.usual) }

// write has no use for an error: without it, the kernel chooses by size, and the
// guest is small.
func (o *oomScore) write(score []byte) {
	if o.fd >= 0 {
		_, _ = unix.Pwrite(o.fd, score, 0)
	}
}
