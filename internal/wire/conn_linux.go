package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Conn is one end of a channel: a stream socket that carries frames and, with the
// first byte of a frame, descriptors.
type Conn struct {
	file *os.File
	raw  syscall.RawConn
	p    Protocol

	send sync.Mutex // one frame at a time
}

// NewConn makes a Conn of one end of a socket, which is its own from then on.
func NewConn(f *os.File, p Protocol) (*Conn, error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, err
	}
	return &Conn{file: f, raw: raw, p: p}, nil
}

// NewChannel makes a channel: this end, which speaks p, and the file of the other,
// which is to be handed on and closed.
func NewChannel(p Protocol) (*Conn, *os.File, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("channel: %w", err)
	}
	theirs := os.NewFile(uintptr(pair[1]), "other end of the channel")
	if err := unix.SetNonblock(pair[0], true); err != nil {
		return nil, nil, errors.Join(err, unix.Close(pair[0]), theirs.Close())
	}
	conn, err := NewConn(os.NewFile(uintptr(pair[0]), "channel"), p)
	if err != nil {
		return nil, nil, errors.Join(err, theirs.Close())
	}
	return conn, theirs, nil
}

// Close ends the channel.
func (c *Conn) Close() error { return c.file.Close() }

// CloseWrite tells the other end that nothing more is to come.
func (c *Conn) CloseWrite() error {
	var err error
	ctlErr := c.raw.Control(func(fd uintptr) { err = unix.Shutdown(int(fd), unix.SHUT_WR) })
	return errors.Join(ctlErr, err)
}

// Send writes a frame and passes copies of the descriptors.
func (c *Conn) Send(f Frame, fds ...int) error {
	var e Encoder
	e.b = make([]byte, HeaderLength, 256)
	f.Encode(&e)
	n := len(e.b) - HeaderLength
	if n > c.p.MaxOut || len(fds) > MaxFDs {
		return fmt.Errorf("send: %d bytes and %d descriptors are more than a frame holds: %w", n, len(fds), unix.E2BIG)
	}
	binary.LittleEndian.PutUint32(e.b, uint32(n))
	e.b[4], e.b[5] = f.Kind(), uint8(len(fds))
	var oob []byte
	if len(fds) > 0 {
		oob = unix.UnixRights(fds...)
	}
	c.send.Lock()
	defer c.send.Unlock()
	for b := e.b; len(b) > 0; oob = nil {
		n, err := c.write(b, oob)
		if err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

func (c *Conn) write(b, oob []byte) (n int, err error) {
	ctlErr := c.raw.Write(func(fd uintptr) bool {
		for {
			n, err = unix.SendmsgN(int(fd), b, oob, nil, unix.MSG_NOSIGNAL)
			if err != unix.EINTR {
				return err != unix.EAGAIN
			}
		}
	})
	return n, errors.Join(err, closed(ctlErr))
}

// closed says of an error of a RawConn, which is waited on without a deadline,
// what it means: the poller's own says so to package os only.
func closed(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", os.ErrClosed, err)
}

// Receive reads a frame, with its descriptors, which are the caller's to close.
// io.EOF: the other side is gone.
func (c *Conn) Receive() (_ Frame, fds []int, err error) {
	defer func() {
		if err != nil {
			CloseAll(fds)
			fds = nil
		}
	}()
	var header [HeaderLength]byte
	if fds, err = c.readHeader(header[:]); err != nil {
		return nil, fds, err
	}
	n := binary.LittleEndian.Uint32(header[:])
	if int64(n) > int64(c.p.MaxIn) || int(header[5]) != len(fds) || header[6] != 0 || header[7] != 0 {
		return nil, fds, fmt.Errorf("%w: header % x with %d descriptors", ErrFrame, header, len(fds))
	}
	payload := make([]byte, n)
	if err := c.readFull(payload); err != nil {
		return nil, fds, err
	}
	f, err := c.p.Decode(header[4], payload)
	return f, fds, err
}

func (c *Conn) readHeader(header []byte) (fds []int, err error) {
	oob := make([]byte, unix.CmsgSpace(4*MaxFDs))
	n, oobn, flags, err := c.read(header, oob)
	if err != nil {
		return nil, err
	}
	if fds, err = rights(oob[:oobn]); err != nil {
		return fds, err
	}
	if flags&unix.MSG_CTRUNC != 0 {
		return fds, fmt.Errorf("%w: descriptors were cut off", ErrFrame)
	}
	if n == 0 {
		return fds, io.EOF
	}
	return fds, c.readFull(header[n:])
}

// readFull reads what is left of a frame. Descriptors come only with its first
// byte; further ones are dropped by the kernel, as there is no room for them.
func (c *Conn) readFull(b []byte) error {
	for len(b) > 0 {
		n, _, _, err := c.read(b, nil)
		if err != nil {
			return err
		}
		if n == 0 {
			return io.ErrUnexpectedEOF
		}
		b = b[n:]
	}
	return nil
}

func (c *Conn) read(b, oob []byte) (n, oobn, flags int, err error) {
	ctlErr := c.raw.Read(func(fd uintptr) bool {
		for {
			n, oobn, flags, _, err = unix.Recvmsg(int(fd), b, oob, unix.MSG_CMSG_CLOEXEC)
			if err != unix.EINTR {
				return err != unix.EAGAIN
			}
		}
	})
	return n, oobn, flags, errors.Join(err, closed(ctlErr))
}

func rights(oob []byte) (fds []int, err error) {
	if len(oob) == 0 {
		return nil, nil
	}
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, fmt.Errorf("%w: control message: %w", ErrFrame, err)
	}
	for i := range messages {
		got, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			return fds, fmt.Errorf("%w: rights: %w", ErrFrame, err)
		}
		fds = append(fds, got...)
	}
	return fds, nil
}

// CloseAll closes descriptors.
func CloseAll(fds []int) {
	for _, fd := range fds {
		_ = unix.Close(fd)
	}
}
