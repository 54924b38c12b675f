package workspace

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

const blockSize = 128 << 10

// content fills in the size and digest of a new file, and reports whether the
// base has the same bytes, where it has a file at all.
func (d *differ) content(upper int, name string, now, then at, compare bool, c *Change) (unchanged bool, err error) {
	c.Size = now.size
	if d.bytes += now.size; now.size < 0 || now.size > d.MaxBytes || d.bytes > d.MaxBytes {
		d.bytes -= now.size
		c.Refused = fmt.Sprintf("with its %d bytes the changes would be larger than filesystem.tmp_size", now.size)
		return false, nil
	}
	fd, err := openBeneath(upper, name, unix.O_RDONLY|unix.O_NONBLOCK)
	if err != nil {
		return false, fmt.Errorf("read %q: %w", c.Path, err)
	}
	f := os.NewFile(uintptr(fd), c.Path)
	defer f.Close()
	var old io.Reader
	if compare && now.size == then.size {
		// By its own descriptor: what it names was looked at.
		g, err := os.Open(fmt.Sprintf("/proc/self/fd/%d", then.fd))
		if err == nil {
			defer g.Close()
			old = g
		} // else the caller may not read it, and it counts as another
	}
	sum := sha256.New()
	n, same, err := readBoth(d.ctx, io.TeeReader(io.LimitReader(f, now.size+1), sum), old, d.buf)
	if err == nil && n != now.size {
		err = errors.New("its size changes")
	}
	if err != nil {
		return false, fmt.Errorf("read %q: %w", c.Path, err)
	}
	c.SHA256 = hex.EncodeToString(sum.Sum(nil))
	return same && old != nil, nil
}

// readBoth reads new to its end, and reports whether old, unless it is nil, has
// the same bytes.
func readBoth(ctx interface{ Err() error }, now, old io.Reader, buf []byte) (n int64, same bool, err error) {
	a, b := buf[:blockSize], buf[blockSize:]
	for same = true; ; {
		if err := ctx.Err(); err != nil {
			return n, false, err
		}
		got, err := io.ReadFull(now, a)
		n += int64(got)
		if old != nil && same {
			wanted, oldErr := io.ReadFull(old, b[:len(a)])
			if oldErr != nil && oldErr != io.EOF && oldErr != io.ErrUnexpectedEOF {
				same = false // it cannot be read: it counts as another
			}
			same = same && bytes.Equal(a[:got], b[:wanted])
		}
		switch err {
		case nil:
		case io.EOF, io.ErrUnexpectedEOF:
			return n, same, nil
		default:
			return n, false, err
		}
	}
}
