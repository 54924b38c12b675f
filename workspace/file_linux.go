package workspace

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// Open opens the new content of a file that Diff has listed: what Apply will
// copy, and hold against the digest.
func (w *Workspace) Open(c *Change) (io.ReadCloser, error) {
	if !c.listed || c.Type != File || c.Kind == Deleted {
		return nil, fmt.Errorf("open %q: it has no content: %w", c.Path, unix.EINVAL)
	}
	fd, err := openBeneath(int(w.Upper.Fd()), c.Path, unix.O_RDONLY|unix.O_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("open %q: %w", c.Path, err)
	}
	return os.NewFile(uintptr(fd), c.Path), nil
}

// OpenBase opens what the host has in the place of a file that Diff has listed as
// modified.
func (w *Workspace) OpenBase(c *Change) (io.ReadCloser, error) {
	if !c.listed || c.Type != File || c.Kind != Modified {
		return nil, fmt.Errorf("open what was at %q: it is no modified file: %w", c.Path, unix.EINVAL)
	}
	fd, err := openBeneath(int(w.Base.Fd()), c.Path, unix.O_RDONLY|unix.O_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("open what was at %q: %w", c.Path, err)
	}
	return os.NewFile(uintptr(fd), c.Path), nil
}

// file writes the content under a name of its own beside the file, and renames.
func (a *applier) file(dir int, name string, c *Change) error {
	src, err := a.Open(c)
	if err != nil {
		return err
	}
	defer src.Close()
	draft := draftName()
	const closed = 0o600
	fd, err := unix.Openat(dir, draft, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, closed)
	if err != nil {
		return fmt.Errorf("make a file beside it: %w", err)
	}
	dst := os.NewFile(uintptr(fd), draft)
	err = errors.Join(a.write(dst, src, c), dst.Close())
	if err != nil {
		return errors.Join(err, unix.Unlinkat(dir, draft, 0))
	}
	return settle(dir, draft, name, c)
}

// write copies what was listed, byte for byte, and nothing else, and gives it
// its owner and mode. Where it will take the place of a file it is on disk
// before it does: a crash leaves the one or the other.
func (a *applier) write(dst *os.File, src io.Reader, c *Change) error {
	sum := sha256.New()
	n, err := copyAll(a.ctx, io.MultiWriter(dst, sum), io.LimitReader(src, c.Size+1))
	if err != nil {
		return fmt.Errorf("copy: %w", err)
	}
	if n != c.Size || hex.EncodeToString(sum.Sum(nil)) != c.SHA256 {
		return errRefused("its content is not what was listed")
	}
	fd := int(dst.Fd())
	if c.base.exists() {
		if err := keepOwner(fd, c.base); err != nil {
			return err
		}
	}
	if err := unix.Fchmod(fd, c.Mode); err != nil {
		return fmt.Errorf("set its mode: %w", err)
	}
	if c.base.exists() {
		return dst.Sync()
	}
	return nil
}

// keepOwner gives a file the owner and group of the one whose place it takes.
func keepOwner(fd int, was identity) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if st.Uid == was.uid && st.Gid == was.gid {
		return nil
	}
	if err := unix.Fchown(fd, int(was.uid), int(was.gid)); err != nil {
		return fmt.Errorf("keep its owner %d:%d: %w", was.uid, was.gid, err)
	}
	return nil
}

func copyAll(ctx interface{ Err() error }, dst io.Writer, src io.Reader) (n int64, err error) {
	buf := make([]byte, blockSize)
	for {
		if err := ctx.Err(); err != nil {
			return n, err
		}
		got, err := src.Read(buf)
		if got > 0 {
			n += int64(got)
			if _, err := dst.Write(buf[:got]); err != nil {
				return n, err
			}
		}
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}
