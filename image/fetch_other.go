//go:build !linux

package image

import "os/exec"

// runGroup runs a program, which is killed when cmd's context ends.
func runGroup(cmd *exec.Cmd) error { return cmd.Run() }
