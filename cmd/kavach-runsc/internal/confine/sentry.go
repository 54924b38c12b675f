package confine

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// envEntered says that the sentry has been here, so that it is not executed again
// for ever where Landlock does not do what it should. Nothing trusts it: see
// CheckSentry. The environment of a sentry is empty otherwise.
const envEntered = "KAVACH_RUNSC_ENTERED"

// Programs of gVisor start themselves anew, several times for each sandbox. What
// is done here comes before the hundreds of packages of gVisor are initialised.
func init() {
	switch {
	case isUmount(os.Args):
		exit(umount(os.Args[2], os.Args[3]))
	case IsSentry(os.Args) && os.Getenv(envEntered) == "" && ABI() > 0:
		exit(enterSentry())
	}
}

func exit(err error) {
	if err == nil {
		os.Exit(0)
	}
	fmt.Fprintln(os.Stderr, "kavach-runsc:", err)
	os.Exit(1)
}

// IsSentry says whether these are the arguments of a sentry as it is at the end
// of gVisor's own set-up: in an empty root directory, without capabilities. What
// it starts is in the same domain: the processes in which untrusted code runs.
func IsSentry(args []string) bool {
	boot := slices.Index(args, "boot")
	return boot > 0 && slices.Contains(args[boot:], "--setup-root=false")
}

// enterSentry puts this thread in a domain, and executes the program again with
// it: a domain is put on a thread, and threads in domains that are not above one
// another may not trace each other's children, as gVisor's platforms do.
func enterSentry() error {
	runtime.LockOSThread()
	proc, err := open("/proc", unix.O_PATH)
	if err != nil {
		return err
	}
	self, err := open("/proc/self/exe", unix.O_PATH)
	if err != nil {
		return err
	}
	const read = unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR
	set, err := ruleset(ABI(), []rule{
		{proc, read},
		{self, unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_EXECUTE}, // gone with /proc
	})
	if err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no_new_privs: %w", err)
	}
	if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, uintptr(set), 0, 0); errno != 0 {
		return fmt.Errorf("landlock: enter the domain: %w", errno)
	}
	err = unix.Exec("/proc/self/exe", os.Args, append(os.Environ(), envEntered+"=1"))
	return fmt.Errorf("execute this program again: %w", err)
}

func open(name string, flags int) (fd int, err error) {
	fd, err = unix.Open(name, flags|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: name, Err: err}
	}
	return fd, nil
}

// CheckSentry tries what a sentry may not do. All of it gets through where there
// is no domain, as long as there is no seccomp filter: /etc is a directory that
// gVisor makes in the sentry's root, for anybody to read.
func CheckSentry() (Report, error) {
	r := Report{Process: "sentry", Landlock: ABI()}
	if r.Landlock == 0 {
		return r, nil
	}
	_, err := open("/etc", unix.O_RDONLY|unix.O_DIRECTORY)
	if err := r.refused("open /etc", err); err != nil {
		return r, err
	}
	return r, r.tryTCP()
}

// isUmount says whether these are the arguments of the helper that unmounts a
// sentry's /proc when it has been told to: "umount --sync-fd=N DIR".
func isUmount(args []string) bool {
	return len(args) == 4 && args[1] == "umount" && strings.HasPrefix(args[2], "--sync-fd=")
}

// umount waits for one byte, and unmounts.
func umount(syncFD, dir string) error {
	var fd int
	if _, err := fmt.Sscanf(syncFD, "--sync-fd=%d", &fd); err != nil {
		return fmt.Errorf("umount: %w", err)
	}
	n, err := unix.Read(fd, make([]byte, 1))
	if err != nil || n != 1 {
		return errors.Join(fmt.Errorf("umount %s: the sentry ended before it could be told when", dir), err)
	}
	if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
		return &os.PathError{Op: "umount", Path: dir, Err: err}
	}
	return nil
}
