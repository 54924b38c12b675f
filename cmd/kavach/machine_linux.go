package main

import (
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach/guest"
)

func thisMachine() machine {
	m := machine{
		OS: runtime.GOOS, Arch: runtime.GOARCH, Cgroup: cgroupLayout(),
		Landlock: guest.LandlockABI(), UID: os.Geteuid(), GID: os.Getegid(),
	}
	var name unix.Utsname
	if unix.Uname(&name) == nil {
		m.Kernel = unix.ByteSliceToString(name.Release[:])
	}
	return m
}

// cgroupLayout says which cgroup hierarchies have controllers: those of v1 have
// them in the mount options, v2 in a file (cgroups(7)).
func cgroupLayout() string {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "unknown"
	}
	var v1, v2 bool
	for line := range strings.Lines(string(mounts)) {
		_, kind, _ := strings.Cut(line, " - ")
		at := strings.Fields(line)
		switch {
		case strings.HasPrefix(kind, "cgroup "):
			v1 = true
		case strings.HasPrefix(kind, "cgroup2 ") && len(at) > 4:
			const mountPoint = 4 // field 5 (proc_pid_mountinfo(5))
			controllers, err := os.ReadFile(at[mountPoint] + "/cgroup.controllers")
			v2 = v2 || (err == nil && len(strings.Fields(string(controllers))) > 0)
		}
	}
	switch {
	case v1 && v2:
		return "hybrid"
	case v1:
		return "v1"
	case v2:
		return "v2"
	}
	return "none"
}
