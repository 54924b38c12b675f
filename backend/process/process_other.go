//go:build !linux

package process

import (
	"context"
	"runtime"

	"github.com/kavach-dev/kavach/backend"
)

func unavailable() error {
	return &backend.UnavailableError{
		Backend: Name, Reason: "it is made of Linux namespaces, and this is " + runtime.GOOS, Fix: "run it on Linux",
	}
}

// Probe says that there is no such backend here.
func (*Backend) Probe(context.Context) (backend.Info, error) { return backend.Info{}, unavailable() }

// Create says that there is no such backend here.
func (*Backend) Create(context.Context, backend.Spec) (backend.Instance, error) {
	return nil, unavailable()
}
