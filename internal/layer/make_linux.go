package layer

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach/internal/tarfile"
)

// directory makes a directory, or changes one that is there already: what is in
// it stays. path "" is the root.
func (u *unpacker) directory(dir int, base, path string, h *tarfile.Header) error {
	if path != "" {
		err := unix.Mkdirat(dir, base, 0o700)
		if errors.Is(err, unix.EEXIST) && !isDir(dir, base) {
			if err = u.remove(dir, base); err == nil {
				err = unix.Mkdirat(dir, base, 0o700)
			}
		}
		if err != nil && !errors.Is(err, unix.EEXIST) {
			return err
		}
	} else {
		dir, base = u.root, "."
	}
	fd, err := openBeneath(dir, base, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := u.remember(path); err != nil {
		return err
	}
	u.dirs[path] = unix.Timespec{Sec: h.Sec, Nsec: h.Nsec}
	return u.attributes(fd, h)
}

func isDir(dir int, base string) bool {
	var st unix.Stat_t
	return unix.Fstatat(dir, base, &st, unix.AT_SYMLINK_NOFOLLOW) == nil && st.Mode&unix.S_IFMT == unix.S_IFDIR
}

// symlink makes a link, to whatever: it is data for whoever is inside.
func (u *unpacker) symlink(dir int, base string, h *tarfile.Header) error {
	if h.Linkname == "" || len(h.Linkname) > maxPath {
		return refused("it is a link to nothing, or to more than %d bytes", maxPath)
	}
	if err := u.making(dir, base, func() error { return unix.Symlinkat(h.Linkname, dir, base) }); err != nil {
		return err
	}
	return u.attributesAt(dir, base, h)
}

func (u *unpacker) fifo(dir int, base string, h *tarfile.Header) error {
	if err := u.making(dir, base, func() error { return unix.Mknodat(dir, base, unix.S_IFIFO|0o600, 0) }); err != nil {
		return err
	}
	if err := u.attributesAt(dir, base, h); err != nil {
		return err
	}
	// It was made just now, and by nobody else: it is no link.
	return unix.Fchmodat(dir, base, u.mode(h), 0)
}

// attributesAt sets owner and time of what cannot be opened. It has no extended
// attributes: user.* is for files and directories (xattr(7)).
func (u *unpacker) attributesAt(dir int, base string, h *tarfile.Header) error {
	u.dropped.Xattrs += len(h.Xattrs)
	if !u.opt.Squash {
		if err := unix.Fchownat(dir, base, int(h.UID), int(h.GID), unix.AT_SYMLINK_NOFOLLOW); err != nil {
			return fmt.Errorf("give it to %d:%d: %w", h.UID, h.GID, err)
		}
	}
	times := []unix.Timespec{{Nsec: unix.UTIME_OMIT}, {Sec: h.Sec, Nsec: h.Nsec}}
	return unix.UtimesNanoAt(dir, base, times, unix.AT_SYMLINK_NOFOLLOW)
}

// hardLink gives a file of this archive another name. One of a lower layer cannot
// be meant: what is in one layer does not depend on what is below it.
func (u *unpacker) hardLink(parent int, dir, base, path string, h *tarfile.Header) error {
	target, err := clean(h.Linkname)
	if err != nil {
		return fmt.Errorf("hard link: %w", err)
	}
	if u.devices[target] {
		u.dropped.Devices++
		return nil
	}
	if target == "" || target == path || hasWhiteout(target) {
		return refused("it is a hard link to %.200q, which cannot be linked to", h.Linkname)
	}
	// The other directory takes the place of this one among what is kept open.
	up, name := split(target)
	here, err := unix.FcntlInt(uintptr(parent), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(here)
	there, err := u.parent(up, false)
	if err == nil && isDir(there, name) {
		return refused("it is a hard link to the directory %.200q", h.Linkname)
	}
	if err == nil {
		err = u.making(here, base, func() error { return unix.Linkat(there, name, here, base, 0) })
	}
	if errors.Is(err, unix.ENOENT) {
		return refused("it is a hard link to %.200q, which is not in the same layer", h.Linkname)
	}
	u.forget()
	return err
}

// finish carries out deletions, and sets the times of directories, which
// everything that was made in them has changed.
func (u *unpacker) finish() error {
	for _, dir := range sorted(u.opaque) {
		if err := u.markOpaque(dir); err != nil {
			return fmt.Errorf("hide what is below %.200q: %w", dir, err)
		}
	}
	for _, path := range sorted(u.deleted) {
		if err := u.delete(path); err != nil {
			return fmt.Errorf("delete %.200q: %w", path, err)
		}
	}
	u.forget()
	for path, at := range u.dirs {
		fd, err := openBeneath(u.root, path, unix.O_RDONLY|unix.O_DIRECTORY, 0)
		if errors.Is(err, unix.ENOENT) || throughOther(err) {
			continue // a later entry has replaced it
		}
		if err != nil {
			return fmt.Errorf("open directory %.200q: %w", path, err)
		}
		err = setTime(fd, at)
		unix.Close(fd)
		if err != nil {
			return fmt.Errorf("set the time of directory %.200q: %w", path, err)
		}
	}
	return nil
}

func sorted(set map[string]bool) []string {
	list := make([]string, 0, len(set))
	for s := range set {
		list = append(list, s)
	}
	slices.Sort(list)
	return list
}

func (u *unpacker) markOpaque(dir string) error {
	if _, err := u.parent(dir, true); err != nil {
		return err
	}
	fd, err := openBeneath(u.root, dir, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Fsetxattr(fd, opaqueXattr, []byte("y"), 0)
}

// delete hides a path of lower layers. What this layer has there itself stays: a
// file hides what is below it anyhow, and a directory is made to.
func (u *unpacker) delete(path string) error {
	dir, base := split(path)
	if u.isHidden(dir) {
		return nil // overlayfs shows deletions in a directory with nothing below it
	}
	parent, err := u.parent(dir, true)
	if err != nil {
		return err
	}
	err = unix.Mknodat(parent, base, unix.S_IFCHR, 0) // device 0:0: since Linux 5.8 everybody may
	if errors.Is(err, unix.EEXIST) && isDir(parent, base) {
		return u.markOpaque(path)
	}
	if errors.Is(err, unix.EEXIST) {
		return nil
	}
	return err
}

// isHidden reports whether a directory is in one that is opaque, or is opaque.
func (u *unpacker) isHidden(dir string) bool {
	for {
		if u.opaque[dir] {
			return true
		}
		if dir == "" {
			return false
		}
		dir, _ = split(dir)
	}
}
