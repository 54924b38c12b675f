package layer

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// openBeneath opens a path below a directory. No link is followed, no mount is
// entered, and nothing leads upwards.
func openBeneath(dir int, path string, flags, mode uint64) (int, error) {
	if path == "" {
		path = "."
	}
	for {
		fd, err := unix.Openat2(dir, path, &unix.OpenHow{
			Flags: flags | unix.O_CLOEXEC | unix.O_NOFOLLOW, Mode: mode,
			Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS | unix.RESOLVE_NO_XDEV,
		})
		if err != unix.EINTR && err != unix.EAGAIN {
			return fd, err
		}
	}
}

// throughOther reports whether a path led through something that is no directory.
func throughOther(err error) bool {
	return errors.Is(err, unix.ELOOP) || errors.Is(err, unix.ENOTDIR)
}

// parent opens the directory at a clean path, and keeps it open: entries of one
// directory mostly come together. What is missing of it is made, where make says
// so: owned by root, mode 0755, and as old as time, as there is nothing that says
// otherwise.
func (u *unpacker) parent(dir string, make bool) (int, error) {
	if u.cached >= 0 && u.cachedPath == dir {
		return u.cached, nil
	}
	fd, err := openBeneath(u.root, dir, unix.O_PATH|unix.O_DIRECTORY, 0)
	if errors.Is(err, unix.ENOENT) && make {
		fd, err = u.makeParents(dir)
	}
	if throughOther(err) {
		return -1, refused("%q is in the archive as something else than a directory, and nothing can be below it", dir)
	}
	if err != nil {
		return -1, fmt.Errorf("open directory %q: %w", dir, err)
	}
	u.forget()
	u.cached, u.cachedPath = fd, dir
	return fd, nil
}

func (u *unpacker) makeParents(dir string) (int, error) {
	up, base := split(dir)
	fd, err := openBeneath(u.root, up, unix.O_PATH|unix.O_DIRECTORY, 0)
	if errors.Is(err, unix.ENOENT) {
		fd, err = u.makeParents(up)
	}
	if err != nil {
		return -1, err
	}
	defer unix.Close(fd)
	if err := u.opt.Budget.takeFile(); err != nil {
		return -1, err
	}
	if err := unix.Mkdirat(fd, base, 0o755); err != nil {
		return -1, err
	}
	if err := unix.Fchmodat(fd, base, 0o755, 0); err != nil { // whatever the umask is
		return -1, err
	}
	if err := u.remember(dir); err != nil {
		return -1, err
	}
	u.dirs[dir] = unix.Timespec{}
	return openBeneath(fd, base, unix.O_PATH|unix.O_DIRECTORY, 0)
}

// forget closes the directory that is kept open: it may be about to go.
func (u *unpacker) forget() {
	if u.cached >= 0 {
		unix.Close(u.cached)
		u.cached = -1
	}
}

// remove removes what is at a name, with all that is in it.
func (u *unpacker) remove(dir int, base string) error {
	err := unix.Unlinkat(dir, base, 0)
	if !errors.Is(err, unix.EISDIR) && !errors.Is(err, unix.EPERM) {
		return err
	}
	// RemoveAll goes by descriptors, and follows no link.
	return os.RemoveAll(fmt.Sprintf("/proc/self/fd/%d/%s", dir, base))
}

// making calls do, which makes something at a name. Where something is there
// already, an earlier entry of the same archive, it gives way.
func (u *unpacker) making(dir int, base string, do func() error) error {
	err := do()
	if !errors.Is(err, unix.EEXIST) {
		return err
	}
	if err := u.remove(dir, base); err != nil {
		return fmt.Errorf("replace an earlier entry: %w", err)
	}
	return do()
}

// remember counts memory for a name that is kept until the end.
func (u *unpacker) remember(name string) error {
	const overhead = 128 // of a map's slot and a string's header, about
	u.remembered += len(name) + overhead
	if u.remembered > maxRemembered {
		return refused("it has more directories and deletions than fit in %d MiB", maxRemembered>>20)
	}
	return nil
}
