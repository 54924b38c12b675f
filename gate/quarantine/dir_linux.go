package quarantine

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach/internal/owndir"
)

func defaultDir() (string, error)  { return owndir.Quarantine() }
func defaultKeys() (string, error) { return owndir.QuarantineKeys() }

// openOwn opens a directory of the user's alone, and makes it where it is missing.
func openOwn(dir, what string) (*os.Root, error) {
	fd, err := owndir.Open(dir, what)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", what, err)
	}
	var looked, opened unix.Stat_t
	self, err := root.Open(".")
	if err == nil {
		err = errors.Join(unix.Fstat(fd, &looked), unix.Fstat(int(self.Fd()), &opened), self.Close())
	}
	if err == nil && (looked.Dev != opened.Dev || looked.Ino != opened.Ino) {
		err = errors.New("it was exchanged for another directory meanwhile")
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open %s %s: %w", what, dir, err), root.Close())
	}
	return root, nil
}

func tryLock(f *os.File) (bool, error) {
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return true, nil
		case errors.Is(err, unix.EWOULDBLOCK):
			return false, nil
		case !errors.Is(err, unix.EINTR):
			return false, err
		}
	}
}

func unlockFile(f *os.File) error { return unix.Flock(int(f.Fd()), unix.LOCK_UN) }

// renameNew gives a file a name that nothing must have.
func renameNew(dir *os.Root, from, to string) error {
	self, err := dir.Open(".")
	if err != nil {
		return err
	}
	defer self.Close()
	fd := int(self.Fd())
	err = unix.Renameat2(fd, from, fd, to, unix.RENAME_NOREPLACE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
		// A file system without that (some FUSE) may have links, which replace
		// nothing either.
		if err = dir.Link(from, to); err == nil {
			err = dir.Remove(from)
		}
	}
	return err
}

// openNameless makes a file that has no name, and can get one.
func openNameless(dir *os.Root) (*os.File, error) {
	self, err := dir.Open(".")
	if err != nil {
		return nil, err
	}
	defer self.Close()
	fd, err := unix.Openat(int(self.Fd()), ".", unix.O_TMPFILE|unix.O_WRONLY|unix.O_CLOEXEC, private)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), dir.Name())
	if _, err := os.Lstat(linkOf(f)); err != nil {
		return nil, errors.Join(err, f.Close()) // without procfs it stays nameless
	}
	return f, nil
}

// linkOf is a link to an open file, by which it gets a name (open(2), O_TMPFILE).
func linkOf(f *os.File) string { return fmt.Sprintf("/proc/self/fd/%d", f.Fd()) }

func linkFile(dir *os.Root, f *os.File, name string) error {
	self, err := dir.Open(".")
	if err != nil {
		return err
	}
	defer self.Close()
	return unix.Linkat(unix.AT_FDCWD, linkOf(f), int(self.Fd()), name, unix.AT_SYMLINK_FOLLOW)
}

// ownedAlone refuses a file of somebody else's, and one whose mode has one of the
// bits in mask.
func ownedAlone(f *os.File, mask uint32, fix string) error {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return err
	}
	switch {
	case int(st.Uid) != os.Geteuid():
		return refusef("name a file of your own", "%s belongs to uid %d, and not to uid %d, who runs this", f.Name(), st.Uid, os.Geteuid())
	case st.Mode&mask != 0:
		return refusef(fix, "%s is open to others (mode %04o)", f.Name(), st.Mode&0o7777)
	}
	return nil
}

// noLogin is what the kernel has where nobody logged in (audit_set_loginuid(3)).
const noLogin = 1<<32 - 1

func thisCaller() Caller {
	c := Caller{UID: os.Getuid()}
	text, err := os.ReadFile("/proc/self/loginuid")
	if err != nil {
		return c // this kernel does not audit
	}
	if n, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 32); err == nil && n != noLogin {
		login := uint32(n)
		c.LoginUID = &login
	}
	return c
}
