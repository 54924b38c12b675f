package credential

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach/internal/locked"
)

// drain takes what is in a pipe. It is opened once more for that, as a descriptor
// that does not block: that of r is the command's as well. No more is taken than there
// was at first, since what a command leaves behind may write into the pipe without end,
// where it can open it by its name.
func drain(r *os.File) {
	fd, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", r.Fd()), unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return // without /proc: it is gone with the last who has it
	}
	defer unix.Close(fd)
	left, err := unix.IoctlGetInt(fd, unix.TIOCINQ) // FIONREAD, pipe(7)
	if err != nil || left <= 0 {
		return
	}
	arena := locked.New()
	defer arena.Free()
	room, err := arena.Alloc(min(left, 16<<10))
	if err != nil {
		return
	}
	for left > 0 {
		n, err := unix.Read(fd, room[:min(left, len(room))])
		if n <= 0 && err != unix.EINTR {
			return
		}
		left -= max(n, 0)
	}
}
