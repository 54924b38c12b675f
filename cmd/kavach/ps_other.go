//go:build !linux

package main

import (
	"errors"
	"fmt"
	"runtime"
)

var errNoRecords = fmt.Errorf("sandboxes are on record on Linux only, and this is %s: %w", runtime.GOOS, errors.ErrUnsupported)

func listSandboxes() ([]listed, error)  { return []listed{}, errNoRecords }
func sweepSandboxes() ([]listed, error) { return []listed{}, errNoRecords }
