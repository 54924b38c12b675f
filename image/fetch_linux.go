package image

import (
	"os/exec"
	"runtime"
	"syscall"
)

// runGroup runs a program in a process group of its own, which dies as a whole
// when cmd's context ends: what the program has started, too.
func runGroup(cmd *exec.Cmd) error {
	// The kernel sends Pdeathsig when the thread ends that has started it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	// It was not waited for yet, so the number is still that of its group.
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	return cmd.Run()
}
