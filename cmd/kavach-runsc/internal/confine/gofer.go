package confine

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// Gofer is a gofer's way into its domain.
type Gofer struct {
	outside int // the directory that is the root before the gofer's chroot
}

// NewGofer remembers what is outside of the container's root, for the check. It
// is called before the gofer's chroot.
func NewGofer() (*Gofer, error) {
	outside, err := open("/", unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	return &Gofer{outside}, nil
}

// Enter puts all threads in domains in which nothing is allowed but files below
// what is the root directory now: not to execute them, and no devices. It is
// called after the gofer's chroot, and before its filter. The domains are alike,
// and threads of a gofer trace nobody, so it needs no other.
func (g *Gofer) Enter() (Report, error) {
	defer unix.Close(g.outside)
	r := Report{Process: "gofer", Landlock: ABI()}
	if r.Landlock == 0 {
		return r, nil
	}
	if err := g.lookOutside(); err != nil {
		return r, fmt.Errorf("cannot check the gofer's domain: before it is entered: %w", err)
	}
	root, err := open("/", unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return r, err
	}
	defer unix.Close(root)
	const denied = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_MAKE_CHAR |
		unix.LANDLOCK_ACCESS_FS_MAKE_BLOCK | unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
	set, err := ruleset(r.Landlock, []rule{{root, fsV5 &^ denied}})
	if err != nil {
		return r, err
	}
	defer unix.Close(set)
	if _, _, errno := syscall.AllThreadsSyscall6(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0); errno != 0 {
		return r, fmt.Errorf("no_new_privs: %w", errno)
	}
	if _, _, errno := syscall.AllThreadsSyscall(unix.SYS_LANDLOCK_RESTRICT_SELF, uintptr(set), 0, 0); errno != 0 {
		return r, fmt.Errorf("landlock: enter the domain: %w", errno)
	}
	if err := r.refused("open what is outside of the root", g.lookOutside()); err != nil {
		return r, err
	}
	return r, r.tryTCP()
}

// lookOutside lists the directory outside, as whoever escapes from the chroot
// would.
func (g *Gofer) lookOutside() error {
	fd, err := unix.Openat(g.outside, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err == nil {
		unix.Close(fd)
	}
	return err
}
