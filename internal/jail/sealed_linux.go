package jail

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// sealed holds one copy of each guest program in memory, for the life of this
// process. The copy cannot be changed by anybody, so nothing that runs inside
// reaches the host's file through /proc/self/exe (CVE-2019-5736).
var sealed struct {
	mu     sync.Mutex // guards what follows
	copies map[identity]*os.File
}

// identity says which file a copy was made of.
type identity struct {
	dev, ino     uint64
	size, change int64
}

// sealedCopy returns the copy of the program at path. The descriptor stays open
// and is not the caller's to close.
func sealedCopy(path string) (*os.File, error) {
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
	id := identity{st.Dev, st.Ino, st.Size, st.Ctim.Nano()}
	sealed.mu.Lock()
	defer sealed.mu.Unlock()
	if f := sealed.copies[id]; f != nil {
		return f, nil
	}
	f, err := copySealed(src, st.Size)
	if err != nil {
		return nil, fmt.Errorf("copy the guest program %s into memory: %w", path, err)
	}
	if sealed.copies == nil {
		sealed.copies = make(map[identity]*os.File)
	}
	sealed.copies[id] = f
	return f, nil
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
	for left := size; left > 0; {
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
		"or import %s to let this program be its own guest", "github.com/kavach-dev/kavach/guest/self")
}
