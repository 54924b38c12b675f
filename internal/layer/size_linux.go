package layer

import (
	"context"
	"errors"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// shortLink is what a symbolic link needs no page for on a tmpfs
// (SHORT_SYMLINK_LEN, mm/shmem.c).
const shortLink = 128

// Size counts what a copy of the tree takes of a tmpfs: bytes, in whole pages,
// and inodes. Holes count as what they are read as, and each name of a file as a
// file. It ends where the budget does, with a *LimitError.
//
// What this user may not read, and what is mounted there, counts as nothing.
func (t *Tree) Size(ctx context.Context, b *Budget) error { return t.root.size(ctx, b, 0) }

func (m merged) size(ctx context.Context, b *Budget, depth int) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if depth > maxDepth {
		return unix.ENAMETOOLONG
	}
	names, err := m.names()
	if err != nil {
		return ignoreClosed(err)
	}
	for _, name := range names {
		n, err := m.lookup(name)
		if err == nil && n.exists() {
			err = b.Take(n.pages(), 1)
		}
		if err == nil && n.dirs != nil {
			err = n.dirs.size(ctx, b, depth+1)
		}
		n.close()
		if err := ignoreClosed(err); err != nil {
			return err
		}
	}
	return nil
}

func (m merged) names() ([]string, error) {
	var all []string
	for _, fd := range m {
		again, err := openBeneath(fd, ".", unix.O_RDONLY|unix.O_DIRECTORY, 0)
		if err != nil {
			return nil, err
		}
		f := os.NewFile(uintptr(again), "directory")
		names, err := f.Readdirnames(-1)
		f.Close()
		if err != nil {
			return nil, err
		}
		all = append(all, names...)
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

// pages is how many bytes the content takes.
func (n *node) pages() int64 {
	switch n.mode & unix.S_IFMT {
	case unix.S_IFREG:
	case unix.S_IFLNK:
		if n.size < shortLink {
			return 0
		}
	default:
		return 0
	}
	page := int64(os.Getpagesize())
	return (n.size + page - 1) / page * page
}

func ignoreClosed(err error) error {
	if errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM) || errors.Is(err, unix.EXDEV) {
		return nil
	}
	return err
}
