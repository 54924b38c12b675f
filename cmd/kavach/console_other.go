//go:build !linux

package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/backend"
)

// guardianName is the argv[0] of what exists on Linux only.
const guardianName = "kavach-terminal-guardian"

func guard() int { return codeFailed }

// console exists on Linux only, as the backends that give terminals do.
type console struct{}

func openConsole(*os.File, bool) (*console, error) {
	return nil, fmt.Errorf("--tty on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}

func (*console) size() backend.WindowSize      { return backend.WindowSize{} }
func (*console) connect() error                { return nil }
func (*console) close() error                  { return nil }
func (*console) follow(*kavach.Process) func() { return func() {} }
