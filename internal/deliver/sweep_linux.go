package deliver

import (
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// sweep removes the directories of exports that were killed. They are ours by
// name, owner and mode, and nobody holds their lock. What cannot be removed stays:
// it is in nobody's way.
func (p *Place) sweep(now time.Time) {
	fd, err := openDir(p.dir(), ".") // which reads from its beginning
	if err != nil {
		return
	}
	dir := os.NewFile(uintptr(fd), p.Path)
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return
	}
	for _, name := range names {
		if strings.HasPrefix(name, draftPrefix) && abandoned(p.dir(), name, now) {
			_ = removeAll(p.dir(), name)
		}
	}
}

// fresh is how long a directory may be there before its lock is taken, many times
// what lies between the two.
const fresh = time.Minute

func abandoned(dir int, name string, now time.Time) bool {
	fd, err := openDir(dir, name)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	const modeBits = 0o7777
	if err := unix.Fstat(fd, &st); err != nil || int(st.Uid) != os.Geteuid() || st.Mode&modeBits != ownMode {
		return false
	}
	if now.Sub(time.Unix(st.Ctim.Unix())) < fresh {
		return false
	}
	return unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) == nil
}

// removeAll removes a directory and what is in it, without following a link.
func removeAll(dir int, name string) error {
	root, err := os.OpenRoot(procPath(dir))
	if err != nil {
		return err
	}
	defer root.Close()
	return root.RemoveAll(name)
}

// procPath names a directory that is open.
func procPath(dir int) string { return fmt.Sprintf("/proc/self/fd/%d", dir) }
