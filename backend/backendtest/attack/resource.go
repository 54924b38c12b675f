//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		broken(err)
	}
	return n
}

// idle does nothing until it is killed. It is for a child that was forked without
// the Go runtime, whose threads it does not have.
//
//go:nosplit
func idle() {
	for {
		_, _, _ = unix.RawSyscall(unix.SYS_PPOLL, 0, 0, 0)
	}
}

// forkIdle makes a child that does nothing until it is killed.
func forkIdle() (int, error) {
	pid, _, errno := unix.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	if pid == 0 {
		idle()
	}
	return int(pid), nil
}

// forks N gets through if it has so many children at once.
func forks(args []string) (string, error) {
	n := number(args[0])
	for i := range n {
		if _, err := forkIdle(); err != nil {
			return fmt.Sprintf("fork number %d of %d", i+1, n), err
		}
	}
	return fmt.Sprintf("%d children", n), nil
}

// threadBomb N gets through if it has so many threads at once. They are made
// without the Go runtime, which ends the program where one is refused.
func threadBomb(args []string) (string, error) {
	n := number(args[0])
	runtime.LockOSThread()
	for i := range n {
		// Without CLONE_VM it shares all but memory, which a child of the
		// kernel's needs no stack for; it is a task as a thread is.
		const flags = unix.CLONE_FS | unix.CLONE_FILES | unix.CLONE_IO | unix.CLONE_SYSVSEM
		pid, _, errno := unix.RawSyscall6(unix.SYS_CLONE, flags|uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
		if errno != 0 {
			return fmt.Sprintf("task number %d of %d", i+1, n), errno
		}
		if pid == 0 {
			idle()
		}
	}
	return fmt.Sprintf("%d tasks", n), nil
}

// bomb N is a fork bomb: each child forks as well, without end. N bounds it
// where nothing else does, so that a broken limit does not take the host down.
func bomb(args []string) (string, error) {
	most := int64(number(args[0]))
	shared, err := unix.Mmap(-1, 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_ANONYMOUS)
	if err != nil {
		broken(err)
	}
	count := (*atomic.Int64)(unsafe.Pointer(&shared[0]))
	fmt.Println("bomb")
	runtime.LockOSThread()
	for {
		if count.Add(1) > most {
			count.Add(-1)
			_, _, _ = unix.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0)
			continue
		}
		_, _, errno := unix.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
		if errno != 0 {
			count.Add(-1)
		}
	}
}

const page = 4096

