package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// guardianName is the argv[0] by which kavach knows that it is to be a guardian.
const guardianName = "kavach-terminal-guardian"

// guardian is a process that puts a terminal back when kavach cannot: it was
// killed by SIGKILL, or by its own mistake. It is in a session of its own, where
// no key reaches it, has a pipe and the terminal open and nothing else, and ends
// when kavach does, whatever the reason.
type guardian struct {
	process *os.Process
	pipe    *os.File // its other end is the guardian's stdin
}

// guardTerminal starts a guardian that has what it needs, though it may not have
// begun to run.
func guardTerminal(tty *os.File, saved *unix.Termios) (*guardian, error) {
	settings, err := binary.Append(nil, binary.NativeEndian, saved)
	if err != nil {
		return nil, err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	process, err := os.StartProcess("/proc/self/exe", []string{guardianName}, &os.ProcAttr{
		Dir: "/", Env: []string{}, Files: []*os.File{r, tty}, Sys: &syscall.SysProcAttr{Setsid: true},
	})
	if err == nil {
		_, err = w.Write(settings) // a pipe takes so few bytes at once
	}
	if err != nil {
		w.Close()
		return nil, fmt.Errorf("start what puts the terminal back when kavach is killed: %w", err)
	}
	return &guardian{process, w}, nil
}

// dismiss ends the guardian, which then leaves the terminal alone.
func (g *guardian) dismiss() {
	_, _ = g.pipe.Write([]byte{0}) // it is dead: then it does nothing either
	g.pipe.Close()
	_, _ = g.process.Wait() // by nobody else
}

// guard is the guardian's whole life.
func guard() int {
	signal.Ignore(unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGPIPE, unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU)
	told, err := io.ReadAll(os.Stdin)
	var saved unix.Termios
	size := binary.Size(&saved)
	if err != nil || len(told) != size {
		return 0 // a byte more: dismissed; less: the mode was not changed yet
	}
	if err := binary.Read(bytes.NewReader(told), binary.NativeEndian, &saved); err != nil {
		return 1
	}
	const raw = unix.ICANON | unix.ECHO | unix.ISIG
	now, err := unix.IoctlGetTermios(int(os.Stdout.Fd()), unix.TCGETS)
	if err != nil || now.Lflag&raw != 0 {
		return 0 // it is gone, or a shell has set it by now
	}
	if err := unix.IoctlSetTermios(int(os.Stdout.Fd()), unix.TCSETS, &saved); err != nil {
		return 1
	}
	return 0
}
