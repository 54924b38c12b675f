package layer

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach/internal/tarfile"
)

type unpacker struct {
	root    int
	opt     Options
	dropped Dropped
	buf     []byte

	cached     int // a directory, or -1
	cachedPath string

	dirs       map[string]unix.Timespec // what the time of each directory will be
	deleted    map[string]bool          // paths that a deletion names
	opaque     map[string]bool          // directories that hide what is below
	devices    map[string]bool          // paths of devices, which were not made
	remembered int                      // bytes in these
}

// Unpack reads the archive of a layer, to its end, into dir, a descriptor of an
// empty directory on one file system. On an error something of it is left there.
func Unpack(dir int, archive io.Reader, opt Options) (Dropped, error) {
	u := &unpacker{
		root: dir, opt: opt, cached: -1, buf: make([]byte, 256<<10),
		dirs: make(map[string]unix.Timespec), deleted: make(map[string]bool),
		opaque: make(map[string]bool), devices: make(map[string]bool),
	}
	defer u.forget()
	u.dirs[""] = unix.Timespec{}
	if err := unix.Fchmod(dir, 0o755); err != nil {
		return u.dropped, err
	}
	r := tarfile.NewReader(counted{archive, opt.Budget})
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return u.dropped, u.finish()
		}
		if err != nil {
			return u.dropped, err
		}
		if err := opt.Budget.takeFile(); err != nil {
			return u.dropped, err
		}
		if err := u.entry(h, r); err != nil {
			return u.dropped, fmt.Errorf("entry %.200q: %w", h.Name, err)
		}
	}
}

// counted is an archive whose length counts against a budget.
type counted struct {
	r io.Reader
	b *Budget
}

func (c counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if limit := c.b.takeBytes(n); limit != nil {
		return 0, limit
	}
	return n, err
}

func (u *unpacker) entry(h *tarfile.Header, r *tarfile.Reader) error {
	path, err := clean(h.Name)
	if err != nil {
		return err
	}
	dir, base := split(path)
	switch {
	case hasWhiteout(dir):
		return refused("nothing can be in a directory of that name, which means a deletion")
	case strings.HasPrefix(base, whiteoutPrefix):
		return u.whiteout(dir, base)
	case path == "" && h.Type != tarfile.Dir:
		return refused("it has no name, or that of the root, and is no directory")
	case !u.opt.Squash && (!validID(h.UID) || !validID(h.GID)):
		return refused("it belongs to %d:%d: ids above %d are not mapped in a sandbox; build the image with others, or pull it as an ordinary user", h.UID, h.GID, maxID)
	case h.Size > maxSize:
		return refused("it has %d bytes, and %d are the most", h.Size, int64(maxSize))
	}
	if path == "" {
		return u.directory(-1, "", "", h)
	}
	parent, err := u.parent(dir, true)
	if err != nil {
		return err
	}
	if h.Type != tarfile.Char && h.Type != tarfile.Block {
		delete(u.devices, path) // something else takes the place of one
	}
	switch h.Type {
	case tarfile.Regular:
		return u.regular(parent, base, h, r)
	case tarfile.Dir:
		return u.directory(parent, base, path, h)
	case tarfile.Symlink:
		return u.symlink(parent, base, h)
	case tarfile.Hard:
		return u.hardLink(parent, dir, base, path, h)
	case tarfile.Fifo:
		return u.fifo(parent, base, h)
	}
	// A device: tarfile knows no other types. Nothing could use it.
	u.dropped.Devices++
	u.devices[path] = true
	if err := u.remember(path); err != nil {
		return err
	}
	if err := u.remove(parent, base); err != nil && !errors.Is(err, unix.ENOENT) {
		return err
	}
	return nil
}

// whiteout notes a deletion. It is carried out at the end, as it is about lower
// layers only, wherever in the archive it is.
func (u *unpacker) whiteout(dir, base string) error {
	if err := u.remember(dir + base); err != nil {
		return err
	}
	name := strings.TrimPrefix(base, whiteoutPrefix)
	switch {
	case base == whiteoutOpaque:
		u.opaque[dir] = true
	case strings.HasPrefix(base, whiteoutMeta):
		// aufs's own: about no file.
	case name == "" || name == "." || name == "..":
		return refused("it deletes %q, which is no name", name)
	default:
		u.deleted[join(dir, name)] = true
	}
	return nil
}

func join(dir, base string) string {
	if dir == "" {
		return base
	}
	return dir + "/" + base
}

func (u *unpacker) regular(dir int, base string, h *tarfile.Header, r *tarfile.Reader) error {
	var fd int
	err := u.making(dir, base, func() (err error) {
		fd, err = openBeneath(dir, base, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, 0o600)
		return err
	})
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := u.content(fd, h, r); err != nil {
		return err
	}
	if err := u.attributes(fd, h); err != nil {
		return err
	}
	return setTime(fd, unix.Timespec{Sec: h.Sec, Nsec: h.Nsec})
}

// content writes a file: its data, where they belong.
func (u *unpacker) content(fd int, h *tarfile.Header, r *tarfile.Reader) error {
	data := h.Data
	if data == nil {
		data = []tarfile.Extent{{Offset: 0, Length: h.Size}}
	}
	for _, extent := range data {
		at := extent.Offset
		for left := extent.Length; left > 0; {
			n, err := io.ReadFull(r, u.buf[:min(left, int64(len(u.buf)))])
			if err != nil {
				return err
			}
			if err := pwrite(fd, u.buf[:n], at); err != nil {
				return fmt.Errorf("write: %w", err)
			}
			at, left = at+int64(n), left-int64(n)
		}
	}
	if h.Data == nil {
		return nil
	}
	return unix.Ftruncate(fd, h.Size)
}

func pwrite(fd int, b []byte, at int64) error {
	for len(b) > 0 {
		n, err := unix.Pwrite(fd, b, at)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		b, at = b[n:], at+int64(n)
	}
	return nil
}

// attributes sets owner, mode and extended attributes of an open file.
func (u *unpacker) attributes(fd int, h *tarfile.Header) error {
	if !u.opt.Squash {
		if err := unix.Fchown(fd, int(h.UID), int(h.GID)); err != nil {
			return fmt.Errorf("give it to %d:%d: %w", h.UID, h.GID, err)
		}
	}
	if err := unix.Fchmod(fd, u.mode(h)); err != nil {
		return fmt.Errorf("set its mode: %w", err)
	}
	for name, value := range h.Xattrs {
		// An image must not tell overlayfs what is opaque, or where a file really is.
		if !strings.HasPrefix(name, "user.") || strings.HasPrefix(name+".", overlayPrefix) || strings.Contains(name, "\x00") {
			u.dropped.Xattrs++
			continue
		}
		if err := unix.Fsetxattr(fd, name, []byte(value), 0); err != nil {
			return fmt.Errorf("set its attribute %.80q: %w", name, err)
		}
	}
	return nil
}

func (u *unpacker) mode(h *tarfile.Header) uint32 {
	mode := uint32(h.Mode) & (permissions | stickyBit)
	if h.Mode&setuidBits != 0 {
		u.dropped.Setuid++
	}
	if u.opt.Squash && h.Type == tarfile.Dir {
		mode |= 0o700
	} else if u.opt.Squash {
		mode |= 0o400
	}
	return mode
}

// setTime sets when a file was modified, by a descriptor (AT_EMPTY_PATH: Linux 5.8).
func setTime(fd int, at unix.Timespec) error {
	return unix.UtimesNanoAt(fd, "", []unix.Timespec{{Nsec: unix.UTIME_OMIT}, at}, unix.AT_EMPTY_PATH)
}
