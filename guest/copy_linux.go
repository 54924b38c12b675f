package guest

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Steps of the set-up that the host tells from others by their names.
const (
	StepOverlay = "lay the layers over each other with overlayfs"
	StepCopy    = "copy the layers into memory"
)

// maxDepth is how deep directories may be nested: two descriptors are open for
// each. It is what images are held to (docs/images.md).
const maxDepth = 256

// copier makes on the stage what an overlay of layers would show. The highest
// layer is copied first, so nothing is written that a higher one hides. Nothing is
// followed, and no other mount is entered.
//
// Left out are devices, sockets, and extended attributes. Files with several names
// become several files.
type copier struct {
	// hidden are the paths where nothing of lower layers is to be seen, although
	// nothing, or a directory, was made there.
	hidden map[string]bool
	buf    []byte
}

// copyLayers is overlay, for where the kernel refuses one.
func (b *builder) copyLayers() (int, error) {
	name := fmt.Sprintf("copy.%d", b.overlays)
	b.overlays++
	if err := unix.Mkdirat(b.stage, name, 0o755); err != nil {
		return -1, err
	}
	to, err := unix.Openat(b.stage, name, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	defer unix.Close(to)
	const block = 256 << 10
	c := &copier{hidden: make(map[string]bool), buf: make([]byte, block)}
	for i := len(b.layers) - 1; i >= 0; i-- {
		if err := c.directory(b.layers[i], to, ".", "", 0); err != nil {
			return -1, err
		}
		unix.Close(b.layers[i])
	}
	b.layers = nil
	return b.cloneStage(name, 0)
}

// within is beneath, and enters no mount: overlayfs shows none of a lower layer.
func within(flags uint64) *unix.OpenHow {
	how := beneath(flags | unix.O_NOFOLLOW)
	how.Resolve |= unix.RESOLVE_NO_XDEV
	return how
}

// isClosed says of an error that what is there is not for the guest to read,
// which may do what any command may, and more. An overlay would show it, and let
// nobody open it.
func isClosed(err error) bool {
	return errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM) || errors.Is(err, unix.EXDEV)
}

// directory copies what is in the directory name of from, which is at path in the
// root, into to.
func (c *copier) directory(from, to int, name, path string, depth int) error {
	if c.hidden[path] {
		return nil
	}
	if depth > maxDepth {
		return fail(StepCopy, path, unix.ENAMETOOLONG)
	}
	fd, err := unix.Openat2(from, name, within(unix.O_RDONLY|unix.O_DIRECTORY))
	if isClosed(err) {
		c.hidden[path] = true
		return fail(StepCopy, path, unix.Fchmodat(to, ".", 0, 0))
	}
	if err != nil {
		return fail(StepCopy, path, err)
	}
	dir := os.NewFile(uintptr(fd), path)
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return fail(StepCopy, path, err)
	}
	for _, name := range names {
		if err := c.entry(fd, to, name, path+"/"+name, depth+1); err != nil {
			return fail(StepCopy, path+"/"+name, err)
		}
	}
	var opaque [1]byte
	if n, err := unix.Fgetxattr(fd, "user.overlay.opaque", opaque[:]); err == nil && n == 1 && opaque[0] == 'y' {
		c.hidden[path] = true
	}
	return nil
}

// entry copies what has this name, unless something of a higher layer is there.
func (c *copier) entry(from, to int, name, path string, depth int) error {
	if c.hidden[path] {
		return nil
	}
	var st unix.Stat_t
	err := unix.Fstatat(from, name, &st, unix.AT_SYMLINK_NOFOLLOW)
	if err != nil {
		return err
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		return c.subdirectory(from, to, name, path, depth, &st)
	case unix.S_IFREG:
		err = c.file(from, to, name, &st)
	case unix.S_IFLNK:
		err = copyLink(from, to, name, &st)
	case unix.S_IFIFO:
		err = unix.Mknodat(to, name, unix.S_IFIFO|0o600, 0)
	default: // a deletion, which is the device 0:0, or something that is left out
		c.hidden[path] = true
		return nil
	}
	if errors.Is(err, unix.EEXIST) {
		c.hidden[path] = true // a directory there ends here, whatever lower layers have
		return nil
	}
	if err != nil {
		return err
	}
	return attributes(to, name, &st)
}

func (c *copier) subdirectory(from, to int, name, path string, depth int, st *unix.Stat_t) error {
	made := unix.Mkdirat(to, name, 0o700)
	if made == nil {
		made = attributes(to, name, st)
	}
	if made != nil && !errors.Is(made, unix.EEXIST) {
		return made
	}
	fd, err := unix.Openat2(to, name, within(unix.O_PATH|unix.O_DIRECTORY))
	if errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
		return nil // a file or a link of a higher layer
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return c.directory(from, fd, name, path, depth)
}

// file copies a regular file. What the guest may not read is there, empty, and
// closed to everybody.
func (c *copier) file(from, to int, name string, st *unix.Stat_t) error {
	out, err := unix.Openat2(to, name, within(unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL))
	if err != nil {
		return err
	}
	defer unix.Close(out)
	in, err := unix.Openat2(from, name, within(unix.O_RDONLY|unix.O_NONBLOCK))
	if isClosed(err) {
		st.Mode &^= permissions
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(in)
	if err := unix.Fstat(in, st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return unix.ESTALE // it was exchanged
	}
	for {
		if hostGone() {
			return unix.EPIPE
		}
		n, err := unix.Read(in, c.buf)
		if n <= 0 || err != nil {
			return err
		}
		for data := c.buf[:n]; len(data) > 0; {
			n, err := unix.Write(out, data)
			if err != nil {
				return err
			}
			data = data[n:]
		}
	}
}

// hostGone reports whether the host has died. What waits for a frame learns that
// by itself; a copy would go on, and take memory for nobody.
func hostGone() bool {
	fds := []unix.PollFd{{Fd: ChannelFD}}
	n, err := unix.Poll(fds, 0)
	return n > 0 && err == nil && fds[0].Revents&unix.POLLHUP != 0
}

func copyLink(from, to int, name string, st *unix.Stat_t) error {
	target := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(from, name, target)
	if err != nil {
		return err
	}
	return unix.Symlinkat(string(target[:n]), to, name)
}

// The bits of a mode. Setuid and setgid mean nothing inside.
const (
	permissions = 0o777
	stickyBit   = 0o1000
)

// attributes gives to what was made the owner, mode and time of what it is a copy
// of. An owner who has no id in here would have been neither the command's user
// nor of its group: the copy stays the guest's, and lets the command do what
// everybody may.
func attributes(to int, name string, st *unix.Stat_t) error {
	mode := st.Mode & (permissions | stickyBit)
	err := unix.Fchownat(to, name, int(st.Uid), int(st.Gid), unix.AT_SYMLINK_NOFOLLOW)
	if errors.Is(err, unix.EINVAL) {
		const others, toGroup, toOwner = 0o007, 3, 6
		mode = mode&(stickyBit|others) | mode&others<<toGroup | mode&others<<toOwner
		err = nil
	}
	if err == nil && st.Mode&unix.S_IFMT != unix.S_IFLNK {
		err = unix.Fchmodat(to, name, mode, 0) // it was made a moment ago, and is no link
	}
	if err != nil {
		return err
	}
	times := []unix.Timespec{{Nsec: unix.UTIME_OMIT}, st.Mtim}
	return unix.UtimesNanoAt(to, name, times, unix.AT_SYMLINK_NOFOLLOW)
}