// memory KIND MEGABYTES takes memory of a kind, and gets through if it has it
// all at once.
func memory(args []string) (string, error) {
	size := number(args[1]) << 20
	var err error
	switch args[0] {
	case "anonymous":
		err = touch(-1, size, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	case "shared":
		err = touch(-1, size, unix.MAP_SHARED|unix.MAP_ANONYMOUS)
	case "memfd":
		fd, e := unix.MemfdCreate("attack", 0)
		if e != nil {
			return "memfd_create", e
		}
		err = writeAll(fd, size)
	case "tmpfs":
		err = writeFile("/tmp/attack", size)
	case "shm":
		err = writeFile("/dev/shm/attack", size)
	case "pipes":
		err = fillPipes(size)
	case "sockets":
		err = fillSockets(size)
	case "children":
		err = inChildren(size)
	case "sysv-shm":
		err = shareMemory(size)
	case "messages":
		err = fillQueues(size)
	case "semaphores":
		err = makeSemaphores(size)
	default:
		broken(fmt.Errorf("no kind %q", args[0]))
	}
	return fmt.Sprintf("%d MiB of %s", size>>20, args[0]), err
}

func touch(fd, size, flags int) error {
	b, err := unix.Mmap(fd, 0, size, unix.PROT_READ|unix.PROT_WRITE, flags)
	if err != nil {
		return err
	}
	for i := 0; i < size; i += page {
		b[i] = 1
	}
	return nil
}

func writeAll(fd, size int) error {
	buf := make([]byte, 1<<20)
	for i := range buf {
		buf[i] = byte(i)
	}
	for left := size; left > 0; {
		n, err := unix.Write(fd, buf[:min(left, len(buf))])
		if err != nil {
			return fmt.Errorf("after %d MiB: %w", (size-left)>>20, err)
		}
		left -= n
	}
	return nil
}

func writeFile(name string, size int) error {
	fd, err := unix.Open(name, unix.O_WRONLY|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return writeAll(fd, size)
}

// fillPipes puts data into pipes that nobody reads.
func fillPipes(size int) error {
	const each = 1 << 20 // the most that a user may ask for (proc_sys_fs(5), pipe-max-size)
	for done := 0; done < size; {
		var p [2]int
		if err := unix.Pipe2(p[:], unix.O_NONBLOCK); err != nil {
			return fmt.Errorf("after %d MiB: %w", done>>20, err)
		}
		have := page // where the user has too much in pipes already, one page is all
		if n, err := unix.FcntlInt(uintptr(p[0]), unix.F_SETPIPE_SZ, each); err == nil {
			have = n
		}
		n, err := unix.Write(p[1], make([]byte, have))
		if err != nil {
			return fmt.Errorf("after %d MiB: %w", done>>20, err)
		}
		done += n
	}
	return nil
}

// fillSockets puts data into local sockets that nobody reads.
func fillSockets(size int) error {
	buf := make([]byte, 64<<10)
	for done := 0; done < size; {
		p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			return fmt.Errorf("after %d MiB: %w", done>>20, err)
		}
		for {
			n, err := unix.Write(p[0], buf)
			if err != nil {
				break
			}
			done += n
		}
	}
	return nil
}

// inChildren takes memory in parts, each in a child of its own, so that no
// limit of one process is reached.
func inChildren(size int) error {
	const parts = 16
	for i := range parts {
		var done [2]int
		if err := unix.Pipe2(done[:], 0); err != nil {
			return err
		}
		b, err := unix.Mmap(-1, 0, size/parts, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
		if err != nil {
			return err
		}
		pid, _, errno := unix.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
		if errno != 0 {
			return errno
		}
		if pid == 0 {
			for at := 0; at < len(b); at += page {
				b[at] = 1
			}
			_, _, _ = unix.RawSyscall(unix.SYS_WRITE, uintptr(done[1]), uintptr(unsafe.Pointer(&b[0])), 1)
			idle()
		}
		unix.Close(done[1])
		if n, err := unix.Read(done[0], make([]byte, 1)); n != 1 || err != nil {
			return fmt.Errorf("child %d of %d died", i+1, parts)
		}
		if err := unix.Munmap(b); err != nil {
			return err
		}
	}
	// All at once: that each had its part for a while is not enough.
	var status unix.WaitStatus
	if pid, err := unix.Wait4(-1, &status, unix.WNOHANG, nil); pid != 0 || err != nil {
		return fmt.Errorf("a child died meanwhile (%v)", status.Signal())
	}
	return nil
}

// fill DIR MEGABYTES writes a file, and on its refusal goes on in small ones.
func fill(args []string) (string, error) {
	size := number(args[1]) << 20
	err := writeFile(filepath.Join(args[0], "attack"), size)
	if err == nil {
		return fmt.Sprintf("%d MiB in %s", size>>20, args[0]), nil
	}
	small := 0
	for ; small < 1<<16; small++ {
		if writeFile(filepath.Join(args[0], "small."+strconv.Itoa(small)), page) != nil {
			break
		}
	}
	return fmt.Sprintf("and %d small files", small), err
}

// inodes DIR N gets through if it can make so many empty files.
func inodes(args []string) (string, error) {
	n := number(args[1])
	for i := range n {
		if err := unix.Mkdir(filepath.Join(args[0], "d."+strconv.Itoa(i)), 0o700); err != nil {
			return fmt.Sprintf("after %d files", i), err
		}
	}
	return fmt.Sprintf("%d files", n), nil
}

// flood MEGABYTES writes to stdout and stderr, as much to each.
func flood(args []string) (string, error) {
	buf := make([]byte, 1<<20)
	for i := range buf {
		buf[i] = 'x'
	}
	for range number(args[0]) {
		for _, f := range []*os.File{os.Stdout, os.Stderr} {
			if _, err := f.Write(buf); err != nil {
				return "", err
			}
		}
	}
	return "", nil
}

// stubborn ignores whatever can be ignored, here and in a child that has left
// the session, and never ends.
func stubborn([]string) (string, error) {
	signal.Ignore()
	pid, _, errno := unix.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if errno != 0 {
		broken(errno)
	}
	if pid == 0 {
		_, _, _ = unix.RawSyscall(unix.SYS_SETSID, 0, 0, 0)
		idle()
	}
	fmt.Println("ready")
	time.Sleep(time.Hour)
	return "", errors.New("an hour is over")
}

// stopped stops itself, and its child before.
func stopped([]string) (string, error) {
	pid, err := forkIdle()
	if err != nil {
		broken(err)
	}
	fmt.Println("ready")
	if err := errors.Join(unix.Kill(pid, unix.SIGSTOP), unix.Kill(unix.Getpid(), unix.SIGSTOP)); err != nil {
		broken(err)
	}
	return "", errors.New("it went on")
}
