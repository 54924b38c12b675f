//go:build !linux

package wasm

import (
	"context"

	"github.com/kavach-dev/kavach/backend"
)

type code struct{}

var errOther = &backend.UnavailableError{Backend: Name, Reason: "sandboxes are made on Linux only"}

// Probe says that this is not Linux.
func (*Backend) Probe(context.Context) (backend.Info, error) { return backend.Info{}, errOther }

// Create says that this is not Linux.
func (*Backend) Create(context.Context, backend.Spec) (backend.Instance, error) {
	return nil, errOther
}
