package wasm

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach/internal/owndir"
	"github.com/kavach-dev/kavach/internal/wasmwire"
)

// Compiled code is kept on disk so that the next program does not compile it again.
// It is machine code that is run as it is, so the directory must be one that nobody
// but this user could have written to; where that is not so, nothing is kept, which
// costs time and nothing else. No sandbox sees the directory (jail.Config.Hidden),
// and none applies changes to it. A file that is torn is found out by its digest, one
// of another machine by wazero, and made anew.

// maxKept bounds what is kept, in bytes. What was used longest ago goes first.
const maxKept = 2 << 30

// cacheDir is where compiled modules are kept.
func (b *Backend) cacheDir() (string, error) {
	if b.Cache != "" {
		return filepath.Abs(b.Cache)
	}
	return owndir.Modules()
}

// openCache opens that directory.
func (b *Backend) openCache() (fd int, err error) {
	dir, err := b.cacheDir()
	if err != nil {
		return -1, err
	}
	return owndir.Open(dir, "the cache of compiled modules")
}

// cacheProblem says why nothing is kept. Empty: it is.
func (b *Backend) cacheProblem() string {
	dir, err := b.openCache()
	if err != nil {
		return "compiled modules are not kept: " + err.Error()
	}
	unix.Close(dir)
	return ""
}

// kept opens what is kept of a module. Nil: nothing is.
func (b *Backend) kept(d digest) *os.File {
	dir, err := b.openCache()
	if err != nil {
		return nil
	}
	defer unix.Close(dir)
	fd, err := unix.Openat(dir, keptName(d), unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	f := os.NewFile(uintptr(fd), keptName(d))
	var st unix.Stat_t
	const others = 0o022
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG || int(st.Uid) != os.Geteuid() || st.Mode&others != 0 || st.Nlink != 1 || st.Size > wasmwire.MaxCode {
		f.Close()
		return nil
	}
	now := unix.NsecToTimespec(time.Now().UnixNano())
	_ = unix.UtimesNanoAt(dir, keptName(d), []unix.Timespec{now, now}, unix.AT_SYMLINK_NOFOLLOW) // it was used
	return f
}

// read takes the code out of a file that is kept, and closes that. Where it is
// nothing of ours, or not what was written, there is no code.
func (c *code) read(f *os.File) {
	if f == nil {
		return
	}
	defer f.Close()
	r := bufio.NewReader(f)
	line, err := r.ReadString('\n')
	words := strings.Fields(strings.TrimPrefix(line, header))
	info, statErr := f.Stat()
	if err != nil || statErr != nil || !strings.HasPrefix(line, header) || len(words) != 2 || !filepath.IsLocal(words[1]) {
		return
	}
	size := info.Size() - int64(len(line))
	out, err := memoryFile("code", size)
	if err != nil {
		return
	}
	hash := sha256.New()
	n, err := io.Copy(io.MultiWriter(out, hash), r)
	if err != nil || n != size || fmt.Sprintf("%x", hash.Sum(nil)) != words[0] || seal(out, size) != nil {
		out.Close()
		return
	}
	c.name, c.file = words[1], out
}

// keep writes code to disk, under its name when it is whole.
func (b *Backend) keep(d digest, c *code) {
	dir, err := b.openCache()
	if err != nil {
		return
	}
	defer unix.Close(dir)
	sum, err := digestOf(c.file)
	if err != nil {
		return
	}
	name := fmt.Sprintf(".%016x", rand.Uint64())
	fd, err := unix.Openat(dir, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return
	}
	f := os.NewFile(uintptr(fd), name)
	_, err = fmt.Fprintf(f, "%s%x %s\n", header, sum[:], c.name)
	if err == nil {
		_, err = io.Copy(f, io.NewSectionReader(c.file, 0, wasmwire.MaxCode))
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = unix.Renameat(dir, name, dir, keptName(d))
	}
	if err != nil {
		_ = unix.Unlinkat(dir, name, 0) // nobody else knows its name
		return
	}
	trim(dir)
}

// unkeep removes what is kept of a module.
func (b *Backend) unkeep(d digest) {
	dir, err := b.openCache()
	if err != nil {
		return
	}
	defer unix.Close(dir)
	_ = unix.Unlinkat(dir, keptName(d), 0) // it may not be there
}

// trim removes what was used longest ago, until the rest is within the bound, and
// what somebody began to write and did not end.
func trim(dir int) {
	entries, err := os.ReadDir(fmt.Sprintf("/proc/self/fd/%d", dir))
	if err != nil {
		return
	}
	var files []fs.FileInfo
	var total int64
	for _, e := range entries {
		info, err := e.Info()
		begun, ours := strings.CutPrefix(e.Name(), ".")
		switch {
		case err != nil || !info.Mode().IsRegular():
		case ours && isHex(begun, 16) && time.Since(info.ModTime()) > time.Hour:
			_ = unix.Unlinkat(dir, e.Name(), 0)
		case isHex(e.Name(), 64):
			files = append(files, info)
			total += info.Size()
		}
	}
	slices.SortFunc(files, func(a, b fs.FileInfo) int { return a.ModTime().Compare(b.ModTime()) })
	for _, info := range files {
		if total <= maxKept {
			return
		}
		if unix.Unlinkat(dir, info.Name(), 0) == nil {
			total -= info.Size()
		}
	}
}

// isHex reports whether a name is of so many hexadecimal digits, as ours are.
func isHex(name string, digits int) bool {
	return len(name) == digits && strings.Trim(name, "0123456789abcdef") == ""
}
