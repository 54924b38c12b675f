package layer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// flatten copies layers, the lowest first, into dir, which exists and is empty, by
// way of a Tree: what it shows is held against what overlayfs does. Owners are kept
// where squash is false.
func flatten(ctx context.Context, layers []string, dir string, squash bool) error {
	tree, err := OpenTree(layers)
	if err != nil {
		return err
	}
	defer tree.Close()
	to, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", dir, err)
	}
	defer unix.Close(to)
	c := &copier{ctx: ctx, root: to, squash: squash, seen: make(map[inode]string)}
	return c.directory(tree.root, to, "")
}

type copier struct {
	ctx    context.Context // of this one call of Flatten
	root   int
	squash bool
	seen   map[inode]string // files with several names: where the first copy is
}

type inode struct{ dev, ino uint64 }

// directory copies what is in from, and then what from itself is like.
func (c *copier) directory(from merged, to int, path string) error {
	if err := c.ctx.Err(); err != nil {
		return err
	}
	names, err := from.names()
	if err != nil {
		return fmt.Errorf("read directory %.200q: %w", path, err)
	}
	for _, name := range names {
		n, err := from.lookup(name)
		if err != nil {
			return err
		}
		if n.exists() {
			err = c.node(&n, to, name, join(path, name))
		}
		n.close()
		if err != nil {
			return err
		}
	}
	if len(from) == 0 {
		return nil
	}
	return c.attributes(from[0], to)
}

func (c *copier) node(n *node, to int, name, path string) error {
	var err error
	switch {
	case n.dirs != nil:
		err = c.subdirectory(n, to, name, path)
		if err != nil {
			return err // it names the path
		}
	case n.mode&unix.S_IFMT == unix.S_IFREG:
		err = c.file(n, to, name, path)
	case n.mode&unix.S_IFMT == unix.S_IFLNK:
		var target string
		if target, err = readLink(n.fd); err == nil {
			err = unix.Symlinkat(target, to, name)
		}
		if err == nil {
			err = c.attributesAt(n.fd, to, name)
		}
	case n.mode&unix.S_IFMT == unix.S_IFIFO:
		if err = unix.Mknodat(to, name, unix.S_IFIFO|0o600, 0); err == nil {
			err = unix.Fchmodat(to, name, n.mode&(permissions|stickyBit), 0)
		}
		if err == nil {
			err = c.attributesAt(n.fd, to, name)
		}
	}
	// Sockets and devices are in no layer, and in a plain directory of no use.
	if err != nil {
		return fmt.Errorf("copy %.200q: %w", path, err)
	}
	return nil
}

func (c *copier) subdirectory(n *node, to int, name, path string) error {
	if err := unix.Mkdirat(to, name, 0o700); err != nil {
		return fmt.Errorf("make directory %.200q: %w", path, err)
	}
	fd, err := openBeneath(to, name, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return fmt.Errorf("open directory %.200q: %w", path, err)
	}
	defer unix.Close(fd)
	return c.directory(n.dirs, fd, path)
}

// file copies a file, or links to the copy of one that is the same.
func (c *copier) file(n *node, to int, name, path string) error {
	var st unix.Stat_t
	if err := unix.Fstat(n.fd, &st); err != nil {
		return err
	}
	id := inode{st.Dev, st.Ino}
	if st.Nlink > 1 {
		if first, seen := c.seen[id]; seen {
			return unix.Linkat(c.root, first, to, name, 0)
		}
		c.seen[id] = path
	}
	from, err := os.Open(fmt.Sprintf("/proc/self/fd/%d", n.fd))
	if err != nil {
		return err
	}
	defer from.Close()
	fd, err := openBeneath(to, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := copyData(int(from.Fd()), fd, st.Size); err != nil {
		return err
	}
	return c.attributes(int(from.Fd()), fd)
}

// copyData copies what is no hole.
func copyData(from, to int, size int64) error {
	for at := int64(0); at < size; {
		start, err := unix.Seek(from, at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			break // nothing but a hole
		}
		if err != nil {
			return err
		}
		end, err := unix.Seek(from, start, unix.SEEK_HOLE)
		if err != nil {
			return err
		}
		if err := copyRange(from, to, start, end); err != nil {
			return err
		}
		at = end
	}
	return unix.Ftruncate(to, size)
}

// copyRange lets the kernel copy, and shares blocks where it can.
func copyRange(from, to int, start, end int64) error {
	const most = 1 << 30
	buf := []byte(nil)
	for start < end {
		in, out := start, start
		n, err := unix.CopyFileRange(from, &in, to, &out, int(min(end-start, most)), 0)
		if errors.Is(err, unix.EXDEV) || errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EINVAL) {
			if buf == nil {
				buf = make([]byte, 256<<10)
			}
			n, err = unix.Pread(from, buf[:min(end-start, int64(len(buf)))], start)
			if err == nil && n > 0 {
				err = pwrite(to, buf[:n], start)
			}
		}
		if err != nil {
			return err
		}
		if n == 0 {
			return fmt.Errorf("it became shorter while it was copied")
		}
		start += int64(n)
	}
	return nil
}

// attributes gives to what from has.
func (c *copier) attributes(from, to int) error {
	var st unix.Stat_t
	if err := unix.Fstat(from, &st); err != nil {
		return err
	}
	if !c.squash {
		if err := unix.Fchown(to, int(st.Uid), int(st.Gid)); err != nil {
			return err
		}
	}
	if err := unix.Fchmod(to, st.Mode&(permissions|stickyBit)); err != nil {
		return err
	}
	if err := copyXattrs(from, to); err != nil {
		return err
	}
	return setTime(to, unix.Timespec{Sec: st.Mtim.Sec, Nsec: st.Mtim.Nsec})
}

func copyXattrs(from, to int) error {
	const most = 64 << 10 // XATTR_LIST_MAX and XATTR_SIZE_MAX of linux/limits.h
	list := make([]byte, most)
	n, err := unix.Flistxattr(from, list)
	if errors.Is(err, unix.EOPNOTSUPP) || n == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	value := make([]byte, most)
	for _, name := range strings.Split(strings.TrimSuffix(string(list[:n]), "\x00"), "\x00") {
		if !strings.HasPrefix(name, "user.") || strings.HasPrefix(name, overlayPrefix) {
			continue
		}
		size, err := unix.Fgetxattr(from, name, value)
		if err == nil {
			err = unix.Fsetxattr(to, name, value[:size], 0)
		}
		if err != nil {
			return fmt.Errorf("attribute %q: %w", name, err)
		}
	}
	return nil
}

func (c *copier) attributesAt(from, to int, name string) error {
	var st unix.Stat_t
	if err := unix.Fstat(from, &st); err != nil {
		return err
	}
	if !c.squash {
		if err := unix.Fchownat(to, name, int(st.Uid), int(st.Gid), unix.AT_SYMLINK_NOFOLLOW); err != nil {
			return err
		}
	}
	times := []unix.Timespec{{Nsec: unix.UTIME_OMIT}, {Sec: st.Mtim.Sec, Nsec: st.Mtim.Nsec}}
	return unix.UtimesNanoAt(to, name, times, unix.AT_SYMLINK_NOFOLLOW)
}
