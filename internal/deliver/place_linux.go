package deliver

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Place is where something is to be put: a name in a directory that is open.
type Place struct {
	// Path is how the place is called.
	Path string

	parent  *os.File
	name    string
	replace bool
}

// Open opens the directory that dest is in. Where dest ends with a slash, or is a
// directory, what is delivered goes below it, as base. Replace lets a regular file
// take the place of another. A *RefusedError says why nothing can be put there.
func Open(dest, base string, replace bool) (*Place, error) {
	if base == "" || base != filepath.Base(base) || base == "." || base == ".." || base == "/" {
		return nil, refused("it has no name of its own to be called by; name the file that it is to be")
	}
	below := strings.HasSuffix(dest, "/")
	if !below {
		st, err := os.Lstat(dest) // a link to a directory is a link
		below = err == nil && st.IsDir()
	}
	if below {
		dest = filepath.Join(dest, base)
	}
	p := &Place{Path: filepath.Clean(dest), name: filepath.Base(dest), replace: replace}
	if p.name == ".." || p.name == "." || p.name == "/" {
		return nil, refused("%s is no name of a file", dest)
	}
	var err error
	if p.parent, err = os.OpenFile(filepath.Dir(p.Path), os.O_RDONLY|unix.O_DIRECTORY, 0); err != nil {
		return nil, refused("the directory that %s would be in: %v; make it first", p.Path, plain(err))
	}
	if err := p.check(false); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// Close lets the directory go.
func (p *Place) Close() error { return p.parent.Close() }

func (p *Place) dir() int { return int(p.parent.Fd()) }

// check says whether something may be put here, for a first time before anything is
// read, so that nobody waits in vain.
func (p *Place) check(isDir bool) error {
	var st unix.Stat_t
	err := unix.Fstatat(p.dir(), p.name, &st, unix.AT_SYMLINK_NOFOLLOW)
	switch kind := st.Mode & unix.S_IFMT; {
	case errors.Is(err, unix.ENOENT):
		return nil
	case err != nil:
		return err
	case kind == unix.S_IFLNK:
		return refused("%s is a link, and nothing is put where one leads; name the file itself", p.Path)
	case kind == unix.S_IFDIR:
		return refused("%s is a directory, and none is replaced; remove it first, or choose another name", p.Path)
	case kind != unix.S_IFREG:
		return refused("%s is no regular file", p.Path)
	case isDir:
		return refused("%s is a file, and a directory takes the place of none", p.Path)
	case !p.replace:
		return p.taken()
	}
	return nil
}

func (p *Place) taken() error {
	return refused("%s is there already; --export-replace (Export.Replace) lets a file take its place", p.Path)
}

// settle gives a draft its name.
func (p *Place) settle(draft string, isDir bool) error {
	if err := p.check(isDir); err != nil {
		return err
	}
	if p.replace && !isDir {
		if err := unix.Renameat(p.dir(), draft, p.dir(), p.name); err != nil {
			return err
		}
		return p.parent.Sync()
	}
	err := unix.Renameat2(p.dir(), draft, p.dir(), p.name, unix.RENAME_NOREPLACE)
	switch {
	case errors.Is(err, unix.EEXIST):
		return p.taken()
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOSYS):
		// A file system without that (vfat, some FUSE): check has just looked.
		err = unix.Renameat(p.dir(), draft, p.dir(), p.name)
	}
	if err != nil {
		return err
	}
	return p.parent.Sync()
}

// plain is an error without the path, which is known.
func plain(err error) error {
	var inner *os.PathError
	if errors.As(err, &inner) {
		return inner.Err
	}
	return err
}
