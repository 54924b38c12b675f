//go:build !linux

package container

import (
	"context"
	"runtime"

	"github.com/kavach-dev/kavach/backend"
)

func (b *Backend) unavailable() error {
	return &backend.UnavailableError{
		Backend: b.Name(), Reason: "containers are made of Linux namespaces, and this is " + runtime.GOOS, Fix: "run it on Linux",
	}
}

// Probe says that there is no such backend here.
func (b *Backend) Probe(context.Context) (backend.Info, error) {
	return backend.Info{}, b.unavailable()
}

// Create says that there is no such backend here.
func (b *Backend) Create(context.Context, backend.Spec) (backend.Instance, error) {
	return nil, b.unavailable()
}
