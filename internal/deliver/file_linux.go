package deliver

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// draftPrefix begins the names of what is not ready.
const draftPrefix = ".kavach-export-"

// draftName is a name that nobody knows beforehand.
func draftName() string { return draftPrefix + rand.Text() }

// closed is the mode of what is not ready.
const closed = 0o600

// File is a file that is not in its place yet.
type File struct {
	*os.File // to write, and to read again

	place *Place
	name  string // empty: it has none
}

// File makes an empty file for the place.
func (p *Place) File() (*File, error) {
	fd, err := unix.Openat(p.dir(), ".", unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, closed)
	if err == nil {
		return &File{os.NewFile(uintptr(fd), p.Path), p, ""}, nil
	}
	return p.named() // EOPNOTSUPP, EISDIR and others say that there are no nameless ones
}

// named makes a file with a name that nobody knows beforehand.
func (p *Place) named() (*File, error) {
	name := draftName()
	fd, err := create(p.dir(), name)
	if err != nil {
		return nil, fmt.Errorf("make a file beside %s: %w", p.Path, err)
	}
	return &File{os.NewFile(uintptr(fd), p.Path), p, name}, nil
}

func create(dir int, name string) (int, error) {
	return unix.Openat(dir, name, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, closed)
}

// Settle brings the file to disk, and puts it in its place.
func (f *File) Settle(mode uint32) error {
	if err := f.Chmod(os.FileMode(mode)); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if f.name != "" {
		return f.settle()
	}
	if !f.place.replace {
		err := f.link(f.place.name)
		if errors.Is(err, unix.EEXIST) {
			if err := f.place.check(false); err != nil {
				return err
			}
			return f.place.taken()
		}
		if err == nil {
			return f.place.parent.Sync()
		}
	}
	name := draftName()
	if err := f.link(name); err != nil {
		return err
	}
	f.name = name
	return f.settle()
}

func (f *File) settle() error {
	if err := f.place.settle(f.name, false); err != nil {
		return err
	}
	f.name = ""
	return nil
}

// link gives the file a name. By way of /proc, which needs no capability (open(2),
// O_TMPFILE).
func (f *File) link(name string) error {
	return unix.Linkat(unix.AT_FDCWD, procPath(int(f.Fd())), f.place.dir(), name, unix.AT_SYMLINK_FOLLOW)
}

// Discard removes the file, if it is not in its place. It may be called again.
func (f *File) Discard() error {
	err := f.Close()
	if errors.Is(err, os.ErrClosed) {
		err = nil
	}
	if f.name != "" {
		err = errors.Join(err, unix.Unlinkat(f.place.dir(), f.name, 0))
		f.name = ""
	}
	return err
}
