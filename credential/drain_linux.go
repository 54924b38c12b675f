package credential

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach/internal/locked"
)

// drain takes what is in a pipe. It is opened once more for that, as a descriptor
// that does not block: that of r is the command's as well.
func drain(r *os.File) {
	fd, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", r.Fd()), unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return // without /proc: it is gone with the last who has it
	}
	defer unix.Close(fd)
	var rest [4 << 10]byte
	defer locked.Wipe(rest[:])
	for {
		if n, err := unix.Read(fd, rest[:]); n <= 0 && err != unix.EINTR {
			return
		}
	}
}
