// Package owndir opens directories that belong to the user who runs the program, and
// that nobody else could have put anything into: what is in them is trusted.
//
// What this package does not protect: what the user's own programs put there.
package owndir

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Open opens a directory, and makes it where it is missing. what names it in
// errors, as "the image store". The descriptor is the caller's to close.
func Open(dir, what string) (fd int, err error) {
	fd, err = open(dir)
	if errors.Is(err, unix.ENOENT) {
		if err = os.MkdirAll(filepath.Dir(dir), 0o755); err == nil {
			err = os.Mkdir(dir, 0o700)
		}
		if err == nil || errors.Is(err, os.ErrExist) {
			fd, err = open(dir)
		}
	}
	if err != nil {
		return -1, fmt.Errorf("open %s %s: %w", what, dir, err)
	}
	if err := check(fd, dir, what); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func open(dir string) (int, error) {
	return unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
}

// check refuses a directory that somebody else could have put something into.
func check(fd int, dir, what string) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("%s %s belongs to uid %d, and not to uid %d, who runs this: name a directory of your own", what, dir, st.Uid, os.Geteuid())
	}
	if st.Mode&0o077 != 0 {
		return fmt.Errorf("%s %s can be entered by others (mode %04o): chmod 700 it, and remove it if you do not know what is in it", what, dir, st.Mode&0o7777)
	}
	for up := filepath.Dir(dir); ; up = filepath.Dir(up) {
		if err := unix.Stat(up, &st); err != nil {
			return err
		}
		if st.Mode&unix.S_IWOTH != 0 && st.Mode&unix.S_ISVTX == 0 {
			return fmt.Errorf("%s %s is below %s, which everybody may write to, and so exchange it: chmod o-w that, or name another directory", what, dir, up)
		}
		if up == filepath.Dir(up) {
			return nil
		}
	}
}
