//go:build linux

package worker

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"syscall"
	"time"

	"github.com/tetratelabs/wazero"
	expsys "github.com/tetratelabs/wazero/experimental/sys"
	"github.com/tetratelabs/wazero/experimental/sysfs"
	"github.com/tetratelabs/wazero/sys"
	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach/internal/wasmwire"
)

// preopens opens the directories that a module sees. Wazero's own way to show a
// directory follows links out of it, which is said there to be out of its scope.
func (w *worker) preopens(c *wasmwire.Config) wazero.FSConfig {
	files := wazero.NewFSConfig()
	w.names = nil
	for _, p := range c.Preopens {
		var shown expsys.FS
		if w.setup.Links {
			shown = sysfs.DirFS(filepath.Join(p.Base, p.Path))
		} else if root, err := openBelow(p.Base, p.Path); err == nil {
			shown = &tree{root: root}
		} else {
			continue // another module took it away, or nobody may look into it: it is not there
		}
		files = files.(sysfs.FSConfig).WithSysFSMount(shown, p.Name)
		w.names = append(w.names, p.Name)
	}
	return files
}

// openBelow opens a directory that is in another. What is in there modules may have
// made, and no link of theirs leads out.
func openBelow(base, name string) (*os.Root, error) {
	root, err := os.OpenRoot(base)
	if err != nil || name == "." {
		return root, err
	}
	defer root.Close()
	return root.OpenRoot(name)
}

// tree is a directory, and what is below it, by descriptor: no path and no link
// leads out of it.
type tree struct {
	expsys.UnimplementedFS
	root *os.Root
}

// place is a path of a module, which may be "" or "/" for the directory itself.
func place(name string) string {
	if name == "" || name == "/" {
		return "."
	}
	return name
}

// errno is what a module is told. That a path leads out is no errno of the
// kernel's: it is not permitted.
func errno(err error) expsys.Errno {
	var kernel syscall.Errno
	if err != nil && !errors.As(err, &kernel) && expsys.UnwrapOSError(err) == expsys.EIO {
		return expsys.EPERM
	}
	return expsys.UnwrapOSError(err)
}

var openFlags = []struct {
	module expsys.Oflag
	kernel int
}{
	{expsys.O_APPEND, os.O_APPEND}, {expsys.O_CREAT, os.O_CREATE}, {expsys.O_EXCL, os.O_EXCL}, {expsys.O_TRUNC, os.O_TRUNC},
	{expsys.O_DIRECTORY, unix.O_DIRECTORY}, {expsys.O_DSYNC, unix.O_DSYNC}, {expsys.O_SYNC, unix.O_SYNC}, {expsys.O_NONBLOCK, unix.O_NONBLOCK},
}

func (t *tree) OpenFile(name string, flag expsys.Oflag, mode fs.FileMode) (expsys.File, expsys.Errno) {
	name = place(name)
	if flag&expsys.O_NOFOLLOW != 0 {
		if info, err := t.root.Lstat(name); err == nil && info.Mode()&fs.ModeSymlink != 0 {
			return nil, expsys.ELOOP
		}
	}
	how := os.O_RDONLY
	switch {
	case flag&expsys.O_RDWR != 0:
		how = os.O_RDWR
	case flag&expsys.O_WRONLY != 0:
		how = os.O_WRONLY
	}
	for _, f := range openFlags {
		if flag&f.module != 0 {
			how |= f.kernel
		}
	}
	f, err := t.root.OpenFile(name, how, mode&fs.ModePerm)
	if err != nil {
		return nil, errno(err)
	}
	return newFile(f, how)
}

func (t *tree) Stat(name string) (sys.Stat_t, expsys.Errno)  { return stat(t.root.Stat(place(name))) }
func (t *tree) Lstat(name string) (sys.Stat_t, expsys.Errno) { return stat(t.root.Lstat(place(name))) }

func stat(info fs.FileInfo, err error) (sys.Stat_t, expsys.Errno) {
	if err != nil {
		return sys.Stat_t{}, errno(err)
	}
	return sys.NewStat_t(info), 0
}

func (t *tree) Mkdir(name string, mode fs.FileMode) expsys.Errno {
	return errno(t.root.Mkdir(place(name), mode&fs.ModePerm))
}

func (t *tree) Chmod(name string, mode fs.FileMode) expsys.Errno {
	return errno(t.root.Chmod(place(name), mode&fs.ModePerm))
}

func (t *tree) Rename(from, to string) expsys.Errno {
	if from == to {
		_, err := t.root.Lstat(place(from))
		return errno(err)
	}
	return errno(t.root.Rename(place(from), place(to)))
}

// Rmdir and Unlink are one in os.Root, which removes what is there.
func (t *tree) Rmdir(name string) expsys.Errno {
	switch info, err := t.root.Lstat(place(name)); {
	case err != nil:
		return errno(err)
	case !info.IsDir():
		return expsys.ENOTDIR
	}
	return errno(t.root.Remove(place(name)))
}

func (t *tree) Unlink(name string) expsys.Errno {
	switch info, err := t.root.Lstat(place(name)); {
	case err != nil:
		return errno(err)
	case info.IsDir():
		return expsys.EISDIR
	}
	return errno(t.root.Remove(place(name)))
}

func (t *tree) Link(from, to string) expsys.Errno {
	return errno(t.root.Link(place(from), place(to)))
}

// Symlink makes no absolute link: outside it would lead somewhere else than inside
// (wasi-filesystem, path resolution).
func (t *tree) Symlink(target, name string) expsys.Errno {
	if path.IsAbs(target) {
		return expsys.EPERM
	}
	return errno(t.root.Symlink(target, place(name)))
}

func (t *tree) Readlink(name string) (string, expsys.Errno) {
	target, err := t.root.Readlink(place(name))
	return target, errno(err)
}

func (t *tree) Utimens(name string, atime, mtime int64) expsys.Errno {
	name = place(name)
	if atime == omit || mtime == omit {
		info, err := t.root.Stat(name)
		if err != nil {
			return errno(err)
		}
		now := sys.NewStat_t(info)
		if atime == omit {
			atime = now.Atim
		}
		if mtime == omit {
			mtime = now.Mtim
		}
	}
	return errno(t.root.Chtimes(name, time.Unix(0, atime), time.Unix(0, mtime)))
}

// omit is a time that is to stay as it is.
const omit = expsys.UTIME_OMIT
