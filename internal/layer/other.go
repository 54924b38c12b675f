//go:build !linux

package layer

import (
	"errors"
	"fmt"
	"io"
)

var errNotLinux = fmt.Errorf("layers are unpacked on Linux only: %w", errors.ErrUnsupported)

// Unpack unpacks on Linux only.
func Unpack(int, io.Reader, Options) (Dropped, error) { return Dropped{}, errNotLinux }
