//go:build !linux

package takeout

import (
	"errors"
	"fmt"
	"io"
)

// Request is what to send.
type Request struct {
	Path, Below string
	Limits      Limits
}

// Send needs Linux.
func Send(io.Writer, Request) error {
	return fmt.Errorf("files leave sandboxes of Linux only: %w", errors.ErrUnsupported)
}
