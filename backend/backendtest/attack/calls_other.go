//go:build linux && !amd64

package main

// ofThisMachine are harmless calls that only some architectures have.
var ofThisMachine = map[string][6]uintptr{}

// int80 answers as a kernel without the call.
func int80(uintptr) uintptr { return ^uintptr(37) } // -ENOSYS
