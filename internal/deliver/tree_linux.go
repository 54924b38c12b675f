package deliver

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Tree is a directory that is not in its place yet, and what is in it.
type Tree struct {
	place *Place
	name  string // empty: it is in its place, or gone
	root  *os.File
}

// ownMode is the mode of directories while they are made.
const ownMode = 0o700

// Tree makes an empty directory for the place. Those of others that were killed
// meanwhile it removes.
func (p *Place) Tree() (*Tree, error) {
	if err := p.check(true); err != nil {
		return nil, err
	}
	p.sweep(time.Now())
	t := &Tree{place: p, name: draftName()}
	if err := unix.Mkdirat(p.dir(), t.name, ownMode); err != nil {
		return nil, fmt.Errorf("make a directory beside %s: %w", p.Path, err)
	}
	fd, err := openDir(p.dir(), t.name)
	if err == nil {
		t.root = os.NewFile(uintptr(fd), p.Path)
		err = unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) // as long as somebody is at it
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open a directory beside %s: %w", p.Path, err), t.Discard())
	}
	return t, nil
}

func openDir(dir int, name string) (int, error) {
	return unix.Openat(dir, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
}

// parent opens the directory in the tree that a name is in. No link is followed:
// there is none, unless somebody else makes it.
func (t *Tree) parent(name string) (dir int, base string, err error) {
	if dir, err = openDir(int(t.root.Fd()), "."); err != nil {
		return -1, "", err
	}
	parts := strings.Split(name, "/")
	for _, part := range parts[:len(parts)-1] {
		next, err := openDir(dir, part)
		unix.Close(dir)
		if err != nil {
			return -1, "", err
		}
		dir = next
	}
	return dir, parts[len(parts)-1], nil
}

// in does something in the directory of the tree that a name is in.
func (t *Tree) in(name string, do func(dir int, base string) error) error {
	if !local(name) {
		return fmt.Errorf("%q: %w", name, unix.EINVAL)
	}
	dir, base, err := t.parent(name)
	if err == nil {
		err = do(dir, base)
		unix.Close(dir)
	}
	if err != nil {
		return fmt.Errorf("%q: %w", name, err)
	}
	return nil
}

// local reports whether a name leads to something below. What is below is made
// here, so a clean name without ".." is enough.
func local(name string) bool {
	return name != "" && name != "." && !path.IsAbs(name) && path.Clean(name) == name && name != ".." && !strings.HasPrefix(name, "../")
}

// Dir makes a directory, whose parent is there.
func (t *Tree) Dir(name string) error {
	return t.in(name, func(dir int, base string) error { return unix.Mkdirat(dir, base, ownMode) })
}

// File makes a file, in a directory that is there.
func (t *Tree) File(name string) (f *os.File, err error) {
	err = t.in(name, func(dir int, base string) error {
		fd, err := create(dir, base)
		if err == nil {
			f = os.NewFile(uintptr(fd), name)
		}
		return err
	})
	return f, err
}

// Open opens a file that was made.
func (t *Tree) Open(name string) (f *os.File, err error) {
	err = t.in(name, func(dir int, base string) error {
		fd, err := unix.Openat(dir, base, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err == nil {
			f = os.NewFile(uintptr(fd), name)
		}
		return err
	})
	return f, err
}

// Remove takes a file out again.
func (t *Tree) Remove(name string) error {
	return t.in(name, func(dir int, base string) error { return unix.Unlinkat(dir, base, 0) })
}

// Settle gives all directories their mode, brings everything to disk, and puts the
// tree in its place.
func (t *Tree) Settle(dirs []string) error {
	for _, name := range dirs {
		err := t.in(name, func(dir int, base string) error {
			fd, err := openDir(dir, base)
			if err == nil {
				err = errors.Join(unix.Fchmod(fd, DirMode), unix.Close(fd))
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	if err := t.root.Chmod(DirMode); err != nil {
		return err
	}
	if err := unix.Syncfs(int(t.root.Fd())); err != nil {
		return err
	}
	if err := t.place.settle(t.name, true); err != nil {
		return errors.Join(err, t.root.Chmod(ownMode)) // as a sweep knows it
	}
	t.name = ""
	return t.root.Close()
}

// Discard removes the tree, if it is not in its place. It may be called again.
func (t *Tree) Discard() error {
	var err error
	if t.root != nil {
		if err = t.root.Close(); errors.Is(err, os.ErrClosed) {
			err = nil
		}
	}
	if t.name != "" {
		err = errors.Join(err, removeAll(t.place.dir(), t.name))
		t.name = ""
	}
	return err
}
