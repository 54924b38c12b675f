//go:build !linux

package main

import (
	"os"
	"runtime"
)

func thisMachine() machine {
	return machine{OS: runtime.GOOS, Arch: runtime.GOARCH, Cgroup: "none", UID: os.Geteuid(), GID: os.Getegid()}
}
