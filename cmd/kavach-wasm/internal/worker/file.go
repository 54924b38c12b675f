//go:build linux

package worker

import (
	"encoding/binary"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"

	expsys "github.com/tetratelabs/wazero/experimental/sys"
	"github.com/tetratelabs/wazero/experimental/sysfs"
	"golang.org/x/sys/unix"
)

// file is an open file or directory of a tree: what wazero makes of any fs.File, and
// what only a descriptor can do.
type file struct {
	expsys.File
	opened *opened
	how    int // of open(2)
}

func newFile(f *os.File, how int) (expsys.File, expsys.Errno) {
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, errno(err)
	}
	o := &opened{f: f, isDir: info.IsDir()}
	adapted, no := (&sysfs.AdaptFS{FS: o}).OpenFile(".", expsys.O_RDONLY, 0)
	if no != 0 {
		f.Close()
		return nil, no
	}
	return &file{adapted, o, how}, 0
}

// opened is a file system of one file, which is opened once, and once more
// whenever a directory is read from its beginning.
type opened struct {
	f     *os.File
	isDir bool
	again bool
}

func (o *opened) Open(string) (fs.File, error) {
	f := o.f
	if o.again {
		fd, err := unix.Openat(int(f.Fd()), ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return nil, err
		}
		o.f = os.NewFile(uintptr(fd), f.Name())
		f = o.f
	}
	o.again = true
	if o.isDir {
		return &directory{File: f}, nil
	}
	return f, nil
}

func (f *file) IsAppend() bool { return f.how&os.O_APPEND != 0 }

func (f *file) SetAppend(enable bool) expsys.Errno {
	flags, err := unix.FcntlInt(f.opened.f.Fd(), unix.F_GETFL, 0)
	if err != nil {
		return errno(err)
	}
	flags, f.how = flags&^unix.O_APPEND, f.how&^os.O_APPEND
	if enable {
		flags, f.how = flags|unix.O_APPEND, f.how|os.O_APPEND
	}
	_, err = unix.FcntlInt(f.opened.f.Fd(), unix.F_SETFL, flags)
	return errno(err)
}

func (f *file) Truncate(size int64) expsys.Errno { return errno(f.opened.f.Truncate(size)) }
func (f *file) Sync() expsys.Errno               { return errno(f.opened.f.Sync()) }
func (f *file) Datasync() expsys.Errno           { return errno(unix.Fdatasync(int(f.opened.f.Fd()))) }

func (f *file) Utimens(atime, mtime int64) expsys.Errno {
	times := []unix.Timespec{timespec(atime), timespec(mtime)}
	return errno(unix.UtimesNanoAt(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", f.opened.f.Fd()), times, 0))
}

func timespec(ns int64) unix.Timespec {
	if ns == omit {
		return unix.Timespec{Nsec: unix.UTIME_OMIT}
	}
	return unix.NsecToTimespec(ns)
}

// directory lists its entries as the kernel does, without a look at each.
type directory struct {
	*os.File
	entries []fs.FileInfo // that were read, and not asked for
	end     bool          // there are no more
}

// direntHeader is what precedes the name in struct linux_dirent64 (getdents(2)):
// inode u64, offset u64, length u16, type u8.
const direntHeader = 19

// Readdir is as of os.File.
func (d *directory) Readdir(n int) ([]fs.FileInfo, error) {
	buf := make([]byte, 16<<10)
	for (n <= 0 || len(d.entries) < n) && !d.end {
		got, err := unix.Getdents(int(d.Fd()), buf)
		if err != nil {
			return nil, err
		}
		d.end = got == 0
		for b := buf[:got]; len(b) > direntHeader; {
			size := int(binary.NativeEndian.Uint16(b[16:]))
			name, _, _ := strings.Cut(string(b[direntHeader:size]), "\x00")
			if name != "." && name != ".." {
				d.entries = append(d.entries, entry{name, binary.NativeEndian.Uint64(b), direntTypes[b[18]]})
			}
			b = b[size:]
		}
	}
	if n > 0 && len(d.entries) == 0 {
		return nil, io.EOF
	}
	if n <= 0 || n > len(d.entries) {
		n = len(d.entries)
	}
	list := d.entries[:n:n]
	d.entries = d.entries[n:]
	return list, nil
}

var direntTypes = map[byte]fs.FileMode{
	unix.DT_DIR: fs.ModeDir, unix.DT_LNK: fs.ModeSymlink, unix.DT_FIFO: fs.ModeNamedPipe, unix.DT_SOCK: fs.ModeSocket,
	unix.DT_CHR: fs.ModeDevice | fs.ModeCharDevice, unix.DT_BLK: fs.ModeDevice,
}

// entry is as much of a file as its directory says.
type entry struct {
	name string
	ino  uint64
	kind fs.FileMode
}

func (e entry) Name() string       { return e.name }
func (e entry) Size() int64        { return 0 }
func (e entry) Mode() fs.FileMode  { return e.kind }
func (e entry) ModTime() time.Time { return time.Time{} }
func (e entry) IsDir() bool        { return e.kind.IsDir() }
func (e entry) Sys() any           { return &syscall.Stat_t{Ino: e.ino} }
