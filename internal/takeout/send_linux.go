package takeout

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// Request is what to send.
type Request struct {
	// Path is absolute and clean. Links on the way to it are followed; it is none
	// itself.
	Path string

	// Below, where it is not empty, is a directory that Path is, or is in, and that no
	// link on the way leads out of.
	Below string

	Limits Limits
}

// Send writes what is at a path, and all that is below it, to w. What it may not
// read, and what is no file or directory, it refuses, each by itself. The error is
// w's: what went wrong with the files is in the stream.
func Send(w io.Writer, req Request) error {
	s := &sender{writer: newWriter(w), limits: req.Limits}
	err := s.send(req)
	why := ""
	if err != nil {
		why = err.Error()
	}
	return s.end(why)
}

type sender struct {
	*writer
	limits  Limits
	entries int
	texts   int
	total   int64
	buf     []byte
}

func (s *sender) send(req Request) error {
	if req.Path == "/" {
		return errors.New("it is the root directory; name what is below it")
	}
	parent, base, err := openParent(req)
	if err != nil {
		return reason(err)
	}
	defer unix.Close(parent)
	// Nothing is known of the file system of the parent yet: no device is 2^64-1.
	return s.entry(parent, base, "", ^uint64(0), 1)
}

// openParent opens the directory in which the path is base.
func openParent(req Request) (parent int, base string, err error) {
	dir, base := path.Split(req.Path)
	switch req.Below {
	case "":
		parent, err = open(unix.AT_FDCWD, dir, dirFlags)
		return parent, base, err
	case req.Path:
		parent, err = open(unix.AT_FDCWD, req.Path, dirFlags)
		return parent, ".", err
	}
	parent, err = openBelow(req.Below, path.Clean(dir))
	return parent, base, err
}

// dirFlags open a directory for what is in it.
const dirFlags = unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC

// openBelow opens a directory by a way that does not lead out of another.
func openBelow(below, dir string) (int, error) {
	rel, err := filepath.Rel(below, dir)
	if err != nil || !filepath.IsLocal(rel) {
		return -1, fmt.Errorf("it is not below %s", below)
	}
	root, err := os.OpenRoot(below)
	if err != nil {
		return -1, err
	}
	defer root.Close()
	// O_NONBLOCK: nobody waits for a fifo that is no directory.
	f, err := root.OpenFile(rel, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NONBLOCK, 0)
	if err != nil {
		return -1, err
	}
	defer f.Close()
	return open(int(f.Fd()), ".", dirFlags)
}

func open(dir int, name string, flags int) (fd int, err error) {
	for {
		if fd, err = unix.Openat(dir, name, flags, 0); err != unix.EINTR {
			return fd, err
		}
	}
}

// entry sends what has this name in a directory. Dev is the device that the
// directory is on, and that needs no second look.
func (s *sender) entry(dir int, base, name string, dev uint64, depth int) error {
	if s.err != nil {
		return s.err
	}
	fd, st, err := openFile(dir, base)
	why := ""
	if err == nil {
		defer unix.Close(fd)
		err = s.look(fd, st, dev)
	}
	if err != nil {
		why = reason(err).Error()
	}
	if err := s.count(name, why); err != nil {
		return err
	}
	switch {
	case why != "":
		s.writer.entry(Entry{Kind: Refused, Name: name, Reason: why})
		return nil
	case st.Mode&unix.S_IFMT == unix.S_IFDIR:
		s.writer.entry(Entry{Kind: Dir, Name: name, Mode: st.Mode & permissions})
		return s.dir(fd, name, uint64(st.Dev), depth)
	}
	if s.total += st.Size; s.total > s.limits.TotalBytes {
		return fmt.Errorf("there are more than %d bytes", s.limits.TotalBytes)
	}
	s.writer.entry(Entry{Kind: File, Name: name, Mode: st.Mode & permissions})
	s.whole(s.content(fd, st))
	return nil
}

// look says why something that is open is not sent by itself.
func (s *sender) look(fd int, st *unix.Stat_t, dev uint64) error {
	if st.Mode&unix.S_IFMT == unix.S_IFREG && st.Size > s.limits.FileBytes {
		return fmt.Errorf("it has %d bytes, and may have %d", st.Size, s.limits.FileBytes)
	}
	if uint64(st.Dev) == dev {
		return nil
	}
	return checkFileSystem(fd)
}

// count says why there is too much of all.
func (s *sender) count(name, why string) error {
	const slack = 64 // what else may be said of it: that it was changed
	s.entries++
	s.texts += len(name) + min(len(why), maxReason) + slack
	switch {
	case s.entries > s.limits.Entries:
		return fmt.Errorf("there are more than %d files and directories", s.limits.Entries)
	case len(name) > maxName:
		return fmt.Errorf("there are paths of more than %d bytes", maxName)
	case s.texts > maxTexts:
		return fmt.Errorf("there are names of more than %d bytes", maxTexts)
	}
	return nil
}

