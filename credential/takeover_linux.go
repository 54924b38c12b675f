package credential

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// takeOver makes a descriptor that was inherited our own. Its number stays taken, and
// leads to nothing (/dev/null): another sandbox that names it as well would read, and
// close, what has that number next.
func takeOver(fd int, name string) (*os.File, error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	own, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("descriptor %d cannot be read from: %w", fd, err)
	}
	f := os.NewFile(uintptr(own), name)
	if err := unix.Dup3(int(null.Fd()), fd, unix.O_CLOEXEC); err != nil {
		f.Close()
		return nil, fmt.Errorf("descriptor %d cannot be taken over: %w", fd, err)
	}
	return f, nil
}
