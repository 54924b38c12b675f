package jail

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// programs holds each guest program in a form that nobody can write to, for the
// life of this process, so that nothing that runs inside reaches the host's file
// through /proc/PID/exe (CVE-2019-5736).
var programs struct {
	mu    sync.Mutex // guards what follows
	ready map[identity]*os.File
}

// identity says which file it is made of, and how.
type identity struct {
	dev, ino     uint64
	size, change int64
	mount        bool // root's
}

// guestProgram returns the program at path so that it can only be executed. The
// descriptor stays open and is not the caller's to close.
//
// Root gets it by a read-only mount of just this file, attached nowhere, which
// costs microseconds. Others may not mount, and get a sealed copy in memory; so
// does root where the sandbox's user may not execute the file itself.
func guestProgram(path string, root bool) (*os.File, error) {
	src, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open the guest program: %w", err)
	}
	defer src.Close()
	info, err := src.Stat()
	if err != nil {
		return nil, err
	}
	st := info.Sys().(*syscall.Stat_t)
	id := identity{st.Dev, st.Ino, st.Size, st.Ctim.Nano(), root}
	programs.mu.Lock()
	defer programs.mu.Unlock()
	if f := programs.ready[id]; f != nil {
		return f, nil
	}
	const readAndExecute = 0o005
	var f *os.File
	if root && st.Mode&readAndExecute == readAndExecute {
		f, err = mountReadonly(src)
	}
	if f == nil || err != nil {
		f, err = copySealed(src, st.Size)
	}
	if err != nil {
		return nil, fmt.Errorf("take the guest program %s: %w", path, err)
	}
	if programs.ready == nil {
		programs.ready = make(map[identity]*os.File)
	}
	programs.ready[id] = f
	return f, nil
}

// mountReadonly makes a mount of one file that is attached nowhere. What is
// executed from it cannot be opened for writing by way of it (EROFS), and only
// who may mount in the host's namespace could change that.
func mountReadonly(src *os.File) (*os.File, error) {
	fd, err := unix.OpenTree(int(src.Fd()), "", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_EMPTY_PATH)
	if err != nil {
		return nil, err
	}
	err = unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH,
		&unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV})
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), src.Name()), nil
}

// loaded is how much of a program the kernel loads: what is behind it, in a Go
// program the symbols, is a third of the file and of the time that a copy takes.
// Where that cannot be told, it is all of it. (Package debug/elf would double
// what this program does at its start.)
func loaded(src io.ReaderAt, size int64) int64 {
	// elf(5): Elf64_Ehdr, Elf64_Phdr, of a little-endian machine.
	const headerSize, programSize = 64, 56
	le := binary.LittleEndian
	header := make([]byte, headerSize)
	if _, err := src.ReadAt(header, 0); err != nil || string(header[:6]) != "\x7fELF\x02\x01" {
		return size // execve(2) says what it is
	}
	table, count := int64(le.Uint64(header[32:])), int(le.Uint16(header[56:]))
	end := int64(headerSize)
	for i := range count {
		program := make([]byte, programSize)
		if _, err := src.ReadAt(program, table+int64(i)*programSize); err != nil {
			return size
		}
		end = max(end, int64(le.Uint64(program[8:])+le.Uint64(program[32:])))
	}
	if le.Uint16(header[54:]) != programSize || end > size {
		return size
	}
	return max(end, table+int64(count)*programSize)
}

func copySealed(src *os.File, size int64) (_ *os.File, err error) {
	// MFD_EXEC is new in Linux 6.3, and needed where vm.memfd_noexec is set.
	const name, flags = "kavach-guest", unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	fd, err := unix.MemfdCreate(name, flags|unix.MFD_EXEC)
	if err == unix.EINVAL {
		fd, err = unix.MemfdCreate(name, flags)
	}
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), name)
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	for left := loaded(src, size); left > 0; {
		n, err := unix.Sendfile(fd, int(src.Fd()), nil, int(min(left, 1<<30)))
		if err != nil {
			return nil, err
		}
		if n == 0 {
			return nil, io.ErrUnexpectedEOF
		}
		left -= int64(n)
	}
	const seals = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE
	_, err = unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, seals)
	return f, err
}

// FindGuest finds the program to run as the guest: the one that was named, this
// program if it can be its own guest, or kavach in PATH.
func FindGuest(named string, self bool) (string, error) {
	if named != "" {
		return named, nil
	}
	if self {
		return "/proc/self/exe", nil
	}
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		path := filepath.Join(dir, "kavach")
		if filepath.IsAbs(path) && unix.Access(path, unix.X_OK) == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("no guest program: install kavach into PATH, set process.Backend.Guest to its path, "+
		"or let this program be its own guest: import %s and build it without cgo (CGO_ENABLED=0)",
		"github.com/kavach-dev/kavach/guest/self")
}

// OpenGuest opens the guest program at path for a container: it can be read and
// executed by way of the descriptor, which is the caller's, and not written to.
func OpenGuest(path string) (*os.File, error) {
	f, err := guestProgram(path, os.Geteuid() == 0)
	if err != nil {
		return nil, err
	}
	return os.Open(fmt.Sprintf("/proc/self/fd/%d", f.Fd()))
}
