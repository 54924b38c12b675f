//go:build linux

package main

import (
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// upperHalf is a bit of the request that the kernel does not look at.
const upperHalf = 1 << 40

// type-in UPPER types a character into the controlling terminal, as if the
// person before it had (CVE-2017-5226), and reads it. With UPPER "upper" the
// request has a bit in its upper half (CVE-2019-10063).
func typeIn(args []string) (string, error) {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		broken(err)
	}
	defer tty.Close()
	fd := int(tty.Fd())
	termios, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		broken(err)
	}
	termios.Lflag &^= unix.ICANON | unix.ECHO
	termios.Cc[unix.VMIN], termios.Cc[unix.VTIME] = 0, 10 // a second
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, termios); err != nil {
		broken(err)
	}
	typed := byte('x')
	request := uintptr(unix.TIOCSTI)
	if args[0] == "upper" {
		request |= upperHalf
	}
	if _, _, errno := syscall.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(unsafe.Pointer(&typed))); errno != 0 {
		return "TIOCSTI", errno
	}
	var read [1]byte
	if n, err := unix.Read(fd, read[:]); err != nil || n != 1 || read[0] != typed {
		return fmt.Sprintf("TIOCSTI typed nothing: %q", read[:n]), fmt.Errorf("read: %w", orEOF(err))
	}
	return "TIOCSTI typed a character that was read", nil
}

func orEOF(err error) error {
	if err == nil {
		return unix.ENODATA
	}
	return err
}

// paste UPPER asks for the console's selection to be pasted (CVE-2023-28100).
// This terminal is no console, which is the kernel's to say: that it was asked
// is what gets through.
func paste(args []string) (string, error) {
	request := uintptr(0x541C) // TIOCLINUX
	if args[0] == "upper" {
		request |= upperHalf
	}
	pasteSelection := byte(3)
	_, _, errno := syscall.Syscall(unix.SYS_IOCTL, 0, request, uintptr(unsafe.Pointer(&pasteSelection)))
	if errno == unix.ENOTTY || errno == unix.EINVAL {
		return "the kernel was asked: " + errno.Error(), nil
	}
	return "TIOCLINUX", orNil(errno)
}

// terminals N [hold] opens N pseudo-terminals at once, and holds them.
func terminals(args []string) (string, error) {
	n, err := strconv.Atoi(args[0])
	if err != nil {
		broken(err)
	}
	for i := range n {
		if _, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY, 0); err != nil {
			return fmt.Sprintf("%d terminals", i), err
		}
	}
	if len(args) > 1 {
		fmt.Println("holding")
		time.Sleep(time.Minute) // until the sandbox ends
	}
	return fmt.Sprintf("%d terminals", n), nil
}
