//go:build linux

package main

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Memory of the kernel that belongs to an IPC namespace rather than to a process
// (sysvipc(7)). It lives on when its maker has ended.

// shareMemory takes one segment and fills it.
func shareMemory(size int) error {
	id, err := unix.SysvShmGet(unix.IPC_PRIVATE, size, unix.IPC_CREAT|0o600)
	if err != nil {
		return fmt.Errorf("shmget: %w", err)
	}
	b, err := unix.SysvShmAttach(id, 0, 0)
	if err != nil {
		return fmt.Errorf("shmat: %w", err)
	}
	for at := 0; at < size; at += page {
		b[at] = 1
	}
	return nil
}

// fillQueues puts messages into queues until each is full.
func fillQueues(size int) error {
	buf := make([]byte, 8+8<<10) // the type, and the most that one message may hold (msgmax)
	buf[0] = 1
	for done := 0; done < size; {
		queue, _, errno := unix.Syscall(unix.SYS_MSGGET, unix.IPC_PRIVATE, unix.IPC_CREAT|0o600, 0)
		if errno != 0 {
			return fmt.Errorf("msgget after %d MiB: %w", done>>20, errno)
		}
		for {
			_, _, errno := unix.Syscall6(unix.SYS_MSGSND, queue, uintptr(unsafe.Pointer(&buf[0])), uintptr(len(buf)-8), unix.IPC_NOWAIT, 0, 0)
			if errno == unix.EAGAIN {
				break
			}
			if errno != 0 {
				return fmt.Errorf("msgsnd after %d MiB: %w", done>>20, errno)
			}
			done += len(buf) - 8
		}
	}
	return nil
}

// makeSemaphores makes sets of as many as one may hold (semmsl), each of a cache
// line.
func makeSemaphores(size int) error {
	const most, line = 32000, 64
	for done := 0; done < size; done += most * line {
		if _, _, errno := unix.Syscall(unix.SYS_SEMGET, unix.IPC_PRIVATE, most, unix.IPC_CREAT|0o600); errno != 0 {
			return fmt.Errorf("semget after %d MiB: %w", done>>20, errno)
		}
	}
	return nil
}
