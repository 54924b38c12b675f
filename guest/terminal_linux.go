package guest

import (
	"errors"
	"math"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ptmx is where a new terminal of the place's own is had. Not /dev/ptmx, which
// is a link, and which an image may have brought.
const ptmx = "/dev/pts/ptmx"

// terminal is a pseudo-terminal of the place's own (pty(7)). What comes from the
// host is typed on its master, and what the master shows goes to the host; no
// terminal of the host ever is in here.
type terminal struct {
	master *os.File

	// slave is what a command gets as its descriptors 0, 1, 2. It is kept open
	// to the end: while nobody has it open the master says EIO, though a program
	// may open /dev/tty yet.
	slave int
}

// openTerminal makes a terminal. The slave is opened by way of the master
// (TIOCGPTPEER, Linux 4.13), not by a name, at which something else may be
// (CVE-2025-52565).
func openTerminal(rows, cols uint32) (t *terminal, err error) {
	fd, err := unix.Openat2(unix.AT_FDCWD, ptmx, &unix.OpenHow{
		Flags:   unix.O_RDWR | unix.O_NOCTTY | unix.O_NONBLOCK | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
	})
	if err != nil {
		return nil, err
	}
	t = &terminal{master: os.NewFile(uintptr(fd), ptmx), slave: -1}
	defer func() {
		if err != nil {
			t.close()
		}
	}()
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		return nil, err
	}
	slave, _, errno := syscall.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.TIOCGPTPEER,
		unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC)
	if errno != 0 {
		return nil, errno
	}
	t.slave = int(slave)
	return t, errors.Join(t.eraseRunes(), t.resize(rows, cols))
}

func (t *terminal) close() {
	t.master.Close()
	if t.slave >= 0 {
		unix.Close(t.slave)
	}
}

// eraseRunes lets the terminal's own line editor take characters for what they
// are in the place's locale, which is UTF-8, and not for bytes (IUTF8,
// termios(3)).
func (t *terminal) eraseRunes() error {
	termios, err := unix.IoctlGetTermios(t.slave, unix.TCGETS)
	if err != nil {
		return err
	}
	termios.Iflag |= unix.IUTF8
	return unix.IoctlSetTermios(t.slave, unix.TCSETS, termios)
}

// resize sets the size; the kernel sends SIGWINCH to the foreground.
func (t *terminal) resize(rows, cols uint32) error {
	if rows > math.MaxUint16 || cols > math.MaxUint16 {
		return unix.EINVAL
	}
	size := &unix.Winsize{Row: uint16(rows), Col: uint16(cols)}
	return t.control(func(fd int) error { return unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, size) })
}

// control does something with the master that must not wait, and not with one
// that is closed.
func (t *terminal) control(do func(fd int) error) error {
	raw, err := t.master.SyscallConn()
	if err != nil {
		return err
	}
	var doErr error
	return errors.Join(raw.Control(func(fd uintptr) { doErr = do(int(fd)) }), doErr)
}

// ended is called when the command is dead: what it has shown is all that is
// waited for.
func (t *terminal) ended() { _ = t.master.SetReadDeadline(time.Unix(1, 0)) }

// serve copies between the terminal and the host's pipes, which become its own,
// until ended is called and all that was shown before is with the host, or until
// the host does not take it any more. Then it closes the master, at which the
// kernel hangs up on whoever still has the terminal.
//
// The end of what the host sends is the end of typing and nothing else: whether
// ^D means the end, is for the program to say that reads it.
func (t *terminal) serve(stdin, stdout int) {
	in, out := pipe(stdin, "stdin"), pipe(stdout, "stdout")
	typed := make(chan struct{})
	go func() {
		defer close(typed)
		move(t.master, in)
	}()
	if move(out, t.master) {
		t.drain(out)
	}
	t.close()
	out.Close()
	in.Close()
	<-typed
}

// pipe makes a file that takes no thread while it waits.
func pipe(fd int, name string) *os.File {
	_ = unix.SetNonblock(fd, true) // where it cannot be, a thread waits
	return os.NewFile(uintptr(fd), name)
}

// move copies until an end or an error on either side. It reports whether that
// was the deadline of what is read.
func move(to, from *os.File) (late bool) {
	buf := make([]byte, 4096) // what a terminal gives or takes at once
	for {
		n, err := from.Read(buf)
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				return false
			}
		}
		if err != nil {
			return errors.Is(err, os.ErrDeadlineExceeded)
		}
	}
}

// drain copies what the command has shown and nobody has read. The kernel says
// EAGAIN when it has moved all that was written to the slave (n_tty_read flushes
// the line before it does), so nothing is lost.
func (t *terminal) drain(out *os.File) {
	const most = 64 << 10 // more than there is: 18 KiB on Linux 6.18; the rest is others'
	buf := make([]byte, 4096)
	for taken := 0; taken < most; {
		n := 0
		err := t.control(func(fd int) (err error) {
			n, err = unix.Read(fd, buf)
			return err
		})
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || n <= 0 {
			return
		}
		if _, err := out.Write(buf[:n]); err != nil {
			return
		}
		taken += n
	}
}
