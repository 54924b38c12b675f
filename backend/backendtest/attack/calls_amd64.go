//go:build linux

package main

import "golang.org/x/sys/unix"

// ofThisMachine are harmless calls that only this architecture has.
var ofThisMachine = map[string][6]uintptr{
	"modify_ldt": {unix.SYS_MODIFY_LDT, 0, 0, 0}, // reads no bytes
	"iopl":       {unix.SYS_IOPL, 0},             // the level that it has
	"ioperm":     {unix.SYS_IOPERM, 0, 1, 0},     // takes away what it has not
}

// int80 makes a system call of i386 without arguments.
func int80(nr uintptr) uintptr
