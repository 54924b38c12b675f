package locked

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// acquire maps at least n bytes. Where they cannot be locked, because
// RLIMIT_MEMLOCK says so (EAGAIN, mmap(2)), they are not.
func acquire(n int) ([]byte, error) {
	page := os.Getpagesize()
	n = (n + page - 1) / page * page
	const prot, flags = unix.PROT_READ | unix.PROT_WRITE, unix.MAP_PRIVATE | unix.MAP_ANONYMOUS
	p, err := unix.Mmap(-1, 0, n, prot, flags|unix.MAP_LOCKED)
	if err != nil {
		p, err = unix.Mmap(-1, 0, n, prot, flags)
	}
	if err != nil {
		return nil, fmt.Errorf("memory for secrets: %w", err)
	}
	if err := unix.Madvise(p, unix.MADV_DONTDUMP); err != nil { // Linux 3.4; gVisor takes it and dumps nothing
		giveBack(p)
		return nil, fmt.Errorf("memory for secrets, left out of core dumps: %w", err)
	}
	_ = unix.Madvise(p, unix.MADV_DONTFORK) // what is forked has an execve of its own before it
	return p, nil
}

func giveBack(p []byte) { _ = unix.Munmap(p) } // it is ours, and whole
