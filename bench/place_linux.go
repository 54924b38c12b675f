package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// hybrid is where a hybrid layout has its tree of version 2 (systemd.io,
// CGROUP_DELEGATION.md).
const hybrid = "/sys/fs/cgroup/unified"

// apart starts a process in namespaces of its own.
func apart(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWUSER | unix.CLONE_NEWCGROUP
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Geteuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getegid(), Size: 1}}
	}
}

// enterPlace makes the mount namespace one in which all runtimes work.
func enterPlace() error {
	// What detaches itself stays a descendant, to be found and measured.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return err
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("keep mounts to itself: %w", err)
	}
	if !mapped() {
		if err := unix.Unmount(hybrid, 0); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("unmount %s: %w", hybrid, err)
		}
		return nil
	}
	// What it was given it cannot unmount, but cover.
	if err := unix.Mount("tmpfs", "/sys", "tmpfs", 0, "mode=755"); err != nil {
		return fmt.Errorf("cover /sys: %w", err)
	}
	if err := os.MkdirAll("/sys/fs/cgroup", 0o755); err != nil {
		return err
	}
	if err := unix.Mount("cgroup2", "/sys/fs/cgroup", "cgroup2", 0, ""); err != nil {
		return fmt.Errorf("mount cgroup2: %w", err)
	}
	return nil
}

// reapOrphans reaps what has come to this process by being left alone. No child of
// its own runs meanwhile.
func reapOrphans() {
	for {
		pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil)
		if pid <= 0 && !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

// mapped reports whether this is a user namespace that an ordinary user made: it
// maps one id.
func mapped() bool {
	b, err := os.ReadFile("/proc/self/uid_map")
	var inside, outside, size int64
	_, scanErr := fmt.Sscan(string(b), &inside, &outside, &size)
	return err == nil && scanErr == nil && size == 1
}
