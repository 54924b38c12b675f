//go:build !linux

package layer

import (
	"context"
	"errors"
	"fmt"
	"io"
)

var errNotLinux = fmt.Errorf("layers are unpacked on Linux only: %w", errors.ErrUnsupported)

// Unpack unpacks on Linux only.
func Unpack(int, io.Reader, Options) (Dropped, error) { return Dropped{}, errNotLinux }

// Flatten copies on Linux only.
func Flatten(context.Context, []string, string, bool) error { return errNotLinux }
