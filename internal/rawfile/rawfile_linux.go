// Package rawfile reads small files of procfs and cgroupfs, of which a sandbox
// reads dozens, with three system calls each: package os asks the kernel several
// times more whether one may have to wait for them, which one never has.
//
// What this package does not protect: it follows links, and has no limit; it is
// for files of the kernel.
package rawfile

import (
	"os"

	"golang.org/x/sys/unix"
)

// Read returns what is in a file.
func Read(name string) ([]byte, error) {
	fd, err := unix.Open(name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: name, Err: err}
	}
	defer unix.Close(fd)
	b := make([]byte, 0, 4<<10)
	for {
		n, err := unix.Read(fd, b[len(b):cap(b)])
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return nil, &os.PathError{Op: "read", Path: name, Err: err}
		}
		if b = b[:len(b)+n]; n == 0 {
			return b, nil
		}
		if len(b) == cap(b) {
			b = append(b, make([]byte, len(b))...)[:len(b)]
		}
	}
}

// Write writes to a file that is there, in one call, which is made again where a
// signal came in its way, as Go's runtime sends them to itself: the kernel gives
// up a change of a memory limit for one (mem_cgroup_resize_max).
func Write(name, text string) error {
	fd, err := unix.Open(name, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: name, Err: err}
	}
	defer unix.Close(fd)
	for err = unix.EINTR; err == unix.EINTR; {
		_, err = unix.Write(fd, []byte(text))
	}
	if err != nil {
		return &os.PathError{Op: "write", Path: name, Err: err}
	}
	return nil
}