// openFile opens a file or a directory, and nothing else. Whatever is put in its
// place meanwhile is looked at again when it is open: no link is followed, no fifo
// waited for, no terminal acquired.
func openFile(dir int, base string) (fd int, st *unix.Stat_t, err error) {
	st = new(unix.Stat_t)
	if err := unix.Fstatat(dir, base, st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return -1, nil, err
	}
	if err := checkType(dir, base, st); err != nil {
		return -1, nil, err
	}
	fd, err = open(dir, base, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC)
	if errors.Is(err, unix.ELOOP) {
		return -1, nil, errors.New("it became a link while it was opened")
	}
	if err != nil {
		return -1, nil, err
	}
	err = unix.Fstat(fd, st)
	if err == nil {
		err = checkType(dir, base, st)
	}
	if err != nil {
		unix.Close(fd)
		return -1, nil, err
	}
	return fd, st, nil
}

func checkType(dir int, base string, st *unix.Stat_t) error {
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG, unix.S_IFDIR:
		return nil
	case unix.S_IFLNK:
		target := make([]byte, unix.PathMax)
		if n, err := unix.Readlinkat(dir, base, target); err == nil {
			return fmt.Errorf("it is a link, to %q", target[:n])
		}
		return errors.New("it is a link")
	case unix.S_IFIFO:
		return errors.New("it is a fifo")
	case unix.S_IFSOCK:
		return errors.New("it is a socket")
	}
	return errors.New("it is a device")
}

// kernelFiles are file systems whose files are the kernel's answers rather than
// somebody's data (linux/magic.h; nsfs and mqueue are in their own sources).
var kernelFiles = []uint32{
	unix.PROC_SUPER_MAGIC, unix.SYSFS_MAGIC, unix.CGROUP_SUPER_MAGIC, unix.CGROUP2_SUPER_MAGIC, unix.DEBUGFS_MAGIC,
	unix.TRACEFS_MAGIC, unix.SECURITYFS_MAGIC, unix.SELINUX_MAGIC, unix.SMACK_MAGIC, unix.BPF_FS_MAGIC,
	unix.PSTOREFS_MAGIC, unix.EFIVARFS_MAGIC, unix.BINFMTFS_MAGIC, unix.DEVPTS_SUPER_MAGIC, unix.NSFS_MAGIC,
	0x19800202, // mqueue (ipc/mqueue.c)
	0x62656570, // configfs (fs/configfs/mount.c)
	0x65735543, // fusectl (fs/fuse/control.c)
}

// checkFileSystem refuses the files of the kernel's own file systems: they say that
// they are regular, and have no end, or do something when they are read.
func checkFileSystem(fd int) error {
	var fs unix.Statfs_t
	if err := unix.Fstatfs(fd, &fs); err != nil {
		return err
	}
	if slices.Contains(kernelFiles, uint32(fs.Type)) {
		return errors.New("it is the kernel's, and no file (procfs, sysfs, cgroup and their like)")
	}
	return nil
}

// dir sends what is in a directory, in the order of names.
func (s *sender) dir(fd int, name string, dev uint64, depth int) error {
	if depth > s.limits.Depth {
		return fmt.Errorf("there are more than %d directories in each other", s.limits.Depth)
	}
	dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(dup), name)
	names, err := f.Readdirnames(s.limits.Entries - s.entries + 1) // one more than there may be
	f.Close()
	if err != nil && !errors.Is(err, io.EOF) {
		return reason(err)
	}
	slices.Sort(names)
	for _, base := range names {
		if err := s.entry(fd, base, path.Join(name, base), dev, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// content sends that of a file. It returns why what was sent is not the file.
func (s *sender) content(fd int, was *unix.Stat_t) string {
	if s.buf == nil {
		s.buf = make([]byte, maxChunk)
	}
	for left := was.Size; ; {
		n, err := unix.Read(fd, s.buf)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return reason(err).Error()
		case n == 0 && left > 0:
			return "it shrank while it was read"
		case int64(n) > left:
			return "it grew while it was read"
		case n == 0:
			return s.unchanged(fd, was)
		}
		left -= int64(n)
		s.chunk(s.buf[:n])
		if s.err != nil {
			return s.err.Error()
		}
	}
}

// unchanged holds the file against what it was: one that somebody writes to while
// it is read is half of the one and half of the other.
func (s *sender) unchanged(fd int, was *unix.Stat_t) string {
	var now unix.Stat_t
	if err := unix.Fstat(fd, &now); err != nil {
		return reason(err).Error()
	}
	if now.Size != was.Size || now.Mtim != was.Mtim {
		return "it was changed while it was read"
	}
	return ""
}

// reason is what an error says, without the name, which is known.
func reason(err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		switch errno {
		case unix.ENOENT, unix.ENOTDIR:
			return errors.New("it is not there")
		case unix.EACCES, unix.EPERM:
			return errors.New("a command may not read it: permission denied")
		}
		return errno
	}
	return err
}
