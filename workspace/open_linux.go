package workspace

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// openBeneath opens name below dir: no link is followed, no mount entered.
func openBeneath(dir int, name string, flags uint64) (int, error) {
	for {
		fd, err := unix.Openat2(dir, name, &unix.OpenHow{
			Flags: flags | unix.O_CLOEXEC | unix.O_NOFOLLOW,
			Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS |
				unix.RESOLVE_NO_XDEV,
		})
		// EAGAIN: something was renamed meanwhile, and ".." could not be judged;
		// there is none in our paths.
		if err != unix.EINTR && err != unix.EAGAIN {
			return fd, err
		}
	}
}

// at is something that was found below a directory.
type at struct {
	fd int // O_PATH
	identity
}

// find opens what is at name, a link itself included. ok is false where nothing
// is there.
func find(dir int, name string) (a at, ok bool, err error) {
	a.fd, err = openBeneath(dir, name, unix.O_PATH)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
		return a, false, nil
	}
	if err != nil {
		return a, false, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(a.fd, &st); err != nil {
		unix.Close(a.fd)
		return a, false, err
	}
	a.identity = identityOf(&st)
	return a, true, nil
}

func identityOf(st *unix.Stat_t) identity {
	return identity{
		dev: st.Dev, ino: st.Ino, mode: st.Mode, uid: st.Uid, gid: st.Gid, links: uint64(st.Nlink), size: st.Size,
		mtime: time.Unix(st.Mtim.Unix()), ctime: time.Unix(st.Ctim.Unix()),
	}
}

func (i identity) exists() bool { return i.mode != 0 }

// permissions are the bits that chmod(2) sets but for setuid, setgid, sticky.
const (
	permissions = 0o777
	special     = 0o7000
)

func (i identity) typ() Type {
	switch i.mode & unix.S_IFMT {
	case unix.S_IFREG:
		return File
	case unix.S_IFDIR:
		return Dir
	case unix.S_IFLNK:
		return Symlink
	}
	return Special
}

// same reports whether this still is that file, in that state. Of a directory
// only which one it is: what is in it is looked at by itself. The other names
// of a file with several change its ctime when one of them is taken away.
func (i identity) same(now identity) bool {
	if i.dev != now.dev || i.ino != now.ino || i.mode&unix.S_IFMT != now.mode&unix.S_IFMT {
		return false
	}
	if i.typ() == Dir {
		return true
	}
	return i.mode == now.mode && i.size == now.size && i.mtime.Equal(now.mtime) &&
		(i.ctime.Equal(now.ctime) || i.links > 1)
}

// unlock makes something of the upper directory readable that a command has
// closed to us by its mode. It is ours, as the sandbox's user is. What its mode
// was is noted.
func (w *Workspace) unlock(a at, rel string) error {
	needed := uint32(unix.S_IRUSR)
	if a.typ() == Dir {
		needed |= unix.S_IXUSR
	}
	if a.mode&needed == needed {
		return nil
	}
	if w.modes == nil {
		w.modes = make(map[string]uint32)
	}
	if _, noted := w.modes[rel]; !noted {
		w.modes[rel] = a.mode
	}
	return chmodPath(a.fd, a.mode&permissions|needed)
}

// chmodPath is chmod(2) by an O_PATH descriptor, which fchmod(2) does not take.
func chmodPath(fd int, mode uint32) error {
	return unix.Chmod(fmt.Sprintf("/proc/self/fd/%d", fd), mode)
}

// entries lists a directory, and returns a descriptor that reads in it.
func entries(dir int) ([]string, error) {
	fd, err := openBeneath(dir, ".", unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "directory")
	defer f.Close()
	return f.Readdirnames(-1)
}

// readLink reads a link by an O_PATH descriptor of itself.
func readLink(fd int) (string, error) {
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(fd, "", buf)
	if err != nil {
		return "", err
	}
	return string(buf[:n]), nil
}
