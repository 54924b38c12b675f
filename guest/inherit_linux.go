package guest

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// closeInherited closes what the guest was not given. Where its stdio does not
// block, as gVisor's does not, package os polls by now, and what it polls with is
// kept: it leads nowhere else.
func closeInherited() error {
	if !polls() {
		return unix.CloseRange(ChannelFD+1, ^uint(0)>>32, 0)
	}
	const dir = "/proc/self/fd"
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		fd, err := strconv.Atoi(e.Name())
		if err != nil {
			return fmt.Errorf("%s has %q", dir, e.Name())
		}
		link, err := os.Readlink(dir + "/" + e.Name())
		if fd <= ChannelFD || err != nil || strings.HasPrefix(link, "anon_inode:[event") {
			continue // err: it was that of the directory
		}
		if err := unix.Close(fd); err != nil {
			return err
		}
	}
	return nil
}

// polls reports whether package os has found that its stdio can be polled.
func polls() bool {
	for fd := range stdio {
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
		if err == nil && flags&unix.O_NONBLOCK != 0 {
			return true
		}
	}
	return false
}
